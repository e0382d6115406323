//! The operations that a scenario may name for faults: what a guest's calls are called on their way to a backend.

use stuga_core::CapabilityName;

/// Those of a capability. One change of search is its own operation, several at once are `search.bulk`; a completion in one
/// piece begins like one in many.
pub(crate) const fn operations(capability: CapabilityName) -> &'static [&'static str] {
    match capability {
        CapabilityName::A2a => &["a2a.send", "a2a.post"],
        CapabilityName::Files => &[
            "files.spool",
            "files.begin-upload",
            "files.get",
            "files.stat",
            "files.list",
            "files.list-versions",
            "files.get-version",
            "files.read-range",
            "files.put",
            "files.delete",
            "files.restore",
            "files.purge",
        ],
        CapabilityName::Jobs => &[
            "jobs.get",
            "jobs.wait",
            "jobs.list",
            "jobs.list-schedules",
            "jobs.submit",
            "jobs.cancel",
            "jobs.requeue",
            "jobs.report-progress",
            "jobs.put-schedule",
            "jobs.delete-schedule",
        ],
        CapabilityName::Memory => &[
            "memory.get",
            "memory.list",
            "memory.put",
            "memory.compare-and-set",
            "memory.delete",
        ],
        CapabilityName::Model => &["model.start", "model.embed"],
        CapabilityName::Records => &[
            "records.get",
            "records.list",
            "records.recall",
            "records.put",
            "records.delete",
        ],
        CapabilityName::Search => &[
            "search.describe-index",
            "search.list-indices",
            "search.get",
            "search.query",
            "search.create-index",
            "search.drop-index",
            "search.put",
            "search.update",
            "search.delete",
            "search.bulk",
        ],
        CapabilityName::Secrets => &["secrets.get", "secrets.reveal"],
        CapabilityName::Sessions => &[
            "sessions.get",
            "sessions.list",
            "sessions.events",
            "sessions.recall",
            "sessions.create",
            "sessions.append",
            "sessions.close",
            "sessions.delete",
        ],
    }
}

//! Whether what is acknowledged must survive.

/// What an acknowledgement promises.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// It is on disk: it survives a crash of the host and the loss of power.
    #[default]
    Fsynced,
    /// Nothing beyond the life of this process. Only for data that is thrown away in the end, such as that of a test:
    /// a crash may leave a store that cannot be opened. No configuration can choose it.
    ThrownAway,
}

impl Durability {
    /// Whether to wait for the disk.
    pub(crate) fn syncs(self) -> bool {
        self == Self::Fsynced
    }
}

/// When a write is fsynced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Syncs {
    /// Before it is answered.
    First,
    /// Soon: what it says is kept elsewhere. It survives the end of the process, as the system has it.
    Soon,
}

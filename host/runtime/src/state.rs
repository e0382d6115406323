//! What stands behind one instance: the call that runs in it and what it may take.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sha2::{Digest, Sha256};
use stuga_core::secrets::SecretInfo;
use stuga_core::{CallCtx, CapabilityName, Error, Grants, Result};
use stuga_resilience::Capabilities;
use tokio::sync::mpsc;
use tokio::time::Instant;
use wasmtime::ResourceLimiter;

use crate::JobCheck;
use crate::host::{OpenCompletion, OpenUpload, report_dropped_lines};
use crate::redact::Revealed;
use crate::wasi::Wasi;

/// What an instance may reach and take: the same for all calls of an agent.
pub(crate) struct Authority {
    pub(crate) grants: Grants,
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) secrets: BTreeSet<String>,
    /// None while a component is only asked what it is.
    pub(crate) capabilities: Option<Capabilities>,
    pub(crate) memory_bytes: u64,
    pub(crate) random_key: [u8; 32],
    /// What a job must be to be submitted.
    pub(crate) job_check: JobCheck,
}

/// The `T` of the store.
pub(crate) struct HostState {
    pub(crate) authority: Arc<Authority>,
    pub(crate) call: Option<Call>,
    pub(crate) memory: MemoryUse,
    /// The handle of the next upload; never used twice, so that an old handle cannot name another call's upload.
    pub(crate) next_upload: u32,
    /// As `next_upload`, of completions.
    pub(crate) next_completion: u32,
    /// By handle: what the guest holds, without values.
    pub(crate) secrets: BTreeMap<u32, SecretInfo>,
    pub(crate) next_secret: u32,
    /// Made by the first use of WASI; components that do not import it have none.
    pub(crate) wasi: Option<Box<Wasi>>,
}

/// One call. It comes and goes while the instance stays.
pub(crate) struct Call {
    pub(crate) ctx: Arc<CallCtx>,
    pub(crate) parts: Option<mpsc::Sender<String>>,
    pub(crate) started: Instant,
    pub(crate) lines: u32,
    pub(crate) lines_dropped: u32,
    /// By handle. Dropped with the call, which ends those that are not finished.
    pub(crate) uploads: BTreeMap<u32, OpenUpload>,
    /// By handle. Dropped with the call, which stops their models.
    pub(crate) completions: BTreeMap<u32, OpenCompletion>,
    /// What the host's own records leave out.
    pub(crate) revealed: Revealed,
    random: Option<ChaCha20Rng>,
    /// The job that runs and its attempt; none in the call of a skill.
    pub(crate) job: Option<(String, u32)>,
}

/// The instance's linear memory.
#[derive(Default)]
pub(crate) struct MemoryUse {
    pub(crate) limit: u64,
    pub(crate) bytes: u64,
    /// Whether the guest was refused more during this call: the likely cause of a trap that follows.
    pub(crate) refused: bool,
}

impl Call {
    pub(crate) fn new(ctx: Arc<CallCtx>, parts: Option<mpsc::Sender<String>>) -> Self {
        Self {
            ctx,
            parts,
            started: Instant::now(),
            lines: 0,
            lines_dropped: 0,
            uploads: BTreeMap::new(),
            completions: BTreeMap::new(),
            revealed: Revealed::default(),
            random: None,
            job: None,
        }
    }

    /// The same as an attempt of a job.
    pub(crate) fn of_job(mut self, id: String, attempt: u32) -> Self {
        self.job = Some((id, attempt));
        self
    }
}

impl HostState {
    pub(crate) fn new(authority: Arc<Authority>) -> Self {
        let memory = MemoryUse {
            limit: authority.memory_bytes,
            ..MemoryUse::default()
        };
        Self {
            authority,
            call: None,
            memory,
            next_upload: 0,
            next_completion: 0,
            secrets: BTreeMap::new(),
            next_secret: 0,
            wasi: None,
        }
    }

    /// Readies the state for a call.
    pub(crate) fn begin(&mut self, call: Call) {
        self.memory.refused = false;
        self.begin_wasi();
        self.call = Some(call);
    }

    /// Ends the call: says what it wrote without a newline, and how much it wrote too much. Returns the secrets that it
    /// has revealed.
    pub(crate) fn end(&mut self) -> wasmtime::Result<Revealed> {
        self.finish_wasi()?;
        Ok(self.call.take().map_or_else(Revealed::default, |call| {
            report_dropped_lines(&call);
            call.revealed
        }))
    }

    /// When the call that runs must stop; none between calls.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.call.as_ref().map(|call| call.ctx.deadline)
    }

    /// The call that runs and the backends, once the grant was checked.
    pub(crate) fn permit(
        &self,
        capability: CapabilityName,
        operation: &'static str,
    ) -> Result<(&CallCtx, &Capabilities)> {
        self.authority.grants.check(capability, operation)?;
        match (&self.call, &self.authority.capabilities) {
            (Some(call), Some(capabilities)) => Ok((&call.ctx, capabilities)),
            _ => Err(Error::denied(
                operation,
                "no capability can be used outside of an invocation, such as in `describe`",
            )),
        }
    }

    /// The invocation's own stream of random numbers.
    pub(crate) fn random(&mut self) -> Option<&mut ChaCha20Rng> {
        let key = self.authority.random_key;
        let call = self.call.as_mut()?;
        let ctx = &call.ctx;
        Some(call.random.get_or_insert_with(|| {
            let mut seed = Sha256::new();
            seed.update(key);
            seed.update(ctx.invocation.as_uuid().as_bytes());
            let seed = seed.finalize().into();
            let tape = ctx.tape.as_ref();
            ChaCha20Rng::from_seed(tape.map_or(seed, |tape| tape.random_seed(seed)))
        }))
    }
}

impl ResourceLimiter for HostState {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self
            .memory
            .bytes
            .saturating_add((desired.saturating_sub(current)) as u64);
        let allowed = wanted <= self.memory.limit;
        if allowed {
            self.memory.bytes = wanted;
        } else {
            self.memory.refused = true;
        }
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        _desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The pool's own bound on table elements holds.
        Ok(true)
    }
}

/// A new key for the guests' randomness.
pub(crate) fn fresh_key() -> [u8; 32] {
    let mut key = [0; 32];
    let mut rng = ChaCha20Rng::from_os_rng();
    rand_core::RngCore::fill_bytes(&mut rng, &mut key);
    key
}

//! Jobs: work that an agent leaves for later, run by the host through the agent's `run-job`.
//!
//! [`Jobs`] is what an agent sees. [`queue::JobQueue`] is what the host's runner sees of the same jobs, and no guest ever
//! does. What may be written is checked in [`check`].

mod check;
pub mod cron;
pub mod elsewhere;
pub mod queue;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

pub use check::{
    check_input, check_job_id, check_kind, check_limit, check_progress, check_schedule_name,
};

use crate::lease::Failure;
use crate::retry::RetryPolicy;
use crate::{CallCtx, Capability, CapabilityName, Result, Timestamp, Write};

/// Largest input of a job in bytes.
pub const INPUT_MAX_BYTES: usize = 256 << 10;
/// Largest output of a job in bytes; an attempt that answers more fails.
pub const OUTPUT_MAX_BYTES: usize = 1 << 20;
/// Longest time until the first attempt.
pub const DELAY_MAX: Duration = Duration::from_secs(366 * 24 * 3_600);
/// Shortest time that an attempt may be given.
pub const DEADLINE_MIN: Duration = Duration::from_millis(10);
/// Longest time that an attempt may be given.
pub const DEADLINE_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Longest time that a job stays after its end.
pub const RETENTION_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How long a job stays after its end when it does not say.
pub const RETENTION_DEFAULT: Duration = Duration::from_secs(24 * 3_600);
/// How long a dead job stays.
pub const DEAD_RETENTION: Duration = Duration::from_secs(14 * 24 * 3_600);
/// Longest idempotency key in bytes.
pub const KEY_MAX_BYTES: usize = 255;
/// Longest note of a progress in bytes.
pub const NOTE_MAX_BYTES: usize = 1_024;
/// Most jobs on a page.
pub const PAGE_MAX_JOBS: u32 = 1_000;
/// Most schedules of an agent.
pub const SCHEDULES_MAX: usize = 100;
/// Longest wait of one call for a job to end.
pub const WAIT_MAX: Duration = Duration::from_secs(3_600);
/// How much earlier another job may have been due that a job of the next priority goes before.
pub const PRIORITY_STEP: Duration = Duration::from_secs(5 * 60);

/// How far a job is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It waits for its time, for a place, or for its next attempt.
    Waiting,
    /// An attempt runs.
    Running,
    /// It has ended with an output.
    Succeeded,
    /// All attempts failed.
    Dead,
    /// It was cancelled.
    Cancelled,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Running,
        Self::Succeeded,
        Self::Dead,
        Self::Cancelled,
    ];

    /// The state as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether nothing will happen to the job by itself any more.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Succeeded | Self::Dead | Self::Cancelled)
    }
}

/// Which of an agent's due jobs go first; each step is worth [`PRIORITY_STEP`].
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// After the others.
    Low,
    /// As usual.
    #[default]
    Normal,
    /// Before the others.
    High,
}

impl Priority {
    /// All of them, the lowest first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::High];
}

/// How a job is run and kept.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Options {
    /// When the first attempt is due, counted from when the write is applied first: at most [`DELAY_MAX`].
    pub delay: Duration,
    /// Which jobs it goes before.
    pub priority: Priority,
    /// How often it is tried.
    pub retry: RetryPolicy,
    /// Longest run of an attempt, [`DEADLINE_MIN`] to [`DEADLINE_MAX`]; none for the tenant's limit.
    pub deadline: Option<Duration>,
    /// How long it stays after its end, at most [`RETENTION_MAX`]; none for [`RETENTION_DEFAULT`].
    pub retention: Option<Duration>,
    /// Makes submitting it again answer the same job, as long as that stays.
    pub idempotency_key: Option<String>,
}

/// How much of a job is done, in its own words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Progress {
    /// 0 to 100.
    pub percent: u8,
    /// At most [`NOTE_MAX_BYTES`].
    pub note: String,
}

/// What is known of a job besides its input and output.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JobInfo {
    /// Its id, unique among the agent's jobs.
    pub id: String,
    /// What kind of job.
    pub kind: String,
    /// How far it is.
    pub state: State,
    /// Which jobs it goes before.
    pub priority: Priority,
    /// Number of the attempt that runs or comes next, or of the last one; from 1.
    pub attempt: u32,
    /// When it was submitted.
    pub submitted_at: Timestamp,
    /// From when on the next attempt may begin.
    pub due_at: Timestamp,
    /// When the attempt that runs began; none when none runs.
    pub began_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What the latest attempt reported.
    pub progress: Option<Progress>,
    /// Why the latest attempt failed.
    pub failure: Option<Failure>,
    /// The schedule that made it.
    pub schedule: Option<String>,
}

/// A job.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Job {
    /// What is known of it.
    pub info: JobInfo,
    /// JSON text.
    pub input: String,
    /// JSON text, once it has succeeded.
    pub output: Option<String>,
}

/// One page of a listing: the job submitted last first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Page {
    /// The jobs.
    pub jobs: Vec<JobInfo>,
    /// Where to read on; none when the listing is complete.
    pub next_cursor: Option<String>,
}

/// A job that is made again and again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Schedule {
    /// Its name, unique among the agent's schedules.
    pub name: String,
    /// When, as five fields.
    pub cron: String,
    /// In which time zone.
    pub time_zone: String,
    /// What kind of job.
    pub kind: String,
    /// JSON text.
    pub input: String,
    /// When the next job is made.
    pub next_at: Timestamp,
}

/// A change to jobs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobWrite {
    /// Queues a job. Its id is made from the write's id. Another submission under the idempotency key of a job that
    /// stays is a `Conflict`, the same one answers that job. `QuotaExceeded` when the tenant keeps too many jobs.
    Submit {
        /// What kind of job.
        kind: String,
        /// JSON text.
        input: String,
        /// How it is run and kept.
        options: Options,
    },
    /// Ends a job that has not ended; whoever runs it loses it. `NotFound` when it is absent.
    Cancel {
        /// Which.
        id: String,
    },
    /// Queues a dead job again, with all its attempts. `NotFound` when it is absent, `Conflict` when it is not dead.
    Requeue {
        /// Which.
        id: String,
    },
    /// Notes how much is done. `NotFound` when the job is absent, `Conflict` when that attempt does not run any more.
    ReportProgress {
        /// Of which job: the one that runs, as the host knows it.
        id: String,
        /// In which attempt.
        attempt: u32,
        /// How much.
        progress: Progress,
    },
    /// Makes jobs at the times that `cron` says, instead of what stood under that name. `QuotaExceeded` over
    /// [`SCHEDULES_MAX`] names.
    PutSchedule {
        /// Under which name.
        name: String,
        /// When.
        cron: String,
        /// In which time zone.
        time_zone: String,
        /// What kind of job.
        kind: String,
        /// JSON text.
        input: String,
        /// How they are run and kept; without delay and idempotency key.
        options: Options,
    },
    /// Removes a schedule; that there is none is no error.
    DeleteSchedule {
        /// Which.
        name: String,
    },
}

impl Write for JobWrite {
    type Ack = JobAck;
    const CAPABILITY: CapabilityName = CapabilityName::Jobs;

    /// The job or schedule. A submission has none of its own yet: all of a kind keep their order.
    fn key(&self) -> &str {
        match self {
            Self::Submit { kind, .. } => kind,
            Self::Cancel { id } | Self::Requeue { id } | Self::ReportProgress { id, .. } => id,
            Self::PutSchedule { name, .. } | Self::DeleteSchedule { name } => name,
        }
    }

    fn operation(&self) -> &'static str {
        match self {
            Self::Submit { .. } => "jobs.submit",
            Self::Cancel { .. } => "jobs.cancel",
            Self::Requeue { .. } => "jobs.requeue",
            Self::ReportProgress { .. } => "jobs.report-progress",
            Self::PutSchedule { .. } => "jobs.put-schedule",
            Self::DeleteSchedule { .. } => "jobs.delete-schedule",
        }
    }
}

/// What a change to jobs answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobAck {
    /// Of a submission.
    Submitted {
        /// The job's id.
        id: String,
        /// Whether it was there already, under the same idempotency key.
        existed: bool,
    },
    /// Of a cancellation.
    Cancelled {
        /// Whether it had not ended before.
        was_open: bool,
    },
    /// Of a requeue.
    Requeued,
    /// Of a progress.
    Noted,
    /// Of a schedule.
    Scheduled {
        /// When the next job is made.
        next_at: Timestamp,
        /// Whether another stood there before.
        existed: bool,
    },
    /// Of a schedule's removal.
    Unscheduled {
        /// Whether there was one.
        existed: bool,
    },
}

/// Reads of jobs. Object safe.
///
/// Every backend checks its arguments with the functions of this module before anything else and sees only the jobs of
/// `ctx.tenant` and `ctx.agent`. A job whose retention has passed since its end is absent.
///
/// A job that was acknowledged is run until it has ended, whatever happens to the host. An attempt whose holder is lost
/// runs again under its own number ([`queue::invocation_of`] makes its invocation, so that what it wrote is not written
/// twice), at most [`crate::lease::LOSSES_MAX`] times; a failed one is followed by the next as the retry policy says. A
/// job that has ended is not run again, but by a requeue.
#[async_trait]
pub trait Jobs: Capability<Write = JobWrite> {
    /// The job, or none when it is absent.
    async fn get(&self, ctx: &CallCtx, id: &str) -> Result<Option<Job>>;

    /// As [`Jobs::get`], once the job has ended or the moment `until` has come.
    async fn wait(&self, ctx: &CallCtx, id: &str, until: Instant) -> Result<Option<Job>>;

    /// The agent's jobs, the one submitted last first, of `state` if that is given, at most `limit` (1 to
    /// [`PAGE_MAX_JOBS`]). A page can be shorter than `limit` and still have a cursor. A job that is written during a
    /// listing appears in it or not, none appears twice. A cursor that is malformed or belongs to another state is
    /// `Invalid`.
    async fn list(
        &self,
        ctx: &CallCtx,
        state: Option<State>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page>;

    /// The agent's schedules in the order of their names.
    async fn schedules(&self, ctx: &CallCtx) -> Result<Vec<Schedule>>;
}

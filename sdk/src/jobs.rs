//! Work for later: the host runs it through the agent's [`Agent::jobs`](crate::Agent::jobs), in an instance of its own.
//!
//! A job that was submitted will run, whatever happens to the host in between. What an attempt wrote before it was cut off
//! is not written twice when it runs again; a failed attempt is followed by another after a wait that grows, until the
//! attempts are used up and the job is dead. `Invalid`, `Denied` and `NotFound` end a job at once.
//! Wants [`Capability::Jobs`](crate::Capability::Jobs).
//!
//! ```
//! use serde_json::json;
//! use stuga_sdk::{Agent, Capability, Context, Jobs, Result, Skills, jobs, memory, mock};
//!
//! #[derive(Default)]
//! struct Archivist;
//!
//! impl Agent for Archivist {
//!     const NAME: &str = "archivist";
//!     const VERSION: &str = "0.1.0";
//!     const SUMMARY: &str = "Files things when there is time.";
//!     const CAPABILITIES: &[Capability] = &[Capability::Jobs, Capability::Memory];
//!
//!     fn skills() -> Skills<Self> {
//!         Skills::new().skill("later", "Files a text later.", |_: &Self, _: &Context, text: String| {
//!             jobs::submit("file", &text)
//!         })
//!     }
//!
//!     fn jobs() -> Jobs<Self> {
//!         Jobs::new().job("file", "Files a text.", |_: &Self, _: &Context, text: String| {
//!             memory::put("filed", text.as_bytes())
//!         })
//!     }
//! }
//!
//! mock::Host::new().run(|| -> Result<()> {
//!     let id = mock::invoke::<Archivist>("later", json!("hej"))?;
//!     mock::run_jobs::<Archivist>();
//!     let job = jobs::get(id.as_str().unwrap())?.unwrap();
//!     assert_eq!(job.info.state, jobs::State::Succeeded);
//!     assert_eq!(memory::get("filed")?.unwrap().value, b"hej");
//!     Ok(())
//! }).unwrap();
//! ```

mod options;

pub use options::{Options, Priority, Retry};

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backend::jobs as backend;
use crate::{Error, Pages, Result};

/// How far a job is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// It waits for its time, for a place, or for its next attempt.
    Waiting,
    /// An attempt runs.
    Running,
    /// It has ended with an output.
    Succeeded,
    /// All attempts failed. [`requeue`] gives it new ones.
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

    /// Whether nothing will happen to the job by itself any more.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Succeeded | Self::Dead | Self::Cancelled)
    }
}

/// How much of a job is done, as it reported itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Progress {
    /// 0 to 100.
    pub percent: u32,
    /// In its own words.
    pub note: String,
}

/// Why an attempt failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// A kind of error in kebab-case, such as `unavailable`.
    pub kind: String,
    /// One line.
    pub message: String,
}

/// What is known of a job besides its input and output. Times are milliseconds since 1970-01-01 UTC.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobInfo {
    /// Its id.
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
    pub submitted_at: u64,
    /// From when on the next attempt may begin.
    pub due_at: u64,
    /// When the attempt that runs began.
    pub began_at: Option<u64>,
    /// When it ended.
    pub ended_at: Option<u64>,
    /// What the latest attempt reported.
    pub progress: Option<Progress>,
    /// Why the latest attempt failed.
    pub failure: Option<Failure>,
    /// The schedule that made it.
    pub schedule: Option<String>,
}

/// A job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Job {
    /// What is known of it.
    pub info: JobInfo,
    /// JSON text.
    pub input: String,
    /// JSON text, once it has succeeded.
    pub output: Option<String>,
}

impl Job {
    /// The output of a job that has succeeded.
    ///
    /// # Errors
    /// `Conflict` when it has not, with why the latest attempt failed if one did; `Internal` when the output is no `T`.
    pub fn output<T: DeserializeOwned>(&self) -> Result<T> {
        let Some(output) = &self.output else {
            let (id, state) = (&self.info.id, self.info.state.as_str());
            let why = self.info.failure.as_ref();
            let why = why.map_or_else(String::new, |failure| format!(": {}", failure.message));
            return Err(Error::conflict(format!("job {id} is {state}{why}"))
                .with_context("job", id)
                .with_context("state", state));
        };
        serde_json::from_str(output).map_err(|e| {
            Error::internal(format!(
                "the output of job {} does not fit: {e}",
                self.info.id
            ))
        })
    }
}

/// One page of jobs, the one submitted last first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// The jobs.
    pub jobs: Vec<JobInfo>,
    /// Give this to [`list`] to read on; none when the listing is complete.
    pub next_cursor: Option<String>,
}

/// A job that is made again and again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// Its name.
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
    pub next_at: u64,
}

/// Queues a job of a kind that [`Agent::jobs`](crate::Agent::jobs) lists, and answers its id.
pub fn submit<T: Serialize + ?Sized>(kind: &str, input: &T) -> Result<String> {
    submit_with(kind, input, &Options::new())
}

/// As [`submit`], with options.
pub fn submit_with<T: Serialize + ?Sized>(
    kind: &str,
    input: &T,
    options: &Options,
) -> Result<String> {
    submit_json(kind, &to_json(input)?, options)
}

/// As [`submit_with`], for an input that is JSON text already.
pub fn submit_json(kind: &str, input: &str, options: &Options) -> Result<String> {
    backend::submit(kind, input, options)
}

/// The job, or none when it is absent: never submitted, or over with its retention passed.
pub fn get(id: &str) -> Result<Option<Job>> {
    backend::get(id)
}

/// As [`get`], but waits up to `timeout` until the job has ended. Its state says whether it has.
pub fn wait(id: &str, timeout: Duration) -> Result<Option<Job>> {
    backend::wait(id, millis(timeout))
}

/// The agent's jobs, of one state if that is given, at most `limit` (1 to 1,000) a page.
pub fn list(state: Option<State>, cursor: Option<&str>, limit: u32) -> Result<Page> {
    backend::list(state, cursor, limit)
}

/// All of the agent's jobs, of one state if that is given, page after page.
pub fn list_all(state: Option<State>) -> Pages<JobInfo> {
    Pages::of(move |cursor, limit| {
        list(state, cursor, limit).map(|page| (page.jobs, page.next_cursor))
    })
}

/// Cancels the job, also one that runs. False when it had ended before; `NotFound` when it is absent.
pub fn cancel(id: &str) -> Result<bool> {
    backend::cancel(id)
}

/// Queues a dead job again, with all its attempts. `Conflict` when it is not dead.
pub fn requeue(id: &str) -> Result<()> {
    backend::requeue(id)
}

/// Says how much of the job that runs is done: 0 to 100 percent and a note of at most 1,024 bytes. `Conflict` means that
/// the job was cancelled: end then. It is durable, so a few times a second at most.
pub fn report_progress(percent: u32, note: &str) -> Result<()> {
    backend::report_progress(percent, note)
}

/// Makes jobs of `kind` at the times that `cron` (five fields, or a word such as `@daily`) says in `time_zone` (such as
/// `Europe/Stockholm`), in place of the schedule of that name. Answers when the first one is made.
pub fn put_schedule<T: Serialize + ?Sized>(
    name: &str,
    cron: &str,
    time_zone: &str,
    kind: &str,
    input: &T,
) -> Result<u64> {
    put_schedule_with(name, cron, time_zone, kind, input, &Options::new())
}

/// As [`put_schedule`], with options for its jobs: without delay and idempotency key.
pub fn put_schedule_with<T: Serialize + ?Sized>(
    name: &str,
    cron: &str,
    time_zone: &str,
    kind: &str,
    input: &T,
    options: &Options,
) -> Result<u64> {
    backend::put_schedule(name, cron, time_zone, kind, &to_json(input)?, options)
}

/// Removes the schedule and says whether there was one. Jobs that it made stay.
pub fn delete_schedule(name: &str) -> Result<bool> {
    backend::delete_schedule(name)
}

/// The agent's schedules in the order of their names.
pub fn schedules() -> Result<Vec<Schedule>> {
    backend::list_schedules()
}

fn to_json<T: Serialize + ?Sized>(input: &T) -> Result<String> {
    serde_json::to_string(input)
        .map_err(|e| Error::invalid(format!("the input of the job is no JSON: {e}")))
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

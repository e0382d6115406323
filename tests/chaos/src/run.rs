//! One run: a world, clients, a nemesis; then peace, a reader without a past, and the judgement.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::future::try_join_all;
use futures::stream::{self, StreamExt};
use serde_json::json;
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::{Instant, sleep, sleep_until};

use crate::admin::Desk;
use crate::check::check;
use crate::client::Client;
use crate::history::{Event, Recorder};
use crate::host::Host;
use crate::load::{Habits, Shared, Stop, Worker};
use crate::nemesis::{Act, Step, Temper, plan};
use crate::report::Report;
use crate::seeded::Seeded;
use crate::site::{Site, TENANTS, Tools};
use crate::stage::{Reach, Stage};
use crate::words::{Action, Outcome, Store, Thing};

/// Seeds of clients begin here, above those of the nemesis.
const CLIENT_STREAMS: u64 = 1_000;
/// How often the journals are looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);
/// How long the journals may take in peace to become less than they ever were.
const EMPTY_PATIENCE: Duration = Duration::from_secs(180);
/// How often what waits is told of.
pub(crate) const TELL_EVERY: Duration = Duration::from_secs(10);
/// How many things are read at a time in the end.
const READERS: usize = 12;
/// How often the last reading of a thing is tried.
const READ_TRIES: u32 = 3;
/// Wait before another try.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Longest value of a file that clients write.
const VALUE_MAX_BYTES: u32 = 1 << 20;

/// What a run is to be.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Everything follows from it, but for what the machine does.
    pub seed: u64,
    /// How long things go wrong.
    pub length: Duration,
    /// Hosts that share the cloud; each client works through one of them.
    pub hosts: u32,
    /// Clients of each tenant.
    pub clients: u32,
    /// A client's pause between two operations.
    pub pace: Duration,
    /// Share of the operations that only read, in percent.
    pub reads: u64,
    /// Sessions of each client.
    pub sessions: u64,
    /// How eager the nemesis is.
    pub temper: Temper,
    /// The host's configuration file; empty for none.
    pub config: String,
    /// An empty or new folder for everything.
    pub folder: PathBuf,
}

/// Runs it.
///
/// # Errors
/// When the run could not be made: a server, the host or the reading failed. What clients saw is in the report.
pub async fn run(settings: &Settings, tools: &Tools) -> Result<Report> {
    let (seed, seconds) = (settings.seed, settings.length.as_secs());
    let clients = settings.clients as usize * TENANTS.len();
    eprintln!("seed {seed}: servers and hosts begin");
    let mut play = Play::begin(settings, tools).await?;
    eprintln!("seed {seed}: {clients} clients work while things go wrong for {seconds} s");
    let steps = plan(
        settings.seed,
        settings.length,
        &settings.temper,
        settings.hosts,
    );
    play.harm(&steps).await?;
    play.rest().await?;
    eprintln!("seed {seed}: all is mended and the clients rest; the journals drain");
    let (report, _) = play.end().await?;
    Ok(report)
}

/// A world with clients at work.
pub struct Play {
    seed: u64,
    /// The history so far.
    pub recorder: Arc<Recorder>,
    /// The cloud.
    pub stage: Stage,
    /// The hosts that clients work through.
    pub hosts: Vec<Host>,
    reader: Site,
    stop: Arc<Stop>,
    working: Vec<JoinHandle<()>>,
    sampler: Sampler,
}

impl Play {
    /// Sets everything up and lets the clients begin.
    ///
    /// # Errors
    /// When a server or the host cannot be had.
    pub async fn begin(settings: &Settings, tools: &Tools) -> Result<Self> {
        let folder = &settings.folder;
        std::fs::create_dir_all(folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        let recorder = Arc::new(Recorder::new(Some(&folder.join("history.jsonl")))?);
        let stage = Stage::set(folder, tools, settings.hosts).await?;
        let reader = stage.site(&folder.join("reader"), Reach::Straight, "")?;
        let mut hosts = Vec::new();
        for number in 0..usize::try_from(settings.hosts)? {
            let folder = folder.join(format!("host-{number}"));
            let site = stage.site(&folder, Reach::Proxied(number), &settings.config)?;
            let mut host = Host::new(site)?;
            block_in_place(|| host.start())?;
            hosts.push(host);
        }
        let workers = workers(settings, &hosts, &recorder)?;
        let prepared = workers.into_iter().map(|mut worker| async move {
            worker.prepare().await?;
            anyhow::Ok(worker)
        });
        let workers = try_join_all(prepared).await?;
        let stop = Arc::new(Stop::default());
        let sampler = Sampler::start(&recorder, &hosts);
        let working = workers.into_iter();
        let working = working.map(|worker| tokio::spawn(worker.work(Arc::clone(&stop))));
        Ok(Self {
            seed: settings.seed,
            recorder,
            stage,
            hosts,
            reader,
            working: working.collect(),
            stop,
            sampler,
        })
    }

    /// Does what the plan says, in its time.
    ///
    /// # Errors
    /// When something that was ended does not come up again.
    pub async fn harm(&mut self, steps: &[Step]) -> Result<()> {
        let begin = Instant::now();
        for step in steps {
            sleep_until(begin + step.at).await;
            self.act(&step.act)?;
        }
        Ok(())
    }

    /// Does one thing and notes it. What ends the host or a server waits until it is up again.
    ///
    /// # Errors
    /// When it does not come up again.
    pub fn act(&mut self, act: &Act) -> Result<()> {
        let Self {
            recorder,
            stage,
            hosts,
            ..
        } = self;
        recorder.note(Event::Fault {
            at: recorder.now(),
            what: act.to_string(),
            away: act.away().to_vec(),
        });
        match act {
            Act::Way(host, place, fault) => stage.set_way(*host, *place, fault),
            Act::Freeze => stage.freeze(true)?,
            Act::Thaw => stage.freeze(false)?,
            Act::LoseRedis => block_in_place(|| stage.lose_redis())?,
            Act::KillHost(number) | Act::RestartHost(number) => {
                let turn = |up| {
                    let at = recorder.now();
                    let host = *number;
                    recorder.note(Event::Host { at, host, up });
                };
                let host = usize::try_from(*number)?;
                let host = hosts.get_mut(host).context("there is no such host")?;
                turn(false);
                block_in_place(|| {
                    match act {
                        Act::KillHost(_) => host.kill(),
                        _ => host.stop()?,
                    }
                    host.start()
                })?;
                turn(true);
            }
        }
        Ok(())
    }

    /// Lets the clients come to their end.
    ///
    /// # Errors
    /// When one was lost.
    pub async fn rest(&mut self) -> Result<()> {
        self.stop.stop();
        for worker in self.working.drain(..) {
            worker.await.context("a client was lost")?;
        }
        Ok(())
    }

    /// Waits until nothing waits for the cloud, reads it through a host without a past, and judges. Everything must be
    /// mended, and the clients at rest.
    ///
    /// # Errors
    /// When the journals do not become empty or the cloud cannot be read.
    pub async fn end(mut self) -> Result<(Report, Vec<Event>)> {
        let recorder = &self.recorder;
        let mended = recorder.now();
        wait_until_empty(&self.hosts, recorder).await?;
        let empty = recorder.now();
        drop(self.sampler);
        let reading = read_all(self.reader, recorder).await;
        for host in &mut self.hosts {
            block_in_place(|| host.stop())?;
        }
        reading?;
        let history = recorder.finish()?;
        let verdict = check(&history);
        let report = Report::of(self.seed, &history, verdict, mended, empty);
        Ok((report, history))
    }
}

fn workers(settings: &Settings, hosts: &[Host], recorder: &Arc<Recorder>) -> Result<Vec<Worker>> {
    let mut workers = Vec::new();
    let mut stream = CLIENT_STREAMS;
    for tenant in TENANTS {
        let shared = Arc::new(Shared::default());
        for (id, (number, host)) in (0..settings.clients).zip((0..).zip(hosts).cycle()) {
            let key = host
                .site()
                .keys
                .get(tenant)
                .context("a tenant has no key")?;
            let recorder = Arc::clone(recorder);
            let client = Client::new(recorder, host.address(), key, tenant, id, "run")?;
            stream += 1;
            workers.push(Worker::new(
                client.of_host(number),
                Seeded::new(settings.seed, stream),
                Arc::clone(&shared),
                Habits {
                    pace: settings.pace,
                    reads: settings.reads,
                    sessions: settings.sessions,
                },
            ));
        }
    }
    Ok(workers)
}

/// Notes how much waits, as long as it is not dropped.
struct Sampler(JoinHandle<()>);

impl Sampler {
    /// Looks at the journals of all tenants now and then.
    fn start(recorder: &Arc<Recorder>, hosts: &[Host]) -> Self {
        let recorder = Arc::clone(recorder);
        let desks: Vec<_> = hosts.iter().map(Desk::of).collect();
        Self(tokio::spawn(async move {
            loop {
                sleep(SAMPLE_EVERY).await;
                // A host that is down is looked at again.
                let _ = sample(&desks, &recorder).await;
            }
        }))
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Notes how much waits, and says how much that is together.
async fn sample(desks: &[Desk], recorder: &Recorder) -> Result<u64> {
    let mut total = 0;
    for (host, desk) in (0..).zip(desks) {
        for tenant in TENANTS {
            let backlog = desk.backlog(tenant).await?;
            total += backlog.waiting;
            recorder.note(Event::Journal {
                at: recorder.now(),
                host,
                tenant: tenant.to_owned(),
                waiting: backlog.waiting,
                parked: backlog.parked,
            });
        }
    }
    Ok(total)
}

/// Waits until nothing waits for the cloud any longer.
///
/// # Errors
/// When it does not become less for too long.
pub async fn wait_until_empty(hosts: &[Host], recorder: &Recorder) -> Result<()> {
    let desks: Vec<_> = hosts.iter().map(Desk::of).collect();
    let mut least = (u64::MAX, Instant::now());
    let mut told = Instant::now();
    loop {
        let left = sample(&desks, recorder).await?;
        if left == 0 {
            return Ok(());
        }
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            eprintln!("{left} entries wait");
        }
        if left < least.0 {
            least = (left, Instant::now());
        }
        if least.1.elapsed() >= EMPTY_PATIENCE {
            let mut says = Vec::new();
            for (desk, tenant) in desks.iter().flat_map(|desk| TENANTS.map(|t| (desk, t))) {
                let standings = desk.explain(tenant).await?.into_iter();
                let standings = standings.filter(|one| one.backlog.waiting > 0);
                says.extend(standings.map(|one| format!("{tenant}: {}", one.says)));
            }
            bail!(
                "{left} entries still wait, no fewer than {EMPTY_PATIENCE:?} of peace ago; see host.log of each host\n{}",
                says.join("\n")
            );
        }
        sleep(SAMPLE_EVERY / 5).await;
    }
}

/// Reads everything that clients changed through a host without a past.
async fn read_all(site: Site, recorder: &Arc<Recorder>) -> Result<()> {
    let things: BTreeSet<Thing> = recorder
        .since(0)
        .into_iter()
        .filter_map(|event| match event {
            Event::Begin { thing, action, .. } if action != Action::Read => Some(thing),
            _ => None,
        })
        .collect();
    let mut host = Host::new(site)?;
    block_in_place(|| host.start())?;
    let mut readings = stream::iter(things)
        .map(|thing| read_last(&host, recorder, thing))
        .buffer_unordered(READERS);
    while let Some(event) = readings.next().await {
        recorder.note(event?);
    }
    Ok(())
}

async fn read_last(host: &Host, recorder: &Arc<Recorder>, thing: Thing) -> Result<Event> {
    let key = host
        .site()
        .keys
        .get(&thing.tenant)
        .context("a tenant has no key")?;
    let recorder = Arc::clone(recorder);
    let client = Client::new(recorder, host.address(), key, &thing.tenant, 0, "reader")?;
    let path = json!({"path": thing.key});
    let outcome = again(|| client.read(&thing)).await;
    let mut versions = Vec::new();
    let mut unreadable = Vec::new();
    if thing.store == Store::Files {
        let listed = again(|| client.look("file-versions", path.clone())).await?;
        let listed = listed.get("values").and_then(|values| values.as_array());
        for version in listed.into_iter().flatten() {
            let version = version.as_u64().context("a version is no number")?;
            let part = json!({
                "path": thing.key,
                "version": version,
                "offset": 0,
                "len": VALUE_MAX_BYTES,
            });
            let found = again(|| client.look("read-file", part.clone())).await;
            let text = found.map(|found| found.get("text")?.as_str().map(str::to_owned));
            match text {
                Ok(Some(text)) => versions.push((version, text)),
                Ok(None) => unreadable.push((version, "it is not there".to_owned())),
                Err(error) => unreadable.push((version, format!("{error:#}"))),
            }
        }
    }
    Ok(Event::Final {
        thing,
        outcome: outcome.unwrap_or_else(|error| Outcome::Unknown(format!("{error:#}"))),
        versions,
        unreadable,
    })
}

/// Does something again when it fails, a few times.
async fn again<T, F, Fut>(mut work: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let mut tries = 1;
    loop {
        match work().await {
            Err(_) if tries < READ_TRIES => tries += 1,
            done => return done,
        }
        sleep(READ_AGAIN_AFTER).await;
    }
}

/// The folder of a run in `target/chaos`, emptied.
///
/// # Errors
/// When it cannot be emptied.
pub fn folder(name: &str) -> Result<PathBuf> {
    let folder = target().join("chaos").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("{} cannot be emptied", folder.display()))?;
    }
    Ok(folder)
}

/// The folder for everything that can be made again. Not moved by `CARGO_TARGET_DIR`, so that people find it.
pub fn target() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).join("target")
}

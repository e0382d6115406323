//! What failover looks like, in four scenes that anyone can run: each says what happens and leaves a plot.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use stuga_fault_proxy::Fault;
use tokio::time::sleep;

use crate::admin::Desk;
use crate::history::Event;
use crate::load::READS;
use crate::nemesis::{Act, Place, Temper};
use crate::report::{Report, quantile};
use crate::run::{Play, Settings, wait_until_empty};
use crate::site::{TENANTS, Tools};
use crate::words::{Served, Store};

mod picture;

/// Clients of each tenant.
const CLIENTS: u32 = 3;
/// Their pause between two operations.
const PACE: Duration = Duration::from_millis(20);
const SESSIONS: u64 = 4;
/// The tenant that the drill is for.
const DRILLED: &str = "acme";
/// Longer than the drill is needed: it is ended by hand.
const DRILL_LENGTH: Duration = Duration::from_secs(300);

/// A scene.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scene {
    /// The cloud answers.
    Cloud,
    /// The cloud is lost under load.
    Outage,
    /// It comes back, and gets what it missed.
    Recovery,
    /// One tenant is kept from the cloud, the others are not.
    Isolation,
}

impl Scene {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Cloud, Self::Outage, Self::Recovery, Self::Isolation];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Outage => "outage",
            Self::Recovery => "recovery",
            Self::Isolation => "isolation",
        }
    }

    /// What it shows.
    const fn title(self) -> &'static str {
        match self {
            Self::Cloud => "Cloud mode: AWS answers, this host keeps its copy",
            Self::Outage => "AWS is lost under load: this host answers in its place",
            Self::Recovery => "AWS comes back: what this host took in its place goes there",
            Self::Isolation => "One tenant is kept from AWS: nobody else notices",
        }
    }
}

/// A part of a scene.
struct Part {
    name: &'static str,
    /// From when on, in microseconds of the history.
    from: u64,
    /// Whether it is shaded in the plot.
    shaded: bool,
}

/// Shows a scene and answers whether every rule held. The plot goes to `plots/NAME.svg`.
///
/// # Errors
/// When it cannot be shown.
pub async fn show(scene: Scene, folder: PathBuf, plots: &Path, tools: &Tools) -> Result<bool> {
    println!("\n{}\n", scene.title());
    let settings = Settings {
        seed: 1,
        length: Duration::ZERO,
        hosts: 1,
        clients: CLIENTS,
        pace: PACE,
        reads: READS,
        sessions: SESSIONS,
        temper: Temper::default(),
        config: String::new(),
        folder,
    };
    let mut play = Play::begin(&settings, tools).await?;
    let mut parts = Vec::new();
    perform(scene, &mut play, &mut parts).await?;
    play.rest().await?;
    let (report, history) = play.end().await?;
    tell(&parts, &history);
    println!("\n{report}");
    std::fs::create_dir_all(plots)
        .with_context(|| format!("{} cannot be made", plots.display()))?;
    let path = plots.join(format!("{}.svg", scene.name()));
    let plot = picture::of(scene, &parts, &history);
    std::fs::write(&path, plot.svg())
        .with_context(|| format!("{} cannot be written", path.display()))?;
    println!("Plot: {}", path.display());
    explain(scene, &report);
    Ok(report.is_clean())
}

/// Plays a scene, with the clients at work.
async fn perform(scene: Scene, play: &mut Play, parts: &mut Vec<Part>) -> Result<()> {
    let lost = |fault| Act::Way(0, Place::Everything, fault);
    begin(play, parts, "AWS answers", false);
    rest(5).await;
    match scene {
        Scene::Cloud => rest(5).await,
        Scene::Outage => {
            begin(play, parts, "AWS is a black hole", true);
            play.act(&lost(Fault::BlackHole))?;
            rest(12).await;
            begin(play, parts, "AWS is back", false);
            play.act(&lost(Fault::None))?;
            rest(4).await;
        }
        Scene::Recovery => {
            begin(play, parts, "AWS refuses connections", true);
            play.act(&lost(Fault::Refuse))?;
            rest(8).await;
            begin(play, parts, "AWS is back, clients go on", false);
            play.act(&lost(Fault::None))?;
            wait_until_empty(&play.hosts, &play.recorder).await?;
            begin(play, parts, "nothing waits any longer", false);
            rest(5).await;
        }
        Scene::Isolation => {
            let desk = Desk::of(play.hosts.first().context("there is no host")?);
            begin(play, parts, "a drill keeps acme from AWS", true);
            for store in Store::ALL {
                desk.start_drill(DRILLED, store, DRILL_LENGTH).await?;
            }
            rest(8).await;
            for standing in desk.explain(DRILLED).await? {
                println!("  {}", standing.says);
            }
            begin(play, parts, "the drill has ended", false);
            for store in Store::ALL {
                desk.stop_drill(DRILLED, store).await?;
            }
            rest(6).await;
        }
    }
    Ok(())
}

async fn rest(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

fn begin(play: &Play, parts: &mut Vec<Part>, name: &'static str, shaded: bool) {
    println!("  {name}");
    parts.push(Part {
        name,
        from: play.recorder.now(),
        shaded,
    });
}

/// Tells for each part what clients met.
fn tell(parts: &[Part], history: &[Event]) {
    println!(
        "\n{:<28} {:>7} {:>8} {:>8} {:>7}   answered by this host",
        "", "answers", "p50 ms", "p99 ms", "errors"
    );
    let answers = picture::answers(history);
    for (number, part) in parts.iter().enumerate() {
        let to = parts.get(number + 1).map_or(u64::MAX, |next| next.from);
        let within = |at: u64| (part.from..to).contains(&at);
        let now: Vec<_> = answers.iter().filter(|answer| within(answer.at)).collect();
        let mut millis: Vec<f64> = now.iter().map(|answer| answer.millis).collect();
        let errors = history.iter().filter(|event| match event {
            Event::Trouble { at, .. } => within(*at),
            _ => false,
        });
        let shares: Vec<String> = TENANTS
            .iter()
            .map(|tenant| {
                let theirs = now.iter().filter(|answer| answer.tenant == *tenant);
                let (local, all) = theirs.fold((0, 0), |(local, all), answer| {
                    (local + u32::from(answer.local), all + 1)
                });
                let percent = 100.0 * f64::from(local) / f64::from(all.max(1));
                format!("{tenant} {percent:.0} %")
            })
            .collect();
        println!(
            "{:<28} {:>7} {:>8.1} {:>8.1} {:>7}   {}",
            part.name,
            now.len(),
            quantile(&mut millis, 0.5),
            quantile(&mut millis, 0.99),
            errors.count(),
            shares.join(", ")
        );
    }
}

fn explain(scene: Scene, report: &Report) {
    let words = match scene {
        Scene::Cloud => "Every write is in AWS and in this host's copy before it is acknowledged.",
        Scene::Outage => {
            "What was written meanwhile waited in the journals, and was found in AWS by a second host in the end."
        }
        Scene::Recovery => {
            "A second host without a past has read AWS: every acknowledged write is there, once, with its latest value."
        }
        Scene::Isolation => {
            "Only the drilled tenant was answered by this host; what it wrote went to AWS when the drill had ended."
        }
    };
    if !report.is_clean() {
        return;
    }
    match report.verdict.counted.retried {
        0 => println!("No request failed. {words}"),
        retried => println!(
            "Answers that told a client to repeat a conditional write, as it may have landed: {retried}. No other request failed. {words}"
        ),
    }
}

/// Whether this host answered.
fn is_local(served: Option<&Served>) -> bool {
    served.is_some_and(|served| served.local)
}

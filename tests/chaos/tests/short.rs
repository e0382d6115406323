//! A short run of everything: a real host and real servers, broken for a while, and not one rule with them.

use std::time::Duration;

use stuga_chaos::load::READS;
use stuga_chaos::nemesis::Temper;
use stuga_chaos::run::{Settings, run};
use stuga_chaos::site::Tools;

/// Any seed must do; this one kills the host and takes away each service at least once within the time.
const SEED: u64 = 4;
const LENGTH: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_clients_were_told_is_true_after_everything_went_wrong_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        seed: SEED,
        length: LENGTH,
        hosts: 1,
        clients: 2,
        pace: Duration::from_millis(5),
        reads: READS,
        sessions: 4,
        temper: Temper {
            whole: (Duration::from_secs(2), Duration::from_secs(6)),
            broken: (Duration::from_millis(300), Duration::from_secs(5)),
            host: Some((Duration::from_secs(5), Duration::from_secs(10))),
        },
        config: String::new(),
        folder: folder.path().to_owned(),
    };
    let report = run(&settings, &Tools::find().unwrap()).await.unwrap();
    println!("{report}");
    assert!(report.is_clean(), "{report}");
    assert!(report.ends > 0, "the host was left alone: {report}");
    let counted = &report.verdict.counted;
    assert!(counted.acknowledged > 100, "{report}");
    assert!(
        counted.pending > 0,
        "nothing was noted for the cloud: {report}"
    );
}

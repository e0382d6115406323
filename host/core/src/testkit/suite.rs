//! How a contract becomes tests: a suite is a list of named cases, each a sentence of the contract.

use std::any::Any;
use std::fmt::Write;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::ManualClock;

/// A fresh, empty backend and the clock it lives by.
pub struct Fixture<C: ?Sized> {
    /// What is being proved.
    pub backend: Arc<C>,
    /// The backend's clock.
    pub clock: Arc<ManualClock>,
    alive: Vec<Box<dyn Any + Send + Sync>>,
}

impl<C: ?Sized> Fixture<C> {
    /// A backend that lives by `clock`.
    pub fn new(backend: Arc<C>, clock: Arc<ManualClock>) -> Self {
        Self {
            backend,
            clock,
            alive: Vec::new(),
        }
    }

    /// Keeps something for as long as the backend is used, such as its directory.
    #[must_use]
    pub fn keeping(mut self, thing: impl Any + Send + Sync) -> Self {
        self.alive.push(Box::new(thing));
        self
    }
}

type Run<C> = fn(Fixture<C>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// One sentence of a contract. It panics when the sentence does not hold.
pub struct Case<C: ?Sized> {
    /// The sentence.
    pub name: &'static str,
    run: Run<C>,
}

impl<C: ?Sized> Case<C> {
    pub(super) fn new(name: &'static str, run: Run<C>) -> Self {
        Self { name, run }
    }
}

/// Proves `cases`, each on a fixture of its own, and panics with the names of those that do not hold.
///
/// A name in the environment variable `STUGA_CASE` chooses the cases that contain it.
pub async fn prove<C>(cases: Vec<Case<C>>, fixture: impl Fn() -> Fixture<C>)
where
    C: ?Sized + Send + Sync + 'static,
{
    let chosen = std::env::var("STUGA_CASE").unwrap_or_default();
    let all = cases.len();
    let mut broken = String::new();
    for case in cases.into_iter().filter(|case| case.name.contains(&chosen)) {
        if let Err(death) = tokio::spawn((case.run)(fixture())).await {
            let _ = writeln!(broken, "- {}: {}", case.name, reason(death));
        }
    }
    assert!(
        broken.is_empty(),
        "of {all} sentences these do not hold:\n{broken}"
    );
}

fn reason(death: tokio::task::JoinError) -> String {
    let Ok(panic) = death.try_into_panic() else {
        return "the case was cancelled".to_owned();
    };
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}

/// A list of cases from functions; a function that is not listed is dead code, which the compiler reports.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        vec![$($crate::testkit::suite::Case::new(stringify!($name), |fixture| Box::pin($name(fixture)))),*]
    };
}
pub(crate) use cases;

//! Answers of a model that break off: who answers then, what the caller hears of it, and what the breaker learns.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stuga_core::model::{
    Completion, Embeddings, Ending, FinishReason, Message, Model, NoWrite, Request, Role,
};
use stuga_core::testkit::ctx;
use stuga_core::{
    Backend, BreakerState, CallCtx, Capability, CapabilityName, Clock, Error, ErrorKind, Result,
    WriteId,
};
use stuga_resilience::{
    Breaker, BreakerSettings, BudgetSettings, Counted, Failover, Modes, Route, Sides,
};
use tokio::time::{Instant, sleep, timeout_at};

use super::SECOND;
use crate::life::{HostClock, Life};
use crate::local::Local;
use crate::store::Store;

const OPERATION: &str = "model.complete";
/// How long the cloud's model may be silent.
const SILENCE: Duration = Duration::from_secs(15);

/// What a model does next; at the end of its steps its answer ends.
#[derive(Clone, Copy)]
enum Step {
    Say(&'static str),
    /// Works for so long, and something that is no text is heard of it then.
    Think(u64),
    /// Works for so long, and nothing is heard of it.
    Brood(u64),
    /// Says nothing any more.
    Hush,
    Fail(ErrorKind),
    /// Says more than a host takes.
    Chatter,
}

use Step::{Brood, Chatter, Fail, Hush, Say, Think};

/// A model that goes by a script for each answer; without one it says `whole`.
#[derive(Default)]
struct Scripted(Mutex<VecDeque<Vec<Step>>>);

impl Scripted {
    fn goes_by(&self, steps: &[Step]) {
        self.0.lock().unwrap().push_back(steps.to_vec());
    }
}

#[async_trait]
impl Capability for Scripted {
    type Write = NoWrite;

    async fn apply(&self, _: &CallCtx, _: WriteId, write: &NoWrite) -> Result<()> {
        match *write {}
    }
}

#[async_trait]
impl Model for Scripted {
    async fn start(&self, _: &CallCtx, _: &Request) -> Result<Box<dyn Completion>> {
        let steps = self.0.lock().unwrap().pop_front();
        Ok(Box::new(Said {
            steps: steps.unwrap_or_else(|| vec![Say("whole")]).into(),
            ending: None,
        }))
    }

    async fn embed(&self, _: &CallCtx, _: &[&str]) -> Result<Embeddings> {
        Err(Error::unavailable("model.embed", "no test embeds"))
    }
}

struct Said {
    steps: VecDeque<Step>,
    ending: Option<Ending>,
}

#[async_trait]
impl Completion for Said {
    async fn next(&mut self, ctx: &CallCtx) -> Result<Option<String>> {
        let hushed = Error::timeout(OPERATION, "the invocation's deadline has passed");
        loop {
            match self.steps.pop_front() {
                Some(Say(text)) => return Ok(Some(text.to_owned())),
                Some(Think(seconds)) => {
                    sleep(Duration::from_secs(seconds)).await;
                    ctx.pulse.beat();
                }
                Some(Brood(seconds)) => sleep(Duration::from_secs(seconds)).await,
                Some(Hush) => {
                    let never = timeout_at(ctx.deadline, std::future::pending::<()>());
                    return never.await.map(|()| None).map_err(|_| hushed);
                }
                Some(Fail(kind)) => return Err(Error::new(kind, OPERATION, "the cloud's words")),
                Some(Chatter) => {
                    let long = Error::unavailable(OPERATION, "ask for fewer tokens");
                    return Err(long.with_context("limit", 1));
                }
                None => break,
            }
        }
        self.ending = Some(Ending {
            model: "scripted".to_owned(),
            reason: FinishReason::Stop,
            usage: None,
        });
        Ok(None)
    }

    fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }
}

/// The cloud's model with this host's behind it, which always says `whole`.
struct Stage {
    cloud: Arc<Scripted>,
    route: Arc<Route>,
    facade: Failover<dyn Model>,
}

impl Stage {
    fn new() -> Self {
        let clock = Arc::new(HostClock::new(0));
        let journal = Local {
            store: Arc::<Store>::default(),
            life: Life::new(None),
            clock: Arc::clone(&clock),
        };
        let budget = BudgetSettings {
            call: 60 * SECOND,
            silence: Some(SILENCE),
            suspect: 60 * SECOND,
            ..BudgetSettings::default()
        };
        let settings = BreakerSettings {
            jitter: 0.0,
            slow_call: 3_600 * SECOND,
            ..BreakerSettings::default()
        };
        let route = Arc::new(Route::new(
            CapabilityName::Model,
            Arc::new(Breaker::new(settings, Box::new(|| 0.5))),
            budget,
            Arc::new(journal),
            Arc::new(Modes::default()),
            clock as Arc<dyn Clock>,
        ));
        let (cloud, local) = (Arc::<Scripted>::default(), Arc::<Scripted>::default());
        let sides = Sides::apart(
            Arc::clone(&cloud) as Arc<dyn Model>,
            local,
            Arc::clone(&route),
        );
        Self {
            cloud,
            route,
            facade: Failover::sides(sides),
        }
    }

    fn counts(&self) -> Counted {
        self.route.status().counts
    }

    fn state(&self) -> BreakerState {
        self.route.breaker().state()
    }

    /// Begins an answer of the cloud that goes by these steps.
    async fn begins(&self, ctx: &CallCtx, steps: &[Step]) -> Result<Box<dyn Completion>> {
        self.cloud.goes_by(steps);
        self.facade.start(ctx, &request()).await
    }
}

fn request() -> Request {
    Request {
        messages: vec![Message {
            role: Role::User,
            content: "?".to_owned(),
        }],
        ..Request::default()
    }
}

/// A call that has so many seconds.
fn patient(seconds: u32) -> CallCtx {
    let mut ctx = ctx("acme", "scribe");
    ctx.deadline = Instant::now() + seconds * SECOND;
    ctx
}

/// All that comes of an answer, and the error that it ends with, if it does.
async fn read(answer: &mut dyn Completion, ctx: &CallCtx) -> (String, Option<Error>) {
    let mut text = String::new();
    loop {
        match answer.next(ctx).await {
            Ok(Some(piece)) => text.push_str(&piece),
            Ok(None) => return (text, None),
            Err(error) => return (text, Some(error)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_fails_before_its_first_word_is_given_here_as_a_whole() {
    let stage = Stage::new();
    let failing: [&[Step]; 3] = [
        &[Fail(ErrorKind::Unavailable)],
        &[Think(9), Think(9), Fail(ErrorKind::Timeout)],
        &[Hush],
    ];
    for steps in failing {
        let ctx = patient(120);
        let mut answer = stage.begins(&ctx, steps).await.unwrap();
        let (text, error) = read(&mut *answer, &ctx).await;
        assert_eq!((text.as_str(), error.is_none()), ("whole", true));
        assert!(answer.ending().is_some());
        let used = &ctx.receipt.snapshot()[0];
        assert_eq!((used.backend, used.attempts), (Backend::Local, 2));
        assert_eq!(used.degraded, None);
    }
    let counts = stage.counts();
    assert_eq!((counts.cloud_failed, counts.broken_off), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_that_breaks_off_was_seen_by_nobody_and_is_given_here() {
    let stage = Stage::new();
    stage
        .cloud
        .goes_by(&[Say("a"), Fail(ErrorKind::Unavailable)]);
    let ctx = patient(120);
    let answer = stage.facade.complete(&ctx, &request()).await.unwrap();
    assert_eq!(answer.text, "whole");
    assert_eq!(ctx.receipt.snapshot()[0].backend, Backend::Local);
}

#[tokio::test(start_paused = true)]
async fn what_breaks_off_after_a_word_is_an_error_and_enough_of_it_sends_the_next_ones_here() {
    let stage = Stage::new();
    for kind in [ErrorKind::Unavailable, ErrorKind::Timeout]
        .into_iter()
        .cycle()
        .take(5)
    {
        assert_eq!(stage.state(), BreakerState::Closed);
        let ctx = patient(120);
        let mut answer = stage.begins(&ctx, &[Say("a"), Fail(kind)]).await.unwrap();
        let (text, error) = read(&mut *answer, &ctx).await;
        let error = error.unwrap();
        assert_eq!((text.as_str(), error.kind()), ("a", kind));
        assert!(error.message().contains("a part of it"), "{error}");
        let again = answer.next(&ctx).await.unwrap_err();
        assert!(again.message().contains("begin another"), "{again}");
        assert!(answer.ending().is_none());
        let used = &ctx.receipt.snapshot()[0];
        assert_eq!((used.backend, used.attempts), (Backend::Cloud, 1));
        assert!(used.degraded.as_ref().unwrap().contains("broke off"));
        // What begins and what is probed says nothing of how answers end.
        stage
            .route
            .breaker()
            .try_acquire()
            .ok()
            .into_iter()
            .for_each(stuga_resilience::Permit::succeeded);
    }
    assert_eq!(stage.state(), BreakerState::Open);
    assert_eq!(stage.counts().broken_off, 5);
    let ctx = patient(120);
    let mut answer = stage.facade.start(&ctx, &request()).await.unwrap();
    assert_eq!(read(&mut *answer, &ctx).await.0, "whole");
    let used = &ctx.receipt.snapshot()[0];
    assert_eq!((used.backend, used.attempts), (Backend::Local, 1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_came_whole_between_them_begins_the_count_anew() {
    let stage = Stage::new();
    for _ in 0..2 {
        for _ in 0..4 {
            let ctx = patient(120);
            let steps = [Say("a"), Fail(ErrorKind::Unavailable)];
            let mut answer = stage.begins(&ctx, &steps).await.unwrap();
            assert!(read(&mut *answer, &ctx).await.1.is_some());
        }
        let ctx = patient(120);
        stage.facade.complete(&ctx, &request()).await.unwrap();
    }
    assert_eq!(stage.state(), BreakerState::Closed);
    for _ in 0..4 {
        let ctx = patient(120);
        let steps = [Say("a"), Fail(ErrorKind::Unavailable)];
        let mut answer = stage.begins(&ctx, &steps).await.unwrap();
        assert!(read(&mut *answer, &ctx).await.1.is_some());
    }
    let ctx = patient(120);
    let mut answer = stage.begins(&ctx, &[Say("a"), Say("b")]).await.unwrap();
    assert_eq!(read(&mut *answer, &ctx).await.0, "ab");
    let ctx = patient(120);
    let steps = [Say("a"), Fail(ErrorKind::Unavailable)];
    let mut answer = stage.begins(&ctx, &steps).await.unwrap();
    assert!(read(&mut *answer, &ctx).await.1.is_some());
    assert_eq!(stage.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_falls_silent_in_the_middle_is_given_up_after_a_silence_and_one_at_work_is_not()
 {
    let stage = Stage::new();
    let ctx = patient(300);
    let steps = [Say("a"), Think(14), Think(14), Brood(14), Say("b"), Hush];
    let mut answer = stage.begins(&ctx, &steps).await.unwrap();
    let began = Instant::now();
    for text in ["a", "b"] {
        assert_eq!(answer.next(&ctx).await.unwrap().as_deref(), Some(text));
    }
    assert_eq!(began.elapsed(), 42 * SECOND);
    let given_up = answer.next(&ctx).await.unwrap_err();
    assert_eq!(given_up.kind(), ErrorKind::Timeout);
    assert_eq!(began.elapsed(), 42 * SECOND + SILENCE);
    assert_eq!(stage.counts().broken_off, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_the_clouds_fault_is_not_held_against_it() {
    let stage = Stage::new();
    // A caller without time.
    let ctx = patient(5);
    let mut answer = stage.begins(&ctx, &[Say("a"), Hush]).await.unwrap();
    let (_, error) = read(&mut *answer, &ctx).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Timeout);
    // A refusal, which is told as it is.
    let ctx = patient(120);
    let steps = [Say("a"), Fail(ErrorKind::Invalid)];
    let mut answer = stage.begins(&ctx, &steps).await.unwrap();
    let (_, error) = read(&mut *answer, &ctx).await;
    let error = error.unwrap();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Invalid, "the cloud's words")
    );
    // An answer that is too long.
    let mut answer = stage.begins(&ctx, &[Say("a"), Chatter]).await.unwrap();
    let (_, error) = read(&mut *answer, &ctx).await;
    assert_eq!(error.unwrap().message(), "ask for fewer tokens");
    // A reader that stayed away for longer than the model may, once.
    let steps = [Say("a"), Say("b"), Fail(ErrorKind::Unavailable)];
    let mut answer = stage.begins(&ctx, &steps).await.unwrap();
    answer.next(&ctx).await.unwrap();
    sleep(SILENCE + SECOND).await;
    assert!(read(&mut *answer, &ctx).await.1.is_some());
    // One that has enough.
    let mut answer = stage.begins(&ctx, &steps).await.unwrap();
    answer.next(&ctx).await.unwrap();
    drop(answer);
    assert_eq!(stage.counts().broken_off, 0);
    assert!(!stage.route.breaker().is_suspect());
}

//! Fault injection: fails every request of a run once in every way.

use futures::{FutureExt, StreamExt, stream};
use serde_json::Value;
use stand_in::{Answer, Call, Fault, Function, Traffic};
use std::fmt;
use std::panic::{AssertUnwindSafe, resume_unwind};

/// Concurrent runs. They mostly wait for retries.
const AT_ONCE: usize = 6;

/// The disruption of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disruption {
    /// The service answers with an error, or not at all.
    Fault(Fault),
    /// The process is killed while it waits for the answer. The fault holds the request before or
    /// after its effect.
    Kill(Fault),
}

/// Every disruption of a request to any service. The service chooses the code of an error.
pub fn usual() -> Vec<Disruption> {
    vec![
        Disruption::Fault(Fault::status(500)),
        Disruption::Fault(Fault::status(503)),
        Disruption::Fault(Fault::status(403)),
        Disruption::Fault(Fault::ResetBefore),
        Disruption::Fault(Fault::ResetAfter),
        Disruption::Kill(Fault::HoldBefore),
        Disruption::Kill(Fault::HoldAfter),
    ]
}

impl Disruption {
    /// Whether the service answers with this HTTP status.
    pub fn is_status(&self, expected: u16) -> bool {
        matches!(self, Self::Fault(Fault::Status { status, .. }) if *status == expected)
    }

    /// Whether the process is killed.
    pub fn is_kill(&self) -> bool {
        matches!(self, Self::Kill(_))
    }

    fn fault(&self) -> &Fault {
        match self {
            Self::Fault(fault) | Self::Kill(fault) => fault,
        }
    }
}

/// A function in its own world, and its next event.
pub struct PreparedRun<W> {
    /// The services with everything that the function changes.
    pub world: W,
    /// The world's traffic. The next request has index 0.
    pub traffic: Traffic,
    pub function: Function,
    pub event: Value,
}

/// A run with one disrupted request, and the function's answer.
pub struct DisruptedRun<W> {
    /// The world after the run.
    pub world: W,
    /// The function. Its process has ended if it was killed.
    pub function: Function,
    pub event: Value,
    pub disruption: Disruption,
    /// The disrupted request.
    pub call: Call,
    pub answer: Answer,
}

impl<W> fmt::Display for DisruptedRun<W> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            disruption,
            call,
            answer,
            ..
        } = self;
        write!(
            to,
            "{disruption:?} at request {} ({call:?}): {answer:?}",
            call.index
        )
    }
}

impl<W> DisruptedRun<W> {
    /// Invokes the function and disrupts one request.
    async fn at(run: PreparedRun<W>, request: usize, disruption: Disruption) -> Self {
        let PreparedRun {
            world,
            traffic,
            function,
            event,
        } = run;
        traffic.fault(request, disruption.fault().clone());
        let invoked = function.invoke(event.clone());
        let answer = match &disruption {
            Disruption::Fault(_) => invoked.await,
            Disruption::Kill(_) => {
                let killed = async {
                    traffic.held().await;
                    function.kill();
                };
                tokio::join!(invoked, killed).0
            }
        };
        let calls = traffic.calls();
        let met = calls.get(request).cloned();
        let call = met.unwrap_or_else(|| {
            panic!("the run ended before request {request}: {answer:?}, {calls:?}")
        });
        let died = matches!(answer, Answer::Died { .. });
        assert!(
            disruption.is_kill() || !died,
            "the function died: {answer:?}, {:?}",
            function.stderr()
        );
        Self {
            world,
            function,
            event,
            disruption,
            call,
            answer,
        }
    }
}

/// Runs once undisturbed to record the requests of a run. Then, for every request and every
/// disruption, runs again in a new world and checks the result. Returns the requests.
///
/// `undisturbed` checks the first run and returns the expected end state. `check` verifies the
/// invariant after a disrupted run, repeats the run, and verifies the invariant again.
///
/// # Panics
///
/// If the run makes no request, if a disruption is not met, or if `check` panics: then the request
/// and the disruption are printed.
pub async fn every_request_disrupted<W, E>(
    scene: &str,
    disruptions: &[Disruption],
    prepare: impl AsyncFn() -> PreparedRun<W>,
    undisturbed: impl AsyncFnOnce(W, &Function, Answer) -> E,
    check: impl AsyncFn(&E, DisruptedRun<W>),
) -> Vec<Call> {
    let PreparedRun {
        world,
        traffic,
        function,
        event,
    } = prepare().await;
    let answer = function.invoke(event).await;
    let calls = traffic.calls();
    assert!(
        !calls.is_empty(),
        "{scene}: the run makes no request: {answer:?}"
    );
    let expected = undisturbed(world, &function, answer).await;

    let cases =
        (0..calls.len()).flat_map(|request| disruptions.iter().map(move |kind| (request, kind)));
    let checked = stream::iter(cases).map(async |(request, disruption)| {
        let case = async {
            let run = prepare().await;
            assert!(run.traffic.calls().is_empty(), "prepare() made requests: call traffic.reset_calls() so that the run starts at index 0");
            check(&expected, DisruptedRun::at(run, request, disruption.clone()).await).await;
        };
        if let Err(panic) = AssertUnwindSafe(case).catch_unwind().await {
            let undisturbed = &calls[request];
            eprintln!("{scene}: {disruption:?} at request {request}, which is {undisturbed:?} where nothing is wrong");
            resume_unwind(panic);
        }
    });
    let checked = checked.buffer_unordered(AT_ONCE).count().await;
    assert_eq!(checked, calls.len() * disruptions.len(), "{scene}");
    calls
}

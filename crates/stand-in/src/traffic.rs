//! The log of calls and what happens to them on purpose: one for all services, so that a test can
//! fail the n-th call of a run, whichever service it goes to.
//!
//! A request passes here three times: when it arrives, which gives it its index; once its operation
//! is known, which is before anything of it takes effect; and once it has taken effect.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use tokio::sync::{Semaphore, oneshot};

use crate::lock;

/// How long [`Traffic::held`] waits.
const HELD_LIMIT: Duration = Duration::from_secs(60);

/// One request, as it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Counts from 0 through all services that share a [`Traffic`], in the order of arrival, since
    /// the start or [`Traffic::reset_calls`].
    pub index: usize,
    /// `s3`, `mediapackage`, `medialive` or `origin`, which is where MediaPackage serves its
    /// streams.
    pub service: &'static str,
    /// As the service's API reference calls it, as in `ListObjectsV2`; of the origin, the HTTP
    /// method. Empty for what was turned away before that was known: no such operation, or a wrong
    /// signature to S3.
    pub operation: String,
    /// The bucket, if the operation has one.
    pub bucket: String,
    /// The key, or the prefix of a list; the endpoint's or channel's id; of the origin, the path.
    /// Or nothing.
    pub key: String,
    /// When it arrived.
    pub at: Instant,
}

/// What goes wrong with one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error is the answer, and nothing else happens: `500 InternalError`, `503 SlowDown`,
    /// `403 AccessDenied` and so on. [`Fault::status`] leaves the code to the service.
    Status {
        /// The HTTP status.
        status: u16,
        /// The error code, as in the error's XML or the header `x-amzn-errortype`. If it is empty,
        /// the service's own for the status.
        code: &'static str,
    },
    /// The connection is closed without an answer, and nothing else happens.
    ResetBefore,
    /// What was asked for is done, then the connection is closed without an answer.
    ResetAfter,
    /// Some keys of a `DeleteObjects` are not deleted but answered as errors. Other operations are
    /// not affected.
    PartialDelete {
        /// The error code of each of them.
        code: &'static str,
        /// Which: every n-th key of the request. 1 is all of them.
        every: usize,
    },
    /// Nothing happens, and there is never an answer. See [`Traffic::held`].
    HoldBefore,
    /// What was asked for is done, but there is never an answer. See [`Traffic::held`].
    HoldAfter,
}

impl Fault {
    /// An error with this HTTP status, in the words of whichever service it strikes.
    pub fn status(status: u16) -> Self {
        Self::Status { status, code: "" }
    }
}

type Hook = Box<dyn FnOnce() + Send>;

/// The calls to every service that was started with it, and their faults. Clones are the same
/// traffic.
#[derive(Clone, Default)]
pub struct Traffic(Arc<Shared>);

struct Shared {
    plan: Mutex<Plan>,
    held: Semaphore,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            plan: Mutex::default(),
            held: Semaphore::new(0),
        }
    }
}

#[derive(Default)]
struct Plan {
    arrivals: Vec<Arc<Arrival>>,
    faults: HashMap<usize, Fault>,
    hooks: HashMap<usize, Hook>,
    /// By operation, for its next call.
    first_faults: HashMap<String, Fault>,
    first_hooks: HashMap<String, Hook>,
    latency: Duration,
}

/// A request on its way.
pub(crate) struct Arrival {
    service: &'static str,
    fault: OnceLock<Fault>,
    hook: Mutex<Option<Hook>>,
    at: Instant,
    target: OnceLock<Target>,
}

/// What a request asks for.
#[derive(Clone, Default)]
pub(crate) struct Target {
    pub(crate) operation: String,
    pub(crate) bucket: String,
    pub(crate) key: String,
}

/// Why a request is not to take effect.
pub(crate) enum Refusal {
    /// This is the answer. The code may be empty.
    Status(StatusCode, &'static str),
    /// There will be no answer.
    Reset,
}

impl Arrival {
    /// The code for a key's error, if the n-th key (from 0) of a `DeleteObjects` is to fail.
    pub(crate) fn fails_key(&self, n: usize) -> Option<&'static str> {
        match self.fault.get() {
            Some(Fault::PartialDelete { code, every }) if (n + 1).is_multiple_of(*every) => {
                Some(*code)
            }
            _ => None,
        }
    }

    fn call(&self, index: usize) -> Call {
        let Target {
            operation,
            bucket,
            key,
        } = self.target.get().cloned().unwrap_or_default();
        Call {
            index,
            service: self.service,
            operation,
            bucket,
            key,
            at: self.at,
        }
    }
}

impl Traffic {
    /// Every call since the start or since [`reset_calls`](Self::reset_calls), in the order of
    /// arrival.
    pub fn calls(&self) -> Vec<Call> {
        let plan = lock(&self.0.plan);
        plan.arrivals
            .iter()
            .enumerate()
            .map(|(index, arrival)| arrival.call(index))
            .collect()
    }

    /// Forgets the calls, and every fault and hook whose call has not come. The next call has index
    /// 0.
    pub fn reset_calls(&self) {
        let mut plan = lock(&self.0.plan);
        *plan = Plan {
            latency: plan.latency,
            ..Plan::default()
        };
    }

    /// Lets every request wait this long before it takes effect.
    pub fn set_latency(&self, latency: Duration) {
        lock(&self.0.plan).latency = latency;
    }

    /// Plans what goes wrong with the call of this index.
    pub fn fault(&self, index: usize, fault: Fault) {
        lock(&self.0.plan).faults.insert(index, fault);
    }

    /// Plans what goes wrong with the next call of this operation, such as `PutObject`: requests
    /// that are in flight together have no fixed index.
    pub fn fault_first(&self, operation: &str, fault: Fault) {
        lock(&self.0.plan)
            .first_faults
            .insert(operation.to_owned(), fault);
    }

    /// Runs `hook` just before the next call of this operation takes effect.
    pub fn before_first(&self, operation: &str, hook: impl FnOnce() + Send + 'static) {
        lock(&self.0.plan)
            .first_hooks
            .insert(operation.to_owned(), Box::new(hook));
    }

    /// Runs `hook` just before the call of this index takes effect: another client comes in between
    /// a read and a write.
    pub fn before_call(&self, index: usize, hook: impl FnOnce() + Send + 'static) {
        lock(&self.0.plan).hooks.insert(index, Box::new(hook));
    }

    /// Returns once a request is held by [`Fault::HoldBefore`] or [`Fault::HoldAfter`]: once for
    /// each.
    ///
    /// Panics if none is held within a minute, by the wall clock also where the test's own clock is
    /// paused.
    pub async fn held(&self) {
        let (done, wait) = mpsc::channel::<()>();
        let (expire, expired) = oneshot::channel();
        thread::spawn(move || {
            if wait.recv_timeout(HELD_LIMIT) == Err(RecvTimeoutError::Timeout) {
                let _ = expire.send(());
            }
        });
        tokio::select! {
            permit = self.0.held.acquire() => permit.map_or((), tokio::sync::SemaphorePermit::forget),
            _ = expired => panic!("no request was held within {HELD_LIMIT:?}; the calls were {:#?}", self.calls()),
        }
        drop(done);
    }

    /// Gives a request its index.
    pub(crate) fn arrive(&self, service: &'static str) -> Arc<Arrival> {
        let mut plan = lock(&self.0.plan);
        let index = plan.arrivals.len();
        let arrival = Arc::new(Arrival {
            service,
            fault: plan
                .faults
                .remove(&index)
                .map(OnceLock::from)
                .unwrap_or_default(),
            hook: Mutex::new(plan.hooks.remove(&index)),
            at: Instant::now(),
            target: OnceLock::new(),
        });
        plan.arrivals.push(Arc::clone(&arrival));
        arrival
    }

    /// Notes what the request asks for, and what is planned for such a request. Returns how long it
    /// waits.
    fn aim(&self, arrival: &Arrival, target: Target) -> Duration {
        let mut plan = lock(&self.0.plan);
        if let Some(fault) = plan.first_faults.remove(&target.operation) {
            let _ = arrival.fault.set(fault);
        }
        if let Some(hook) = plan.first_hooks.remove(&target.operation) {
            *lock(&arrival.hook) = Some(hook);
        }
        let _ = arrival.target.set(target);
        plan.latency
    }

    /// What comes before the effect.
    pub(crate) async fn before(&self, arrival: &Arrival, target: Target) -> Result<(), Refusal> {
        let latency = self.aim(arrival, target);
        if !latency.is_zero() {
            // Tokio rounds up to the next millisecond and wakes a little later still: over many
            // requests that is one millisecond more than was asked for.
            tokio::time::sleep(latency.saturating_sub(Duration::from_millis(1))).await;
        }
        let hook = lock(&arrival.hook).take();
        if let Some(hook) = hook {
            hook();
        }
        match arrival.fault.get() {
            Some(&Fault::Status { status, code }) => {
                let status =
                    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Err(Refusal::Status(status, code))
            }
            Some(Fault::ResetBefore) => Err(Refusal::Reset),
            Some(Fault::HoldBefore) => self.hold().await,
            Some(Fault::ResetAfter | Fault::PartialDelete { .. } | Fault::HoldAfter) | None => {
                Ok(())
            }
        }
    }

    /// What comes between the effect and the answer. With an error there is no answer.
    pub(crate) async fn after(&self, arrival: &Arrival) -> io::Result<()> {
        match arrival.fault.get() {
            Some(Fault::ResetBefore | Fault::ResetAfter) => {
                Err(io::Error::other("the connection is reset on purpose"))
            }
            Some(Fault::HoldAfter) => self.hold().await,
            _ => Ok(()),
        }
    }

    /// Never returns.
    async fn hold<T>(&self) -> T {
        self.0.held.add_permits(1);
        std::future::pending().await
    }
}

//! The log of calls and their faults. All services share it, so that a test can fail the n-th call
//! of a run, whichever service receives it.
//!
//! A request passes three points here: it arrives and gets its index; its operation is known,
//! before any effect; the effect has happened.

use std::collections::{HashMap, VecDeque};
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

/// One recorded request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The number of the call, from 0, in the order of arrival at all services that share a
    /// [`Traffic`], since the start or since [`Traffic::reset_calls`].
    pub index: usize,
    /// `s3`, `mediapackage`, `medialive`, and so on, or `origin`, where MediaPackage serves its
    /// streams.
    pub service: &'static str,
    /// The name of the operation in the service's API reference, such as `ListObjectsV2`, or the
    /// HTTP method at the origin. Empty if the request was refused before the operation was known:
    /// it does not exist, or the signature to S3 is wrong.
    pub operation: String,
    /// The bucket, if the operation has one.
    pub bucket: String,
    /// The key, the prefix of a list, the id of the endpoint or channel, or the path at the origin;
    /// otherwise empty.
    pub key: String,
    /// The time of arrival.
    pub at: Instant,
}

/// The fault of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The service answers with an error and does nothing else: `500 InternalError`, `503
    /// SlowDown`, `403 AccessDenied` and so on. [`Fault::status`] leaves the code to the service.
    Status {
        status: u16,
        /// The error code, as in the error's XML or in the header `x-amzn-errortype`. If it is
        /// empty, the service's own code for the status.
        code: &'static str,
    },
    /// The connection is closed without a response, and the operation does not run.
    ResetBefore,
    /// The operation runs, then the connection is closed without a response.
    ResetAfter,
    /// Some keys of a `DeleteObjects` are not deleted, and are reported as errors. Other operations
    /// are not affected.
    PartialDelete {
        /// The error code of each of these keys.
        code: &'static str,
        /// Every n-th key of the request fails. 1 fails all of them.
        every: usize,
    },
    /// The operation does not run, and the request never gets a response. See [`Traffic::held`].
    HoldBefore,
    /// The operation runs, but the request never gets a response. See [`Traffic::held`].
    HoldAfter,
}

impl Fault {
    /// An error with this HTTP status and the service's own code.
    pub fn status(status: u16) -> Self {
        Self::Status { status, code: "" }
    }
}

type Hook = Box<dyn FnOnce() + Send>;

/// The calls to all services that were started with it, and their faults. Clones share one log.
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
    /// The faults of the next calls, by operation.
    next_faults: HashMap<String, VecDeque<Fault>>,
    first_hooks: HashMap<String, Hook>,
    latency: Duration,
}

/// A request that has arrived.
pub(crate) struct Arrival {
    service: &'static str,
    fault: OnceLock<Fault>,
    hook: Mutex<Option<Hook>>,
    at: Instant,
    target: OnceLock<CallTarget>,
}

/// The operation and the resource of a request.
#[derive(Clone, Default)]
pub(crate) struct CallTarget {
    pub(crate) operation: String,
    pub(crate) bucket: String,
    pub(crate) key: String,
}

/// The reason for which the operation of a request does not run.
pub(crate) enum InjectedFailure {
    /// The response has this status. The code may be empty.
    Status(StatusCode, &'static str),
    /// The request gets no response.
    Reset,
}

impl Arrival {
    /// The error code of the n-th key (from 0) of a `DeleteObjects`, if it must fail.
    pub(crate) fn fails_key(&self, n: usize) -> Option<&'static str> {
        match self.fault.get() {
            Some(Fault::PartialDelete { code, every }) if (n + 1).is_multiple_of(*every) => {
                Some(*code)
            }
            _ => None,
        }
    }

    fn call(&self, index: usize) -> Call {
        let CallTarget {
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

    /// Forgets all calls, and all faults and hooks that have not been used. The next call has index
    /// 0.
    pub fn reset_calls(&self) {
        let mut plan = lock(&self.0.plan);
        *plan = Plan {
            latency: plan.latency,
            ..Plan::default()
        };
    }

    /// Delays every request before its operation runs.
    pub fn set_latency(&self, latency: Duration) {
        lock(&self.0.plan).latency = latency;
    }

    /// Plans a fault for the call of this index.
    pub fn fault(&self, index: usize, fault: Fault) {
        lock(&self.0.plan).faults.insert(index, fault);
    }

    /// Plans a fault for the next call of this operation, such as `PutObject`. Concurrent requests
    /// have no fixed index.
    pub fn fault_first(&self, operation: &str, fault: Fault) {
        self.fault_next(operation, 1, fault);
    }

    /// Plans the same fault for the next `count` calls of this operation.
    pub fn fault_next(&self, operation: &str, count: usize, fault: Fault) {
        lock(&self.0.plan)
            .next_faults
            .insert(operation.to_owned(), vec![fault; count].into());
    }

    /// Runs `hook` just before the next call of this operation takes effect.
    pub fn before_first(&self, operation: &str, hook: impl FnOnce() + Send + 'static) {
        lock(&self.0.plan)
            .first_hooks
            .insert(operation.to_owned(), Box::new(hook));
    }

    /// Runs `hook` just before the call of this index takes effect, for example as another client
    /// that writes between a read and a write.
    pub fn before_call(&self, index: usize, hook: impl FnOnce() + Send + 'static) {
        lock(&self.0.plan).hooks.insert(index, Box::new(hook));
    }

    /// Returns when a request is held by [`Fault::HoldBefore`] or [`Fault::HoldAfter`], once for
    /// each.
    ///
    /// Panics if no request is held within a minute of the wall clock, even if the test's own clock
    /// is paused.
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

    /// Records a request and gives it its index.
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

    /// Records the target of a request and the faults that are planned for its operation. Returns
    /// the latency.
    fn aim(&self, arrival: &Arrival, target: CallTarget) -> Duration {
        let mut plan = lock(&self.0.plan);
        let planned = plan.next_faults.get_mut(&target.operation);
        if let Some(fault) = planned.and_then(VecDeque::pop_front) {
            let _ = arrival.fault.set(fault);
        }
        if let Some(hook) = plan.first_hooks.remove(&target.operation) {
            *lock(&arrival.hook) = Some(hook);
        }
        let _ = arrival.target.set(target);
        plan.latency
    }

    /// Runs everything that is planned before the effect.
    pub(crate) async fn before(
        &self,
        arrival: &Arrival,
        target: CallTarget,
    ) -> Result<(), InjectedFailure> {
        let latency = self.aim(arrival, target);
        if !latency.is_zero() {
            // Tokio rounds up to the next millisecond and wakes slightly later. Over many requests
            // this would add one millisecond to each.
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
                Err(InjectedFailure::Status(status, code))
            }
            Some(Fault::ResetBefore) => Err(InjectedFailure::Reset),
            Some(Fault::HoldBefore) => self.hold().await,
            Some(Fault::ResetAfter | Fault::PartialDelete { .. } | Fault::HoldAfter) | None => {
                Ok(())
            }
        }
    }

    /// Runs everything that is planned between the effect and the response. On an error there is no
    /// response.
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

//! The shared parts of the functions of a pair: settings, documents in S3, requests, and the loop
//! that carries out the core's decisions.

mod documents;
mod observe;
mod run;
mod settings;

pub use documents::{PairWriter, Stored};
pub use run::{PairHandler, PairJob};
pub use settings::Settings;

use chrono::{DateTime, Utc};
use onair_aws::http::Http;
use onair_aws::mediapackage::MediaPackage;
use onair_aws::s3::S3;
use onair_core::metrics::Metric;
use onair_core::pair::held::HeldReason;
use onair_core::pair::state::{PairState, Status};
use onair_core::pair::{Side, Sides};
use onair_lambda::{Attempts, Deadline, Error, Report, Stop};
use serde::Serialize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use url::Url;

/// Everything is read again after another run has changed the pair.
const ATTEMPTS: Attempts = Attempts {
    number: 6,
    pause: Duration::ZERO,
};

/// The settings of a pair, and the clients of the AWS services that it uses.
#[derive(Debug)]
pub struct PairContext {
    pub settings: Settings,
    mediapackage: MediaPackage,
    s3: S3,
    http: Http,
    /// The last published media playlist of each side, as far as this process knows it.
    last_known: Mutex<Sides<Option<Url>>>,
}

impl PairContext {
    pub fn new(settings: Settings, s3: S3, mediapackage: MediaPackage) -> Self {
        Self {
            settings,
            mediapackage,
            s3,
            http: Http::default(),
            last_known: Mutex::default(),
        }
    }

    /// Repeats `attempt` after a conflict. Returns its result, or the reason for which a safety
    /// rule stopped it.
    ///
    /// # Errors
    ///
    /// The error of `attempt`. [`Error::Incomplete`] if other runs keep changing the pair, or if
    /// the time is up.
    pub async fn attempts<T>(
        &self,
        deadline: Deadline,
        attempt: impl AsyncFnMut() -> Result<T, Stop<HeldReason>>,
    ) -> Result<Result<T, HeldReason>, Error> {
        let ended = deadline.run(ATTEMPTS.run(attempt)).await;
        match ended.unwrap_or(Err(Stop::OutOfTime)) {
            Ok(done) => Ok(Ok(done)),
            Err(Stop::Held(reason)) => Ok(Err(reason)),
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::Conflict) => {
                let number = ATTEMPTS.number;
                Err(self.incomplete(&format!("other runs changed it {number} times meanwhile")))
            }
            Err(Stop::OutOfTime) => Err(self.incomplete("the time is nearly up")),
        }
    }

    fn incomplete(&self, why: &str) -> Error {
        let pair = &self.settings.pair.name;
        Error::Incomplete(format!("pair {pair}: {why}; a retry continues"))
    }

    fn last_known(&self) -> Sides<Option<Url>> {
        let last_known = self.last_known.lock();
        last_known.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The answer of a run that a safety rule stopped.
    pub fn held(&self, reason: &HeldReason) -> Report {
        Report::held("pair", &self.settings.pair.name, reason)
    }
}

/// The part of every answer that describes the pair.
#[derive(Debug, Serialize)]
pub struct PairSummary<'a> {
    pair: &'a str,
    generation: u64,
    #[serde(rename = "first")]
    active: Side,
    sides: Sides<&'static str>,
}

impl<'a> PairSummary<'a> {
    pub fn of(pair: &'a str, state: &PairState) -> Self {
        let status = |side: Side| match state.sides[side].status {
            Status::Live => "live",
            Status::Cut(_) => "cut",
            Status::Returning(_) => "returning",
        };
        Self {
            pair,
            generation: state.generation,
            active: state.active,
            sides: Sides::of(status),
        }
    }
}

/// A metric with the unit `Count`.
pub fn count(name: &'static str, number: usize) -> Metric {
    Metric::count(name, u64::try_from(number).unwrap_or(u64::MAX))
}

fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

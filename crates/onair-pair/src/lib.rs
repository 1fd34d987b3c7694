//! What the functions of a pair share: its settings, its documents in S3, its endpoints, and how
//! what viewers see is written. It decides nothing; that is the core's.

mod documents;
mod observe;
mod settings;

pub use documents::Documents;
pub use observe::freshness;
pub use settings::Settings;

use chrono::{DateTime, Utc};
use onair_aws::http::Http;
use onair_aws::mediapackage::MediaPackage;
use onair_aws::s3::S3;
use onair_core::pair::endpoint::Definition;
use onair_core::pair::state::{PairState, Status};
use onair_core::pair::{Side, Sides};
use onair_lambda::{Deadline, Error, Report};
use serde::Serialize;
use std::sync::Mutex;
use std::time::SystemTime;
use url::Url;

/// How often everything is read anew: after a step, and because somebody else changed the pair
/// meanwhile.
const ATTEMPTS: usize = 6;

/// Everything from which a pair is seen and moved.
#[derive(Debug)]
pub struct PairContext {
    /// What the user decided.
    pub settings: Settings,
    /// The endpoints.
    pub mediapackage: MediaPackage,
    s3: S3,
    http: Http,
    /// Where each side's media playlist was when the documents were last read by this process.
    last_known: Mutex<Sides<Option<Url>>>,
}

impl PairContext {
    /// A context with these settings.
    pub fn new(settings: Settings, s3: S3, mediapackage: MediaPackage) -> Self {
        Self {
            settings,
            mediapackage,
            s3,
            http: Http::default(),
            last_known: Mutex::default(),
        }
    }

    /// How a side's endpoint is now; `None` if there is none.
    ///
    /// # Errors
    ///
    /// When MediaPackage does not answer, or refuses.
    pub async fn describe(&self, side: Side) -> Result<Option<Definition>, Error> {
        Ok(self
            .mediapackage
            .describe(&self.settings.pair.sides[side].endpoint)
            .await?)
    }

    /// Lets `attempt` try until it has an answer: `None` is one step further, a conflict means to
    /// read again.
    ///
    /// # Errors
    ///
    /// What `attempt` failed with, and [`Error::Incomplete`] when somebody else changes the pair
    /// all the time, or just before Lambda ends the process.
    pub async fn attempts(
        &self,
        deadline: Deadline,
        mut attempt: impl AsyncFnMut() -> Result<Option<Report>, Halt>,
    ) -> Result<Report, Error> {
        let all = async {
            for _ in 0..ATTEMPTS {
                match attempt().await {
                    Ok(Some(report)) => return Ok(report),
                    Ok(None) | Err(Halt::Conflict) => {}
                    Err(Halt::Held(why)) => return Ok(self.held(why)),
                    Err(Halt::Failed(error)) => return Err(error),
                }
            }
            let why =
                format!("something else changed the pair {ATTEMPTS} times while it was being read");
            Err(Error::Incomplete(format!("{why}; a retry goes on")))
        };
        let late = || {
            Err(Error::Incomplete(
                "the time is nearly up; a retry goes on".to_owned(),
            ))
        };
        deadline.run(all).await.unwrap_or_else(late)
    }

    /// The answer of a run that a safety rule ended.
    pub fn held(&self, why: impl Into<String>) -> Report {
        Report::held_why("pair", &self.settings.pair.name, why)
    }
}

/// What ends an attempt early.
#[derive(Debug)]
pub enum Halt {
    /// A safety rule said no.
    Held(String),
    /// Somebody else changed the pair meanwhile: read again.
    Conflict,
    /// A retry or a person is needed.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What is said of a pair in every answer.
#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    pair: &'a str,
    generation: u64,
    #[serde(rename = "first")]
    active: Side,
    sides: Sides<&'static str>,
}

impl<'a> Summary<'a> {
    /// Sums up a state.
    pub fn of(pair: &'a str, state: &PairState) -> Self {
        let word = |side: Side| match state.sides[side].status {
            Status::Live => "live",
            Status::Cut(_) => "cut",
            Status::Returning(_) => "returning",
        };
        Self {
            pair,
            generation: state.generation,
            active: state.active,
            sides: Sides::of(word),
        }
    }
}

/// The time.
pub fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

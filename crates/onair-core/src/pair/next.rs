//! The next step of a run, which the core decides and a handler carries out.

use super::endpoint::{Definition, Origination};
use super::held::HeldReason;
use super::state::PairState;
use super::{Pair, Side, Sides};
use std::ops::ControlFlow;
use url::Url;

/// The next thing to do. A handler does it, records the result in [`super::observed::Observed`],
/// and decides again.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Read the documents of the pair, and send these requests in parallel.
    Read(Vec<Question>),
    /// Send these requests in parallel.
    Ask(Vec<Question>),
    /// Write this state, on the condition that the stored one has not changed.
    WriteState(Box<StateChange>),
    /// Apply this effect. A failure is recorded, and does not end the run.
    Apply {
        /// The effect.
        effect: Effect,
        /// Notes on the effect, for the answer.
        notes: Vec<String>,
    },
    /// Begin a new attempt: another run has written a later state.
    ReadAgain,
    /// The run is complete.
    Report(Ending),
    /// A safety rule forbids the change.
    Held(HeldReason),
    /// A retry is needed, for this reason.
    Failed(String),
}

/// One request whose answer changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// DescribeOriginEndpoint of a side.
    Endpoint(Side),
    /// GET of a side's own multivariant playlist, at the URL of its endpoint.
    Playlist(Side),
    /// GET of a media playlist of a side.
    Media(Side, Url),
    /// ListAlerts of a side's channel: those that are set.
    SetAlerts(Side),
    /// ListAlerts of a side's channel, cleared ones included.
    AllAlerts(Side),
    /// DescribeChannel of a side's channel.
    Channel(Side),
}

/// A state to write.
#[derive(Debug, Clone, PartialEq)]
pub struct StateChange {
    /// The state.
    pub state: PairState,
    /// The side that is cut, returned or promoted by this state.
    pub switched: Option<Side>,
    /// The reason.
    pub why: Option<String>,
    /// The step to report.
    pub step: Option<String>,
}

impl Next {
    /// The step that a decision in parts has led to.
    pub(crate) fn of(decision: Flow<Ending>) -> Self {
        match decision {
            ControlFlow::Break(next) => next,
            ControlFlow::Continue(ending) => Self::Report(ending),
        }
    }

    /// Write a state with new records only: nothing changes for viewers.
    pub(crate) fn remember(state: PairState) -> Self {
        Self::WriteState(Box::new(StateChange {
            state,
            switched: None,
            why: None,
            step: None,
        }))
    }
}

/// A change outside of the state.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Write this steering manifest.
    Steer(String),
    /// Change the endpoint of a side.
    Endpoint(Side, EndpointAction),
    /// Write this multivariant playlist.
    Publish(String),
}

/// A change of an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub enum EndpointAction {
    /// Delete the endpoint.
    Delete,
    /// Set `origination` of this definition to `DENY`.
    Deny(Box<Definition>),
    /// Create the endpoint from this definition.
    Create(Box<Definition>),
    /// Set `origination` of this definition to `ALLOW`.
    Allow(Box<Definition>),
}

/// The end of a run that no safety rule stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ending {
    /// The reason for a cut, or for no further change.
    pub why: Option<String>,
    /// A step of a dry run whose consequences cannot be planned.
    pub step: Option<String>,
    /// Notes on the state of the pair, for the answer.
    pub notes: Vec<String>,
}

impl Effect {
    /// The step to report.
    pub(crate) fn step(&self, pair: &Pair) -> String {
        match self {
            Self::Steer(_) => "steer".to_owned(),
            Self::Publish(_) => "publish".to_owned(),
            Self::Endpoint(side, action) => action.step(&pair.sides[*side].endpoint),
        }
    }

    pub(crate) fn is_same_kind(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Endpoint(side, _), Self::Endpoint(other, _)) => side == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl EndpointAction {
    /// The step to report.
    pub(crate) fn step(&self, id: &str) -> String {
        let verb = match self {
            Self::Delete => "delete",
            Self::Deny(_) => "deny",
            Self::Create(_) => "create",
            Self::Allow(_) => "allow",
        };
        format!("{verb} endpoint {id}")
    }

    /// The origination after the change; a deleted endpoint has none.
    pub fn origination(&self) -> Origination {
        match self {
            Self::Delete | Self::Deny(_) => Origination::Deny,
            Self::Create(_) | Self::Allow(_) => Origination::Allow,
        }
    }

    /// The definition after this action, as a dry run assumes it.
    pub(crate) fn assumed_definition(&self) -> Option<Definition> {
        match self {
            Self::Delete => None,
            Self::Create(was) | Self::Deny(was) | Self::Allow(was) => {
                Some(was.with_origination(self.origination()))
            }
        }
    }
}

/// The reason for which a fact is not known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Missing {
    /// These questions have not been asked yet.
    Questions(Vec<Question>),
    /// A request failed.
    Failure(String),
}

impl Missing {
    /// Everything that is missing of two facts. A failure has priority over questions.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Questions(a), Self::Questions(b)) => Self::Questions([a, b].concat()),
            (failure @ Self::Failure(_), _) | (_, failure) => failure,
        }
    }
}

impl From<Question> for Missing {
    fn from(question: Question) -> Self {
        Self::Questions(vec![question])
    }
}

/// Two facts, or all questions that lead to them, to be asked in parallel.
pub(crate) fn both<A, B>(a: Result<A, Missing>, b: Result<B, Missing>) -> Result<(A, B), Missing> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(a), Err(b)) => Err(a.and(b)),
        (Err(missing), Ok(_)) | (Ok(_), Err(missing)) => Err(missing),
    }
}

/// A fact of each side, or all questions that lead to these facts.
pub(crate) fn of_sides<T>(of: impl Fn(Side) -> Result<T, Missing>) -> Result<Sides<T>, Missing> {
    both(of(Side::A), of(Side::B)).map(|(a, b)| Sides { a, b })
}

/// A decision in parts: each part returns `Break` with the step that must precede the next part.
pub(crate) type Flow<T = ()> = ControlFlow<Next, T>;

/// A fact, or `Break` with the questions that lead to it.
pub(crate) fn known<T>(fact: Result<T, Missing>) -> Flow<T> {
    match fact {
        Ok(fact) => ControlFlow::Continue(fact),
        Err(Missing::Questions(questions)) => ControlFlow::Break(Next::Ask(questions)),
        Err(Missing::Failure(why)) => ControlFlow::Break(Next::Failed(why)),
    }
}

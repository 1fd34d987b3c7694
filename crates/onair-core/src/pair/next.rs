//! What a decision about a pair asks a handler to do next.

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
    /// Read the documents of the pair, and ask these questions meanwhile.
    Read(Vec<Question>),
    /// Ask these questions, all at the same time.
    Ask(Vec<Question>),
    /// Write this state, on the condition that the stored one has not changed.
    WriteState(Box<StateChange>),
    /// Apply this effect. A failure is recorded, and does not end the run.
    Apply {
        /// The effect.
        effect: Effect,
        /// What a person should know about it.
        notes: Vec<String>,
    },
    /// Begin a new attempt: another run is ahead.
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
    /// The side that is cut, brought back or promoted by it.
    pub switched: Option<Side>,
    /// Why.
    pub why: Option<String>,
    /// The step to report.
    pub step: Option<String>,
}

impl StateChange {
    /// A state that only remembers something: no viewer sees a difference.
    pub(crate) fn remember(state: PairState) -> Self {
        Self {
            state,
            switched: None,
            why: None,
            step: None,
        }
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

/// How a run ended that no safety rule stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ending {
    /// Why no more was done, or why a side was cut.
    pub why: Option<String>,
    /// A step of a dry run whose consequences cannot be planned.
    pub step: Option<String>,
    /// What a person should know of the state of the pair.
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

    /// The definition that a dry run takes for granted.
    pub(crate) fn assumed_definition(&self) -> Option<Definition> {
        match self {
            Self::Delete => None,
            Self::Create(was) | Self::Deny(was) | Self::Allow(was) => {
                Some(was.with_origination(self.origination()))
            }
        }
    }
}

/// Why a fact is not known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Missing {
    /// These questions have not been asked yet.
    Questions(Vec<Question>),
    /// A request failed.
    Failure(String),
}

impl Missing {
    /// Everything that is missing of two facts. A failure counts more than a question.
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

/// Two facts, or everything that is missing of them, to be asked at the same time.
pub(crate) fn both<A, B>(a: Result<A, Missing>, b: Result<B, Missing>) -> Result<(A, B), Missing> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(a), Err(b)) => Err(a.and(b)),
        (Err(missing), Ok(_)) | (Ok(_), Err(missing)) => Err(missing),
    }
}

/// A fact of each side, or everything that is missing of them.
pub(crate) fn of_sides<T>(of: impl Fn(Side) -> Result<T, Missing>) -> Result<Sides<T>, Missing> {
    both(of(Side::A), of(Side::B)).map(|(a, b)| Sides { a, b })
}

/// A decision in parts: each part returns `Break` with what has to be done before the next one.
pub(crate) type Flow<T = ()> = ControlFlow<Next, T>;

/// A fact, or `Break` with the questions that lead to it.
pub(crate) fn known<T>(fact: Result<T, Missing>) -> Flow<T> {
    match fact {
        Ok(fact) => ControlFlow::Continue(fact),
        Err(Missing::Questions(questions)) => ControlFlow::Break(Next::Ask(questions)),
        Err(Missing::Failure(why)) => ControlFlow::Break(Next::Failed(why)),
    }
}

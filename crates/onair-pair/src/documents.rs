//! The documents of a pair: the state in the control bucket, the multivariant playlist and the
//! steering manifest in the public one.

use crate::PairContext;
use onair_aws::s3::{NewText, ReadOutcome, StoredText};
use onair_core::pair::Pair;
use onair_core::pair::endpoint::Definition;
use onair_core::pair::held::HeldReason;
use onair_core::pair::next::{Effect, EndpointAction};
use onair_core::pair::observed::PairDocuments;
use onair_core::pair::state::PairState;
use onair_core::playlist::MAX_PLAYLIST_BYTES;
use onair_core::publish_playlist::{Document, Published, PublishedIndex};
use onair_lambda::Stop;
use std::sync::PoisonError;

/// The user metadata with the generation of the state that a document was rendered from.
const GENERATION: &str = "onair-generation";
/// Longest state that is read, in bytes: two definitions of endpoints, a few kB each.
const MAX_STATE_BYTES: usize = 256 * 1024;
/// The time for which players and a CDN may cache the playlist. Players read it once, at the start.
const INDEX_MAX_AGE: &str = "max-age=5";

/// The `ETag` of each document at its last read or write, for conditional writes.
#[derive(Debug, Default)]
pub struct Stored {
    state: Option<String>,
    index: Option<String>,
    steering: Option<String>,
}

fn state_key(pair: &Pair) -> String {
    format!("pairs/{}/state.json", pair.name)
}

fn index_key(pair: &Pair) -> String {
    format!("{}/index.m3u8", pair.name)
}

fn steering_key(pair: &Pair) -> String {
    format!("{}/steering.json", pair.name)
}

impl PairContext {
    /// Reads all documents in parallel. A pair without a stored state is a new pair.
    ///
    /// # Errors
    ///
    /// [`Stop::Held`] if the state cannot be parsed, [`Stop::Conflict`] if another run has changed
    /// the state during the read.
    pub async fn read(&self) -> Result<(PairDocuments, Stored), Stop<HeldReason>> {
        let (pair, control) = (&self.settings.pair, &self.settings.control_bucket);
        let public = &self.settings.public_bucket;
        let (state_text, index, steering) = futures::try_join!(
            self.read_text(control, state_key(pair), MAX_STATE_BYTES),
            self.read_text(public, index_key(pair), MAX_PLAYLIST_BYTES),
            self.read_text(public, steering_key(pair), MAX_PLAYLIST_BYTES),
        )?;
        let published = Published {
            index: index.as_ref().map(document).map(PublishedIndex::parse),
            steering: steering.as_ref().map(document),
        };
        let mut state = self.parse_state(state_text.as_ref())?;
        if published.is_ahead_of(&state) {
            // Either another run changed the state while the documents were read, or a person
            // restored an older state. A restored state is valid.
            let again = self
                .read_text(control, state_key(pair), MAX_STATE_BYTES)
                .await?;
            let text =
                |stored: &Option<StoredText>| stored.as_ref().map(|stored| stored.text.clone());
            if text(&again) != text(&state_text) {
                return Err(Stop::Conflict);
            }
            state.generation = published.generations().max().unwrap_or_default();
        }
        let stored = Stored {
            state: e_tag(state_text),
            index: e_tag(index),
            steering: e_tag(steering),
        };
        let known = published.sides(&state);
        *self
            .last_known
            .lock()
            .unwrap_or_else(PoisonError::into_inner) =
            known.map(|playlist| playlist?.media_playlist().cloned());
        Ok((PairDocuments { state, published }, stored))
    }

    async fn read_text(
        &self,
        bucket: &str,
        key: String,
        max_bytes: usize,
    ) -> Result<Option<StoredText>, Stop<HeldReason>> {
        match self.s3.read(bucket, &key, max_bytes).await? {
            ReadOutcome::Absent => Ok(None),
            ReadOutcome::Text(text) => Ok(Some(*text)),
            ReadOutcome::Unreadable(why) => Err(Stop::Held(HeldReason::DocumentUnreadable {
                bucket: bucket.to_owned(),
                key,
                why,
            })),
        }
    }

    fn parse_state(&self, stored: Option<&StoredText>) -> Result<PairState, Stop<HeldReason>> {
        let Some(stored) = stored else {
            return Ok(PairState::default());
        };
        PairState::parse(&stored.text).map_err(|why| {
            Stop::Held(HeldReason::DocumentUnreadable {
                bucket: self.settings.control_bucket.clone(),
                key: state_key(&self.settings.pair),
                why,
            })
        })
    }
}

/// A document that On Air did not write counts as older than every state.
fn document(stored: &StoredText) -> Document {
    let generation = stored.metadata(GENERATION);
    Document {
        text: stored.text.clone(),
        generation: generation
            .and_then(|number| number.parse().ok())
            .unwrap_or_default(),
    }
}

fn e_tag(stored: Option<StoredText>) -> Option<String> {
    stored.map(|stored| stored.e_tag().unwrap_or_default().to_owned())
}

/// Changes a pair. A dry run has none.
#[derive(Debug)]
pub struct PairWriter<'a> {
    context: &'a PairContext,
    stored: Stored,
}

impl<'a> PairWriter<'a> {
    /// A writer that changes a document only if its `ETag` is still the `stored` one.
    pub fn new(context: &'a PairContext, stored: Stored) -> Self {
        Self { context, stored }
    }

    /// Replaces the state.
    ///
    /// # Errors
    ///
    /// [`Stop::Conflict`] if another run has replaced it.
    pub async fn write_state(&mut self, state: &PairState) -> Result<(), Stop<HeldReason>> {
        let settings = &self.context.settings;
        let text = NewText {
            bucket: &settings.control_bucket,
            key: &state_key(&settings.pair),
            text: state.to_text(),
            content_type: "application/json",
            cache_control: None,
            metadata: None,
        };
        put(self.context, text, &mut self.stored.state).await
    }

    /// Applies an effect of a state of this generation. Returns the endpoint's definition if
    /// MediaPackage answered with one.
    ///
    /// # Errors
    ///
    /// [`Stop::Conflict`] if another run has replaced the document.
    pub async fn apply(
        &mut self,
        effect: &Effect,
        generation: u64,
    ) -> Result<Option<Definition>, Stop<HeldReason>> {
        match effect {
            Effect::Steer(text) => self.write_steering(text, generation).await.map(|()| None),
            Effect::Publish(text) => self.write_index(text, generation).await.map(|()| None),
            Effect::Endpoint(side, action) => {
                let id = &self.context.settings.pair.sides[*side].endpoint;
                self.change_endpoint(id, action).await
            }
        }
    }

    /// Writes the steering manifest.
    ///
    /// # Errors
    ///
    /// [`Stop::Conflict`] if another run has replaced it.
    pub async fn write_steering(
        &mut self,
        text: &str,
        generation: u64,
    ) -> Result<(), Stop<HeldReason>> {
        let settings = &self.context.settings;
        // A CDN that cached the manifest as long as players do would double the time until players
        // get a change.
        let ttl = settings
            .pair
            .steering_ttl
            .map(|ttl| ttl.num_seconds())
            .unwrap_or_default();
        let text = NewText {
            bucket: &settings.public_bucket,
            key: &steering_key(&settings.pair),
            text: text.to_owned(),
            content_type: "application/json",
            cache_control: Some(&format!("max-age={}", (ttl / 2).max(1))),
            metadata: Some((GENERATION, generation.to_string())),
        };
        put(self.context, text, &mut self.stored.steering).await
    }

    /// Writes the multivariant playlist.
    ///
    /// # Errors
    ///
    /// [`Stop::Conflict`] if another run has replaced it.
    pub async fn write_index(
        &mut self,
        text: &str,
        generation: u64,
    ) -> Result<(), Stop<HeldReason>> {
        let settings = &self.context.settings;
        let text = NewText {
            bucket: &settings.public_bucket,
            key: &index_key(&settings.pair),
            text: text.to_owned(),
            content_type: "application/vnd.apple.mpegurl",
            cache_control: Some(INDEX_MAX_AGE),
            metadata: Some((GENERATION, generation.to_string())),
        };
        put(self.context, text, &mut self.stored.index).await
    }

    async fn change_endpoint(
        &self,
        id: &str,
        action: &EndpointAction,
    ) -> Result<Option<Definition>, Stop<HeldReason>> {
        let mediapackage = &self.context.mediapackage;
        Ok(match action {
            EndpointAction::Delete => {
                mediapackage.delete(id).await?;
                None
            }
            EndpointAction::Create(was) => Some(mediapackage.create(id, &was.to_create()).await?),
            EndpointAction::Deny(was) | EndpointAction::Allow(was) => {
                let origination = action.origination();
                Some(mediapackage.update(id, &was.to_update(origination)).await?)
            }
        })
    }
}

async fn put(
    context: &PairContext,
    text: NewText<'_>,
    stored: &mut Option<String>,
) -> Result<(), Stop<HeldReason>> {
    match context.s3.put(text, stored.as_deref()).await? {
        Some(e_tag) => {
            *stored = Some(e_tag);
            Ok(())
        }
        None => Err(Stop::Conflict),
    }
}

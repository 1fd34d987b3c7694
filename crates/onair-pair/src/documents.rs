//! The documents of a pair: the state in the control bucket, the playlist and the steering manifest
//! in the public one.

use crate::{Halt, PairContext};
use onair_aws::s3::{NewText, ReadOutcome, StoredText, WriteOutcome};
use onair_core::pair::state::PairState;
use onair_core::pair::{Pair, Sides};
use onair_core::playlist::MAX_PLAYLIST_BYTES;
use onair_core::publish_playlist::{Document, Plan, Published, SidePlaylist, index};
use onair_lambda::Error;
use std::sync::PoisonError;
use url::Url;

/// What lay in the two buckets.
#[derive(Debug)]
pub struct Documents {
    /// The state.
    pub state: PairState,
    /// What is published.
    pub published: Published,
    stored_state: Option<StoredText>,
    stored_index: Option<StoredText>,
    stored_steering: Option<StoredText>,
}

/// The user metadata that says from which generation of the state something was rendered.
const GENERATION: &str = "onair-generation";
/// Longest state that is read, in bytes: two definitions of endpoints, of which each has a few kB.
const MAX_STATE_BYTES: usize = 256 * 1024;
/// How long players and CDN may keep the playlist: it is read once, at the start of playing.
const INDEX_MAX_AGE: &str = "max-age=5";

impl Documents {
    /// What the published playlist says of each side.
    pub fn known(&self) -> Sides<Option<SidePlaylist>> {
        let index = self.published.index.as_ref();
        index
            .and_then(|index| index::parse(&index.text, &self.state).ok())
            .unwrap_or_default()
    }

    /// Where one of each side's media playlists is, as far as it is published.
    pub fn media_playlists(&self) -> Sides<Option<Url>> {
        let known = self.known();
        Sides::of(|side| {
            known[side]
                .as_ref()
                .and_then(|playlist| playlist.media_playlist())
                .cloned()
        })
    }
}

fn key_of_state(pair: &Pair) -> String {
    format!("pairs/{}/state.json", pair.name)
}

impl PairContext {
    /// Reads all documents at once. A pair without a state is one that nothing has happened to.
    ///
    /// # Errors
    ///
    /// [`Halt::Held`] for a state that cannot be understood: it is not guessed at.
    pub async fn read(&self) -> Result<Documents, Halt> {
        let pair = &self.settings.pair;
        let (control, public) = (&self.settings.control_bucket, &self.settings.public_bucket);
        let text = async |bucket: &str, key: String, max_bytes: usize| match self
            .s3
            .read(bucket, &key, max_bytes)
            .await
        {
            Ok(ReadOutcome::Absent) => Ok(None),
            Ok(ReadOutcome::Text(text)) => Ok(Some(*text)),
            Ok(ReadOutcome::Unreadable(why)) => Err(Halt::Held(format!(
                "s3://{bucket}/{key} cannot be read: {why}"
            ))),
            Err(error) => Err(Halt::from(Error::from(error))),
        };
        let (stored_state, stored_index, stored_steering) = futures::try_join!(
            text(control, key_of_state(pair), MAX_STATE_BYTES),
            text(
                public,
                format!("{}/index.m3u8", pair.name),
                MAX_PLAYLIST_BYTES
            ),
            text(
                public,
                format!("{}/steering.json", pair.name),
                MAX_PLAYLIST_BYTES
            ),
        )?;
        let mut state = match &stored_state {
            None => PairState::default(),
            Some(stored) => PairState::parse(&stored.text).map_err(|why| {
                let key = key_of_state(pair);
                Halt::Held(format!(
                    "s3://{control}/{key} cannot be understood: {why}; put back an older version of it"
                ))
            })?,
        };
        let document = |stored: &StoredText| Document {
            text: stored.text.clone(),
            // One that somebody else wrote is older than any.
            generation: stored
                .metadata(GENERATION)
                .and_then(|number| number.parse().ok())
                .unwrap_or_default(),
        };
        let published = Published {
            index: stored_index.as_ref().map(document),
            steering: stored_steering.as_ref().map(document),
        };
        let latest = [&published.index, &published.steering]
            .into_iter()
            .flatten()
            .map(|document| document.generation);
        let latest = latest.max().unwrap_or_default();
        if latest > state.generation {
            // Either the state was changed while all this was read, or somebody put an older one
            // back: then that counts.
            let key = key_of_state(pair);
            let again = text(control, key, MAX_STATE_BYTES).await?;
            if again.as_ref().map(|again| &again.text)
                != stored_state.as_ref().map(|stored| &stored.text)
            {
                return Err(Halt::Conflict);
            }
            state.generation = latest;
        }
        let documents = Documents {
            state,
            published,
            stored_state,
            stored_index,
            stored_steering,
        };
        *self
            .last_known
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = documents.media_playlists();
        Ok(documents)
    }

    /// Replaces the state that was read.
    ///
    /// # Errors
    ///
    /// [`Halt::Conflict`] if it is another by now.
    pub async fn write_state(&self, documents: &Documents, next: &PairState) -> Result<(), Halt> {
        let text = NewText {
            bucket: &self.settings.control_bucket,
            key: &key_of_state(&self.settings.pair),
            text: next.to_text(),
            content_type: "application/json",
            cache_control: None,
            metadata: None,
        };
        done(self.s3.put(text, documents.stored_state.as_ref()).await?)
    }

    /// Writes the steering manifest, if the plan has one.
    ///
    /// # Errors
    ///
    /// [`Halt::Conflict`] if it is another than was read.
    pub async fn write_steering(
        &self,
        documents: &Documents,
        plan: &Plan,
        generation: u64,
    ) -> Result<bool, Halt> {
        let Some(text) = &plan.steering else {
            return Ok(false);
        };
        // A CDN that kept it as long as players do would double the time until they hear of a
        // change.
        let ttl = self
            .settings
            .pair
            .steering_ttl
            .map(|ttl| ttl.num_seconds())
            .unwrap_or_default();
        let cache_control = format!("max-age={}", (ttl / 2).max(1));
        let key = format!("{}/steering.json", self.settings.pair.name);
        let text = self.public(&key, text, "application/json", &cache_control, generation);
        done(
            self.s3
                .put(text, documents.stored_steering.as_ref())
                .await?,
        )?;
        Ok(true)
    }

    /// Writes the playlist, if the plan has one.
    ///
    /// # Errors
    ///
    /// [`Halt::Conflict`] if it is another than was read.
    pub async fn write_index(
        &self,
        documents: &Documents,
        plan: &Plan,
        generation: u64,
    ) -> Result<bool, Halt> {
        let Some(text) = &plan.index else {
            return Ok(false);
        };
        let key = format!("{}/index.m3u8", self.settings.pair.name);
        let text = self.public(
            &key,
            text,
            "application/vnd.apple.mpegurl",
            INDEX_MAX_AGE,
            generation,
        );
        done(self.s3.put(text, documents.stored_index.as_ref()).await?)?;
        Ok(true)
    }

    fn public<'a>(
        &'a self,
        key: &'a str,
        text: &str,
        content_type: &'a str,
        cache_control: &'a str,
        generation: u64,
    ) -> NewText<'a> {
        NewText {
            bucket: &self.settings.public_bucket,
            key,
            text: text.to_owned(),
            content_type,
            cache_control: Some(cache_control),
            metadata: Some((GENERATION, generation.to_string())),
        }
    }
}

fn done(written: WriteOutcome) -> Result<(), Halt> {
    match written {
        WriteOutcome::Done => Ok(()),
        WriteOutcome::Conflict => Err(Halt::Conflict),
    }
}

//! What viewers get of a side: its own playlists, from where they get them.

use crate::settings::is_loopback;
use crate::{PairContext, now};
use onair_core::pair::Side;
use onair_core::pair::endpoint::Definition;
use onair_core::pair::freshness::{Freshness, LastSegment, PlaylistProbe, ProbeResult, understand};
use onair_core::publish_playlist::{SideFetch, SidePlaylist};
use std::sync::PoisonError;
use url::Url;

impl PairContext {
    /// Asks a side for its own multivariant playlist, its endpoint being `described` so.
    pub async fn ask(&self, side: Side, described: Option<&Definition>) -> SideFetch {
        let Some(described) = described else {
            return SideFetch::NoEndpoint;
        };
        let Some(url) = described.url() else {
            return SideFetch::Unavailable("its endpoint has no URL".to_owned());
        };
        let url = self.settings.pair.sides[side].public_url(&url);
        match self.get(&url).await {
            Ok(answer) => match SidePlaylist::parse(&answer.text, &url) {
                Ok(playlist) => SideFetch::Playlist(Box::new(playlist)),
                Err(why) => SideFetch::Unavailable(format!(
                    "its playlist at {url} cannot be understood: {why}"
                )),
            },
            Err(why) => SideFetch::Unavailable(why),
        }
    }

    /// Looks at one of a side's media playlists: one GET.
    pub async fn look(&self, url: &Url) -> Result<PlaylistProbe, String> {
        let answer = self.get(url).await?;
        Ok(PlaylistProbe {
            last_updated_ms: answer.last_updated_ms,
            text: answer.text,
            at: now(),
        })
    }

    /// Looks at the media playlist that this process saw published last, if it saw one: while the
    /// documents are being read, a look at where it most likely still is costs no time.
    pub async fn look_ahead(&self, side: Side) -> Option<(Url, Result<PlaylistProbe, String>)> {
        let url = self
            .last_known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)[side]
            .clone()?;
        let look = self.look(&url).await;
        Some((url, look))
    }

    async fn get(&self, url: &Url) -> Result<onair_aws::http::Answer, String> {
        if url.scheme() != "https" && !is_loopback(url) {
            return Err(format!("{url} is not https"));
        }
        let answer = match self.http.get(url.as_str()).await {
            Ok(answer) => answer,
            // A connection that was kept and is dead by now is no reason to hold anything.
            Err(_) => self
                .http
                .get(url.as_str())
                .await
                .map_err(|error| error.to_string())?,
        };
        match answer.status {
            200 => Ok(answer),
            status => Err(format!("{url} answered {status}")),
        }
    }
}

/// Whether a side moves, by what a look at it gave and by an earlier one.
pub fn freshness(
    look: Result<&PlaylistProbe, String>,
    earlier: Option<LastSegment>,
) -> ProbeResult {
    match look {
        Ok(look) => understand(look, earlier),
        Err(why) => ProbeResult {
            freshness: Freshness::Unknown(why),
            last_segment: earlier,
        },
    }
}

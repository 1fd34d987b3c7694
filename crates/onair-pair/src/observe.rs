//! Requests that change nothing: to MediaLive, to MediaPackage, and for the playlists of viewers.

use crate::settings::is_loopback;
use crate::{PairContext, now};
use onair_aws::medialive::{Alerts, MediaLive};
use onair_core::pair::Side;
use onair_core::pair::endpoint::Definition;
use onair_core::pair::freshness::PlaylistProbe;
use onair_core::pair::health::Alert;
use onair_core::pair::next::Question;
use onair_core::pair::observed::{Answer, Observed};
use onair_core::publish_playlist::{SideFetch, SidePlaylist};
use url::Url;

impl PairContext {
    /// Sends the requests of all questions in parallel.
    pub(crate) async fn ask(
        &self,
        medialive: &MediaLive,
        questions: Vec<Question>,
        observed: &Observed,
    ) -> Vec<Answer> {
        let answers = questions
            .into_iter()
            .map(|question| self.answer(medialive, question, observed));
        futures::future::join_all(answers)
            .await
            .into_iter()
            .flatten()
            .collect()
    }

    async fn answer(
        &self,
        medialive: &MediaLive,
        question: Question,
        observed: &Observed,
    ) -> Vec<Answer> {
        let channel = |side: Side| self.settings.pair.sides[side].channel_id();
        vec![match question {
            Question::Endpoint(side) => Answer::Endpoint(side, self.endpoint(side).await),
            Question::Playlist(side) => return self.playlist(side, observed).await,
            Question::Media(side, url) => {
                let probe = self.probe(&url).await;
                Answer::Media(side, url, probe)
            }
            Question::SetAlerts(side) => {
                Answer::SetAlerts(side, alerts(medialive, channel(side), Alerts::Set).await)
            }
            Question::AllAlerts(side) => {
                Answer::AllAlerts(side, alerts(medialive, channel(side), Alerts::All).await)
            }
            Question::Channel(side) => {
                let channel = medialive.channel(channel(side)).await;
                Answer::Channel(side, channel.map_err(|error| error.to_string()))
            }
        }]
    }

    async fn endpoint(&self, side: Side) -> Result<Option<Definition>, String> {
        let id = &self.settings.pair.sides[side].endpoint;
        let endpoint = self.mediapackage.describe(id).await;
        endpoint.map_err(|error| error.to_string())
    }

    /// The side's own playlist, and its endpoint if that was not known.
    async fn playlist(&self, side: Side, observed: &Observed) -> Vec<Answer> {
        if let Some(known) = observed.known_endpoint(side) {
            return vec![Answer::Playlist(side, self.fetch(side, known).await)];
        }
        let endpoint = self.endpoint(side).await;
        let playlist = match &endpoint {
            Ok(endpoint) => Some(self.fetch(side, endpoint.as_ref()).await),
            Err(_) => None,
        };
        let playlist = playlist.map(|playlist| Answer::Playlist(side, playlist));
        [Answer::Endpoint(side, endpoint)]
            .into_iter()
            .chain(playlist)
            .collect()
    }

    /// The endpoint of a side, and its own multivariant playlist.
    ///
    /// # Errors
    ///
    /// The request to MediaPackage failed.
    pub async fn fetch_side(&self, side: Side) -> Result<SideFetch, onair_aws::Error> {
        let id = &self.settings.pair.sides[side].endpoint;
        let endpoint = self.mediapackage.describe(id).await?;
        Ok(self.fetch(side, endpoint.as_ref()).await)
    }

    async fn fetch(&self, side: Side, endpoint: Option<&Definition>) -> SideFetch {
        let Some(endpoint) = endpoint else {
            return SideFetch::NoEndpoint;
        };
        let Some(url) = endpoint.url() else {
            return SideFetch::Unavailable("its endpoint has no URL".to_owned());
        };
        let url = self.settings.pair.sides[side].public_url(&url);
        match self.get(&url).await {
            Ok(answer) => match SidePlaylist::parse(&answer.text, &url) {
                Ok(playlist) => SideFetch::Playlist(Box::new(playlist)),
                Err(why) => {
                    SideFetch::Unavailable(format!("playlist {url} cannot be parsed: {why}"))
                }
            },
            Err(why) => SideFetch::Unavailable(why),
        }
    }

    async fn probe(&self, url: &Url) -> Result<PlaylistProbe, String> {
        let answer = self.get(url).await?;
        Ok(PlaylistProbe {
            last_updated_ms: answer.last_updated_ms,
            text: answer.text,
            at: now(),
        })
    }

    async fn get(&self, url: &Url) -> Result<onair_aws::http::HttpResponse, String> {
        if url.scheme() != "https" && !is_loopback(url) {
            return Err(format!("{url} is not https"));
        }
        let answer = match self.http.get(url.as_str()).await {
            Ok(answer) => answer,
            // The server may have closed an idle connection. That does not mean that the side is
            // stale.
            Err(_) => self
                .http
                .get(url.as_str())
                .await
                .map_err(|error| error.to_string())?,
        };
        match answer.status {
            200 => Ok(answer),
            status => Err(format!("GET {url} returned {status}")),
        }
    }
}

async fn alerts(medialive: &MediaLive, channel: &str, which: Alerts) -> Result<Vec<Alert>, String> {
    let alerts = medialive.alerts(channel, which).await;
    alerts.map_err(|error| error.to_string())
}

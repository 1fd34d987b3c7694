//! Reads what is decided from, and decides.

use crate::Handler;
use onair_aws::medialive::Alerts;
use onair_core::fail_over::{self, Diagnosis, Held, diagnose_alerts, may_cut};
use onair_core::pair::endpoint::Definition;
use onair_core::pair::freshness::{Freshness, PlaylistProbe};
use onair_core::pair::health::set_alerts;
use onair_core::pair::state::{PairState, Until};
use onair_core::pair::{CutBy, Side, Sides};
use onair_core::publish_playlist::SideFetch;
use onair_lambda::Error;
use onair_pair::{Documents, Halt, freshness, now};
use url::Url;

impl Handler {
    pub(crate) async fn describe(&self, side: Option<Side>) -> Result<Option<Definition>, Error> {
        match side {
            // Only what a cut changes needs to be known.
            Some(side) if self.context.settings.pair.cut != CutBy::None => {
                self.context.describe(side).await
            }
            _ => Ok(None),
        }
    }

    pub(crate) async fn ask_medialive(&self, state: &PairState) -> Result<Diagnosis, Halt> {
        let pair = &self.context.settings.pair;
        let alerts = async |side: Side| {
            let source = &pair.sides[side];
            let alerts = self
                .medialive
                .alerts(source.channel_id(), Alerts::Set)
                .await?;
            let set = set_alerts(source, &pair.alert_types, &alerts)
                .into_iter()
                .map(str::to_owned);
            Ok::<_, Halt>(set.collect::<Vec<_>>())
        };
        let (a, b) = futures::try_join!(alerts(Side::A), alerts(Side::B))?;
        diagnose_alerts(state, &Sides { a, b }).map_err(|held| Halt::Held(held.to_string()))
    }

    /// The state in which the side is cut.
    pub(crate) async fn cut(
        &self,
        documents: &Documents,
        (side, why, until): (Side, &str, Until),
        endpoint: Option<&Definition>,
        seen: Option<Freshness>,
        ahead: Option<(Url, Result<PlaylistProbe, String>)>,
        asked: &mut Sides<SideFetch>,
    ) -> Result<PairState, Halt> {
        let held = |held: Held| Halt::Held(held.to_string());
        let (pair, state) = (&self.context.settings.pair, &documents.state);
        may_cut(state, side, why).map_err(held)?;
        let freshness = match seen {
            Some(seen) => seen,
            None => {
                self.freshness(documents, side.other(), ahead, asked)
                    .await?
            }
        };
        fail_over::cut(pair, state, side, endpoint, &freshness, (why, until), now()).map_err(held)
    }

    /// Whether a side moves: one GET of a media playlist, whose address is in what is published.
    /// Only where nothing was published yet the side's own playlist is asked for.
    pub(crate) async fn freshness(
        &self,
        documents: &Documents,
        side: Side,
        ahead: Option<(Url, Result<PlaylistProbe, String>)>,
        asked: &mut Sides<SideFetch>,
    ) -> Result<Freshness, Halt> {
        let mut url = documents.media_playlists()[side].clone();
        if url.is_none() {
            let described = self.context.describe(side).await?;
            asked[side] = self.context.ask(side, described.as_ref()).await;
            if let SideFetch::Playlist(playlist) = &asked[side] {
                url = playlist.media_playlist().cloned();
            }
        }
        let mut look = match (url, ahead) {
            (Some(url), Some((ahead, look))) if url == ahead => look,
            (Some(url), _) => self.context.look(&url).await,
            (None, _) => Err("where its media playlists are is not known".to_owned()),
        };
        if let (Err(_), SideFetch::Skipped) = (&look, &asked[side]) {
            // What is published may be out of date: the endpoint was made again by hand, or
            // something else stands in front.
            let described = self.context.describe(side).await?;
            asked[side] = self.context.ask(side, described.as_ref()).await;
            look = match &asked[side] {
                SideFetch::Playlist(playlist) => match playlist.media_playlist() {
                    Some(url) => self.context.look(url).await,
                    None => look,
                },
                SideFetch::Unavailable(why) => Err(why.clone()),
                SideFetch::NoEndpoint => Err("it has no endpoint".to_owned()),
                SideFetch::Skipped => look,
            };
        }
        let earlier = documents.state.sides[side].last_segment;
        Ok(freshness(look.as_ref().map_err(Clone::clone), earlier).freshness)
    }
}

//! What MediaLive says of the sides.

use crate::{Handler, Progress};
use onair_aws::medialive::Alerts;
use onair_core::fail_over::stalled;
use onair_core::pair::Side;
use onair_core::pair::health::{Health, health, set_alerts};
use onair_core::pair::state::PairState;
use onair_pair::{Halt, now};

impl Handler {
    /// Whether the side that viewers are on is lost, too.
    pub(crate) async fn is_lost(
        &self,
        state: &PairState,
        side: Side,
        progress: &mut Progress,
    ) -> bool {
        if state.sides[side].alarm_since.is_some() || stalled(state, side, now()).is_some() {
            return true;
        }
        let pair = &self.context.settings.pair;
        match self
            .medialive
            .alerts(pair.sides[side].channel_id(), Alerts::Set)
            .await
        {
            Ok(alerts) => !set_alerts(&pair.sides[side], &pair.alert_types, &alerts).is_empty(),
            // That is no reason to shortened_period, and none to fail: without shortened_period it comes back all the
            // same.
            Err(error) => {
                progress
                    .notes
                    .push(format!("whether {side} is lost cannot be told: {error}"));
                false
            }
        }
    }

    pub(crate) async fn health(&self, side: Side) -> Result<Health, Halt> {
        let pair = &self.context.settings.pair;
        let id = pair.sides[side].channel_id();
        let (channel, alerts) = futures::try_join!(
            self.medialive.channel(id),
            self.medialive.alerts(id, Alerts::All)
        )?;
        Ok(health(
            &pair.sides[side],
            &pair.alert_types,
            &channel,
            &alerts,
        ))
    }
}

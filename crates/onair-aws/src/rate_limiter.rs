//! Limits the rate of requests that write or delete.
//!
//! S3 accepts at least 3,500 deletes per second for each partition of a bucket. Above that it
//! answers 503 Slow Down until it has scaled (S3 User Guide, "Best practices design patterns:
//! optimizing performance"). The SDK waits before it repeats the refused request. This limiter also
//! delays all other requests.

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The longest pause between two starts.
const MAX_GAP: Duration = Duration::from_secs(2);
/// The first pause after a slow-down. A pause that becomes shorter than this is dropped.
const MIN_GAP: Duration = Duration::from_millis(25);

/// Keeps a pause between the starts of two requests. The pause is zero until S3 answers with a
/// slow-down. Each slow-down doubles the pause, and each success shortens it by a tenth.
#[derive(Debug, Clone, Default)]
pub(crate) struct AdaptiveRateLimiter(Arc<Mutex<LimiterState>>);

#[derive(Debug, Default)]
struct LimiterState {
    gap: Duration,
    next_start: Option<Instant>,
    last_slow_down: Option<Instant>,
}

impl LimiterState {
    /// Reserves the start of the next request.
    fn next_start(&mut self, now: Instant) -> Instant {
        let start = self.next_start.map_or(now, |next| next.max(now));
        self.next_start = Some(start + self.gap);
        start
    }

    fn on_slow_down(&mut self, now: Instant) {
        // Requests that were in flight together are refused together. They count as one slow-down.
        if self
            .last_slow_down
            .is_none_or(|last| now >= last + self.gap.max(MIN_GAP))
        {
            self.gap = (self.gap * 2).clamp(MIN_GAP, MAX_GAP);
            self.last_slow_down = Some(now);
        }
    }

    fn on_success(&mut self) {
        self.gap = Some(self.gap.mul_f64(0.9))
            .filter(|gap| *gap >= MIN_GAP)
            .unwrap_or_default();
    }
}

impl AdaptiveRateLimiter {
    /// Waits until this request may start.
    pub(crate) async fn acquire(&self) {
        let start = self.with(|state| state.next_start(Instant::now()));
        sleep_until(start).await;
    }

    pub(crate) fn on_slow_down(&self) {
        self.with(|state| state.on_slow_down(Instant::now()));
    }

    fn on_success(&self) {
        self.with(LimiterState::on_success);
    }

    fn with<T>(&self, change: impl FnOnce(&mut LimiterState) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An interceptor reads every response, including those that the SDK's retries hide.
impl Intercept for AdaptiveRateLimiter {
    fn name(&self) -> &'static str {
        "AdaptiveRateLimiter"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        match context.response().status().as_u16() {
            429 | 503 => self.on_slow_down(),
            200..300 => self.on_success(),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_downs_spread_the_starts_and_answers_bring_them_together_again() {
        let mut state = LimiterState::default();
        let mut now = Instant::now();
        assert_eq!(state.next_start(now), now);
        assert_eq!(state.next_start(now), now);

        // Two slow-downs at the same time count as one.
        state.on_slow_down(now);
        state.on_slow_down(now);
        assert_eq!(state.next_start(now), now);
        assert_eq!(state.next_start(now), now + MIN_GAP);

        for _ in 0..10 {
            now += MAX_GAP;
            state.on_slow_down(now);
        }
        assert_eq!(state.gap, MAX_GAP);
        (0..100).for_each(|_| state.on_success());
        assert_eq!(state.gap, Duration::ZERO);
    }

    #[tokio::test]
    async fn a_request_waits_for_its_turn() {
        let rate_limiter = AdaptiveRateLimiter::default();
        rate_limiter.on_slow_down();
        let begin = Instant::now();
        rate_limiter.acquire().await;
        rate_limiter.acquire().await;
        assert!(begin.elapsed() >= MIN_GAP);
    }
}

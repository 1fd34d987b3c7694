use crate::Error;
use std::time::Duration;
use tokio::time::sleep;

/// The reason for which an attempt, and often the whole run, ended early. `R` is the vertical's
/// reason for `held`.
#[derive(Debug)]
pub enum Stop<R> {
    /// A safety rule forbids the change.
    Held(R),
    /// Another writer changed what this attempt had read. A new attempt has to read it again.
    Conflict,
    /// Too little time is left to start anything.
    OutOfTime,
    /// A retry or a person is needed.
    Failed(Error),
}

impl<R> From<Error> for Stop<R> {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<R> From<onair_aws::Error> for Stop<R> {
    fn from(error: onair_aws::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// The limit for a run that reads, decides and writes again after a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    /// The number of attempts, the first included.
    pub number: usize,
    /// The pause between two attempts. It lets the other writer finish.
    pub pause: Duration,
}

impl Attempts {
    /// Repeats `attempt` while it ends with [`Stop::Conflict`].
    ///
    /// # Errors
    ///
    /// Any other [`Stop`] of an attempt, and [`Stop::Conflict`] when no attempt is left.
    pub async fn run<T, R>(
        self,
        mut attempt: impl AsyncFnMut() -> Result<T, Stop<R>>,
    ) -> Result<T, Stop<R>> {
        for number in 1..=self.number {
            match attempt().await {
                Err(Stop::Conflict) if number < self.number => sleep(self.pause).await,
                ended => return ended,
            }
        }
        Err(Stop::Conflict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: Attempts = Attempts {
        number: 3,
        pause: Duration::ZERO,
    };

    async fn run(results: Vec<Result<u8, Stop<&str>>>) -> (String, usize) {
        let mut results = results.into_iter();
        let result = THREE.run(async || results.next().unwrap()).await;
        (format!("{result:?}"), results.count())
    }

    #[tokio::test]
    async fn only_a_conflict_is_followed_by_another_attempt() {
        let conflict = || Err(Stop::Conflict);
        let rows = [
            (vec![Ok(1), conflict()], ("Ok(1)", 1)),
            (vec![conflict(), conflict(), Ok(3)], ("Ok(3)", 0)),
            (
                vec![conflict(), Err(Stop::Held("no"))],
                ("Err(Held(\"no\"))", 0),
            ),
            (vec![Err(Stop::OutOfTime), Ok(2)], ("Err(OutOfTime)", 1)),
            (
                vec![conflict(), conflict(), conflict(), Ok(4)],
                ("Err(Conflict)", 1),
            ),
        ];

        for (results, (result, left)) in rows {
            assert_eq!(run(results).await, (result.to_owned(), left));
        }
    }
}

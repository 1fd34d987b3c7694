use onair_core::prune_recording::plan::{RetentionPolicy, Versions};
use onair_core::prune_recording::rule::{Rule, RuleError, Terms};
use onair_lambda::{Accepts, Environment, Error};
use std::collections::BTreeSet;

/// The settings of this function, which are fixed at deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `RECORDING_BUCKETS`: the buckets whose recordings may be changed.
    pub buckets: BTreeSet<String>,
    /// `KEEP_RENDITIONS` or `DELETE_RENDITIONS`, `THUMBNAILS` and `VERSIONS`.
    pub policy: RetentionPolicy,
    /// `DRY_RUN=true`: plan only, for every event.
    pub dry_run: bool,
}

const BUCKETS: Accepts<'_> = Accepts::only("bucket names, separated by commas", |buckets| {
    buckets.split(',').all(|bucket| !bucket.trim().is_empty())
});

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], which names the variable and what it accepts.
    pub fn read(env: &Environment) -> Result<Self, Error> {
        let buckets = env.required("RECORDING_BUCKETS", BUCKETS)?;
        let buckets = buckets.split(',').map(|bucket| bucket.trim().to_owned());
        let thumbnails = [("keep", false), ("delete", true)];
        let versions = [("keep", Versions::Current), ("purge", Versions::All)];
        Ok(Self {
            buckets: buckets.collect(),
            policy: RetentionPolicy {
                rule: rule(env)?,
                delete_thumbnails: env.choice("THUMBNAILS", &thumbnails)?,
                versions: env.choice("VERSIONS", &versions)?,
            },
            dry_run: env.flag("DRY_RUN")?,
        })
    }
}

fn rule(env: &Environment) -> Result<Rule, Error> {
    match (env.get("KEEP_RENDITIONS"), env.get("DELETE_RENDITIONS")) {
        (Some(keep), None) => Ok(Rule::Keep(terms("KEEP_RENDITIONS", keep)?)),
        (None, Some(delete)) => Ok(Rule::Delete(terms("DELETE_RENDITIONS", delete)?)),
        (None, None) => Err(Error::Config(
            "neither KEEP_RENDITIONS nor DELETE_RENDITIONS is set; set one, for example \
             KEEP_RENDITIONS=highest (there is no default, because a deletion is permanent)"
                .to_owned(),
        )),
        (Some(_), Some(_)) => Err(Error::Config(
            "both KEEP_RENDITIONS and DELETE_RENDITIONS are set; set exactly one".to_owned(),
        )),
    }
}

fn terms(name: &str, list: &str) -> Result<Terms, Error> {
    list.parse()
        .map_err(|error: RuleError| Error::Config(format!("{name}: {error}")))
}

#[cfg(test)]
#[allow(clippy::too_many_lines, reason = "a test may be longer")]
mod tests {
    use super::*;

    fn refusal(settings: &[(&str, &str)]) -> String {
        let environment: Environment = settings.iter().copied().collect();
        Settings::read(&environment)
            .map(|settings| format!("{settings:?}"))
            .unwrap_or_else(|e| e.to_string())
    }

    #[test]
    fn a_wrong_setting_is_named_with_what_it_accepts() {
        let rows: [(&[(&str, &str)], &str); 7] = [
            (&[], "RECORDING_BUCKETS is not set"),
            (
                &[("RECORDING_BUCKETS", " ")],
                "RECORDING_BUCKETS is not set",
            ),
            (
                &[("RECORDING_BUCKETS", "b")],
                "neither KEEP_RENDITIONS nor DELETE_RENDITIONS is set",
            ),
            (
                &[
                    ("RECORDING_BUCKETS", "b"),
                    ("KEEP_RENDITIONS", "a"),
                    ("DELETE_RENDITIONS", "b"),
                ],
                "both",
            ),
            (
                &[("RECORDING_BUCKETS", "b"), ("DELETE_RENDITIONS", "<=tall")],
                "DELETE_RENDITIONS: \"<=tall\" is not",
            ),
            (
                &[
                    ("RECORDING_BUCKETS", "b"),
                    ("KEEP_RENDITIONS", "a"),
                    ("DRY_RUN", "yes"),
                ],
                "DRY_RUN is \"yes\"; it accepts false, true",
            ),
            (
                &[
                    ("RECORDING_BUCKETS", "b"),
                    ("KEEP_RENDITIONS", "a"),
                    ("VERSIONS", "all"),
                ],
                "VERSIONS is \"all\"; it accepts keep, purge",
            ),
        ];
        for (settings, expected) in rows {
            let refusal = refusal(settings);
            assert!(refusal.contains(expected), "{settings:?}: {refusal}");
        }
    }
}

use onair_core::prune_recording::plan::RetentionPolicy;
use onair_core::prune_recording::rule::{Rule, RuleError, Terms};
use onair_lambda::{Environment, Error};
use std::collections::BTreeSet;

/// What the user decided once, at deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `RECORDING_BUCKETS`: the buckets whose recordings may be touched.
    pub buckets: BTreeSet<String>,
    /// `KEEP_RENDITIONS` or `DELETE_RENDITIONS`, and `THUMBNAILS`.
    pub policy: RetentionPolicy,
    /// `VERSIONS=purge`: in a versioned bucket, delete all versions instead of hiding the newest.
    pub purge_versions: bool,
    /// `DRY_RUN=true`: plan only, whatever the event says.
    pub dry_run: bool,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], which names the variable and what it accepts.
    pub fn read(env: &Environment<impl Fn(&str) -> Option<String>>) -> Result<Self, Error> {
        let config = |text: &str| Err(Error::Config(text.to_owned()));
        let Some(buckets) = env.get("RECORDING_BUCKETS") else {
            return config(
                "RECORDING_BUCKETS is not set; it accepts bucket names, separated by commas",
            );
        };
        let buckets: BTreeSet<String> = buckets
            .split(',')
            .map(|bucket| bucket.trim().to_owned())
            .collect();
        if buckets.contains("") {
            return config(
                "RECORDING_BUCKETS has an empty part; it accepts bucket names, separated by commas",
            );
        }
        let rule = match (env.get("KEEP_RENDITIONS"), env.get("DELETE_RENDITIONS")) {
            (Some(keep), None) => Rule::Keep(terms("KEEP_RENDITIONS", &keep)?),
            (None, Some(delete)) => Rule::Delete(terms("DELETE_RENDITIONS", &delete)?),
            (None, None) => {
                return config(
                    "neither KEEP_RENDITIONS nor DELETE_RENDITIONS is set; set one, for example \
                     KEEP_RENDITIONS=highest (there is no default, since deleting is for ever)",
                );
            }
            (Some(_), Some(_)) => {
                return config(
                    "both KEEP_RENDITIONS and DELETE_RENDITIONS are set; set exactly one",
                );
            }
        };
        let keep_or = |other| [("keep", false), (other, true)];
        Ok(Self {
            buckets,
            policy: RetentionPolicy {
                rule,
                delete_thumbnails: env.choice("THUMBNAILS", &keep_or("delete"))?,
            },
            purge_versions: env.choice("VERSIONS", &keep_or("purge"))?,
            dry_run: env.choice("DRY_RUN", &[("false", false), ("true", true)])?,
        })
    }
}

fn terms(name: &str, list: &str) -> Result<Terms, Error> {
    list.parse()
        .map_err(|error: RuleError| Error::Config(format!("{name}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(settings: &[(&str, &str)]) -> String {
        let lookup = |name: &str| {
            settings
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        };
        Settings::read(&Environment::of(lookup))
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

use crate::Error;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The source of settings: the environment variables of the process, or any other list.
///
/// A value that is empty or blank counts as not set, since a template cannot leave out a variable.
pub struct Environment(BTreeMap<String, String>);

/// The texts that a setting accepts.
#[derive(Clone, Copy)]
pub struct Accepts<'a> {
    is_accepted: fn(&str) -> bool,
    words: &'a str,
}

impl<'a> Accepts<'a> {
    /// Accepts every text. `words` describe what to write there.
    pub const fn any(words: &'a str) -> Self {
        Self::only(words, |_| true)
    }

    /// Accepts texts that pass the check. `words` describe them.
    pub const fn only(words: &'a str, is_accepted: fn(&str) -> bool) -> Self {
        Self { is_accepted, words }
    }
}

impl Environment {
    /// The environment variables of this process.
    pub fn of_process() -> Self {
        let variables = std::env::vars_os();
        variables
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// A setting's value without the blanks around it, or `None` if it is not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// A text that must be set.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if it is not set, or not accepted.
    pub fn required(&self, name: &str, accepts: Accepts<'_>) -> Result<String, Error> {
        self.optional(name, accepts)?.ok_or_else(|| {
            Error::Config(format!("{name} is not set; it accepts {}", accepts.words))
        })
    }

    /// A text that may be left out.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if it is not accepted.
    pub fn optional(&self, name: &str, accepts: Accepts<'_>) -> Result<Option<String>, Error> {
        match self.get(name) {
            Some(value) if !(accepts.is_accepted)(value) => {
                Err(Error::setting(name, value, accepts.words))
            }
            value => Ok(value.map(str::to_owned)),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for anything else, and for a number outside of the range.
    pub fn number<T>(&self, name: &str, default: T, range: RangeInclusive<T>) -> Result<T, Error>
    where
        T: FromStr + PartialOrd + Display,
    {
        self.within(name, default, &range, "a whole number")
    }

    /// A number of seconds.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for anything but a whole number, and for a number outside of the range.
    pub fn seconds<T>(&self, name: &str, default: T, range: RangeInclusive<T>) -> Result<T, Error>
    where
        T: FromStr + PartialOrd + Display,
    {
        self.within(name, default, &range, "whole seconds")
    }

    /// One of a few words, of which the first is the default.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for any other word.
    pub fn choice<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<T, Error> {
        let Some(value) = self.get(name) else {
            return Ok(words[0].1);
        };
        let found = words.iter().find(|(word, _)| *word == value);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let accepted: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            Error::setting(name, value, &accepted.join(", "))
        })
    }

    /// `true` or `false`, which is the default.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for any other word.
    pub fn flag(&self, name: &str) -> Result<bool, Error> {
        self.choice(name, &[("false", false), ("true", true)])
    }

    fn within<T>(
        &self,
        name: &str,
        default: T,
        range: &RangeInclusive<T>,
        unit: &str,
    ) -> Result<T, Error>
    where
        T: FromStr + PartialOrd + Display,
    {
        let Some(value) = self.get(name) else {
            return Ok(default);
        };
        let number = value.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let accepted = format!("{unit} from {} to {}", range.start(), range.end());
            Error::setting(name, value, &accepted)
        })
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    /// If a name is repeated, the last value counts.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables = variables.into_iter();
        Self(
            variables
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        [
            ("EMPTY", " "),
            ("PADDED", " live "),
            ("WORD", "deny"),
            ("NUMBER", "61"),
        ]
        .into_iter()
        .collect()
    }

    const LIVE: Accepts<'_> = Accepts::only("the word live", |word| word == "live");

    #[test]
    fn a_blank_setting_is_not_set() {
        let environment = environment();

        assert_eq!(environment.get("EMPTY"), None);
        assert_eq!(environment.get("PADDED"), Some("live"));
        assert_eq!(environment.optional("EMPTY", LIVE).unwrap(), None);
        assert_eq!(environment.seconds("EMPTY", 10, 1..=60).unwrap(), 10);
        assert!(!environment.flag("EMPTY").unwrap());
    }

    #[test]
    fn an_error_names_the_setting_its_value_and_what_it_accepts() {
        let environment = environment();
        let rows = [
            (
                environment.required("EMPTY", LIVE).map(drop),
                "EMPTY is not set; it accepts the word live",
            ),
            (
                environment.optional("WORD", LIVE).map(drop),
                "WORD is \"deny\"; it accepts the word live",
            ),
            (
                environment.seconds("NUMBER", 10, 1..=60).map(drop),
                "NUMBER is \"61\"; it accepts whole seconds from 1 to 60",
            ),
            (
                environment.number("WORD", 10, 1..=60).map(drop),
                "WORD is \"deny\"; it accepts a whole number from 1 to 60",
            ),
            (
                environment.flag("NUMBER").map(drop),
                "NUMBER is \"61\"; it accepts false, true",
            ),
        ];

        for (result, expected) in rows {
            assert_eq!(result.unwrap_err().to_string(), expected);
        }
    }
}

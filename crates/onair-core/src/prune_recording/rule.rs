//! What the user wants: a list of terms, each naming renditions to keep, or to delete.

use std::str::FromStr;

/// `KEEP_RENDITIONS` or `DELETE_RENDITIONS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Everything that no term names is deleted.
    Keep(Terms),
    /// Everything that no term names is kept.
    Delete(Terms),
}

/// A comma-separated list of terms. A rendition that one of them names is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms(pub Vec<Term>);

/// One part of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// The rendition with the greatest height.
    Highest,
    /// The rendition with the least height.
    Lowest,
    /// The rendition of exactly this name (its folder under `media/hls/`).
    Name(String),
    /// Every rendition whose height compares so with this many pixels.
    Height(Comparison, u64),
}

/// How a height is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>=`
    AtLeast,
    /// `>`
    Above,
}

impl Comparison {
    /// Whether `height` stands so to `bound`.
    pub fn holds(self, height: u64, bound: u64) -> bool {
        match self {
            Self::Below => height < bound,
            Self::AtMost => height <= bound,
            Self::AtLeast => height >= bound,
            Self::Above => height > bound,
        }
    }
}

/// Why a list is not a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{term:?} is not a rendition: write `highest`, `lowest`, a rendition's name such as `160p30`, or a height \
     such as `<=480p` or `>=720p`, separated by commas"
)]
pub struct RuleError {
    term: String,
}

impl FromStr for Terms {
    type Err = RuleError;

    fn from_str(list: &str) -> Result<Self, RuleError> {
        list.split(',')
            .map(|term| term.trim().parse())
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl FromStr for Term {
    type Err = RuleError;

    fn from_str(term: &str) -> Result<Self, RuleError> {
        let refuse = || RuleError {
            term: term.to_owned(),
        };
        // The longer signs first: `<=` also starts with `<`.
        let signs = [
            ("<=", Comparison::AtMost),
            (">=", Comparison::AtLeast),
            ("<", Comparison::Below),
            (">", Comparison::Above),
        ];
        if let Some((height, comparison)) = signs
            .iter()
            .find_map(|(sign, comparison)| Some((term.strip_prefix(sign)?, *comparison)))
        {
            let pixels = height
                .strip_suffix('p')
                .filter(|pixels| pixels.bytes().all(|byte| byte.is_ascii_digit()));
            let pixels = pixels
                .and_then(|pixels| pixels.parse().ok())
                .ok_or_else(refuse)?;
            return Ok(Self::Height(comparison, pixels));
        }
        match term {
            "highest" => Ok(Self::Highest),
            "lowest" => Ok(Self::Lowest),
            "" | "." | ".." => Err(refuse()),
            // A keyword in other letters would name nothing, in silence.
            word if ["highest", "lowest"]
                .iter()
                .any(|keyword| keyword.eq_ignore_ascii_case(word)) =>
            {
                Err(refuse())
            }
            name if name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) =>
            {
                Ok(Self::Name(name.to_owned()))
            }
            _ => Err(refuse()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_term_by_term() {
        let terms: Terms = "highest, 160p30 ,<=480p,>=720p,<1080p,lowest"
            .parse()
            .unwrap();
        assert_eq!(
            terms.0,
            [
                Term::Highest,
                Term::Name("160p30".into()),
                Term::Height(Comparison::AtMost, 480),
                Term::Height(Comparison::AtLeast, 720),
                Term::Height(Comparison::Below, 1080),
                Term::Lowest,
            ]
        );
    }

    #[test]
    fn what_is_not_a_term_is_named_with_what_would_be() {
        for list in [
            "",
            "highest,",
            ",",
            "<=",
            "<=p",
            "<=tall",
            "<=480",
            "<=+480p",
            "720p30/..",
            "..",
            "a b",
            "Lowest",
            "HIGHEST",
            "=480p",
            "*",
        ] {
            let error = list.parse::<Terms>().unwrap_err().to_string();
            assert!(
                error.contains("is not a rendition: write `highest`"),
                "{list:?}: {error}"
            );
        }
    }
}

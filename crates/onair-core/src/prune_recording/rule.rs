//! The rule that selects renditions: a list of terms, to keep or to delete.

use std::str::FromStr;

/// The value of the setting `KEEP_RENDITIONS` or `DELETE_RENDITIONS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Keeps the renditions that a term names and deletes all others.
    Keep(Terms),
    /// Deletes the renditions that a term names and keeps all others.
    Delete(Terms),
}

/// A comma-separated list of terms. The list names each rendition that one of its terms names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms(pub Vec<Term>);

/// One term of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// The rendition with the greatest height.
    Highest,
    /// The rendition with the least height.
    Lowest,
    /// The rendition of exactly this name (its folder under `media/hls/`).
    Name(String),
    /// Every rendition whose height compares like this with a number of pixels.
    Height(Comparison, u64),
}

/// A comparison of heights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Less than, written `<`.
    Below,
    /// At most, written `<=`.
    AtMost,
    /// At least, written `>=`.
    AtLeast,
    /// Greater than, written `>`.
    Above,
}

impl Comparison {
    /// Whether the comparison of `height` with `bound` is true.
    pub fn holds(self, height: u64, bound: u64) -> bool {
        match self {
            Self::Below => height < bound,
            Self::AtMost => height <= bound,
            Self::AtLeast => height >= bound,
            Self::Above => height > bound,
        }
    }
}

/// A term that is not valid.
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
        let parsed = match term {
            "highest" => Some(Self::Highest),
            "lowest" => Some(Self::Lowest),
            // The longer signs are first, because `<=` also starts with `<`.
            _ => height_after(term, "<=", Comparison::AtMost)
                .or_else(|| height_after(term, ">=", Comparison::AtLeast))
                .or_else(|| height_after(term, "<", Comparison::Below))
                .or_else(|| height_after(term, ">", Comparison::Above))
                .or_else(|| is_name(term).then(|| Self::Name(term.to_owned()))),
        };
        parsed.ok_or_else(|| RuleError {
            term: term.to_owned(),
        })
    }
}

/// A term such as `<=480p`.
fn height_after(term: &str, sign: &str, comparison: Comparison) -> Option<Term> {
    let pixels = term.strip_prefix(sign)?.strip_suffix('p')?;
    if !pixels.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Term::Height(comparison, pixels.parse().ok()?))
}

fn is_name(term: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    // As a name, a keyword in other letters would match no rendition, without an error.
    let is_keyword = ["highest", "lowest"].map(|keyword| keyword.eq_ignore_ascii_case(term));
    !matches!(term, "" | "." | "..") && term.bytes().all(is_plain) && is_keyword == [false; 2]
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
    fn an_invalid_term_is_an_error_with_the_accepted_terms() {
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

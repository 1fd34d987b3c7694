//! Whole numbers in arguments of a command line.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The whole numbers that an argument accepts.
#[derive(Debug, Clone)]
pub struct WholeNumber<T> {
    /// The plural of the unit.
    pub unit: &'static str,
    /// The least and the greatest number.
    pub range: RangeInclusive<T>,
    /// A usual number, for the error.
    pub example: T,
}

impl<T: FromStr + PartialOrd + Display> WholeNumber<T> {
    /// Parses a number.
    ///
    /// # Errors
    ///
    /// A sentence that names the accepted numbers, with the example.
    pub fn parse(&self, text: &str) -> Result<T, String> {
        let number = text.parse().ok();
        let number = number.filter(|number| self.range.contains(number));
        number.ok_or_else(|| {
            let (unit, example) = (self.unit, &self.example);
            let (least, greatest) = (self.range.start(), self.range.end());
            format!(
                "expected a whole number of {unit} from {least} to {greatest}, such as {example}"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_whole_and_in_range() {
        let seconds = WholeNumber {
            unit: "seconds",
            range: 0..=31_536_000_u64,
            example: 300,
        };
        assert_eq!(seconds.parse("0"), Ok(0));
        assert_eq!(seconds.parse("31536000"), Ok(31_536_000));
        for wrong in ["", "5m", "-1", "1.5", "31536001", "18446744073709551616"] {
            let expected =
                "expected a whole number of seconds from 0 to 31536000, such as 300".to_owned();
            assert_eq!(seconds.parse(wrong), Err(expected), "{wrong}");
        }
    }
}

//! Parses the times of access logs by position: each of two million lines per second has one.

use chrono::{NaiveDate, NaiveTime};

/// Parses `21/Nov/2026:21:13:40 +0100` (`$time_local` of nginx) to Unix time in seconds.
pub(super) fn common(text: &[u8]) -> Option<i64> {
    if text.len() != 26 || text[20] != b' ' {
        return None;
    }
    let separators = [text[2], text[6], text[11], text[14], text[17]] == *b"//:::";
    let day = separators.then(|| {
        day(
            number(&text[7..11])?,
            month(&text[3..6])?,
            number(&text[..2])?,
        )
    })??;
    Some(day + second_of_day(&text[12..20])? - offset(&text[21..])?)
}

/// Parses ISO 8601: `2026-11-21T21:13:40+01:00`, `…40.123456Z`, `…40Z`.
pub(super) fn iso8601(text: &[u8]) -> Option<i64> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let (date, time) = date_time.split_at(10);
    let zone = match rest {
        [b'.', fraction @ ..] => {
            let digits = fraction
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            &fraction[digits..]
        }
        zone => zone,
    };
    let offset = if zone == b"Z" { 0 } else { offset(zone)? };
    let time = time.strip_prefix(b"T")?;
    Some(date_of(date)? + second_of_day(time)? - offset)
}

/// Parses `2026-11-21` and `21:13:40` of CloudFront, which are UTC.
pub(super) fn date_and_time(date: &[u8], time: &[u8]) -> Option<i64> {
    Some(date_of(date)? + second_of_day(time)?)
}

fn date_of(text: &[u8]) -> Option<i64> {
    let separators = text.len() == 10 && text[4] == b'-' && text[7] == b'-';
    separators.then(|| {
        day(
            number(&text[..4])?,
            number(&text[5..7])?,
            number(&text[8..])?,
        )
    })?
}

fn day(year: u32, month: u32, day: u32) -> Option<i64> {
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    Some(date.and_time(NaiveTime::MIN).and_utc().timestamp())
}

/// Parses `21:13:40`. A leap second belongs to the minute that it ends.
fn second_of_day(text: &[u8]) -> Option<i64> {
    let separators = text.len() == 8 && text[2] == b':' && text[5] == b':';
    let (hour, minute, second) = separators.then(|| {
        Some((
            number(&text[..2])?,
            number(&text[3..5])?,
            number(&text[6..])?,
        ))
    })??;
    let is_time = hour < 24 && minute < 60 && second <= 60;
    is_time.then(|| i64::from(hour * 3600 + minute * 60 + second.min(59)))
}

/// Parses `+0100` and `+01:00` to seconds.
fn offset(text: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match text {
        [sign, h1, h2, m1, m2] | [sign, h1, h2, b':', m1, m2] => (sign, [*h1, *h2], [*m1, *m2]),
        _ => return None,
    };
    let (hours, minutes) = (number(&hours)?, number(&minutes)?);
    let seconds = (hours < 24 && minutes < 60).then(|| i64::from(hours * 3600 + minutes * 60))?;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

fn month(name: &[u8]) -> Option<u32> {
    const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let index = MONTHS.chunks(3).position(|month| month == name)?;
    u32::try_from(index + 1).ok()
}

/// Parses one to nine decimal digits.
pub(super) fn number(digits: &[u8]) -> Option<u32> {
    let is_short = !digits.is_empty() && digits.len() <= 9;
    is_short.then(|| {
        digits.iter().try_fold(0, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + u32::from(digit - b'0'))
        })
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_a_moment_are_equal() {
        let at = Some(1_795_295_620);
        for text in [
            "21/Nov/2026:21:13:40 +0000",
            "21/Nov/2026:22:13:40 +0100",
            "21/Nov/2026:17:43:40 -0330",
        ] {
            assert_eq!(common(text.as_bytes()), at, "{text}");
        }
        for text in [
            "2026-11-21T21:13:40Z",
            "2026-11-21T21:13:40.999999Z",
            "2026-11-21T22:13:40+01:00",
            "2026-11-21T22:13:40+0100",
        ] {
            assert_eq!(iso8601(text.as_bytes()), at, "{text}");
        }
        assert_eq!(date_and_time(b"2026-11-21", b"21:13:40"), at);
        assert_eq!(
            common(b"31/Dec/2016:23:59:60 +0000"),
            common(b"31/Dec/2016:23:59:59 +0000")
        );
    }

    #[test]
    fn a_malformed_time_is_refused() {
        for text in [
            "",
            "21/Nov/2026:21:13:40",
            "31/Feb/2026:21:13:40 +0000",
            "21/Nov/2026:24:13:40 +0000",
            "21/NOV/2026:21:13:40 +0000",
            "2x/Nov/2026:21:13:40 +0000",
            "21/Nov/2026:21:13:40 00000",
        ] {
            assert_eq!(common(text.as_bytes()), None, "{text}");
        }
        for text in [
            "2026-11-21",
            "2026-11-21T21:13:40",
            "2026-13-21T21:13:40Z",
            "2026-11-21 21:13:40Z",
            "é",
        ] {
            assert_eq!(iso8601(text.as_bytes()), None, "{text}");
        }
    }
}

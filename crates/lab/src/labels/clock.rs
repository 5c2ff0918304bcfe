//! Times as tools for flows and alerts write them. What is written stands for an interval: `3/7/2017 8:55` is a
//! whole minute, `08:55:58` a second, six decimals a microsecond.

/// What is said to users of the forms that [`written`] reads.
pub(crate) const TIME: &str = "a time such as 3/7/2017 8:55, 03/07/2017 08:55:58 AM, 2017-07-03 11:55:58.250000 or 2017-07-03T11:55:58Z";

const SECOND_NS: i64 = 1_000_000_000;

/// The first and last ns since the UNIX epoch that a date and time stand for. Dates with slashes have the day
/// first. A time without a zone is that of a clock `offset_s` seconds ahead of UTC.
pub(crate) fn written(text: &str, offset_s: i32) -> Option<(i64, i64)> {
    let (day, time) = text.trim().split_once([' ', 'T'])?;
    let days = if day.contains('/') { slashed(day)? } else { dashed(day)? };
    let (time, offset_s) = zoned(time.trim(), offset_s)?;
    let (first, span) = of_day(time)?;
    let seconds = days.checked_mul(86_400)?.checked_sub(i64::from(offset_s))?;
    let first = seconds.checked_mul(SECOND_NS)?.checked_add(first)?;
    Some((first, first.checked_add(span - 1)?))
}

/// Seconds that a clock is ahead of UTC: `-3h`, `+5:30`, `-0300`, `90m`, `0`.
#[must_use]
pub fn offset(text: &str) -> Option<i32> {
    let (sign, size) = match text.as_bytes().first()? {
        b'-' => (-1, text.get(1..)?),
        b'+' => (1, text.get(1..)?),
        _ => (1, text),
    };
    let seconds = if let Some(hours) = size.strip_suffix('h') {
        number(hours, 2)?.checked_mul(3600)?
    } else if let Some(minutes) = size.strip_suffix('m') {
        number(minutes, 4)?.checked_mul(60)?
    } else if size == "0" {
        0
    } else {
        let (hours, minutes) = match size.split_once(':') {
            Some(parts) => parts,
            None if size.len() == 4 => size.split_at_checked(2)?,
            None => return None,
        };
        number(hours, 2)? * 3600 + number(minutes, 2).filter(|minutes| *minutes < 60)? * 60
    };
    (seconds <= 86_400).then(|| i32::try_from(sign * seconds).ok())?
}

/// The time without its zone, and the zone's seconds ahead of UTC.
fn zoned(time: &str, offset_s: i32) -> Option<(&str, i32)> {
    if let Some(time) = time.strip_suffix('Z') {
        return Some((time, 0));
    }
    match time.find(['+', '-']) {
        Some(place) => Some((time.get(..place)?, offset(time.get(place..)?)?)),
        None => Some((time, offset_s)),
    }
}

/// Ns since midnight, and for how many ns what is written stands.
fn of_day(time: &str) -> Option<(i64, i64)> {
    let upper = time.to_ascii_uppercase();
    let (time, afternoon) = match (upper.strip_suffix("AM"), upper.strip_suffix("PM")) {
        (Some(time), _) => (time.trim_end(), Some(false)),
        (_, Some(time)) => (time.trim_end(), Some(true)),
        _ => (upper.as_str(), None),
    };
    let mut parts = time.splitn(3, ':');
    let hour = hour(number(parts.next()?, 2)?, afternoon)?;
    let minute = number(parts.next()?, 2).filter(|minute| *minute < 60)?;
    let start = (hour * 3600 + minute * 60) * SECOND_NS;
    let Some(second) = parts.next() else { return Some((start, 60 * SECOND_NS)) };
    let (second, decimals) = second.split_once('.').unwrap_or((second, ""));
    let second = number(second, 2).filter(|second| *second < 60)?;
    let span = 10_i64.checked_pow(9_u32.checked_sub(u32::try_from(decimals.len()).ok()?)?)?;
    let fraction = if decimals.is_empty() { 0 } else { number(decimals, 9)? * span };
    Some((start + second * SECOND_NS + fraction, span))
}

fn hour(hour: i64, afternoon: Option<bool>) -> Option<i64> {
    match afternoon {
        None => (hour < 24).then_some(hour),
        Some(afternoon) => (1..=12).contains(&hour).then_some(hour % 12 + if afternoon { 12 } else { 0 }),
    }
}

fn slashed(day: &str) -> Option<i64> {
    let mut parts = day.splitn(3, '/');
    let (day, month) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    days(number(parts.next()?, 4)?, month, day)
}

fn dashed(day: &str) -> Option<i64> {
    let mut parts = day.splitn(3, '-');
    let (year, month) = (number(parts.next()?, 4)?, number(parts.next()?, 2)?);
    days(year, month, number(parts.next()?, 2)?)
}

/// Days since 1970-01-01: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !((1970..=2261).contains(&year) && (1..=12).contains(&month) && (1..=longest).contains(&day)) {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

/// Digits only, at most `longest` of them.
fn number(text: &str, longest: usize) -> Option<i64> {
    let digits = (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::rfc3339;

    fn read(text: &str, offset_s: i32) -> Option<(String, i64)> {
        written(text, offset_s).map(|(first, last)| (rfc3339(first), last - first + 1))
    }

    #[test]
    fn every_form_stands_for_its_interval() {
        for (text, expected, span) in [
            ("3/7/2017 8:55", "2017-07-03T08:55:00.000000Z", 60 * SECOND_NS),
            ("03/07/2017 08:55:58", "2017-07-03T08:55:58.000000Z", SECOND_NS),
            ("03/07/2017 08:55:58 PM", "2017-07-03T20:55:58.000000Z", SECOND_NS),
            ("29/02/2016 12:00 am", "2016-02-29T00:00:00.000000Z", 60 * SECOND_NS),
            ("2017-07-07 13:39:36.267908", "2017-07-07T13:39:36.267908Z", 1000),
            ("2021-06-06T15:59:46.457984+0200", "2021-06-06T13:59:46.457984Z", 1000),
            ("2021-06-06T15:59:46.5Z", "2021-06-06T15:59:46.500000Z", SECOND_NS / 10),
            ("2000-03-01 00:00:00-03:30", "2000-03-01T03:30:00.000000Z", SECOND_NS),
        ] {
            assert_eq!(read(text, 0), Some((expected.to_owned(), span)), "{text}");
        }
        assert_eq!(read("3/7/2017 8:55", -3 * 3600).unwrap().0, "2017-07-03T11:55:00.000000Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "today",
            "31/02/2017 8:55",
            "7/13/2017 8:55",
            "3/7/2017",
            "3/7/17 8:55",
            "3/7/2017 24:00",
            "3/7/2017 13:00 PM",
            "3/7/2017 8:60",
            "2017-07-03 08:55:58.1234567890",
            "2017-07-03 08:55:58.",
            "9999-01-01 00:00:00",
            "2017-07-03 08:55:+1",
            "é/7/2017 8:55",
            "2017-07-03T08:55:58+é",
        ] {
            let found = written(text, 0);
            assert!(found.is_none() || text.ends_with("58."), "{text}: {found:?}");
        }
    }

    #[test]
    fn offsets_have_a_sign_and_a_unit() {
        for (text, seconds) in [
            ("-3h", Some(-10_800)),
            ("+5:30", Some(19_800)),
            ("-0300", Some(-10_800)),
            ("90m", Some(5400)),
            ("0", Some(0)),
            ("-15h", Some(-54_000)),
            ("3", None),
            ("25h", None),
            ("", None),
            ("é", None),
            ("1é:0", None),
        ] {
            assert_eq!(offset(text), seconds, "{text}");
        }
    }
}

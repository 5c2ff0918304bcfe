//! Times of foreign tables: numbers since the UNIX epoch in any of four units, exact to their last digit, and dates.

use crate::labels::clock::{TIME, written};

use super::columns::Fault;

const SECOND_NS: i128 = 1_000_000_000;

/// What a number of a time column counts since the UNIX epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

impl Unit {
    /// `s`, `ms`, `us` or `ns`.
    pub(super) fn of(word: &str) -> Option<Self> {
        match word {
            "s" => Some(Self::Seconds),
            "ms" => Some(Self::Milliseconds),
            "us" => Some(Self::Microseconds),
            "ns" => Some(Self::Nanoseconds),
            _ => None,
        }
    }

    fn ns(self) -> i128 {
        match self {
            Self::Seconds => SECOND_NS,
            Self::Milliseconds => 1_000_000,
            Self::Microseconds => 1000,
            Self::Nanoseconds => 1,
        }
    }

    /// The unit in which a number is a date from 1970 to 5138 (3e9 s is the year 2065).
    fn likely(whole: i128) -> Self {
        match whole.unsigned_abs() {
            0..100_000_000_000 => Self::Seconds,
            100_000_000_000..100_000_000_000_000 => Self::Milliseconds,
            100_000_000_000_000..100_000_000_000_000_000 => Self::Microseconds,
            _ => Self::Nanoseconds,
        }
    }
}

/// How the times of a column are written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    /// What numbers count; by their size when not stated.
    pub(super) unit: Option<Unit>,
    /// Whether hours from 1 to 7 are afternoons: CIC-IDS2017 was captured from 08:00 to 17:10, and its published tables
    /// write hours of a 12-hour clock without saying which half of the day.
    pub(super) afternoons: bool,
}

impl Clock {
    /// The time in ns since the UNIX epoch.
    ///
    /// # Errors
    /// [`Fault`] for what is no time.
    pub(super) fn read(self, text: &str) -> Result<i64, Fault> {
        let fault = || Fault::new(format!("a number since 1970 or {TIME}"), text);
        if let Some((whole, fraction, digits)) = number(text) {
            let unit = self.unit.unwrap_or_else(|| Unit::likely(whole)).ns();
            let ns = whole * unit + fraction * unit / 10_i128.pow(digits);
            return i64::try_from(ns).map_err(|_| fault());
        }
        let date_only = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') && text.len() == 10;
        let midnight = format!("{text} 00:00:00");
        let (first, _) = written(if date_only { &midnight } else { text }, 0).ok_or_else(fault)?;
        Ok(if self.afternoons && is_small_hour(text) {
            first.saturating_add((12 * 3600 * SECOND_NS) as i64)
        } else {
            first
        })
    }
}

/// Whether a slashed date has an hour from 1 to 7 that says no half of the day.
pub(super) fn is_small_hour(text: &str) -> bool {
    let Some((day, time)) = text.trim().split_once(' ') else { return false };
    let hour = time.trim().split(':').next().and_then(|hour| hour.parse::<u8>().ok());
    let half = time.trim_end().to_ascii_uppercase();
    day.contains('/')
        && hour.is_some_and(|hour| (1..=7).contains(&hour))
        && !half.ends_with("AM")
        && !half.ends_with("PM")
}

/// A decimal number as its whole part, the digits after the point, and how many those are: floats would round the
/// microseconds of today's dates.
fn number(text: &str) -> Option<(i128, i128, u32)> {
    let (negative, size) = text.strip_prefix('-').map_or((false, text), |size| (true, size));
    let (whole, fraction) = size.split_once('.').unwrap_or((size, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 20 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let fraction = fraction.get(..fraction.len().min(12))?;
    let sign = if negative { -1 } else { 1 };
    let digits = if fraction.is_empty() { 0 } else { fraction.parse::<i128>().ok()? };
    Some((sign * whole.parse::<i128>().ok()?, sign * digits, u32::try_from(fraction.len()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, unit: Option<Unit>) -> Option<i64> {
        Clock { unit, afternoons: false }.read(text).ok()
    }

    #[test]
    fn numbers_have_the_unit_of_their_size_and_keep_every_digit() {
        let ns = 1_537_522_822_965_530_123;
        for text in
            ["1537522822.965530123", "1537522822965.530123", "1537522822965530.123", "1537522822965530123"]
        {
            assert_eq!(read(text, None), Some(ns), "{text}");
        }
        assert_eq!(read("-1.5", None), Some(-1_500_000_000));
        assert_eq!(read("5", Some(Unit::Milliseconds)), Some(5_000_000));
        assert_eq!(read("1540469303", None), Some(1_540_469_303_000_000_000));
    }

    #[test]
    fn dates_are_read_and_what_is_no_time_is_not() {
        assert_eq!(read("1970-01-02", None), Some(86_400_000_000_000));
        assert_eq!(read("1970-01-01T00:00:01.25Z", None), Some(1_250_000_000));
        for text in ["", "-", ".5", "1e9", "soon", "99999999999999999999", "2017-13-01", "é017-01-01"] {
            assert_eq!(read(text, None), None, "{text}");
        }
    }

    #[test]
    fn small_hours_of_slashed_dates_are_afternoons_where_asked() {
        let clock = Clock { unit: None, afternoons: true };
        let hour = |text: &str| clock.read(text).unwrap() / 3_600_000_000_000 % 24;
        assert_eq!(hour("3/7/2017 1:55"), 13);
        assert_eq!(hour("3/7/2017 8:55"), 8);
        assert_eq!(hour("3/7/2017 12:55"), 12);
        assert_eq!(hour("3/7/2017 1:55 AM"), 1);
        assert_eq!(hour("2017-07-03 01:55:00"), 1);
    }
}

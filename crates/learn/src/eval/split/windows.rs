//! Splits that follow the clock: before and after a date, and a window that moves on.

use super::{Argument, Fold, Rows, all, missing};
use crate::LearnError;

const NS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// A window that moves further than this many times is refused.
const MOST_WINDOWS: i128 = 1000;

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Span {
    /// Percent of the time from the first row to the last.
    Percent(f64),
    /// Nanoseconds.
    Length(i64),
}

/// The lengths of a moving window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// What is learnt from.
    pub train: Span,
    /// What is skipped, as a model is never younger than the time it takes to label and train.
    pub gap: Span,
    /// What is held out, and how far the window moves.
    pub test: Span,
}

pub(super) const DEFAULT: Window =
    Window { train: Span::Percent(40.0), gap: Span::Percent(0.0), test: Span::Percent(10.0) };

const UNITS: [(&str, i64); 4] = [("d", SECONDS_PER_DAY), ("h", 3600), ("m", 60), ("s", 1)];

impl Span {
    fn parse(text: &str) -> Option<Self> {
        if let Some(percent) = text.strip_suffix('%') {
            return percent.parse().ok().filter(|share| (0.0..100.0).contains(share)).map(Self::Percent);
        }
        let (number, seconds) =
            UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)))?;
        let number: u32 = number.parse().ok()?;
        i64::from(number).checked_mul(seconds * NS_PER_SECOND).map(Self::Length)
    }

    /// In ns, when all rows span `all` ns.
    fn of(self, all: i128) -> i128 {
        match self {
            Self::Percent(percent) => (all as f64 * (percent / 100.0)).round() as i128,
            Self::Length(ns) => i128::from(ns),
        }
    }

    fn is_zero(self) -> bool {
        matches!(self, Self::Length(0)) || matches!(self, Self::Percent(percent) if percent == 0.0)
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Length(ns) => {
                let whole = |&&(_, seconds): &&(&str, i64)| ns % (seconds * NS_PER_SECOND) == 0;
                let (unit, seconds) = UNITS.iter().find(whole).unwrap_or(&UNITS[3]);
                write!(f, "{}{unit}", ns / (seconds * NS_PER_SECOND))
            }
        }
    }
}

impl Window {
    /// Reads `train+gap+test`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let spans: Vec<Span> = text.split('+').map(Span::parse).collect::<Option<_>>()?;
        let [train, gap, test] = spans.try_into().ok()?;
        (!train.is_zero() && !test.is_zero()).then_some(Self { train, gap, test })
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}+{}+{}", self.train, self.gap, self.test)
    }
}

/// Learns from what was before the moment; the moment itself is held out.
pub(super) fn cutoff(argument: &Argument, rows: &Rows<'_>, _: u64) -> Result<Vec<Fold>, LearnError> {
    let times = times(rows)?;
    let Argument::Moment(Some(at)) = argument else { return Ok(Vec::new()) };
    let (train, test) = all(rows).into_iter().partition(|&row| times[row] < *at);
    Ok(vec![Fold { train, test }])
}

/// One fold per place of the window; places without rows to learn from or to test are passed over. The last window
/// takes the last row, so that none after the first train and gap goes untested.
pub(super) fn sliding_window(argument: &Argument, rows: &Rows<'_>, _: u64) -> Result<Vec<Fold>, LearnError> {
    let times = times(rows)?;
    let Argument::Window(window) = argument else { return Ok(Vec::new()) };
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else { return Ok(Vec::new()) };
    let (first, last) = (i128::from(*first), i128::from(*last));
    let all_time = last - first;
    let [train, gap, test] = [window.train, window.gap, window.test].map(|span| span.of(all_time));
    if test == 0 || all_time / test > MOST_WINDOWS {
        return Err(LearnError::Data(format!(
            "split sliding-window:{window}: a test part of {test} ns would move more than {MOST_WINDOWS} times over {all_time} ns; make it longer"
        )));
    }
    let within = |from: i128, to: i128| -> Vec<usize> {
        let inside = |row: &usize| (from..to).contains(&i128::from(times[*row]));
        all(rows).into_iter().filter(inside).collect()
    };
    let starts = (0..).map(|step| first + step * test).take_while(|start| start + train + gap < last);
    let fold = |start: i128| {
        let tested = start + train + gap;
        // Shares rarely divide all time evenly: what is left after the last whole window is its own only if it has length.
        let end = if tested + test >= last { last + 1 } else { tested + test };
        Fold { train: within(start, start + train), test: within(tested, end) }
    };
    Ok(starts.map(fold).filter(|fold| !fold.train.is_empty() && !fold.test.is_empty()).collect())
}

fn times<'r>(rows: &'r Rows<'_>) -> Result<&'r [i64], LearnError> {
    rows.times.as_deref().ok_or_else(|| missing("times", "give the table a column of role time"))
}

/// `YYYY-MM-DD`, `YYYY-MM-DDTHH:MM` or `YYYY-MM-DDTHH:MM:SS` (a blank for the `T` and a closing `Z` are taken), UTC, as
/// ns since the epoch.
pub(super) fn parse_moment(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
    let date: Vec<i64> = date.split('-').map(digits).collect::<Option<_>>()?;
    let time: Vec<i64> = time.split(':').map(digits).collect::<Option<_>>()?;
    let [year, month, day] = date.try_into().ok()?;
    let (hour, minute, second) = match time[..] {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let exists = (1..=12).contains(&month)
        && (1..=9999).contains(&year)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let seconds = days_from_civil(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    exists.then(|| seconds.checked_mul(NS_PER_SECOND)).flatten()
}

fn digits(text: &str) -> Option<i64> {
    let sound = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    sound.then(|| text.parse().ok()).flatten()
}

/// What [`parse_moment`] reads; whole seconds.
pub(super) fn moment_text(ns: i64) -> String {
    let seconds = ns.div_euclid(NS_PER_SECOND);
    let (days, second) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn days_of(year: i64, month: i64) -> i64 {
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_from_civil(next_year, next_month, 1) - days_from_civil(year, month, 1)
}

/// Days since 1970-01-01 of a date of the Gregorian calendar (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::super::Split;
    use super::*;

    fn at(times: Vec<i64>) -> Rows<'static> {
        let rows = times.len();
        Rows { labels: vec![Some(false); rows], families: vec![None; rows], groups: None, times: Some(times) }
    }

    fn folds(text: &str, rows: &Rows<'_>) -> Vec<(Vec<usize>, Vec<usize>)> {
        let folds = Split::parse(text).unwrap().folds(rows, 0).unwrap();
        folds.into_iter().map(|fold| (fold.train, fold.test)).collect()
    }

    #[test]
    fn dates_are_read_and_written() {
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2017-07-05 12:30", 1_499_257_800),
            ("1969-12-31T23:59:59", -1),
        ] {
            assert_eq!(parse_moment(text), Some(seconds * NS_PER_SECOND), "{text}");
            assert_eq!(parse_moment(&moment_text(seconds * NS_PER_SECOND)), Some(seconds * NS_PER_SECOND));
        }
        for bad in [
            "",
            "2017",
            "2017-13-01",
            "2017-02-29",
            "2017-1-1T24:00",
            "yesterday",
            "2017-01-01T1",
            "9999-01-01",
        ] {
            assert_eq!(parse_moment(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_moment_itself_is_held_out() {
        let rows = at([5, 1, 3, 3, 9].map(|second| second * NS_PER_SECOND).to_vec());
        assert_eq!(folds("cutoff:1970-01-01T00:00:03", &rows), [(vec![1], vec![0, 2, 3, 4])]);
        assert!(Split::parse("cutoff").unwrap_err().to_string().contains("a date such as"));
        assert!(Split::parse("cutoff:1980-01-01").unwrap().folds(&rows, 0).is_err(), "nothing to test on");
    }

    #[test]
    fn a_window_moves_by_its_test_part_and_tests_the_last_row() {
        let rows = at((0..=10).map(|second| second * NS_PER_SECOND).collect());
        let expected = [(vec![0, 1, 2, 3], vec![5, 6, 7]), (vec![3, 4, 5, 6], vec![8, 9, 10])];
        assert_eq!(folds("sliding-window:4s+1s+3s", &rows), expected);
        assert_eq!(folds("sliding-window:40%+10%+30%", &rows), expected);
        let all = folds("sliding-window:40%+0%+10%", &rows);
        assert_eq!((all.len(), &all[5]), (6, &(vec![5, 6, 7, 8], vec![9, 10])));
        for (text, error) in [
            ("1s+0s+1s+1s", "train+gap+test"),
            ("0%+0%+5%", "train+gap+test"),
            ("1x+1s+1s", "train+gap+test"),
        ] {
            let text = format!("sliding-window:{text}");
            assert!(Split::parse(&text).unwrap_err().to_string().contains(error));
        }
        let year = at(vec![0, 365 * SECONDS_PER_DAY * NS_PER_SECOND]);
        assert!(Split::parse("sliding-window:1d+0s+1s").unwrap().folds(&year, 0).is_err());
        assert_eq!(
            Split::parse("sliding-window:7d+90m+36h").unwrap().to_string(),
            "sliding-window:7d+90m+36h"
        );
    }
}

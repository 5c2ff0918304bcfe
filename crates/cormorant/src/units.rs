//! Numbers as people read them: thousands apart, sizes in binary units, shares, rates, dates.

use anyhow::{Result, bail};
use cormorant_lab::time::rfc3339;

const SIZES: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// `1234567` → `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `count(1, "flow")` → `1 flow`; `2` → `2 flows`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// `3_670_016` → `3.5 MiB`.
pub(crate) fn bytes(number: u64) -> String {
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < SIZES.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{number} B") } else { format!("{value:.1} {}", SIZES[unit]) }
}

/// A share in percent with as many digits as it deserves; a share of nothing is `-`.
pub(crate) fn share(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { percent(part as f64 / whole as f64) }
}

/// `0.0312` → `3.1 %`. Only exact 0 and 1 are shown as 0 % and 100 %.
pub(crate) fn percent(ratio: f64) -> String {
    match ratio * 100.0 {
        value if value.is_nan() => "-".to_owned(),
        value if value > 0.0 && value < 0.05 => "<0.1 %".to_owned(),
        value if value > 99.9 && value < 100.0 => ">99.9 %".to_owned(),
        value if value == value.round() => format!("{value:.0} %"),
        value => format!("{value:.1} %"),
    }
}

/// A metric between 0 and 1 to three decimals; `-` when it does not exist.
pub(crate) fn metric(value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

/// Things per second, rounded to what can be read at a glance: `1.2 M`, `48 k`, `730`.
pub(crate) fn rate(number: u64, seconds: f64) -> String {
    let per_s = number as f64 / seconds.max(1e-9);
    match per_s {
        value if value >= 9.95e5 => format!("{:.1} M", value / 1e6),
        value if value >= 9.95e3 => format!("{:.0} k", value / 1e3),
        value if value >= 100.0 => count(value.round() as u64),
        value => format!("{value:.1}"),
    }
}

/// A duration: `0.03 s`, `12.4 s`, `10 min 3 s`, `3 h 20 min`, `2 d 5 h`.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match seconds {
        s if s < 1.0 => format!("{s:.2} s"),
        s if s < 59.95 => format!("{s:.1} s"),
        s if s < 3_599.5 => format!("{} min {} s", whole / 60, whole % 60),
        s if s < 86_370.0 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// `2026-11-02 08:00:01 UTC` from nanoseconds since the UNIX epoch.
pub(crate) fn date_time(ns: i64) -> String {
    let text = rfc3339(ns);
    // Every time in nanoseconds that fits has a year of four digits, so the parts are where they always are.
    format!("{} {} UTC", &text[..10], &text[11..19])
}

/// A size as people type it: `128MiB`, `1G`, `64 kB`, `1000000`. `K`, `M`, `G`, `T` alone are binary, like `KiB`; `kB` is 1000.
pub(crate) fn parse_bytes(text: &str) -> Result<u64> {
    let trimmed = text.trim();
    let split = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => bail!("expected a size such as 128MiB, 1GiB or 1000000"),
    };
    match number.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok((value * factor as f64) as u64),
        _ => bail!("expected a size such as 128MiB, 1GiB or 1000000"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_sizes_read_well() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0, 1023, 1024, 3_670_016, 1 << 40].map(bytes),
            ["0 B", "1023 B", "1.0 KiB", "3.5 MiB", "1.0 TiB"]
        );
        assert_eq!([counted(1, "flow"), counted(0, "flow")], ["1 flow", "0 flows"]);
    }

    #[test]
    fn shares_are_never_rounded_to_all_or_nothing() {
        assert_eq!([share(0, 9), share(9, 9), share(1, 0)], ["0 %", "100 %", "-"]);
        assert_eq!([share(1, 100_000), share(99_999, 100_000), share(1, 3)], ["<0.1 %", ">99.9 %", "33.3 %"]);
    }

    #[test]
    fn rates_and_durations_keep_what_matters() {
        assert_eq!(
            [rate(2_400_000, 2.0), rate(48_000, 1.0), rate(730, 1.0), rate(5, 2.0)],
            ["1.2 M", "48 k", "730", "2.5"]
        );
        assert_eq!(
            [0.031, 12.44, 603.0, 12_000.0, 190_000.0].map(duration),
            ["0.03 s", "12.4 s", "10 min 3 s", "3 h 20 min", "2 d 4 h"]
        );
    }

    #[test]
    fn dates_are_civil_on_both_sides_of_the_epoch() {
        assert_eq!(date_time(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(date_time(1_709_164_800_000_000_000), "2024-02-29 00:00:00 UTC");
        assert_eq!(date_time(i64::MIN), "1677-09-21 00:12:43 UTC");
        assert_eq!(date_time(-1), "1969-12-31 23:59:59 UTC");
        assert_eq!(date_time(1_700_000_000_000_000_000), "2023-11-14 22:13:20 UTC");
    }

    #[test]
    fn sizes_are_read_as_typed() {
        let sizes = ["128MiB", "1G", "64 kB", "1000000", "1.5GiB"].map(|text| parse_bytes(text).unwrap());
        assert_eq!(sizes, [128 << 20, 1 << 30, 64_000, 1_000_000, 3 << 29]);
        assert!(["", "MiB", "12 parsecs", "-1", "1e3"].iter().all(|text| parse_bytes(text).is_err()));
    }
}

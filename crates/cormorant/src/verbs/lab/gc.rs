//! `cormorant lab gc`: removes the files that nothing refers to any more.

use anyhow::Result;
use clap::{Args, FromArgMatches};

use super::super::Verb;
use crate::clock::now_ns;
use crate::edge::Edge;
use crate::failure::Exit;
use crate::units::{bytes, count, counted};

pub(super) static VERB: Verb = Verb {
    name: "gc",
    about: "Remove files that nothing in the lab refers to any more",
    notes: "\
A file is put before the row that refers to it, so young files are left alone;
--grace says what is young.",
    example: &["cormorant lab gc --grace 7d"],
    args: Typed::augment_args,
    run: |matches, edge| run(&Typed::from_arg_matches(matches)?, edge),
};

#[derive(Args)]
struct Typed {
    /// Leave files alone that were put within this time, such as 30m, 24h or 7d
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = time_ns)]
    grace: i64,
}

fn run(typed: &Typed, edge: &Edge) -> Result<Exit> {
    let report = edge.lab()?.gc(now_ns(), typed.grace, &edge.ctx)?;
    edge.show(&report, |page| {
        let (files, size) = (counted(report.swept.removed, "file"), bytes(report.swept.removed_bytes));
        page.heading(format!("{}: {files} removed ({size})", report.lab));
        page.pairs(&[
            ("kept", format!("{} that rows refer to", count(report.swept.kept))),
            ("young", format!("{} that nothing refers to yet", count(report.swept.young))),
            ("left over", format!("{} of processes that were killed", count(report.leftovers))),
        ]);
    })?;
    Ok(Exit::Fine)
}

fn time_ns(text: &str) -> Result<i64, &'static str> {
    const WANTED: &str = "expected a time such as 90s, 30m, 24h or 7d";
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds: i64 = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(WANTED),
    };
    let ns = number.parse::<i64>().ok().and_then(|number| number.checked_mul(seconds * 1_000_000_000));
    ns.ok_or(WANTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(time_ns("0"), Ok(0));
        assert_eq!(time_ns("90s"), Ok(90_000_000_000));
        assert_eq!(time_ns("7d"), Ok(7 * 86_400_000_000_000));
        assert!(["", "d", "-1d", "1.5h", "1w", "99999999999d"].iter().all(|text| time_ns(text).is_err()));
    }
}

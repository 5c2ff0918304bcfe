//! `cormorant hunt`: the flows a model finds malicious, strongest first, each with its reasons.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, FromArgMatches};
use cormorant_lab::tasks::hunt::{self, Alert, DecoyGrade, FamilyGrade, Grade, Report, Spec, Truth};

use super::{Verb, inputs, parts};
use crate::edge::Edge;
use crate::failure::Exit;
use crate::terminal::{Grid, Page, Span, Tone, span};
use crate::units::{count, date_time, duration, rate};

pub(super) static VERB: Verb = Verb {
    name: "hunt",
    about: "Rank the flows of a capture by how malicious a model finds them, with reasons",
    notes: "\
The exit code is 3 when there are alerts. With --labels the alerts are graded:
what was caught, what was missed, and the false alarms.",
    example: &[
        "cormorant extract samples/learn.pcapng --labels samples/learn.labels.csv -o learn.parquet",
        "cormorant train learn.parquet -m random-forest -o hunter.corm",
        "cormorant hunt samples/hunt.pcapng -m hunter.corm --labels samples/hunt.labels.csv",
    ],
    args: Typed::augment_args,
    run: |matches, edge| run(Typed::from_arg_matches(matches)?, edge),
};

/// Reasons shown of an alert.
const REASONS: usize = 3;

#[derive(Args)]
struct Typed {
    /// Captures, directories of them, - for standard input, or an interface; tables work as well
    #[arg(required = true, value_name = "CAPTURE|IFACE")]
    inputs: Vec<PathBuf>,
    /// The model file
    #[arg(short, long, value_name = "M.corm")]
    model: PathBuf,
    /// Label rules, or another form of labels (docs/labels.md), to grade the alerts with
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Alerts to explain, strongest first
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// Another threshold than the model's own
    #[arg(long, value_name = "SCORE", value_parser = inputs::score)]
    threshold: Option<f64>,
    #[command(flatten)]
    traffic: inputs::Traffic,
}

fn run(typed: Typed, edge: &Edge) -> Result<Exit> {
    let Typed { inputs, model, labels, top, threshold, traffic } = typed;
    let spec = Spec { inputs, reading: traffic.reading(), model, labels, top, threshold };
    let report = hunt::run(&spec, &traffic.context(edge))?;
    edge.show(&report, |page| draw(page, &report, edge.watch.seconds()))?;
    let exit = edge.tell(&report.faults);
    Ok(if report.alerts_total > 0 { Exit::Alerts } else { exit })
}

fn draw(page: &mut Page, report: &Report, seconds: f64) {
    page.heading(format!("{} of {} flows are alerts", count(report.alerts_total), count(report.flows)));
    let mut pairs = vec![
        ("model", format!("{}, threshold {:.4}", report.model, report.threshold)),
        ("time", format!("{} ({} flows/s)", duration(seconds), rate(report.flows, seconds))),
    ];
    pairs.extend(report.counts.iter().flat_map(|counts| parts::counts(counts, seconds)));
    page.pairs(&pairs);
    alerts(page, &report.alerts, report.grade.is_some());
    if let Some(grade) = &report.grade {
        graded(page, grade);
    }
    parts::notes(page, &report.notes);
}

/// Alerts with who, when, score and reasons; when there are labels, what they say is shown last, for grading alone.
pub(super) fn alerts(page: &mut Page, alerts: &[Alert], labelled: bool) {
    if alerts.is_empty() {
        return;
    }
    page.heading(match alerts.len() {
        1 => "The strongest alert".to_owned(),
        several => format!("The {several} strongest alerts"),
    });
    for alert in alerts {
        page.blank();
        let lasted = duration(alert.last_ns.saturating_sub(alert.first_ns) as f64 / 1e9);
        let when = format!(
            "{} for {lasted}, packets {} to {}",
            date_time(alert.first_ns),
            alert.first_packet,
            alert.last_packet
        );
        page.line([
            span(Tone::Bad, format!("{:>3}  {:.3}", alert.rank, alert.score)),
            span(Tone::Strong, format!("  {}", ends(alert))),
        ]);
        page.prose(5, Tone::Faint, &when);
        if alert.similar > 0 {
            page.prose(5, Tone::Plain, &more(alert.similar));
        }
        alert.reasons.iter().take(REASONS).for_each(|reason| page.hanging(["     - ".into()], &reason.text));
        page.line(verdicts(alert, labelled));
    }
}

fn more(similar: u64) -> String {
    let alerts = if similar == 1 { "alert" } else { "alerts" };
    format!("and {} more {alerts} of this source to the same host or service", count(similar))
}

/// `10.0.0.5:51022 -> 10.0.1.3:22 tcp`
fn ends(alert: &Alert) -> String {
    let end = |address: &str, port: u64| match (alert.protocol.as_str(), address.contains(':')) {
        ("tcp" | "udp", true) => format!("[{address}]:{port}"),
        ("tcp" | "udp", false) => format!("{address}:{port}"),
        _ => address.to_owned(),
    };
    let (from, to) = (end(&alert.source, alert.source_port), end(&alert.destination, alert.destination_port));
    format!("{from} -> {to} {}", alert.protocol)
}

fn verdicts(alert: &Alert, labelled: bool) -> Vec<Span> {
    let mut line = vec![span(Tone::Faint, format!("     {}", alert.community_id))];
    if let Some(guess) = &alert.family {
        line.push(format!("  looks like {} ({:.0} %)", guess.family, guess.probability * 100.0).into());
    }
    if labelled {
        line.extend([span(Tone::Faint, "  truth: "), truth(alert.truth.as_ref())]);
    }
    line
}

fn truth(truth: Option<&Truth>) -> Span {
    match truth {
        None => span(Tone::Faint, "not labelled"),
        Some(truth) if truth.label == "malicious" => {
            span(Tone::Good, if truth.family.is_empty() { "malicious" } else { &truth.family })
        }
        Some(truth) => {
            span(Tone::Bad, format!("benign {}", truth.family).trim_end().to_owned() + ", a false alarm")
        }
    }
}

fn graded(page: &mut Page, grade: &Grade) {
    page.heading(format!("Held against {} labelled flows", count(grade.flows_labelled)));
    page.grid(&families(&grade.families));
    if !grade.decoys.is_empty() {
        page.blank();
        page.grid(&decoys(&grade.decoys));
    }
    page.blank();
    page.line(balance(grade.hits, grade.missed, grade.false_alarms, grade.passed));
    parts::metrics(page, &grade.metrics, None);
}

/// `caught 45 of 60 malicious, 3 false alarms on 900 benign flows`
pub(super) fn balance(hits: u64, missed: u64, false_alarms: u64, passed: u64) -> Vec<Span> {
    vec![
        span(Tone::Strong, format!("caught {} of {} malicious flows", count(hits), count(hits + missed))),
        ", ".into(),
        parts::unwanted(false_alarms),
        format!(" false alarms on {} benign ones", count(false_alarms + passed)).into(),
    ]
}

fn families(grades: &[FamilyGrade]) -> Grid {
    let mut grid = Grid::new(&["family", ">flows", ">caught", ">missed", ""]);
    for grade in grades {
        grid.row([
            grade.family.clone().into(),
            count(grade.flows).into(),
            count(grade.hits).into(),
            parts::unwanted(grade.missed),
            parts::unseen(grade.seen),
        ]);
    }
    grid
}

fn decoys(grades: &[DecoyGrade]) -> Grid {
    let mut grid = Grid::new(&["benign activity", "looks like", ">flows", ">false alarms"]);
    for grade in grades {
        grid.row([
            grade.activity.clone().into(),
            grade.decoy_of.clone().into(),
            count(grade.flows).into(),
            parts::unwanted(grade.false_alarms),
        ]);
    }
    grid
}

#[cfg(test)]
mod tests {
    use cormorant_lab::tasks::hunt::Reason;

    use super::*;
    use crate::terminal::Look;

    fn alert(source: &str, protocol: &str) -> Alert {
        let reason = "backward payload 120 B is lower than 98 % of benign flows, and this sentence goes on so that it must wrap";
        Alert {
            rank: 1,
            score: 0.9876,
            capture: "x.pcap".into(),
            time: String::new(),
            first_ns: 1_700_000_000_000_000_000,
            last_ns: 1_700_000_001_500_000_000,
            source: source.into(),
            source_port: 40_000,
            destination: "2001:db8::2".into(),
            destination_port: 22,
            protocol: protocol.into(),
            community_id: "1:abc".into(),
            flow_id: "00".into(),
            first_packet: 7,
            last_packet: 9,
            similar: 3,
            family: None,
            reasons: vec![Reason {
                text: reason.into(),
                feature: "bwd_payload".into(),
                value: Some(120.0),
                unit: "bytes".into(),
                percentile: Some(2.0),
                contribution: Some(0.21),
            }],
            truth: Some(Truth {
                label: "benign".into(),
                family: "poller".into(),
                note: "decoy-of:beacon".into(),
            }),
        }
    }

    fn shown(alert: Alert, labelled: bool) -> String {
        let mut page = Page::new(Look { columns: 80, colour: false, terminal: false });
        alerts(&mut page, &[alert], labelled);
        page.into_text()
    }

    #[test]
    fn an_alert_tells_when_who_and_why() {
        let text = shown(alert("2001:db8::1", "tcp"), true);
        assert_eq!(
            text,
            "\
The strongest alert

  1  0.988  [2001:db8::1]:40000 -> [2001:db8::2]:22 tcp
     2023-11-14 22:13:20 UTC for 1.5 s, packets 7 to 9
     and 3 more alerts of this source to the same host or service
     - backward payload 120 B is lower than 98 % of benign flows, and this
       sentence goes on so that it must wrap
     1:abc  truth: benign poller, a false alarm
"
        );
    }

    #[test]
    fn without_labels_nothing_is_said_of_the_truth() {
        assert!(!shown(alert("10.0.0.1", "icmp"), false).contains("truth"));
        assert!(shown(alert("10.0.0.1", "icmp"), false).contains("10.0.0.1 -> 2001:db8::2 icmp"));
    }

    #[test]
    fn a_hostile_family_stays_text() {
        let mut hostile = alert("10.0.0.1", "tcp");
        hostile.truth =
            Some(Truth { label: "malicious".into(), family: "\u{1b}[2J".into(), note: String::new() });
        assert!(shown(hostile, true).contains(r"\u{1b}[2J"));
    }
}

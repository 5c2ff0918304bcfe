//! `published`: faults of data sets everyone uses, known by the names of their columns: KDD'99 and NSL-KDD, and tables of
//! CICFlowMeter (CIC-IDS2017 and its kin). The faults of the tool are in `docs/cic.md`, all of them in `docs/lint.md`.

use super::{Check, Finding, Severity, View, names, share};
use crate::LearnError;
use crate::table::Column;

/// The line of the table.
pub(super) static CHECK: Check = Check {
    name: "published",
    doc: "Known faults of KDD'99, NSL-KDD and tables of CICFlowMeter (CIC-IDS2017 and its kin), by the names of their columns.",
    run,
};

/// A fault of a column (or of two) of a known data set.
struct Fault {
    /// Distinct name.
    kind: &'static str,
    severity: Severity,
    /// Names of columns, squeezed ([`names::squeezed`]); each is looked at alone.
    columns: &'static [&'static str],
    /// Whether the values show the fault; the second column is that of [`Fault::beside`].
    shows: fn(&Column, Option<&Column>) -> bool,
    /// A column the fault shows beside, squeezed.
    beside: &'static [&'static str],
    /// What is wrong.
    what: &'static str,
    advice: &'static str,
}

const LEAVE_OUT: &str = "Leave the column out, or meter the captures again with a tool that fills it.";

static KDD: &[Fault] = &[
    Fault {
        kind: "kdd-never-filled",
        severity: Severity::Warning,
        columns: &["numoutboundcmds", "ishostlogin"],
        shows: |column, _| all(column, |x| x == 0.0),
        beside: &[],
        what: "is 0 in every row of KDD'99's 10 % set: it says nothing here, and in the whole set next to nothing",
        advice: "Leave the column out.",
    },
    Fault {
        kind: "kdd-flag-not-binary",
        severity: Severity::Warning,
        columns: &["suattempted"],
        shows: |column, _| any(column, |x| x != 0.0 && x != 1.0),
        beside: &[],
        what: "is documented as 0 or 1, but holds 2 as well",
        advice: "Treat every value above 0 as 1.",
    },
    Fault {
        kind: "kdd-land",
        severity: Severity::Note,
        columns: &["land"],
        shows: |column, _| any(column, |x| x == 1.0) && part(column, |x| x == 1.0) < 0.001,
        beside: &[],
        what: "is 1 for the attack of the same name and hardly ever else: the column is that attack's definition",
        advice: "Do not count `land` among what a model found.",
    },
    Fault {
        kind: "kdd-capped",
        severity: Severity::Note,
        columns: &["count", "srvcount", "dsthostcount", "dsthostsrvcount"],
        shows: |column, _| {
            let most = (0..column.len()).map(|row| column.number(row)).fold(0.0, f64::max);
            (most == 511.0 || most == 255.0) && part(column, |x| x == most) > 0.1
        },
        beside: &[],
        what: "stands at its cap in many rows: floods reach it, and what lies above cannot be told",
        advice: "Flows metered by other windows need the same caps (511 within 2 s, 255 within 100 connections) to be scored.",
    },
];

static CIC: &[Fault] = &[
    Fault {
        kind: "cic-never-filled",
        severity: Severity::Warning,
        columns: &[
            "fwdpshflags",
            "bwdpshflags",
            "fwdurgflags",
            "bwdurgflags",
            "cweflagcount",
            "cwrflagcount",
            "eceflagcount",
            "urgflagcount",
            "fwdavgbytesbulk",
            "fwdavgpacketsbulk",
            "fwdavgbulkrate",
            "bwdavgbytesbulk",
            "bwdavgpacketsbulk",
            "bwdavgbulkrate",
            "fwdbytesbulkavg",
            "fwdpacketbulkavg",
            "fwdbulkrateavg",
        ],
        shows: |column, _| all(column, |x| x == 0.0),
        beside: &[],
        what: "is 0 in every row: CICFlowMeter looks at a flow's first packet only for flags, and takes forward bulks for backward ones",
        advice: LEAVE_OUT,
    },
    Fault {
        kind: "cic-flags-of-first-packet",
        severity: Severity::Warning,
        columns: &["finflagcount", "synflagcount", "rstflagcount", "pshflagcount", "ackflagcount"],
        shows: |column, _| any(column, |x| x == 1.0) && all(column, |x| x == 0.0 || x == 1.0),
        beside: &[],
        what: "is called a count but is 0 or 1: early versions of CICFlowMeter look at the first packet only",
        advice: LEAVE_OUT,
    },
    Fault {
        kind: "cic-header-twice",
        severity: Severity::Warning,
        columns: &["fwdheaderlength1"],
        shows: |column, other| other.is_some_and(|other| equal(column, other)),
        beside: &["fwdheaderlength"],
        what: "repeats `Fwd Header Length`: CICFlowMeter writes that column twice",
        advice: "Leave one of the two out.",
    },
    Fault {
        kind: "cic-segment-is-mean",
        severity: Severity::Note,
        columns: &["avgfwdsegmentsize", "fwdsegmentsizeavg", "avgbwdsegmentsize", "bwdsegmentsizeavg"],
        shows: |column, other| other.is_some_and(|other| equal(column, other)),
        beside: &["fwdpacketlengthmean", "bwdpacketlengthmean"],
        what: "repeats the mean packet length of its direction under another name",
        advice: "Leave one of the two out.",
    },
    Fault {
        kind: "cic-packet-counted-twice",
        severity: Severity::Warning,
        columns: &["averagepacketsize", "packetsizeavg", "pktsizeavg"],
        shows: |column, other| other.is_some_and(|other| !equal(column, other)),
        beside: &["packetlengthmean", "pktlenmean"],
        what: "should equal the mean packet length and does not: the first packet of each flow entered the sums twice",
        advice: LEAVE_OUT,
    },
    Fault {
        kind: "cic-infinite-rate",
        severity: Severity::Error,
        columns: &["flowbytess", "flowpacketss", "flowbytss", "flowpktss"],
        shows: |column, _| any(column, |x| !x.is_finite()),
        beside: &[],
        what: "is infinite or missing where the duration is 0",
        advice: "Set it to 0 or leave those rows out; many published results silently did one or the other.",
    },
    Fault {
        kind: "cic-negative",
        severity: Severity::Error,
        columns: &[
            "flowduration",
            "flowbytess",
            "flowpacketss",
            "flowiatmean",
            "flowiatmax",
            "flowiatmin",
            "fwdiatmin",
            "bwdiatmin",
            "fwdheaderlength",
            "bwdheaderlength",
            "fwdheaderlength1",
            "minsegsizeforward",
            "fwdsegsizemin",
        ],
        shows: |column, _| any(column, |x| x < 0.0),
        beside: &[],
        what: "is negative in some rows: packets out of order give negative times, and header lengths ran over",
        advice: "Leave these rows out, or meter the captures again.",
    },
    Fault {
        kind: "cic-no-window",
        severity: Severity::Warning,
        columns: &[
            "initwinbytesforward",
            "initwinbytesbackward",
            "fwdinitwinbytes",
            "bwdinitwinbytes",
            "initfwdwinbyts",
            "initbwdwinbyts",
        ],
        shows: |column, _| any(column, |x| x == -1.0),
        beside: &[],
        what: "is -1 where no window was seen (UDP, or no packet that way), which is next to a window of 0 as a number; the backward one is the last window, not the first",
        advice: "Make -1 missing.",
    },
    Fault {
        kind: "cic-microseconds",
        severity: Severity::Note,
        columns: &[
            "activemean",
            "activemax",
            "activemin",
            "idlemean",
            "idlemax",
            "idlemin",
            "flowduration",
            "durat",
        ],
        shows: |column, _| any(column, |x| x > 1e6),
        beside: &[],
        what: "is in microseconds; active and idle times are also updated twice a packet and leave out the last period",
        advice: "Divide by 1,000,000 before comparing with tables in seconds; do not trust active and idle times.",
    },
    Fault {
        kind: "cic-subflows",
        severity: Severity::Warning,
        columns: &["subflowfwdpackets", "subflowfwdpkts", "subflowbwdpackets", "subflowbwdpkts"],
        shows: |column, other| {
            let degenerate = part(column, |x| x == 0.0 || x == 1.0) > 0.999 && column.len() >= 20;
            degenerate || other.is_some_and(|other| equal(column, other))
        },
        beside: &["totalfwdpackets", "totalfwdpacket", "totalbackwardpackets", "totalbwdpackets"],
        what: "repeats the packets of its direction or is 0 or 1: a misplaced parenthesis breaks the count of subflows",
        advice: LEAVE_OUT,
    },
    Fault {
        kind: "cic-integer-ratio",
        severity: Severity::Note,
        columns: &["downupratio"],
        shows: |column, _| any(column, |x| x > 0.0) && all(column, |x| x.fract() == 0.0),
        beside: &[],
        what: "is a whole number in every row: the ratio was divided as integers",
        advice: "Compute it again from the packets of both directions.",
    },
];

fn run(view: &View<'_>) -> Result<Vec<Finding>, LearnError> {
    let named: Vec<(String, &str, &Column)> = view
        .features
        .iter()
        .filter(|(_, column)| !matches!(column, Column::Text(_) | Column::List(_)) && column.len() > 1)
        .map(|(field, column)| (names::squeezed(&field.name), field.name.as_str(), *column))
        .collect();
    let known = |name: &str| named.iter().any(|(squeezed, _, _)| squeezed == name);
    let mut faults: Vec<&Fault> = Vec::new();
    // one column's name may be chance; two are the data set
    if known("dsthostsrvcount") && known("srcbytes") {
        faults.extend(KDD);
    }
    if known("flowduration") && (known("flowiatmean") || known("flowbytess")) {
        faults.extend(CIC);
    }
    let mut findings = Vec::new();
    for fault in faults {
        view.ctx.check()?;
        findings.extend(look(fault, &named));
    }
    Ok(findings)
}

/// One finding for all columns that show a fault.
fn look(fault: &Fault, named: &[(String, &str, &Column)]) -> Option<Finding> {
    let direction = |name: &str| if name.contains("bwd") || name.contains("backward") { 1 } else { 0 };
    let shows = |(squeezed, _, column): &&(String, &str, &Column)| {
        let beside = named.iter().find(|(other, _, _)| {
            fault.beside.contains(&other.as_str()) && direction(other) == direction(squeezed)
        });
        fault.columns.contains(&squeezed.as_str())
            && (fault.shows)(column, beside.map(|(_, _, column)| *column))
    };
    let columns: Vec<&str> = named.iter().filter(shows).map(|(_, name, _)| *name).collect();
    if columns.is_empty() {
        return None;
    }
    let each = if columns.len() > 1 { "each of " } else { "" };
    let list: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
    Some(
        Finding::new(&CHECK, fault.kind, fault.severity)
            .of_columns(columns.iter().copied())
            .figure("columns", columns.len() as f64)
            .says(format!("{each}{} {}", super::listed(&list), fault.what), fault.advice),
    )
}

fn any(column: &Column, is: impl Fn(f64) -> bool) -> bool {
    (0..column.len()).any(|row| is(column.number(row)))
}

fn all(column: &Column, is: impl Fn(f64) -> bool) -> bool {
    (0..column.len()).all(|row| is(column.number(row)))
}

fn part(column: &Column, is: impl Fn(f64) -> bool) -> f64 {
    share((0..column.len()).filter(|&row| is(column.number(row))).count(), column.len())
}

/// Whether two columns are equal but for rounding.
fn equal(a: &Column, b: &Column) -> bool {
    (0..a.len()).all(|row| {
        let (a, b) = (a.number(row), b.number(row));
        (a - b).abs() <= 1e-6 * a.abs().max(b.abs()) || (a.is_nan() && b.is_nan()) || a == b
    })
}

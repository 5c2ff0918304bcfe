//! Arguments that several verbs share: which traffic, how an interface is listened to, when flows end, parameters.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use cormorant_lab::Ctx;
use cormorant_lab::extraction::FlowOptions;
use cormorant_lab::reading::Reading;
use cormorant_lab::tables::Naming;

use crate::edge::Edge;
use crate::units::parse_bytes;

/// Captures to read.
#[derive(Args)]
pub(super) struct Captures {
    /// Captures (pcap or pcapng, also .gz, .zst or .xz), directories or patterns of them, - for standard input, or an interface
    #[arg(required = true, value_name = "CAPTURE|IFACE")]
    pub(super) captures: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) traffic: Traffic,
}

/// Whose column names a table has, by the name of the tool.
pub(super) fn naming() -> impl TypedValueParser<Value = Naming> {
    let find = |typed: String| Naming::ALL.into_iter().find(|naming| naming.name() == typed);
    PossibleValuesParser::new(Naming::ALL.map(Naming::name)).map(move |typed| find(typed).unwrap_or_default())
}

/// What of captures is read, and where its packets are kept.
#[derive(Args)]
#[command(next_help_heading = "Which packets")]
pub(super) struct Traffic {
    /// Keep the packets that are read in this .pcapng file
    #[arg(long, value_name = "X.pcapng", value_parser = no_stream)]
    write: Option<PathBuf>,
    #[command(flatten)]
    packets: Packets,
}

/// Which packets are read, and how an interface is listened to.
#[derive(Args)]
#[command(next_help_heading = "Which packets")]
pub(super) struct Packets {
    /// Only packets that match this expression in the language of tcpdump, such as 'tcp port 443'
    #[arg(short, long, value_name = "EXPR")]
    filter: Option<String>,
    /// At most this many packets, after the filter
    #[arg(long, value_name = "N", value_parser = count_above_0)]
    packets: Option<u64>,
    #[command(flatten)]
    listening: Listening,
}

/// How an interface is listened to.
#[derive(Args)]
#[command(next_help_heading = "From an interface")]
struct Listening {
    /// End after this many seconds; Ctrl-C ends a capture as well
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<f64>,
    /// Bytes taken of each packet [default: all]
    #[arg(long, value_name = "BYTES", value_parser = count_above_0)]
    snaplen: Option<u64>,
    /// Memory for packets that wait to be read, such as 64MiB [default: 32MiB]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    ring: Option<u64>,
    /// Do not ask for packets that are addressed to others
    #[arg(long)]
    no_promiscuous: bool,
    /// User to become once the interface is open, when started as root [default: who called sudo]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

impl Captures {
    /// What of them is read.
    pub(super) fn reading(&self) -> Reading {
        self.traffic.reading()
    }

    /// The context of a task that reads them.
    pub(super) fn context(&self, edge: &Edge) -> Ctx {
        self.traffic.context(edge)
    }
}

impl Traffic {
    /// As the lab wants it.
    pub(super) fn reading(&self) -> Reading {
        Reading { keep: self.write.clone(), ..self.packets.reading() }
    }

    /// The context of a task that reads it.
    pub(super) fn context(&self, edge: &Edge) -> Ctx {
        self.packets.context(edge)
    }
}

impl Packets {
    /// As the lab wants it.
    pub(super) fn reading(&self) -> Reading {
        let Listening { snaplen, ring, no_promiscuous, user, .. } = &self.listening;
        Reading {
            filter: self.filter.clone(),
            packets: self.packets,
            snaplen_bytes: snaplen.map(|bytes| u32::try_from(bytes).unwrap_or(u32::MAX)),
            ring_bytes: ring.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
            not_promiscuous: *no_promiscuous,
            user: user.clone(),
            ..Reading::default()
        }
    }

    /// The context of a task that reads them, which ends an interface when its time has come.
    pub(super) fn context(&self, edge: &Edge) -> Ctx {
        edge.context_for(self.listening.duration)
    }
}

/// When flows end.
#[derive(Args)]
pub(super) struct Timeouts {
    /// Seconds without a packet that end a flow
    #[arg(long, value_name = "SECONDS", default_value_t = FlowOptions::default().idle_s, value_parser = seconds)]
    idle_timeout: f64,
    /// Seconds after which a long flow is cut and goes on as another row
    #[arg(long, value_name = "SECONDS", default_value_t = FlowOptions::default().active_s, value_parser = seconds)]
    active_timeout: f64,
    /// Seconds without a packet that end a TCP flow whose handshake is not complete
    #[arg(long, value_name = "SECONDS", default_value_t = FlowOptions::default().half_open_s, value_parser = seconds)]
    half_open_timeout: f64,
    /// Seconds without a packet that end a TCP flow after it was closed
    #[arg(long, value_name = "SECONDS", default_value_t = FlowOptions::default().close_s, value_parser = seconds)]
    close_delay: f64,
}

impl Timeouts {
    /// As the lab wants them.
    pub(super) fn options(&self) -> FlowOptions {
        FlowOptions {
            idle_s: self.idle_timeout,
            active_s: self.active_timeout,
            half_open_s: self.half_open_timeout,
            close_s: self.close_delay,
        }
    }
}

/// `name=value`, as typed after `-p`; the last value of a name counts.
pub(super) fn parameters(typed: &[String]) -> Result<BTreeMap<String, String>> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(anyhow!("-p takes name=value, such as -p trees=200; found `{text}`")),
    };
    typed.iter().map(pair).collect()
}

/// A whole number of at least 1.
pub(super) fn count_above_0(text: &str) -> Result<u64, &'static str> {
    text.parse().ok().filter(|count| *count > 0).ok_or("expected a whole number of at least 1")
}

/// A file: standard output is for rows and reports.
fn no_stream(text: &str) -> Result<PathBuf, &'static str> {
    if text == "-" {
        Err("expected a file; `cormorant capture -o -` writes packets to a pipe")
    } else {
        Ok(text.into())
    }
}

/// A score to compare with.
pub(super) fn score(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|score: &f64| score.is_finite()).ok_or("expected a number such as 0.5")
}

fn seconds(text: &str) -> Result<f64, &'static str> {
    let positive = |seconds: &f64| seconds.is_finite() && *seconds > 0.0;
    text.parse().ok().filter(positive).ok_or("expected seconds above 0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_names_and_values() {
        let typed = ["trees=200".to_owned(), "depth = 3".to_owned(), "trees=7".to_owned()];
        assert_eq!(
            parameters(&typed).unwrap(),
            BTreeMap::from([("trees".into(), "7".into()), ("depth".into(), "3".into())])
        );
        assert!(parameters(&["=3".to_owned()]).is_err());
        assert!(parameters(&["trees".to_owned()]).unwrap_err().to_string().contains("-p trees=200"));
    }

    #[test]
    fn timeouts_are_positive() {
        assert_eq!(seconds("0.5"), Ok(0.5));
        assert!(["0", "-1", "inf", "NaN", "soon"].iter().all(|text| seconds(text).is_err()));
    }
}

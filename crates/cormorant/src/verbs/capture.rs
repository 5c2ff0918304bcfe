//! `cormorant capture`: packets of an interface, or of a capture, to files of their own.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, FromArgMatches};
use cormorant_lab::reading::{KeepRotation, Reading};
use cormorant_lab::tasks::capture::{self, Report, Spec};

use super::inputs::{Packets, count_above_0};
use super::{Verb, parts};
use crate::edge::Edge;
use crate::failure::Exit;
use crate::terminal::{Look, Page};
use crate::units::{bytes, count, counted, date_time, duration, parse_bytes, rate};

pub(super) static VERB: Verb = Verb {
    name: "capture",
    about: "Write the packets of an interface to pcapng files; or those of a file that match a filter",
    notes: "\
Interfaces: `cormorant list interfaces`; `any` is all of them. Opening one needs
the capability CAP_NET_RAW (run it with sudo, or once:
sudo setcap cap_net_raw+ep $(command -v cormorant)); it is given up at once,
and with sudo the files belong to you.
Ctrl-C ends a capture in order. Packets are on disk after a second at the
latest, so that a killed capture can be read. With a rotation X.pcapng becomes
X-000001.pcapng, X-000002.pcapng and so on, each complete by itself.",
    example: &["cormorant capture samples/hunt.pcapng -f 'udp port 53' -o dns.pcapng"],
    args: Typed::augment_args,
    run: |matches, edge| run(Typed::from_arg_matches(matches)?, edge),
};

#[derive(Args)]
struct Typed {
    /// An interface, a capture file, or - for standard input
    #[arg(value_name = "IFACE|CAPTURE")]
    source: PathBuf,
    /// Where the packets go: a .pcapng file, or - for standard output
    #[arg(short, long, value_name = "X.pcapng")]
    output: PathBuf,
    /// Begin another file before one is larger than this, such as 100MiB
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    rotate_size: Option<u64>,
    /// Begin another file after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = count_above_0)]
    rotate_every: Option<u64>,
    /// Files kept of a rotation; older ones are deleted
    #[arg(long, value_name = "N", value_parser = count_above_0)]
    keep: Option<u64>,
    #[command(flatten)]
    packets: Packets,
}

fn run(typed: Typed, edge: &Edge) -> Result<Exit> {
    let to_stdout = typed.output == Path::new("-");
    if to_stdout && edge.json {
        bail!("-o - and --json both want standard output; give -o a file, or leave --json out");
    }
    if to_stdout && Look::of_stdout().terminal {
        bail!("packets would fill the terminal; give -o a file, or send standard output to a program");
    }
    let rotation = rotation(&typed)?;
    let reading = Reading { keep: Some(typed.output), rotation, ..typed.packets.reading() };
    let report = capture::run(&Spec { source: typed.source, reading }, &typed.packets.context(edge))?;
    edge.show_beside(to_stdout, &report, |page| draw(page, &report, edge.watch.seconds()))?;
    Ok(edge.tell(&report.faults))
}

fn rotation(typed: &Typed) -> Result<KeepRotation> {
    let rotation = KeepRotation {
        file_bytes: typed.rotate_size,
        file_s: typed.rotate_every,
        files: typed.keep.map(|files| usize::try_from(files).unwrap_or(usize::MAX)),
    };
    match rotation {
        KeepRotation { file_bytes: None, file_s: None, files: Some(_) } => {
            bail!("--keep is for the files of a rotation; add --rotate-size or --rotate-every")
        }
        rotation => Ok(rotation),
    }
}

fn draw(page: &mut Page, report: &Report, seconds: f64) {
    page.heading(format!(
        "{} from {} in {}",
        counted(report.packets, "packet"),
        report.source,
        duration(seconds)
    ));
    page.pairs(&summary(report));
}

fn summary(report: &Report) -> Vec<parts::Pair> {
    let mut pairs = vec![("bytes", wire_bytes(report))];
    if let (Some(first), Some(last)) = (report.first_ns, report.last_ns) {
        let seconds = last.saturating_sub(first) as f64 / 1e9;
        pairs.push(("time", format!("{} to {}", date_time(first), date_time(last))));
        if seconds > 0.0 {
            let rates = (rate(report.packets, seconds), rate(report.bytes * 8, seconds));
            pairs.push((
                "duration",
                format!("{}: {} packets/s, {} bit/s", duration(seconds), rates.0, rates.1),
            ));
        }
    }
    pairs.extend(parts::unread(&report.unread));
    pairs.push(("files", files(report)));
    pairs
}

fn wire_bytes(report: &Report) -> String {
    match report.captured_bytes == report.bytes {
        true => bytes(report.bytes),
        false => format!("{} on the wire, {} captured", bytes(report.bytes), bytes(report.captured_bytes)),
    }
}

/// `x.pcapng, 3.2 MiB`, or `x-000001.pcapng to x-000009.pcapng, 3.2 MiB in 9 files`.
fn files(report: &Report) -> String {
    let size = bytes(report.file_bytes);
    match report.files.as_slice() {
        [] => format!("standard output, {size}"),
        [file] if report.files_written == 1 => format!("{}, {size}", file.display()),
        [file] => format!("{}, the last of {}, {size}", file.display(), count(report.files_written)),
        [first, .., last] => {
            let all = format!("{size} in {}", counted(report.files_written, "file"));
            format!("{} to {}, {all}", first.display(), last.display())
        }
    }
}

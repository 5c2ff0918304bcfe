//! Feature set `networkml-session`: one row per host and bin of time, with the 4,104 features of NetworkML 0.4.

use super::original::Original;
use super::tally;
use super::windows::Windows;
use crate::NetError;
use crate::features::frames::{Extractor, FrameSet, SetOption};
use crate::features::{ColumnKind, RowField, RowKind, SetSpec};

pub(super) const NAME: &str = "networkml-session";

/// The set, as [`crate::features::frames::FRAME_SETS`] lists it.
pub static SET: FrameSet = FrameSet {
    name: NAME,
    doc: "What kind of device a host is, from the ports and protocols of its sessions in 15 minutes: the 4,104 features \
          of NetworkML 0.4 (https://github.com/faucetsdn/NetworkML, tags up to v0.4.8), one row per host and bin. \
          `:compat` gives the values of v0.4.0, faults included, for its own models. Without it: a row for every \
          private address at its MAC address that sent (v0.4.0 has one, the source of the capture: the pair of \
          addresses in most sessions); a session belongs to the hosts whose addresses it has (v0.4.0 gives all \
          sessions of a MAC address to the source); sessions of the first 120 s count; bins lie on a fixed grid from \
          the first frame on (v0.4.0 begins one at the first packet after the last has ended); packets of equal \
          time and ends are all kept (in v0.4.0 the last replaces the first); the protocol is read from the IP \
          header, behind VLAN tags, in IPv6 and in tunnels too (v0.4.0 reads byte 23 of the frame), ICMPv6 counts as \
          ICMP, ports behind extension headers count, later fragments begin no session, and two protocols between \
          the same ports are two sessions; a role without sessions adds nothing to the denominators (v0.4.0 counts \
          one session there); private is what IANA's registries say, loopback and link-local included (v0.4.0 \
          compares text: 10., 192.168., 172.16. to 172.31., fe80:, fd).",
    kind: RowKind::Host,
    options: &[
        SetOption {
            name: "compat",
            value: None,
            doc: "the values of NetworkML 0.4.0, faults included; without the rows it makes of empty bins in training",
        },
        SetOption {
            name: "public",
            value: None,
            doc: "with :compat the source of the capture may be a public address, as with POSEIDON_PUBLIC_SESSIONS",
        },
        SetOption {
            name: "skip",
            value: Some("SECONDS"),
            doc: "with :compat ignore sessions that begin no later than this after the first packet; default 120",
        },
        SetOption {
            name: "window",
            value: Some("SECONDS"),
            doc: "length of a bin; default 900, and 0 is the whole capture",
        },
    ],
    fields,
    open,
};

const IDENTITY: [(&str, &str, ColumnKind, &str); 7] = [
    ("host_mac", "", ColumnKind::Text, "MAC address of the host; empty on links without."),
    ("address", "", ColumnKind::Text, "IP address of the host."),
    (
        "other_ips",
        "",
        ColumnKind::Text,
        "Private addresses it had sessions with, with a space between; empty without.",
    ),
    (
        "first_ns",
        "ns",
        ColumnKind::I64,
        "Time of the first packet of its sessions in this bin since the UNIX epoch; with `:compat` of all sessions in it.",
    ),
    (
        "last_ns",
        "ns",
        ColumnKind::I64,
        "Time of the last packet of its sessions in this bin since the UNIX epoch; with `:compat` of all sessions in it.",
    ),
    (
        "packets",
        "1",
        ColumnKind::U64,
        "Packets of its sessions in this bin; with `:compat` of all sessions in it.",
    ),
    ("sessions", "1", ColumnKind::U64, "Sessions it initiated and sessions it received in this bin."),
];

fn fields(spec: &SetSpec) -> Result<Option<Vec<RowField>>, NetError> {
    numbers(spec)?;
    let identity = IDENTITY.map(|(name, unit, kind, doc)| RowField {
        name: name.to_owned(),
        unit,
        doc,
        identity: true,
        kind,
    });
    Ok(Some(identity.into_iter().chain(tally::fields()).collect()))
}

/// Seconds of a bin and of the time that is skipped.
fn numbers(spec: &SetSpec) -> Result<(f64, f64), NetError> {
    let number = |name, otherwise: f64| Ok::<_, NetError>(spec.number(name, 0.0, 1e9)?.unwrap_or(otherwise));
    Ok((number("window", 900.0)?, number("skip", 120.0)?))
}

fn open(spec: &SetSpec, mem_bytes: u64) -> Result<Box<dyn Extractor>, NetError> {
    let (window, skip) = numbers(spec)?;
    if spec.has("compat") {
        return Ok(Box::new(Original::new(spec.has("public"), window, skip, mem_bytes)));
    }
    Ok(Box::new(Windows::new(window, mem_bytes)))
}

/// Bytes that an entry of a hash table occupies: the table doubles, and is at most 7/8 full.
pub(super) fn entry_bytes<K, V>() -> u64 {
    3 * size_of::<(K, V)>() as u64
}

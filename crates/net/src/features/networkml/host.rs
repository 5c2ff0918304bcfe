//! Feature set `networkml-host`: one row per host (a MAC address), with the columns of NetworkML 0.7.0.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use super::dissect::{Seen, TCP, UDP, dissect, is_group, mac_text};
use super::private::is_private;
use super::row::{self, Host, Sample};
use crate::NetError;
use crate::capture::Frame;
use crate::features::frames::{Extractor, FrameSet, Outbox, SetOption};
use crate::features::{ColumnKind, RowField, RowKind, SetSpec};
use crate::packet::Decoded;

const NAME: &str = "networkml-host";

/// The set, as [`crate::features::frames::FRAME_SETS`] lists it.
pub static SET: FrameSet = FrameSet {
    name: NAME,
    doc: "What kind of device a host is (printer, server, workstation): sizes, gaps, flags, ports and protocols of its \
          frames, as NetworkML 0.7.0 (https://github.com/faucetsdn/NetworkML) computes them per MAC address; its \
          `tshark_` is left off the names. `:compat` gives NetworkML's values, bugs included. Without it: a row for \
          every unicast address that sent (NetworkML takes one host of a capture); ports of IPv6 count; a VLAN tag \
          alone makes no frame non-IP, ARP behind it neither; ::1 stays IPv6; gaps are those of the host's own \
          direction, not of the whole file; the bits of the IP flags have their own names (mf, df, reserved); the \
          traffic class of IPv6 counts as dsfield; frames without address are no distinct address.",
    kind: RowKind::Host,
    options: &[
        SetOption {
            name: "compat",
            value: None,
            doc: "NetworkML's own values, bugs included, for its own model",
        },
        SetOption {
            name: "all",
            value: None,
            doc: "with :compat one row per unicast MAC address instead of the one NetworkML takes for the capture's",
        },
        SetOption {
            name: "window",
            value: Some("SECONDS"),
            doc: "rows per window of this length from the first frame on; 0, the default, is the whole capture",
        },
    ],
    fields,
    open,
};

fn identity(name: &str, unit: &'static str, doc: &'static str, kind: ColumnKind) -> RowField {
    RowField { name: name.to_owned(), unit, doc, identity: true, kind }
}

fn fields(spec: &SetSpec) -> Result<Option<Vec<RowField>>, NetError> {
    window_ns(spec)?;
    let mut fields = vec![
        identity("host_mac", "", "MAC address of the host, NetworkML's host_key.", ColumnKind::Text),
        identity(
            "srcips",
            "",
            "IP addresses in frames the host sent, with a space between; empty without.",
            ColumnKind::Text,
        ),
        identity("first_ns", "ns", "Time of the host's first frame since the UNIX epoch.", ColumnKind::I64),
        identity("last_ns", "ns", "Time of the host's last frame since the UNIX epoch.", ColumnKind::I64),
        identity("packets", "1", "Frames the host sent or received.", ColumnKind::U64),
    ];
    fields.extend(row::fields(spec.has("compat")));
    Ok(Some(fields))
}

fn window_ns(spec: &SetSpec) -> Result<i64, NetError> {
    Ok((spec.number("window", 0.0, 1e9)?.unwrap_or(0.0) * 1e9) as i64)
}

fn open(spec: &SetSpec, mem_bytes: u64) -> Result<Box<dyn Extractor>, NetError> {
    Ok(Box::new(Hosts {
        compat: spec.has("compat"),
        all: spec.has("all"),
        window_ns: window_ns(spec)?,
        mem_bytes,
        ..Hosts::default()
    }))
}

#[derive(Default)]
struct Hosts {
    compat: bool,
    all: bool,
    /// 0 = the whole capture.
    window_ns: i64,
    started_ns: Option<i64>,
    previous_ns: Option<i64>,
    hosts: BTreeMap<u64, Host>,
    packets: u64,
    used_bytes: u64,
    mem_bytes: u64,
}

impl Extractor for Hosts {
    fn frame(
        &mut self,
        frame: &Frame<'_>,
        _: &Decoded,
        out: &mut Outbox<'_>,
    ) -> Result<Option<&'static str>, NetError> {
        let since = frame.ts_ns.saturating_sub(self.previous_ns.unwrap_or(frame.ts_ns));
        self.previous_ns = Some(frame.ts_ns);
        self.turn(frame.ts_ns, out)?;
        let Some(seen) = dissect(frame) else { return Ok(Some("no Ethernet header")) };
        self.packets += 1;
        let sample = if self.compat { as_networkml(&seen, frame, since) } else { as_meant(&seen, frame) };
        self.add(seen.source, &sample, true);
        if seen.destination != seen.source {
            self.add(seen.destination, &sample, false);
        }
        if self.used_bytes > self.mem_bytes {
            return Err(NetError::TooLong { set: NAME, packets: self.packets, mem_bytes: self.mem_bytes });
        }
        Ok(None)
    }

    fn finish(&mut self, out: &mut Outbox<'_>) -> Result<(), NetError> {
        let hosts = std::mem::take(&mut self.hosts);
        self.used_bytes = 0;
        let chosen = (self.compat && !self.all).then(|| canonical(&hosts));
        for (mac, host) in &hosts {
            let wanted = match chosen {
                Some(chosen) => chosen == Some(*mac),
                None => self.compat || !host.sources.is_empty(),
            };
            if wanted {
                write(*mac, host, self.compat, out)?;
            }
        }
        Ok(())
    }
}

impl Hosts {
    /// Ends the window when this time is past it.
    fn turn(&mut self, ts_ns: i64, out: &mut Outbox<'_>) -> Result<(), NetError> {
        let started = *self.started_ns.get_or_insert(ts_ns);
        let elapsed = ts_ns.saturating_sub(started);
        if self.window_ns > 0 && elapsed >= self.window_ns {
            self.started_ns = Some(ts_ns.saturating_sub(elapsed % self.window_ns));
            self.finish(out)?;
        }
        Ok(())
    }

    fn add(&mut self, mac: u64, sample: &Sample<'_>, sent: bool) {
        if is_group(mac) {
            return;
        }
        let held = self.hosts.len();
        self.used_bytes += self.hosts.entry(mac).or_default().add(sample, sent);
        self.used_bytes += ((self.hosts.len() - held) * (size_of::<Host>() + 64)) as u64;
    }
}

/// The sender with the fewest source addresses, the smallest MAC of equals: NetworkML's idea of the capture's host.
fn canonical(hosts: &BTreeMap<u64, Host>) -> Option<u64> {
    let senders = hosts.iter().filter(|(_, host)| !host.sources.is_empty());
    senders.min_by_key(|(mac, host)| (host.sources.len(), **mac)).map(|(mac, _)| *mac)
}

fn write(mac: u64, host: &Host, compat: bool, out: &mut Outbox<'_>) -> Result<(), NetError> {
    let addresses = host.sources.iter().flatten().map(IpAddr::to_string).collect::<Vec<_>>().join(" ");
    out.row(|row| {
        row.text(&mac_text(mac));
        row.text(&addresses);
        row.i64(host.first_ns);
        row.i64(host.last_ns);
        row.u64(host.packets);
        host.write(compat, row);
    })
}

fn as_networkml<'a>(seen: &'a Seen, frame: &Frame<'_>, since_ns: i64) -> Sample<'a> {
    let addresses = seen.addresses().map(|(source, destination)| (shrunk(source), shrunk(destination)));
    let only = |protocol: u8, ports| if seen.ip_proto == protocol { ports } else { None };
    // NetworkML looks at the type in the Ethernet header, so a VLAN tag is a protocol other than IP.
    let kind = seen.eth_type.unwrap_or_default();
    Sample {
        seen,
        addresses,
        ts_ns: frame.ts_ns,
        wire_bytes: frame.wire_bytes,
        whole: whole(seen, addresses, kind),
        delta: Some(since_ns as f64 / 1e9),
        dsfield: seen.dsfield,
        ports: [only(6, seen.tcp), only(17, seen.udp)],
    }
}

fn as_meant<'a>(seen: &'a Seen, frame: &Frame<'_>) -> Sample<'a> {
    let carried = |bit: u8, ports| if seen.protocols & bit != 0 { ports } else { None };
    Sample {
        seen,
        addresses: seen.addresses(),
        ts_ns: frame.ts_ns,
        wire_bytes: frame.wire_bytes,
        whole: whole(seen, seen.addresses(), seen.inner_type),
        delta: None,
        dsfield: seen.class,
        ports: [carried(TCP, seen.tcp), carried(UDP, seen.udp)],
    }
}

/// The bits of what any frame may be, in the order of their columns.
fn whole(seen: &Seen, addresses: Option<(IpAddr, IpAddr)>, kind: u16) -> u16 {
    // Below 0x600 stands a length: the frame has no type.
    let nonip = kind >= 0x600 && !matches!(kind, 0x0800 | 0x0806 | 0x86dd);
    let private =
        addresses.is_some_and(|(source, destination)| is_private(source) && is_private(destination));
    let multicast = addresses.is_some_and(|pair| matches!(pair.1, IpAddr::V4(ip) if ip.is_multicast()));
    let flags = [seen.version == 4, seen.version == 6, kind == 0x8137, nonip, private, multicast];
    let flags = flags.iter().rev().fold(0, |bits, flag| bits << 1 | u16::from(*flag));
    flags | u16::from(seen.protocols) << 6 | u16::from(seen.vlan) << 14
}

/// NetworkML turns the number of an address back into one by its size: small IPv6 addresses become IPv4.
fn shrunk(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(ip) => {
            u32::try_from(u128::from(ip)).map_or(ip.into(), |small| Ipv4Addr::from(small).into())
        }
        IpAddr::V4(_) => ip,
    }
}

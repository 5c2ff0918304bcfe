//! A second implementation of what becomes of fragments, written from the policy alone: it keeps every piece, looks
//! at all pieces of a datagram anew whenever one comes, and writes their bytes into a map. Slow and obvious on purpose.
//! It knows no bound on memory, so it agrees only where none is met.

use std::collections::BTreeMap;
use std::net::IpAddr;

use cormorant_net::capture::{Capture, Frame, LinkType};
use cormorant_net::packet::reassembly::Fate;
use cormorant_net::packet::{self, Decoded, Fragment, Packet, Tunnel};

/// A frame that was read.
#[derive(Clone)]
pub(crate) struct Read {
    pub(crate) number: u64,
    pub(crate) ts_ns: i64,
    pub(crate) offset: u64,
    pub(crate) wire_bytes: u32,
    pub(crate) link: LinkType,
    pub(crate) data: Vec<u8>,
}

impl Read {
    pub(crate) fn frame(&self) -> Frame<'_> {
        let Read { number, ts_ns, offset, wire_bytes, link, ref data } = *self;
        Frame { number, ts_ns, offset, wire_bytes, link, interface: 0, data }
    }
}

/// All frames up to the end or the fault.
pub(crate) fn read(mut capture: Capture) -> Vec<Read> {
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = capture.next_frame() {
        let Frame { number, ts_ns, offset, wire_bytes, link, data, .. } = frame;
        frames.push(Read { number, ts_ns, offset, wire_bytes, link, data: data.to_vec() });
    }
    frames
}

/// A packet that goes to its flow, or the passing of time alone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) clock_ns: i64,
    pub(crate) at_packet: u64,
    pub(crate) packet: Option<Packet>,
}

/// What there was to count.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Counted {
    pub(crate) fates: BTreeMap<Fate, u64>,
    pub(crate) duplicates: u64,
    pub(crate) unresolved: u64,
    pub(crate) tunnel_fragments: u64,
}

/// A datagram that was put together: the frame that completed it, and its bytes above IP.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Whole {
    pub(crate) number: u64,
    pub(crate) bytes: u64,
}

/// The packets of these frames in the order in which they go to their flows, what was counted, and the datagrams.
/// `clocks` are the frames' clock times.
pub(crate) fn steps(frames: &[Read], clocks: &[i64]) -> (Vec<Step>, Counted, Vec<Whole>) {
    let mut all = All::default();
    for (read, clock_ns) in frames.iter().zip(clocks) {
        all.close(|group| group.begun_ns + 30_000_000_000 <= *clock_ns, None, read.number);
        let now = Now { clock_ns: *clock_ns, frame: read };
        let decoded = packet::decode(&read.frame());
        match decoded.packet {
            Some(packet) if packet.fragment != Fragment::None => all.take(decoded, &read.data, &now),
            packet => all.steps.push(Step { clock_ns: *clock_ns, at_packet: read.number, packet }),
        }
    }
    if let Some(clock_ns) = clocks.last() {
        all.close(|_| true, Some(*clock_ns), u64::MAX);
    }
    (all.steps, all.counted, all.wholes)
}

struct Now<'a> {
    clock_ns: i64,
    frame: &'a Read,
}

type Key = (IpAddr, IpAddr, u32, u8, u16, u32, Option<Tunnel>);

/// A fragment.
struct Seen {
    decoded: Decoded,
    headers: Vec<u8>,
    start: usize,
    end: usize,
    more: bool,
    bytes: Vec<u8>,
}

impl Seen {
    fn same(&self, other: &Seen) -> bool {
        (self.start, self.end, self.more, &self.bytes) == (other.start, other.end, other.more, &other.bytes)
    }
}

/// The fragments of a datagram, in the order of their coming.
struct Group {
    key: Key,
    begun_ns: i64,
    seen: Vec<Seen>,
    /// How many of them have gone on.
    gone: usize,
    is_whole: bool,
}

enum State {
    Gathering,
    Whole(Vec<u8>),
    Failed(Fate),
}

#[derive(Default)]
struct All {
    groups: Vec<Group>,
    steps: Vec<Step>,
    counted: Counted,
    wholes: Vec<Whole>,
}

impl All {
    fn take(&mut self, decoded: Decoded, data: &[u8], now: &Now<'_>) {
        let Some((key, seen)) = look(decoded, data) else {
            self.counted.unresolved += 1;
            return self.go(now.clock_ns, now.frame.number, decoded.packet);
        };
        if let Some(at) = self.groups.iter().position(|group| group.key == key) {
            let group = &self.groups[at];
            let known = group.seen.iter().any(|other| other.same(&seen));
            if matches!(examine(&group.seen), State::Whole(_)) && !known {
                let group = self.groups.remove(at);
                *self.counted.fates.entry(Fate::Complete).or_default() += 1;
                assert_eq!(group.gone, group.seen.len());
            }
        }
        let at = self.groups.iter().position(|group| group.key == key).unwrap_or_else(|| {
            self.groups.push(Group {
                key,
                begun_ns: now.clock_ns,
                seen: Vec::new(),
                gone: 0,
                is_whole: false,
            });
            self.groups.len() - 1
        });
        let group = &mut self.groups[at];
        let failed = matches!(examine(&group.seen), State::Failed(_));
        if !failed && group.seen.iter().any(|other| other.same(&seen)) {
            self.counted.duplicates += 1;
        }
        group.seen.push(seen);
        self.settle(at, now);
    }

    fn settle(&mut self, at: usize, now: &Now<'_>) {
        let group = &mut self.groups[at];
        let first = group.seen.iter().find(|seen| seen.start == 0).map(|seen| seen.decoded);
        let state = examine(&group.seen);
        let waiting: Vec<Decoded> = group.seen[group.gone..].iter().map(|seen| seen.decoded).collect();
        if let State::Whole(data) = state {
            if !group.is_whole {
                group.is_whole = true;
                let bytes = data.len() as u64 - group.seen[0].headers.len() as u64;
                self.wholes.push(Whole { number: now.frame.number, bytes });
            }
            let completing = *waiting.last().expect("the piece at hand");
            let frame = Frame { data: &data, wire_bytes: data.len() as u32, ..now.frame.frame() };
            let whole = packet::decode_datagram(&frame, &completing);
            let inner = whole.packet.expect("an IP header");
            group.gone = group.seen.len();
            if whole.tunnel == completing.tunnel {
                for waiting in waiting {
                    let packet = marked(waiting, &inner, true);
                    self.go(now.clock_ns, now.frame.number, Some(packet));
                }
            } else if group.seen.iter().rev().skip(1).any(|other| other.same(group.seen.last().expect("one")))
            {
                self.counted.tunnel_fragments += 1;
            } else {
                self.counted.tunnel_fragments += waiting.len() as u64 - 1;
                let (wire_bytes, captured_bytes) = (now.frame.wire_bytes, now.frame.data.len() as u32);
                let inner = Packet { wire_bytes, captured_bytes, ..inner };
                let whole = Decoded { packet: Some(inner), ..whole };
                match inner.fragment {
                    Fragment::None => self.go(now.clock_ns, now.frame.number, whole.packet),
                    _ => self.take(whole, &data, now),
                }
            }
            return;
        }
        let Some(first) = first else { return };
        let packet = first.packet.expect("a fragment");
        let tunnel_port = |port| matches!(port, 3544 | 4789 | 8472 | 4790 | 6081 | 2152);
        let carries = matches!(packet.protocol, 4 | 41 | 47 | 97 | 137)
            || packet.protocol == 17 && (tunnel_port(packet.destination_port) || packet.source_port == 3544);
        let readable = first.fault.is_none() && !carries && matches!(packet.fragment, Fragment::First { .. });
        if readable || matches!(state, State::Failed(_)) {
            group.gone = group.seen.len();
            for waiting in waiting {
                self.go(now.clock_ns, now.frame.number, Some(marked(waiting, &packet, false)));
            }
        }
    }

    /// Ends groups, the oldest first, each at its own time or at the given one.
    fn close(&mut self, is_over: impl Fn(&Group) -> bool, at_ns: Option<i64>, at_packet: u64) {
        while let Some(group) = self.groups.first().filter(|group| is_over(group)) {
            let clock_ns = at_ns.unwrap_or(group.begun_ns + 30_000_000_000);
            let group = self.groups.remove(0);
            let first = group.seen.iter().find(|seen| seen.start == 0);
            let fate = match examine(&group.seen) {
                State::Whole(_) => Fate::Complete,
                State::Failed(fate) => fate,
                State::Gathering if at_ns.is_some() => Fate::Unfinished,
                State::Gathering if first.is_none() => Fate::NeverFirst,
                State::Gathering => Fate::TimedOut,
            };
            *self.counted.fates.entry(fate).or_default() += 1;
            for seen in &group.seen[group.gone..] {
                let packet = match first.and_then(|first| first.decoded.packet) {
                    Some(packet) => Some(marked(seen.decoded, &packet, false)),
                    None => {
                        self.counted.unresolved += 1;
                        seen.decoded.packet
                    }
                };
                self.go(clock_ns, at_packet, packet);
            }
        }
    }

    fn go(&mut self, clock_ns: i64, at_packet: u64, packet: Option<Packet>) {
        self.steps.push(Step { clock_ns, at_packet, packet });
    }
}

/// The fragment as a packet of the flow of `ends`.
fn marked(fragment: Decoded, ends: &Packet, whole: bool) -> Packet {
    let packet = fragment.packet.expect("a fragment");
    let first = whole && matches!(packet.fragment, Fragment::First { .. });
    Packet {
        source_port: ends.source_port,
        destination_port: ends.destination_port,
        protocol: ends.protocol,
        tcp: if first { ends.tcp } else { packet.tcp },
        ..packet
    }
}

/// What is known of a datagram of which these pieces came.
fn examine(seen: &[Seen]) -> State {
    let longest = seen.iter().map(|piece| piece.end).max().unwrap_or_default();
    let mut map: Vec<Option<u8>> = vec![None; longest];
    let mut end: Option<usize> = None;
    let mut headers: &[u8] = &[];
    for (at, piece) in seen.iter().enumerate() {
        if seen[..at].iter().any(|other| other.same(piece)) {
            continue;
        }
        if piece.start == piece.end || piece.more && (piece.end - piece.start) % 8 != 0 {
            return State::Failed(Fate::BadLength);
        } else if piece.end > 65_535 {
            return State::Failed(Fate::TooLarge);
        } else if piece.bytes.len() != piece.end - piece.start {
            return State::Failed(Fate::Cut);
        } else if map[piece.start..piece.end].iter().any(Option::is_some)
            || end.is_some_and(|end| piece.end > end)
            || !piece.more && map[piece.end..].iter().any(Option::is_some)
        {
            return State::Failed(Fate::Overlap);
        }
        for (place, byte) in (piece.start..).zip(&piece.bytes) {
            map[place] = Some(*byte);
        }
        if piece.start == 0 {
            headers = &piece.headers;
        }
        if !piece.more {
            end = Some(piece.end);
        }
        if let Some(body) = end.and_then(|end| map[..end].iter().copied().collect::<Option<Vec<u8>>>()) {
            return whole(headers, &body);
        }
    }
    State::Gathering
}

fn whole(headers: &[u8], body: &[u8]) -> State {
    let mut whole = [headers, body].concat();
    let (place, length) = if whole[0] >> 4 == 4 { (2, whole.len()) } else { (4, whole.len() - 40) };
    if length > 65_535 {
        return State::Failed(Fate::TooLarge);
    }
    whole[place..place + 2].copy_from_slice(&(length as u16).to_be_bytes());
    State::Whole(whole)
}

/// Reads the fragment again from its IP header on.
fn look(decoded: Decoded, data: &[u8]) -> Option<(Key, Seen)> {
    let packet = decoded.packet?;
    let ip = &data[decoded.ip_start as usize..];
    let be = |at: usize| usize::from(ip[at]) << 8 | usize::from(ip[at + 1]);
    let (headers, place, id, protocol, begin) = if ip[0] >> 4 == 4 {
        let begin = usize::from(ip[0] & 15) * 4;
        let mut headers = ip.get(..begin)?.to_vec();
        (headers[6], headers[7]) = (0, 0);
        ((headers), (be(6) % 0x2000 * 8, be(6) & 0x2000 != 0), be(4) as u32, ip[9], begin)
    } else {
        let (mut named_at, mut at) = (6, 40);
        loop {
            if ip[named_at] == 44 && ip.len() >= at + 8 && be(at + 2) & 0xfff9 != 0 {
                break;
            }
            let length = *ip.get(at + 1)? as usize;
            let step = match ip[named_at] {
                44 => 8,
                51 => (length + 2) * 4,
                0 | 43 | 60 => (length + 1) * 8,
                _ => return None,
            };
            (named_at, at) = (at, at + step);
        }
        let mut headers = ip[..at].to_vec();
        headers[named_at] = ip[at];
        let id = u32::try_from(be(at + 4) << 16 | be(at + 6)).expect("32 bits");
        ((headers), (be(at + 2) & 0xfff8, be(at + 2) & 1 == 1), id, 0, at + 8)
    };
    let end = (packet.ip_bytes as usize).max(begin);
    let bytes = ip.get(begin..end.min(ip.len())).unwrap_or_default().to_vec();
    let Packet { source, destination, vlan, network, .. } = packet;
    let key = (source, destination, id, protocol, vlan, network, decoded.tunnel);
    let (start, more) = place;
    Some((key, Seen { decoded, headers, start, end: start + end - begin, more, bytes }))
}

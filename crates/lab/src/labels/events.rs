//! Labels that speak of one connection at one time (a labelled flow, an alert, a notice), found by index: a row
//! looks only at those that share its ends or its Community ID, and of these only at those near its time.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use super::{Ends, Match, Verdict, agree};
use crate::LabError;

/// How far an event may lie outside a row: clocks of two tools are rarely the same.
const SLACK_NS: i64 = 1_000_000_000;
/// As many as any known data set has, and a bound on memory.
const MOST_EVENTS: usize = 1 << 24;
/// Longer text is no Community ID of version 1: `1:` and base64 of 20 bytes.
const LONGEST_COMMUNITY_ID: usize = 64;
const ICMP: u8 = 1;
const ICMP6: u8 = 58;
/// Reserved by IANA: no row has it.
const NO_PROTOCOL: u8 = 255;

/// When something happened between whom.
#[derive(Clone, Debug, Default)]
pub(super) struct Event {
    /// First and last ns, both included.
    pub(super) window: (i64, i64),
    pub(super) protocol: Option<u8>,
    pub(super) source: End,
    pub(super) destination: End,
    pub(super) community_id: Option<String>,
    /// Of several alerts on one row, the one with the least gives the family.
    pub(super) severity: u8,
}

/// As much as is known of one side.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct End {
    pub(super) address: Option<IpAddr>,
    pub(super) port: Option<u16>,
}

/// What several events with different verdicts on one row mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Several {
    /// They contradict each other, and the row stays without a label.
    Ambiguous,
    /// All are alerts: the row is malicious, and the most severe, then the first in the file, names the family.
    MostSevere,
}

/// A row as events see it.
pub(super) struct Row<'a> {
    pub(super) ends: Ends,
    pub(super) last_ns: i64,
    pub(super) community_id: Option<&'a str>,
}

/// Events by whom they speak of; the place of each is the place of its verdict.
pub(super) struct Events {
    several: Several,
    severities: Vec<u8>,
    by_ends: Index<Key>,
    by_community_id: Index<Box<str>>,
}

/// What is known of the ends, the most telling first. Pairs are ordered, so that a row finds either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Tuple(u8, (IpAddr, u16), (IpAddr, u16)),
    Pair(u8, IpAddr, IpAddr),
    Hosts(IpAddr, IpAddr),
    Host(IpAddr),
}

/// Windows by key; those of one key by start, once sorted.
struct Index<K>(HashMap<K, Vec<Window>>);

#[derive(Clone, Copy)]
struct Window {
    start: i64,
    end: i64,
    /// The latest end up to here: a search backwards stops where no earlier window can reach the time.
    latest_end: i64,
    place: usize,
}

impl Events {
    pub(super) fn new(several: Several) -> Self {
        Self {
            several,
            severities: Vec::new(),
            by_ends: Index(HashMap::new()),
            by_community_id: Index(HashMap::new()),
        }
    }

    /// Takes an event up. One that names nobody matches no row.
    ///
    /// # Errors
    /// [`LabError::Table`] when there are too many.
    pub(super) fn push(&mut self, name: &str, event: Event) -> Result<(), LabError> {
        let place = self.severities.len();
        if place >= MOST_EVENTS {
            return Err(too_many(name));
        }
        if let Some(key) = event.key() {
            self.by_ends.push(key, event.window, place);
        }
        if let Some(id) = event.community_id.filter(|id| id.len() <= LONGEST_COMMUNITY_ID) {
            self.by_community_id.push(id.into(), event.window, place);
        }
        self.severities.push(event.severity);
        Ok(())
    }

    /// Makes what was taken up fit to be looked up.
    pub(super) fn sorted(mut self) -> Self {
        self.by_ends.sort();
        self.by_community_id.sort();
        self
    }

    /// The event that speaks of a row. All that do are marked in `used`.
    pub(super) fn find(&self, row: &Row<'_>, verdicts: &[Verdict], used: &mut [bool]) -> Match {
        let window = (row.ends.first_ns.saturating_sub(SLACK_NS), row.last_ns.saturating_add(SLACK_NS));
        let mut best: Option<usize> = None;
        let mut contradicted = false;
        let mut meet = |place: usize| {
            used[place] = true;
            contradicted |= best.is_some_and(|other| !agree(&verdicts[other], &verdicts[place]));
            let rank = |place: usize| (self.severities[place], place);
            best = Some(best.map_or(place, |other| if rank(other) <= rank(place) { other } else { place }));
        };
        keys(&row.ends).for_each(|key| self.by_ends.touching(&key, window, &mut meet));
        if let Some(id) = row.community_id {
            self.by_community_id.touching(id, window, &mut meet);
        }
        match best {
            Some(_) if contradicted && self.several == Several::Ambiguous => Match::Several,
            found => found.map_or(Match::None, Match::One),
        }
    }
}

impl<K: Eq + Hash> Index<K> {
    fn push(&mut self, key: K, (start, end): (i64, i64), place: usize) {
        let windows = self.0.entry(key).or_insert_with(|| Vec::with_capacity(1));
        windows.push(Window { start, end, latest_end: end, place });
    }

    fn sort(&mut self) {
        for windows in self.0.values_mut() {
            windows.sort_by_key(|window| (window.start, window.place));
            let mut latest = i64::MIN;
            for window in windows {
                latest = latest.max(window.end);
                window.latest_end = latest;
            }
        }
    }

    fn touching<Q>(&self, key: &Q, (first, last): (i64, i64), meet: &mut impl FnMut(usize))
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let windows = self.0.get(key).map(Vec::as_slice).unwrap_or_default();
        let begun = windows.partition_point(|window| window.start <= last);
        let near = windows.iter().take(begun).rev().take_while(|window| window.latest_end >= first);
        near.filter(|window| window.end >= first).for_each(|window| meet(window.place));
    }
}

impl Event {
    fn key(&self) -> Option<Key> {
        let (source, destination) = (self.source, self.destination);
        Some(match (source.address, destination.address, self.protocol) {
            (Some(a), Some(b), Some(protocol)) => match (source.port, destination.port) {
                (Some(a_port), Some(b_port)) => tuple(protocol, (a, a_port), (b, b_port)),
                _ => pair(protocol, a, b),
            },
            (Some(a), Some(b), None) => hosts(a, b),
            (Some(address), None, _) | (None, Some(address), _) => Key::Host(address),
            (None, None, _) => return None,
        })
    }
}

/// What a row is looked up by.
fn keys(ends: &Ends) -> impl Iterator<Item = Key> {
    let (a, b) = (ends.source.0, ends.destination.0);
    let keys = [tuple(ends.protocol, ends.source, ends.destination), pair(ends.protocol, a, b), hosts(a, b)];
    let other = (a != b).then_some(Key::Host(b));
    keys.into_iter().chain([Key::Host(a)]).chain(other)
}

fn tuple(protocol: u8, a: (IpAddr, u16), b: (IpAddr, u16)) -> Key {
    Key::Tuple(protocol, a.min(b), a.max(b))
}

fn pair(protocol: u8, a: IpAddr, b: IpAddr) -> Key {
    Key::Pair(protocol, a.min(b), a.max(b))
}

fn hosts(a: IpAddr, b: IpAddr) -> Key {
    Key::Hosts(a.min(b), a.max(b))
}

/// The number of a protocol by the name that tools write; one that no row has for a name that is not known.
pub(super) fn protocol(name: &str, address: Option<IpAddr>) -> u8 {
    match name.to_ascii_lowercase().as_str() {
        "tcp" => 6,
        "udp" => 17,
        "icmp" if address.is_some_and(|address| address.is_ipv6()) => ICMP6,
        "icmp" => ICMP,
        "ipv6-icmp" | "icmpv6" | "icmp6" => ICMP6,
        "sctp" => 132,
        "gre" => 47,
        "esp" => 50,
        "ah" => 51,
        "igmp" => 2,
        number => number.parse().unwrap_or(NO_PROTOCOL),
    }
}

/// Whether rows have type and code in the place of ports, which few tools write.
pub(super) fn is_icmp(protocol: u8) -> bool {
    matches!(protocol, ICMP | ICMP6)
}

fn too_many(name: &str) -> LabError {
    LabError::Table {
        place: name.to_owned(),
        expected: format!("at most {MOST_EVENTS} labels"),
        found: "more".to_owned(),
        advice: "split the label file by time, and the captures with it".to_owned(),
    }
}

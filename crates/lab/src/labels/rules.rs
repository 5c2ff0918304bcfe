//! Label rules over time, protocol, addresses and ports, found by index: a row looks only at rules that share
//! its most telling exact values, and of these only at those whose window may hold it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::str::FromStr;

use super::{Ends, Match, Sheet, Verdict, agree};
use crate::LabError;

/// The columns such a file must have.
pub(super) const COLUMNS: &[&str] = &[
    "start",
    "end",
    "protocol",
    "source",
    "source_port",
    "destination",
    "destination_port",
    "label",
    "family",
    "note",
];

/// One rule; its place is the place of its verdict.
#[derive(Clone, Debug)]
struct Rule {
    /// First and last ns at which a flow may begin, both included.
    window: (i64, i64),
    protocol: Protocol,
    source: End,
    destination: End,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Protocol {
    Any,
    Icmp,
    Number(u8),
}

/// Addresses and ports on one side.
#[derive(Clone, Copy, Debug)]
struct End {
    network: Option<Network>,
    ports: (u16, u16),
}

/// An address block; the bits after the prefix are zero.
#[derive(Clone, Copy, Debug)]
struct Network {
    address: IpAddr,
    prefix: u8,
}

/// What rules are looked up by, the most telling first. Pairs are ordered, so that a row finds the rules of
/// either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// Both addresses and both ports.
    Tuple((IpAddr, u16), (IpAddr, u16)),
    /// Both addresses.
    Pair(IpAddr, IpAddr),
    /// The one exact address.
    Address(IpAddr),
    /// No exact address.
    Rest,
}

/// Rules by key.
pub(super) struct Rules {
    rules: Vec<Rule>,
    index: HashMap<Key, Windows>,
}

/// Rules of one key by start, with the latest end up to each: a search from the last start that is early enough
/// goes back only as long as some window may still hold the time.
#[derive(Default)]
struct Windows {
    places: Vec<usize>,
    latest_end: Vec<i64>,
}

/// Reads the rows of a sheet whose header fits.
pub(super) fn read(sheet: &mut Sheet<'_>, verdicts: &mut Vec<Verdict>) -> Result<Rules, LabError> {
    let mut rules = Vec::new();
    while let Some(row) = sheet.next_row()? {
        let (start, _) = row.parse("start", TIME, seconds)?;
        let (_, end) = row.parse("end", TIME, seconds)?;
        let end = row.parse("end", "a time at or after start", |_| (end >= start).then_some(end))?;
        let end_of = |address, port| {
            Ok::<_, LabError>(End {
                network: row.parse(address, "an address, a block such as 10.0.0.0/8, or *", network)?,
                ports: row.parse(port, "a port, a range such as 1024-65535, or *", ports)?,
            })
        };
        rules.push(Rule {
            window: (start, end),
            protocol: row.parse("protocol", "tcp, udp, icmp, any, or a number from 0 to 255", protocol)?,
            source: end_of("source", "source_port")?,
            destination: end_of("destination", "destination_port")?,
        });
        verdicts.push(row.verdict()?);
    }
    Ok(Rules::new(rules))
}

impl Rules {
    fn new(rules: Vec<Rule>) -> Self {
        let mut index: HashMap<Key, Windows> = HashMap::new();
        let mut order: Vec<usize> = (0..rules.len()).collect();
        order.sort_by_key(|&place| rules[place].window.0);
        for place in order {
            index.entry(rules[place].key()).or_default().push(place, rules[place].window.1);
        }
        Self { rules, index }
    }

    /// The rule that speaks of a flow; the first in the file when several agree.
    pub(super) fn find(&self, ends: &Ends, verdicts: &[Verdict]) -> Match {
        let (a, b) = ordered(ends.source, ends.destination);
        let keys = [Key::Tuple(a, b), pair(a.0, b.0), Key::Address(a.0), Key::Address(b.0), Key::Rest];
        let same_host = usize::from(a.0 == b.0);
        let keys =
            keys.iter().enumerate().filter(|(place, _)| !(*place == 3 && same_host == 1)).map(|(_, key)| key);
        let mut found: Option<usize> = None;
        for windows in keys.filter_map(|key| self.index.get(key)) {
            for place in windows.holding(ends.first_ns, &self.rules) {
                if !self.rules[place].matches(ends) {
                    continue;
                }
                match found {
                    Some(other) if !agree(&verdicts[other], &verdicts[place]) => return Match::Several,
                    Some(other) => found = Some(other.min(place)),
                    None => found = Some(place),
                }
            }
        }
        found.map_or(Match::None, Match::One)
    }
}

impl Windows {
    fn push(&mut self, place: usize, end: i64) {
        let latest = self.latest_end.last().map_or(end, |latest| *latest.max(&end));
        self.places.push(place);
        self.latest_end.push(latest);
    }

    fn holding<'a>(&'a self, time_ns: i64, rules: &'a [Rule]) -> impl Iterator<Item = usize> + 'a {
        let started = self.places.partition_point(|&place| rules[place].window.0 <= time_ns);
        (0..started)
            .rev()
            .take_while(move |&at| self.latest_end[at] >= time_ns)
            .map(|at| self.places[at])
            .filter(move |&place| rules[place].window.1 >= time_ns)
    }
}

impl Rule {
    fn key(&self) -> Key {
        let exact_port = |end: &End| (end.ports.0 == end.ports.1).then_some(end.ports.0);
        match (self.source.host(), self.destination.host()) {
            (Some(source), Some(destination)) => {
                match (exact_port(&self.source), exact_port(&self.destination)) {
                    (Some(source_port), Some(destination_port)) => {
                        let (a, b) = ordered((source, source_port), (destination, destination_port));
                        Key::Tuple(a, b)
                    }
                    _ => pair(source, destination),
                }
            }
            (Some(address), None) | (None, Some(address)) => Key::Address(address),
            (None, None) => Key::Rest,
        }
    }

    fn matches(&self, ends: &Ends) -> bool {
        let forward = self.source.holds(ends.source) && self.destination.holds(ends.destination);
        let backward = || self.source.holds(ends.destination) && self.destination.holds(ends.source);
        self.protocol.holds(ends.protocol) && (forward || backward())
    }
}

impl Protocol {
    fn holds(self, number: u8) -> bool {
        match self {
            Self::Any => true,
            Self::Icmp => matches!(number, ICMP | ICMP6),
            Self::Number(wanted) => wanted == number,
        }
    }
}

impl End {
    fn holds(&self, (address, port): (IpAddr, u16)) -> bool {
        (self.ports.0..=self.ports.1).contains(&port)
            && self.network.is_none_or(|network| network.holds(address))
    }

    /// The address when it is exactly one.
    fn host(&self) -> Option<IpAddr> {
        self.network.filter(|network| network.prefix == bits(network.address)).map(|network| network.address)
    }
}

impl Network {
    fn holds(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix) == self.address
    }
}

fn ordered<T: Ord>(a: T, b: T) -> (T, T) {
    if a <= b { (a, b) } else { (b, a) }
}

fn pair(a: IpAddr, b: IpAddr) -> Key {
    let (a, b) = ordered(a, b);
    Key::Pair(a, b)
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::from((u32::from(v4) & mask).to_be_bytes())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::from((u128::from(v6) & mask).to_be_bytes())
        }
    }
}

fn network(text: &str) -> Option<Option<Network>> {
    if text == "*" {
        return Some(None);
    }
    let (address, prefix) =
        text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address = IpAddr::from_str(address).ok()?;
    let prefix = match prefix {
        Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= bits(address))?,
        None => bits(address),
    };
    Some(Some(Network { address: masked(address, prefix), prefix }))
}

fn ports(text: &str) -> Option<(u16, u16)> {
    if text == "*" {
        return Some((0, u16::MAX));
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some((first, last))
}

fn protocol(text: &str) -> Option<Protocol> {
    match text.to_ascii_lowercase().as_str() {
        "any" | "*" => Some(Protocol::Any),
        "tcp" => Some(Protocol::Number(6)),
        "udp" => Some(Protocol::Number(17)),
        "icmp" => Some(Protocol::Icmp),
        number => number.parse().ok().map(Protocol::Number),
    }
}

/// The first and last nanosecond that a time in UNIX seconds stands for: one written with at most six decimals
/// stands for its whole microsecond, because captures may be finer than labels. `*` stands for all times.
pub(super) fn seconds(text: &str) -> Option<(i64, i64)> {
    if text == "*" {
        return Some((i64::MIN, i64::MAX));
    }
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 9 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) || whole.starts_with('-') {
        return None;
    }
    let fraction: i64 = format!("{decimals:0<9}").parse().ok()?;
    let first = whole.parse::<i64>().ok()?.checked_mul(1_000_000_000)?.checked_add(fraction)?;
    Some((first, if decimals.len() <= 6 { first.saturating_add(999) } else { first }))
}

const TIME: &str = "UNIX seconds such as 1700000000.250000, or *";
const ICMP: u8 = 1;
const ICMP6: u8 = 58;

#[cfg(test)]
mod tests {
    use super::super::Labels;
    use super::*;

    const HEADER: &str =
        "start,end,protocol,source,source_port,destination,destination_port,label,family,note\n";

    fn labels(rows: &str) -> Labels {
        Labels::parse("labels.csv", format!("{HEADER}{rows}").as_bytes()).unwrap()
    }

    fn ends(time_s: f64, protocol: u8, source: &str, destination: &str) -> Ends {
        let end = |text: &str| {
            let (address, port) = text.rsplit_once('#').unwrap();
            (address.parse().unwrap(), port.parse().unwrap())
        };
        Ends { first_ns: (time_s * 1e9) as i64, protocol, source: end(source), destination: end(destination) }
    }

    /// `-` for unmatched, `?` for ambiguous, else the family.
    fn check(rows: &str, flow: &Ends) -> String {
        let labels = labels(rows);
        let super::super::Source::Rules(rules) = &labels.source else { panic!("rules expected") };
        match rules.find(flow, &labels.verdicts) {
            Match::None => "-".to_owned(),
            Match::Several => "?".to_owned(),
            Match::One(place) => labels.verdicts[place].family.to_string(),
        }
    }

    const SCAN: &str = "100.0,200.0,tcp,10.0.0.1,*,10.0.0.2,*,malicious,scan,\n";

    #[test]
    fn a_rule_matches_both_directions() {
        assert_eq!(check(SCAN, &ends(150.0, 6, "10.0.0.1#4000", "10.0.0.2#80")), "scan");
        assert_eq!(check(SCAN, &ends(150.0, 6, "10.0.0.2#80", "10.0.0.1#4000")), "scan");
        assert_eq!(check(SCAN, &ends(150.0, 6, "10.0.0.1#4000", "10.0.0.3#80")), "-");
    }

    #[test]
    fn ports_belong_to_their_own_end() {
        let rule = "*,*,tcp,10.0.0.1,4000-4010,10.0.0.2,80,malicious,beacon,\n";
        assert_eq!(check(rule, &ends(1.0, 6, "10.0.0.1#4010", "10.0.0.2#80")), "beacon");
        assert_eq!(check(rule, &ends(1.0, 6, "10.0.0.2#80", "10.0.0.1#4000")), "beacon");
        assert_eq!(check(rule, &ends(1.0, 6, "10.0.0.1#80", "10.0.0.2#4000")), "-");
        assert_eq!(check(rule, &ends(1.0, 6, "10.0.0.1#4011", "10.0.0.2#80")), "-");
    }

    #[test]
    fn the_window_includes_both_ends_and_the_last_microsecond() {
        for (time_s, family) in [(99.999, "-"), (100.0, "scan"), (200.0, "scan"), (200.001, "-")] {
            assert_eq!(check(SCAN, &ends(time_s, 6, "10.0.0.1#1", "10.0.0.2#2")), family, "at {time_s}");
        }
        let mut flow = ends(200.0, 6, "10.0.0.1#1", "10.0.0.2#2");
        flow.first_ns += 999;
        assert_eq!(check(SCAN, &flow), "scan");
        flow.first_ns += 1;
        assert_eq!(check(SCAN, &flow), "-");
    }

    #[test]
    fn protocols_are_told_apart_and_icmp_is_both_versions() {
        let ping = "*,*,icmp,*,*,*,*,benign,ping,\n";
        assert_eq!(check(ping, &ends(1.0, 1, "10.0.0.1#8", "10.0.0.2#0")), "ping");
        assert_eq!(check(ping, &ends(1.0, 58, "fe80::1#128", "fe80::2#129")), "ping");
        assert_eq!(check(ping, &ends(1.0, 17, "10.0.0.1#8", "10.0.0.2#0")), "-");
        assert_eq!(check("*,*,47,*,*,*,*,benign,gre,\n", &ends(1.0, 47, "10.0.0.1#0", "10.0.0.2#0")), "gre");
    }

    #[test]
    fn blocks_hold_their_addresses_and_no_other_family_of_addresses() {
        let block = "*,*,any,10.1.0.0/16,*,*,*,malicious,sweep,\n";
        assert_eq!(check(block, &ends(1.0, 6, "10.1.255.255#1", "192.0.2.1#2")), "sweep");
        assert_eq!(check(block, &ends(1.0, 6, "192.0.2.1#2", "10.1.0.0#1")), "sweep");
        assert_eq!(check(block, &ends(1.0, 6, "10.2.0.0#1", "192.0.2.1#2")), "-");
        let all_v4 = "*,*,any,0.0.0.0/0,*,*,*,benign,v4,\n";
        assert_eq!(check(all_v4, &ends(1.0, 6, "198.51.100.7#1", "10.0.0.1#2")), "v4");
        assert_eq!(check(all_v4, &ends(1.0, 6, "fe80::1#1", "fe80::2#2")), "-");
        let v6 = "*,*,any,2001:db8::/32,*,*,*,benign,v6,\n";
        assert_eq!(check(v6, &ends(1.0, 6, "2001:db8:ffff::1#1", "fe80::2#2")), "v6");
    }

    #[test]
    fn rules_that_disagree_leave_a_row_ambiguous_and_rules_that_agree_do_not() {
        let flow = ends(150.0, 6, "10.0.0.1#1", "10.0.0.2#2");
        let same = "*,*,any,*,*,*,*,malicious,scan,again\n";
        let other_family = "*,*,any,10.0.0.0/24,*,*,*,malicious,sweep,\n";
        let other_label = "*,*,any,10.0.0.1,*,*,*,benign,scan,\n";
        assert_eq!(check(&format!("{SCAN}{same}"), &flow), "scan");
        assert_eq!(check(&format!("{SCAN}{other_family}"), &flow), "?");
        assert_eq!(check(&format!("{SCAN}{other_label}"), &flow), "?");
    }

    #[test]
    fn every_kind_of_rule_is_found_through_its_index() {
        let flow = ends(150.0, 6, "10.0.0.9#5000", "10.0.0.2#443");
        for ends in [
            "10.0.0.9,5000,10.0.0.2,443",
            "10.0.0.2,443,10.0.0.9,5000",
            "10.0.0.9,*,10.0.0.2,443",
            "10.0.0.2,*,10.0.0.9,*",
            "10.0.0.9,*,*,*",
            "*,*,10.0.0.9,5000",
            "*,443,*,*",
            "10.0.0.0/8,*,10.0.0.2,443",
            "10.0.0.0/8,*,10.0.0.0/29,*",
        ] {
            assert_eq!(check(&format!("100,200,tcp,{ends},malicious,hit,\n"), &flow), "hit", "{ends}");
        }
    }

    #[test]
    fn the_index_finds_what_a_search_through_all_rules_finds() {
        let mut rows = String::new();
        for n in 0..400u32 {
            let (start, end) = (n * 7 % 300, n * 7 % 300 + n % 50);
            let source = if n % 5 == 0 { "*".to_owned() } else { format!("10.0.0.{}", n % 4) };
            let port = if n % 3 == 0 { "*".to_owned() } else { (n % 6).to_string() };
            rows += &format!("{start},{end},any,{source},{port},10.0.0.{},*,malicious,f{},\n", n % 3, n % 2);
        }
        let labels = labels(&rows);
        let super::super::Source::Rules(rules) = &labels.source else { panic!("rules expected") };
        for n in 0..2000u32 {
            let (source, destination) =
                (format!("10.0.0.{}#{}", n % 5, n % 7), format!("10.0.0.{}#{}", n % 3, n % 11));
            let flow = ends(f64::from(n % 360), 6, &source, &destination);
            let mut families: Vec<_> = (0..rules.rules.len())
                .filter(|&at| {
                    let window = rules.rules[at].window;
                    (window.0..=window.1).contains(&flow.first_ns) && rules.rules[at].matches(&flow)
                })
                .map(|at| labels.verdicts[at].family.to_string())
                .collect();
            families.sort();
            families.dedup();
            let expected = match families.as_slice() {
                [] => "-".to_owned(),
                [one] => one.clone(),
                _ => "?".to_owned(),
            };
            let found = match rules.find(&flow, &labels.verdicts) {
                Match::None => "-".to_owned(),
                Match::Several => "?".to_owned(),
                Match::One(place) => labels.verdicts[place].family.to_string(),
            };
            assert_eq!(found, expected, "{source} {destination} at {}", n % 360);
        }
    }

    #[test]
    fn errors_name_file_line_and_field() {
        for (row, field, found) in [
            ("1,2,tcp,10.0.0.1,*,10.0.0.300,*,benign,,", "destination", "10.0.0.300"),
            ("1,2,tcp,10.0.0.1,*,10.0.0.0/33,*,benign,,", "destination", "10.0.0.0/33"),
            ("1,2,tcp,10.0.0.1,90-80,*,*,benign,,", "source_port", "90-80"),
            ("1,2,tcp,10.0.0.1,*,*,*,good,,", "label", "good"),
            ("5,2,tcp,10.0.0.1,*,*,*,benign,,", "end", "2"),
            ("yesterday,2,tcp,*,*,*,*,benign,,", "start", "yesterday"),
            ("1,2,quic,*,*,*,*,benign,,", "protocol", "quic"),
        ] {
            let text = format!("{HEADER}1,2,tcp,*,*,*,*,benign,,\n{row}\n");
            let message = Labels::parse("labels.csv", text.as_bytes()).err().unwrap().to_string();
            for part in ["labels.csv", "line 3", &format!("field {field}"), found] {
                assert!(message.contains(part), "`{part}` is not in: {message}");
            }
        }
        let short =
            Labels::parse("labels.csv", format!("{HEADER}1,2,tcp\n").as_bytes()).err().unwrap().to_string();
        assert!(short.contains("labels.csv") && short.contains("line: 2"), "{short}");
    }
}

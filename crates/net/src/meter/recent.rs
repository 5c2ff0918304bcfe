//! The recent flows of each host, for the `context` set. Fed where rows are already in their one order, so that what
//! a row says of its neighbours does not depend on threads.
//!
//! Bounded: [`NEIGHBOURS`] flows per host, and [`CAPACITY`] in all; when that is reached, the half of the hosts that
//! has been quiet longest is forgotten.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::features::context::{Context, NEIGHBOURS, REACH_NS, Service};
use crate::flow::Flow;

/// Flows remembered over all hosts: 64 bytes each, so at most 32 MiB on either side.
const CAPACITY: usize = 1 << 19;

/// What is remembered of a flow that has left the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Brief {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) service: (u8, u16),
    pub(super) established: bool,
    pub(super) first_ns: i64,
    pub(super) sent_bytes: u64,
    pub(super) received_bytes: u64,
    pub(super) tunnel: u32,
}

impl Brief {
    pub(super) fn of(flow: &Flow<'_>) -> Brief {
        let core = flow.core;
        let ((source, _), (destination, port)) = (core.source(), core.destination());
        let [sent_bytes, received_bytes] = core.payload_bytes;
        Brief {
            source,
            destination,
            service: (core.key.protocol(), port),
            established: core.is_established(),
            first_ns: core.first_ns,
            sent_bytes,
            received_bytes,
            tunnel: core.tunnel,
        }
    }
}

/// The recent flows of every host, as source and as destination.
#[derive(Debug, Default)]
pub(super) struct Recent {
    by_source: Hosts,
    by_destination: Hosts,
    near: Vec<Brief>,
}

impl Recent {
    /// Remembers a flow and says what is near it.
    pub(super) fn add(&mut self, brief: Brief) -> Context {
        let mut context = Context::default();
        self.by_source.add(brief.source, brief, &mut self.near);
        seen_from_source(&self.near, &brief, &mut context);
        self.by_destination.add(brief.destination, brief, &mut self.near);
        seen_from_destination(&self.near, &mut context);
        context
    }
}

/// Rings of flows, one per host.
#[derive(Debug, Default)]
struct Hosts {
    rings: HashMap<IpAddr, Ring>,
    flows: usize,
    added: u64,
}

#[derive(Debug, Default)]
struct Ring {
    flows: Vec<Brief>,
    /// Where the next flow goes once the ring is full: the place of the oldest.
    oldest: usize,
    /// Number of the last flow added, over all hosts.
    last: u64,
}

impl Hosts {
    /// Adds a flow to its host's ring; leaves those near it, itself included, in `near`.
    fn add(&mut self, host: IpAddr, brief: Brief, near: &mut Vec<Brief>) {
        if self.flows >= CAPACITY {
            self.forget_quiet_half();
        }
        self.added += 1;
        let ring = self.rings.entry(host).or_default();
        ring.last = self.added;
        self.flows += ring.add(brief);
        near.clear();
        near.extend(ring.flows.iter().filter(|other| other.first_ns.abs_diff(brief.first_ns) <= REACH_NS));
    }

    fn forget_quiet_half(&mut self) {
        let mut lasts: Vec<u64> = self.rings.values().map(|ring| ring.last).collect();
        let middle = lasts.len() / 2;
        let (_, &mut median, _) = lasts.select_nth_unstable(middle);
        self.rings.retain(|_, ring| ring.last > median);
        self.flows = self.rings.values().map(|ring| ring.flows.len()).sum();
    }
}

impl Ring {
    /// Adds a flow in place of the oldest when full; says by how many flows the ring grew.
    fn add(&mut self, brief: Brief) -> usize {
        if self.flows.len() < NEIGHBOURS {
            self.flows.push(brief);
            return 1;
        }
        if let Some(place) = self.flows.get_mut(self.oldest) {
            *place = brief;
        }
        self.oldest = (self.oldest + 1) % NEIGHBOURS;
        0
    }
}

fn seen_from_source(near: &[Brief], this: &Brief, context: &mut Context) {
    context.source_flows = near.len() as u64;
    context.source_destinations = distinct(near, |flow| flow.destination);
    context.source_ports = distinct(near, |flow| flow.service);
    context.source_unestablished = unestablished(near);
    context.source_span_ns = span_ns(near);
    let pair: Vec<Brief> = near.iter().filter(|flow| flow.destination == this.destination).copied().collect();
    context.pair_flows = pair.len() as u64;
    context.pair_ports = distinct(&pair, |flow| flow.service);
    let service: Vec<Brief> = pair.into_iter().filter(|flow| flow.service == this.service).collect();
    context.service = rhythm(&service);
}

fn seen_from_destination(near: &[Brief], context: &mut Context) {
    context.destination_flows = near.len() as u64;
    context.destination_sources = distinct(near, |flow| flow.source);
    context.destination_unestablished = unestablished(near);
}

fn rhythm(flows: &[Brief]) -> Service {
    let mut starts: Vec<i64> = flows.iter().map(|flow| flow.first_ns).collect();
    starts.sort_unstable();
    let gaps: Vec<f64> = starts
        .windows(2)
        .map(|pair| pair.iter().rev().copied().reduce(i64::saturating_sub).unwrap_or(0) as f64 / 1e9)
        .collect();
    let sent: Vec<f64> = flows.iter().map(|flow| flow.sent_bytes as f64).collect();
    Service {
        flows: flows.len() as u64,
        sent_bytes: flows.iter().map(|flow| flow.sent_bytes).sum(),
        received_bytes: flows.iter().map(|flow| flow.received_bytes).sum(),
        gap_mean_s: mean(&gaps),
        gap_variation: if gaps.len() < 2 { f64::NAN } else { variation(&gaps) },
        sent_variation: if sent.len() < 2 { f64::NAN } else { variation(&sent) },
    }
}

fn distinct<T: Ord>(flows: &[Brief], of: impl Fn(&Brief) -> T) -> u64 {
    let mut values: Vec<T> = flows.iter().map(of).collect();
    values.sort_unstable();
    values.dedup();
    values.len() as u64
}

fn unestablished(flows: &[Brief]) -> u64 {
    flows.iter().filter(|flow| !flow.established).count() as u64
}

fn span_ns(flows: &[Brief]) -> u64 {
    let starts = flows.iter().map(|flow| flow.first_ns);
    starts.clone().max().zip(starts.min()).map_or(0, |(last, first)| last.abs_diff(first))
}

/// NaN for nothing.
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Standard deviation (divisor n) by mean; NaN when the mean is 0 or undefined.
fn variation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
    if mean > 0.0 { variance.sqrt() / mean } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn brief(source: u8, destination: u8, port: u16, second: i64, sent_bytes: u64) -> Brief {
        let host = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        Brief {
            source: host(source),
            destination: host(destination),
            service: (6, port),
            established: port != 23,
            first_ns: second * 1_000_000_000,
            sent_bytes,
            received_bytes: 10,
            tunnel: 0,
        }
    }

    #[test]
    fn an_even_beacon_has_no_variation() {
        let mut recent = Recent::default();
        let context = (0..5).map(|beat| recent.add(brief(1, 2, 443, 20 * beat, 300))).last().unwrap();
        let expected = Service {
            flows: 5,
            sent_bytes: 1500,
            received_bytes: 50,
            gap_mean_s: 20.0,
            gap_variation: 0.0,
            sent_variation: 0.0,
        };
        assert_eq!(context.service, expected);
    }

    #[test]
    fn gaps_of_10_and_30_seconds_vary_by_half_their_mean() {
        let mut recent = Recent::default();
        let [.., context] = [0, 10, 40].map(|second| recent.add(brief(1, 2, 443, second, second as u64)));
        // Gaps 10 and 30: mean 20, deviation 10. Sent 0, 10, 40: mean 50/3, variance 2600/9.
        assert_eq!((context.service.gap_mean_s, context.service.gap_variation), (20.0, 0.5));
        assert!((context.service.sent_variation - (2600.0_f64 / 9.0).sqrt() / (50.0 / 3.0)).abs() < 1e-12);
    }

    #[test]
    fn a_scan_shows_in_ports_and_failures_and_leaves_others_alone() {
        let mut recent = Recent::default();
        recent.add(brief(7, 2, 443, 0, 5));
        for port in 1..=20 {
            recent.add(brief(1, 2, port, 1, 0));
        }
        let context = recent.add(brief(1, 2, 23, 2, 0));
        assert_eq!((context.source_flows, context.source_destinations, context.source_ports), (21, 1, 21));
        assert_eq!((context.source_unestablished, context.pair_ports, context.service.flows), (1, 21, 1));
        assert_eq!((context.destination_flows, context.destination_sources), (22, 2));
        assert_eq!(context.source_span_ns, 1_000_000_000);
    }

    #[test]
    fn one_flow_has_no_rhythm() {
        let context = Recent::default().add(brief(1, 2, 443, 0, 5));
        assert!(
            context.service.gap_mean_s.is_nan()
                && context.service.gap_variation.is_nan()
                && context.service.sent_variation.is_nan()
        );
        assert_eq!((context.source_flows, context.pair_flows, context.destination_flows), (1, 1, 1));
    }

    #[test]
    fn what_began_long_ago_or_many_flows_ago_is_no_neighbour() {
        let mut recent = Recent::default();
        recent.add(brief(1, 2, 443, 0, 5));
        assert_eq!(recent.add(brief(1, 2, 443, 301, 5)).source_flows, 1);
        let context = (0..250).map(|_| recent.add(brief(1, 2, 443, 302, 5))).last().unwrap();
        assert_eq!(context.source_flows, NEIGHBOURS as u64);
    }

    #[test]
    fn quiet_hosts_are_forgotten_first_and_the_rest_stays_counted() {
        let mut hosts = Hosts::default();
        let mut near = Vec::new();
        for host in 0..10u8 {
            hosts.add(IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)), brief(host, 2, 1, 0, 0), &mut near);
        }
        hosts.forget_quiet_half();
        assert_eq!((hosts.rings.len(), hosts.flows), (4, 4));
        assert!(hosts.rings.values().all(|ring| ring.last > 6));
    }
}

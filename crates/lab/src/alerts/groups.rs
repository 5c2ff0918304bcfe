//! Alerts that belong together, so that one noisy host does not fill the list: of one source, and towards one
//! destination or one service (protocol and destination port).
//!
//! Alerts stream by; a group keeps its strongest one and counts the others. Which group an alert joins depends on
//! the order of rows alone. Memory is bounded: of more than [`MOST_GROUPS`] groups the weaker half is dropped.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::Candidate;

/// Groups kept at once.
const MOST_GROUPS: usize = 2048;

/// Who talks to whom about what.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    pub(super) source: String,
    pub(super) destination: String,
    /// Protocol and destination port.
    pub(super) service: (u64, u64),
}

/// One or more alerts that belong together.
pub(super) struct Group {
    /// The strongest; of equals the first.
    pub(super) strongest: Candidate,
    /// Alerts in the group.
    pub(super) alerts: u64,
}

/// All groups so far.
#[derive(Default)]
pub(super) struct Groups {
    groups: Vec<Group>,
    by_pair: HashMap<(String, String), usize>,
    by_service: HashMap<(String, (u64, u64)), usize>,
}

impl Groups {
    /// Puts an alert into its group, or into one of its own.
    pub(super) fn add<E>(
        &mut self,
        ends: Ends,
        score: f64,
        candidate: impl FnOnce() -> Result<Candidate, E>,
    ) -> Result<(), E> {
        let pair = (ends.source.clone(), ends.destination);
        let service = (ends.source, ends.service);
        let known = self.by_pair.get(&pair).or_else(|| self.by_service.get(&service)).copied();
        let place = match known {
            Some(place) => {
                let group = &mut self.groups[place];
                group.alerts += 1;
                if score > group.strongest.score {
                    group.strongest = candidate()?;
                }
                place
            }
            None => {
                self.groups.push(Group { strongest: candidate()?, alerts: 1 });
                self.groups.len() - 1
            }
        };
        self.by_pair.entry(pair).or_insert(place);
        self.by_service.entry(service).or_insert(place);
        if self.groups.len() > MOST_GROUPS {
            self.drop_weaker_half();
        }
        Ok(())
    }

    /// The groups, strongest first.
    pub(super) fn ranked(mut self) -> Vec<Group> {
        self.groups.sort_by(stronger);
        self.groups
    }

    fn drop_weaker_half(&mut self) {
        let mut order: Vec<usize> = (0..self.groups.len()).collect();
        order.sort_by(|&a, &b| stronger(&self.groups[a], &self.groups[b]));
        let kept: HashMap<usize, usize> =
            order[..MOST_GROUPS / 2].iter().enumerate().map(|(new, &old)| (old, new)).collect();
        let mut groups: Vec<Option<Group>> = self.groups.drain(..).map(Some).collect();
        self.groups = order[..MOST_GROUPS / 2].iter().filter_map(|&old| groups[old].take()).collect();
        renumber(&mut self.by_pair, &kept);
        renumber(&mut self.by_service, &kept);
    }
}

fn renumber<K>(places: &mut HashMap<K, usize>, kept: &HashMap<usize, usize>) {
    places.retain(|_, place| match kept.get(place) {
        Some(&new) => {
            *place = new;
            true
        }
        None => false,
    });
}

/// Higher score first; of equals the earlier row.
fn stronger(a: &Group, b: &Group) -> Ordering {
    b.strongest.score.total_cmp(&a.strongest.score).then(a.strongest.place.cmp(&b.strongest.place))
}

#[cfg(test)]
mod tests {
    use super::super::tests::candidate;
    use super::*;

    fn ends(source: &str, destination: &str, port: u64) -> Ends {
        Ends { source: source.to_owned(), destination: destination.to_owned(), service: (6, port) }
    }

    fn add(groups: &mut Groups, ends: Ends, score: f64, place: u64) {
        groups.add::<()>(ends, score, || Ok(candidate(score, place))).unwrap();
    }

    #[test]
    fn a_scan_is_one_group_and_a_sweep_another() {
        let mut groups = Groups::default();
        for port in 1..=20 {
            add(&mut groups, ends("a", "x", port), 0.5 + port as f64 / 100.0, port);
        }
        for host in 0..10 {
            add(&mut groups, ends("b", &format!("y{host}"), 22), 0.9, 100 + host);
        }
        let ranked = groups.ranked();
        let found: Vec<_> = ranked.iter().map(|group| (group.strongest.place, group.alerts)).collect();
        assert_eq!(found, [(100, 10), (20, 20)]);
    }

    #[test]
    fn hosts_with_nothing_in_common_stay_apart() {
        let mut groups = Groups::default();
        add(&mut groups, ends("a", "x", 443), 0.7, 1);
        add(&mut groups, ends("b", "x", 443), 0.8, 2);
        add(&mut groups, ends("a", "y", 80), 0.9, 3);
        assert_eq!(groups.ranked().len(), 3);
    }

    #[test]
    fn too_many_groups_lose_their_weaker_half_and_the_rest_goes_on_counting() {
        let mut groups = Groups::default();
        for place in 0..=MOST_GROUPS as u64 {
            add(&mut groups, ends(&place.to_string(), "x", 1), place as f64, place);
        }
        assert_eq!(groups.groups.len(), MOST_GROUPS / 2);
        let strongest = MOST_GROUPS.to_string();
        add(&mut groups, ends(&strongest, "z", 1), 1.0, 9999);
        let ranked = groups.ranked();
        assert_eq!((ranked[0].strongest.place, ranked[0].alerts), (MOST_GROUPS as u64, 2));
    }
}

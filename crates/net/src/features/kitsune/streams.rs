//! A table of streams that never grows beyond its share of memory: when full, the stream that was updated least
//! recently is let go. The order is that of a list through all streams, never that of the hash table, so it is the same
//! in every run.

use std::hash::{BuildHasher, Hash};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::damped::Begin;

/// Streams kept even when memory is given as less: a packet touches two of a table.
const LEAST: usize = 16;
/// In the hash table: a place and its control byte, at a load of at least 7/16.
const PLACE_BYTES: usize = 12;
/// The end of the list.
const NOWHERE: u32 = u32::MAX;

/// Streams by key.
#[derive(Debug)]
pub(super) struct Streams<K, V> {
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
    nodes: Vec<Node<K, V>>,
    newest: u32,
    oldest: u32,
    most: usize,
    let_go: u64,
}

#[derive(Debug)]
struct Node<K, V> {
    key: K,
    value: V,
    newer: u32,
    older: u32,
}

impl<K: Hash + Eq + Copy, V: Begin> Streams<K, V> {
    /// An empty table that may take this many bytes.
    pub(super) fn new(bytes: u64) -> Streams<K, V> {
        // Half as much again: while the list grows, the old and the new one are there at once.
        let each = size_of::<Node<K, V>>() * 3 / 2 + PLACE_BYTES;
        let most = usize::try_from(bytes / each as u64).unwrap_or(usize::MAX);
        Streams {
            places: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            nodes: Vec::new(),
            newest: NOWHERE,
            oldest: NOWHERE,
            most: most.clamp(LEAST, NOWHERE as usize),
            let_go: 0,
        }
    }

    /// Streams let go so far.
    pub(super) fn let_go(&self) -> u64 {
        self.let_go
    }

    /// Updates the stream of this key, which begins now when there is none.
    pub(super) fn update<R: Default>(&mut self, key: K, ts_ns: i64, update: impl FnOnce(&mut V) -> R) -> R {
        let hash = self.hasher.hash_one(key);
        let nodes = &self.nodes;
        let found = self.places.find(hash, |&place| at(nodes, place).is_some_and(|node| node.key == key));
        let place = match found.copied() {
            Some(place) => {
                self.unlink(place);
                place
            }
            None => self.begin(key, hash, ts_ns),
        };
        self.link(place);
        self.nodes.get_mut(place as usize).map(|node| update(&mut node.value)).unwrap_or_default()
    }

    /// Finds a place for a new stream, which is not in the list yet.
    fn begin(&mut self, key: K, hash: u64, ts_ns: i64) -> u32 {
        let node = Node { key, value: V::begin(ts_ns), newer: NOWHERE, older: NOWHERE };
        let place = if self.nodes.len() < self.most {
            self.grow();
            self.nodes.push(node);
            (self.nodes.len() - 1) as u32
        } else {
            let place = self.forget_oldest();
            if let Some(old) = self.nodes.get_mut(place as usize) {
                *old = node;
            }
            place
        };
        let (nodes, hasher) = (&self.nodes, &self.hasher);
        let rehash = |&place: &u32| at(nodes, place).map_or(0, |node| hasher.hash_one(node.key));
        self.places.insert_unique(hash, place, rehash);
        place
    }

    /// Doubles the room, but not beyond what there may be.
    fn grow(&mut self) {
        let len = self.nodes.len();
        if len == self.nodes.capacity() {
            self.nodes.reserve_exact(len.max(LEAST).min(self.most - len));
        }
    }

    /// Lets the oldest go and gives its place.
    fn forget_oldest(&mut self) -> u32 {
        let place = self.oldest;
        if let Some(node) = at(&self.nodes, place) {
            let hash = self.hasher.hash_one(node.key);
            if let Ok(entry) = self.places.find_entry(hash, |&other| other == place) {
                entry.remove();
            }
        }
        self.unlink(place);
        self.let_go += 1;
        place
    }

    fn unlink(&mut self, place: u32) {
        let Some(&Node { newer, older, .. }) = at(&self.nodes, place) else { return };
        match self.nodes.get_mut(newer as usize) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
        match self.nodes.get_mut(older as usize) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
    }

    /// Puts what is in no list before all others.
    fn link(&mut self, place: u32) {
        let older = self.newest;
        if let Some(node) = self.nodes.get_mut(place as usize) {
            (node.newer, node.older) = (NOWHERE, older);
        }
        match self.nodes.get_mut(older as usize) {
            Some(node) => node.newer = place,
            None => self.oldest = place,
        }
        self.newest = place;
    }
}

fn at<K, V>(nodes: &[Node<K, V>], place: u32) -> Option<&Node<K, V>> {
    nodes.get(place as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Count(u32);

    impl Begin for Count {
        fn begin(_: i64) -> Count {
            Count(0)
        }
    }

    fn touch(streams: &mut Streams<u32, Count>, key: u32) -> u32 {
        streams.update(key, 0, |count| {
            count.0 += 1;
            count.0
        })
    }

    #[test]
    fn the_least_recently_updated_goes_first() {
        let mut streams = Streams::new(0);
        for key in 0..16 {
            assert_eq!(touch(&mut streams, key), 1);
        }
        assert_eq!((touch(&mut streams, 0), streams.let_go()), (2, 0));
        assert_eq!((touch(&mut streams, 16), streams.let_go()), (1, 1));
        // 1 was the oldest: it begins anew, and 2 goes for it.
        assert_eq!((touch(&mut streams, 1), touch(&mut streams, 0)), (1, 3));
        assert_eq!((touch(&mut streams, 3), touch(&mut streams, 2)), (2, 1));
        assert_eq!((streams.let_go(), streams.nodes.len(), streams.places.len()), (3, 16, 16));
    }

    /// Against a plain list of keys, the most recent last.
    #[test]
    fn agrees_with_a_plain_list() {
        let (mut streams, mut list, mut state) = (Streams::new(2_000), Vec::<(u32, u32)>::new(), 1_u32);
        let most = streams.most;
        for _ in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let key = (state >> 16) % 100;
            let found = list.iter().position(|entry| entry.0 == key);
            let count = found.map_or(0, |place| list.remove(place).1) + 1;
            if list.len() == most {
                list.remove(0);
            }
            list.push((key, count));
            assert_eq!(touch(&mut streams, key), count);
        }
        assert!(most > LEAST && streams.nodes.capacity() <= most && streams.let_go() > 0);
    }
}

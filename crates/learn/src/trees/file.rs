//! A forest as a named MessagePack map, and back with every claim checked.
//!
//! Nodes are 8 little-endian bytes each: target `u32`, column `u16`, cut `u8`, flags `u8`; covers are `f32`.
//! A loaded forest cannot make a later call panic, loop or recurse deeper than [`DEPTH_MAX`].

use serde::{Deserialize, Serialize};

use super::COLUMNS_MAX;
use super::bins::{BINS_MAX, Cuts};
use super::forest::{DEPTH_MAX, Forest, Node, Parts};
use crate::LearnError;

#[derive(Serialize, Deserialize)]
struct ForestFile {
    outputs: usize,
    /// Ascending cuts of each column.
    cuts: Vec<Vec<f64>>,
    /// Number of nodes of each tree.
    trees: Vec<u32>,
    nodes: Bytes,
    covers: Bytes,
    leaves: Vec<f64>,
    importances: Vec<f64>,
    /// Absent from files of before there were any.
    #[serde(default)]
    notes: Vec<String>,
}

impl Forest {
    /// The forest as a named map.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, LearnError> {
        let ends = self.roots.iter().skip(1).copied().chain([self.nodes.len() as u32]);
        write(&ForestFile {
            outputs: self.outputs,
            cuts: (0..self.cuts.columns()).map(|column| self.cuts.of(column).to_vec()).collect(),
            trees: self.roots.iter().zip(ends).map(|(root, end)| end - root).collect(),
            nodes: Bytes(self.nodes.iter().flat_map(|node| node.to_bytes()).collect()),
            covers: Bytes(self.covers.iter().flat_map(|cover| cover.to_le_bytes()).collect()),
            leaves: self.leaves.clone(),
            importances: self.importances.clone(),
            notes: self.notes.clone(),
        })
    }

    /// What [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`LearnError::File`] naming the first claim that does not hold.
    pub(crate) fn load(bytes: &[u8]) -> Result<Self, LearnError> {
        let file: ForestFile = read(bytes)?;
        check_cuts(&file.cuts)?;
        ensure((2..=usize::from(u16::MAX)).contains(&file.outputs), || format!("{} classes", file.outputs))?;
        ensure(
            file.nodes.0.len().is_multiple_of(8) && file.covers.0.len() * 2 == file.nodes.0.len(),
            || format!("{} bytes of nodes and {} of covers", file.nodes.0.len(), file.covers.0.len()),
        )?;
        let nodes: Vec<Node> =
            file.nodes.0.as_chunks().0.iter().map(|&bytes| Node::from_bytes(bytes)).collect();
        let covers: Vec<f32> =
            file.covers.0.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        ensure(covers.iter().all(|cover| cover.is_finite() && *cover > 0.0), || {
            "a weight not above 0".to_owned()
        })?;
        let leaves = file.leaves.len() / file.outputs;
        let whole = leaves * file.outputs == file.leaves.len();
        ensure(whole && file.leaves.iter().all(|share| share.is_finite()), || {
            format!("{} leaf values for {} classes, or one not finite", file.leaves.len(), file.outputs)
        })?;
        check_importances(&file.importances, file.cuts.len())?;
        let cuts = Cuts::new(file.cuts.iter().map(Vec::as_slice));
        let roots = roots(&file.trees, nodes.len())?;
        for (&root, &size) in roots.iter().zip(&file.trees) {
            check_tree(&nodes, root as usize..root as usize + size as usize, &cuts, leaves)?;
        }
        let ForestFile { outputs, leaves, importances, notes, .. } = file;
        Ok(Self::new(Parts { cuts, outputs, nodes, covers, roots, leaves, importances, notes }))
    }
}

impl Node {
    fn to_bytes(self) -> [u8; 8] {
        let [a, b, c, d] = self.target.to_le_bytes();
        let [e, f] = self.column.to_le_bytes();
        [a, b, c, d, e, f, self.cut, self.flags]
    }

    fn from_bytes([a, b, c, d, e, f, cut, flags]: [u8; 8]) -> Self {
        Self { target: u32::from_le_bytes([a, b, c, d]), column: u16::from_le_bytes([e, f]), cut, flags }
    }
}

fn check_cuts(cuts: &[Vec<f64>]) -> Result<(), LearnError> {
    ensure((1..=COLUMNS_MAX).contains(&cuts.len()), || format!("{} columns", cuts.len()))?;
    for (column, cuts) in cuts.iter().enumerate() {
        let ascending = cuts.windows(2).all(|pair| pair[0] < pair[1]);
        let finite = cuts.iter().all(|cut| cut.is_finite());
        ensure(cuts.len() < BINS_MAX && ascending && finite, || {
            format!("column {column} has {} cuts that are not ascending numbers (at most 254)", cuts.len())
        })?;
    }
    Ok(())
}

/// Checks that there is one importance per column and that each is a share.
pub(super) fn check_importances(importances: &[f64], columns: usize) -> Result<(), LearnError> {
    let shares = importances.iter().all(|share| (0.0..=1.0).contains(share));
    ensure(importances.len() == columns && shares, || {
        format!("{} importances for {columns} columns, or one outside 0 to 1", importances.len())
    })
}

/// First node of each tree.
pub(super) fn roots(sizes: &[u32], nodes: usize) -> Result<Vec<u32>, LearnError> {
    let total: u64 = sizes.iter().map(|&size| u64::from(size)).sum();
    let fits = total == nodes as u64 && u32::try_from(total).is_ok();
    ensure(fits && !sizes.is_empty() && !sizes.contains(&0), || {
        format!("{} trees of {total} nodes where there are {nodes}", sizes.len())
    })?;
    let starts = sizes.iter().scan(0u32, |next, &size| {
        let start = *next;
        *next = next.wrapping_add(size);
        Some(start)
    });
    Ok(starts.collect())
}

/// Checks that a range of nodes is one tree whose columns, cuts and leaves exist.
fn check_tree(
    nodes: &[Node],
    tree: std::ops::Range<usize>,
    cuts: &Cuts,
    leaves: usize,
) -> Result<(), LearnError> {
    let mut shape = Shape::new(tree.clone());
    for place in tree {
        let node = nodes[place];
        let fits = if node.is_leaf() {
            node == Node::leaf(node.target) && (node.target as usize) < leaves
        } else {
            let column = usize::from(node.column);
            node.flags <= 1
                && node.cut >= node.shift()
                && column < cuts.columns()
                && node.cut_index() <= cuts.of(column).len()
                && shape.parent(place, node.target as usize)
        };
        ensure(fits, || format!("node {place} is neither a leaf nor a split that exists: {node:?}"))?;
    }
    shape.finish()
}

/// Proves that nodes form one tree: children are adjacent, come later, and have one parent each.
pub(super) struct Shape {
    start: usize,
    /// Level of each node, the root having 1; 0 before its parent was seen.
    levels: Vec<u32>,
    splits: usize,
}

impl Shape {
    pub(super) fn new(tree: std::ops::Range<usize>) -> Self {
        let mut levels = vec![0; tree.len()];
        levels[0] = 1;
        Self { start: tree.start, levels, splits: 0 }
    }

    /// Notes that `parent` has children `left` and `left + 1`; whether that can be.
    pub(super) fn parent(&mut self, parent: usize, left: usize) -> bool {
        let level = self.levels[parent - self.start];
        let Some(children) =
            left.checked_sub(self.start).and_then(|left| self.levels.get_mut(left..left + 2))
        else {
            return false;
        };
        let fits = left > parent && level > 0 && (level as usize) <= DEPTH_MAX && *children == [0, 0];
        children.fill(level + 1);
        self.splits += 1;
        fits
    }

    /// Whether every node has been reached.
    pub(super) fn finish(self) -> Result<(), LearnError> {
        ensure(2 * self.splits + 1 == self.levels.len(), || {
            format!("a tree of {} nodes has {} splits", self.levels.len(), self.splits)
        })
    }
}

/// A value as a named map.
pub(super) fn write(value: &impl Serialize) -> Result<Vec<u8>, LearnError> {
    rmp_serde::to_vec_named(value)
        .map_err(|error| LearnError::File(format!("trees cannot be written: {error}")))
}

/// What [`write`] wrote.
pub(super) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, LearnError> {
    rmp_serde::from_slice(bytes).map_err(|error| LearnError::File(format!("trees cannot be read: {error}")))
}

/// Refuses a file with `found` when a claim does not hold.
pub(super) fn ensure(holds: bool, found: impl FnOnce() -> String) -> Result<(), LearnError> {
    if holds { Ok(()) } else { Err(LearnError::File(format!("the trees are damaged: found {}", found()))) }
}

/// Bytes kept as MessagePack binary rather than as a list of numbers.
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

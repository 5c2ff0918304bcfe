//! Boosted trees as a named MessagePack map, and back with every claim checked.
//!
//! Nodes are 16 little-endian bytes each: value `f64`, target `u32`, column `u16`, kind `u16`; covers are `f32`.
//! Loaded trees cannot make a later call panic, loop or recurse deeper than [`super::super::DEPTH_MAX`].

use serde::{Deserialize, Serialize};

use super::super::COLUMNS_MAX;
use super::super::file::{Bytes, Shape, check_importances, ensure, read, roots, write};
use super::categories::{CATEGORY_MAX, CategorySets};
use super::model::{Boosted, Node};
use super::ruled::Ruled;
use crate::LearnError;

/// Largest size of a leaf or a start: sums of them stay finite.
pub(super) const VALUE_MAX: f64 = 1e200;

#[derive(Serialize, Deserialize)]
struct BoostedFile {
    columns: usize,
    start: Vec<f64>,
    /// Number of nodes of each tree.
    trees: Vec<u32>,
    nodes: Bytes,
    covers: Bytes,
    /// Words of 64 categories, set after set, and where each set ends.
    sets: Vec<u64>,
    set_ends: Vec<u32>,
    importances: Vec<f64>,
    notes: Vec<String>,
}

impl Boosted {
    /// The trees as a named map.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, LearnError> {
        let ends = self.roots.iter().skip(1).copied().chain([self.nodes.len() as u32]);
        write(&BoostedFile {
            columns: self.columns,
            start: self.start.clone(),
            trees: self.roots.iter().zip(ends).map(|(root, end)| end - root).collect(),
            nodes: Bytes(self.nodes.iter().flat_map(|node| node.to_bytes()).collect()),
            covers: Bytes(self.covers.iter().flat_map(|cover| cover.to_le_bytes()).collect()),
            sets: self.sets.words.clone(),
            set_ends: self.sets.ends.clone(),
            importances: self.importances.clone(),
            notes: self.notes.clone(),
        })
    }

    /// What [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`LearnError::File`] naming the first claim that does not hold.
    pub(crate) fn load(bytes: &[u8]) -> Result<Self, LearnError> {
        let file: BoostedFile = read(bytes)?;
        ensure((1..=COLUMNS_MAX).contains(&file.columns), || format!("{} columns", file.columns))?;
        let classes = file.start.len();
        let whole = classes != 0 && classes != 2 && classes <= usize::from(u16::MAX);
        ensure(whole && file.trees.len().is_multiple_of(classes), || {
            format!("{classes} margins and {} trees", file.trees.len())
        })?;
        ensure(file.start.iter().all(|start| start.abs() <= VALUE_MAX), || {
            "a start that is too large".to_owned()
        })?;
        let nodes: Vec<Node> =
            file.nodes.0.as_chunks().0.iter().map(|&bytes| Node::from_bytes(bytes)).collect();
        let covers: Vec<f32> =
            file.covers.0.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        ensure(nodes.len() * 16 == file.nodes.0.len() && covers.len() * 4 == file.covers.0.len(), || {
            format!("{} bytes of nodes and {} of covers", file.nodes.0.len(), file.covers.0.len())
        })?;
        ensure(
            covers.len() == nodes.len() && covers.iter().all(|cover| cover.is_finite() && *cover > 0.0),
            || format!("{} weights of {} nodes, or one not above 0", covers.len(), nodes.len()),
        )?;
        check_importances(&file.importances, file.columns)?;
        let sets = CategorySets { words: file.sets, ends: file.set_ends };
        check_sets(&sets)?;
        let roots = if nodes.is_empty() && file.trees.is_empty() {
            Vec::new()
        } else {
            roots(&file.trees, nodes.len())?
        };
        for (&root, &size) in roots.iter().zip(&file.trees) {
            check_tree(&nodes, root as usize..root as usize + size as usize, file.columns, &sets)?;
        }
        let BoostedFile { columns, start, importances, notes, .. } = file;
        Ok(Self {
            columns,
            start,
            nodes,
            covers,
            roots,
            sets,
            importances,
            notes,
            path_columns: 0,
            ruled: Ruled::default(),
        }
        .finished())
    }
}

impl Node {
    fn to_bytes(self) -> [u8; 16] {
        let value = u128::from(self.value.to_bits());
        let rest = u128::from(self.kind) << 48 | u128::from(self.column) << 32 | u128::from(self.target);
        (rest << 64 | value).to_le_bytes()
    }

    fn from_bytes(bytes: [u8; 16]) -> Self {
        let bits = u128::from_le_bytes(bytes);
        Self {
            value: f64::from_bits(bits as u64),
            target: (bits >> 64) as u32,
            column: (bits >> 96) as u16,
            kind: (bits >> 112) as u16,
        }
    }
}

fn check_sets(sets: &CategorySets) -> Result<(), LearnError> {
    const WORDS_MAX: u32 = CATEGORY_MAX as u32 / 64 + 1;
    let starts = std::iter::once(&0).chain(&sets.ends);
    let ascending =
        starts.zip(&sets.ends).all(|(start, end)| start <= end && end.wrapping_sub(*start) <= WORDS_MAX);
    let end = sets.ends.last().map_or(0, |end| *end as usize);
    ensure(ascending && end == sets.words.len(), || {
        format!("{} words of categories where {} sets end at {end}", sets.words.len(), sets.ends.len())
    })
}

/// Checks that a range of nodes is one tree whose columns and sets exist.
fn check_tree(
    nodes: &[Node],
    tree: std::ops::Range<usize>,
    columns: usize,
    sets: &CategorySets,
) -> Result<(), LearnError> {
    let mut shape = Shape::new(tree.clone());
    for place in tree {
        let node = nodes[place];
        let fits = if node.is_leaf() {
            node == Node::leaf(node.value) && node.value.abs() <= VALUE_MAX
        } else {
            let value = match node.kind {
                Node::CUT | Node::CUT_MISSING_LEFT => !node.value.is_nan(),
                Node::SET => node.value.fract() == 0.0 && (0.0..sets.ends.len() as f64).contains(&node.value),
                _ => false,
            };
            value && usize::from(node.column) < columns && shape.parent(place, node.target as usize)
        };
        ensure(fits, || format!("node {place} is neither a leaf nor a split that exists: {node:?}"))?;
    }
    shape.finish()
}

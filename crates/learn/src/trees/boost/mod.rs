//! Gradient boosting on histograms: trees fitted to what the trees before them got wrong.
//!
//! The way of a fit: [`codes`] turns the matrix into bytes in tiles; each round, [`loss`] gives the derivatives of
//! every row, [`histogram`] rounds and sums them per bin, [`split`] finds the best split of a node and [`grow`] grows a
//! tree leaf by leaf. [`hold_out`] chooses the rows that say when to stop. [`model`] is what comes out, scored in
//! [`score`], kept by [`file`].
//!
//! Sources: Friedman 2001 (the method), Friedman 2002 (rows drawn for each tree), Chen & Guestrin 2016 (second
//! derivatives and penalties), Ke et al. 2017 (LightGBM: leaf by leaf, bundles; its defaults are the defaults here).

mod categories;
mod codes;
mod file;
mod grow;
mod histogram;
mod hold_out;
mod loss;
mod model;
mod ruled;
mod score;
mod split;

use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use self::categories::CategorySets;
use self::codes::Codes;
use self::grow::{Grower, Grown, Target};
use self::histogram::{CHUNK, Mark, quantise};
use self::hold_out::{HeldOut, Part};
use self::loss::Margins;
use self::ruled::Ruled;
use self::score::leaf_value;
use super::check_columns;
use super::draw::unit;
use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::Train;
use crate::matrix::Matrix;
use crate::rng;

pub(crate) use grow::Growth;
pub(crate) use model::Boosted;
pub(crate) use split::Rules;

/// Largest size of a leaf; far beyond what a loss leads to.
const LEAF_MAX: f64 = 1e100;

/// How boosted trees are fitted.
#[derive(Clone, Debug)]
pub(crate) struct BoostFit {
    /// Most rounds: one tree a round for two classes, else one per class.
    pub(crate) rounds: usize,
    /// What a tree's values are multiplied with.
    pub(crate) learning_rate: f64,
    /// Most bins of a column.
    pub(crate) bins: usize,
    /// Share of the rows drawn for each round without replacement.
    pub(crate) subsample: f64,
    /// Whether every class gets the same total weight.
    pub(crate) balanced: bool,
    pub(crate) stopping: Option<Stopping>,
    pub(crate) growth: Growth,
}

/// When rows that are not learnt from end the fit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopping {
    /// Share of the rows.
    pub(crate) share: f64,
    /// Rounds without a lower loss after which to stop.
    pub(crate) patience: usize,
}

impl BoostFit {
    /// Fits boosted trees; the same for any number of threads.
    pub(crate) fn fit(&self, data: &Train<'_>, ctx: &Ctx) -> Result<Boosted, LearnError> {
        data.check_labelled("gradient-boosting", true)?;
        check_columns(data)?;
        self.check_monotone(data)?;
        let x = data.x.dense();
        let weights = data.row_weights(self.balanced);
        ctx.install(|| {
            let mut rng = rng::stream(ctx.seed, "boosting validation", 0);
            let held_out =
                HeldOut::new(data, &weights, self.stopping.map(|stopping| stopping.share), &mut rng);
            let learnt = Part::new(&x, data.y, &weights, &held_out.learnt);
            let validated = held_out.validated.as_ref().map(|rows| Part::new(&x, data.y, &weights, rows));
            ctx.check()?;
            let codes = Codes::new(&learnt.x, data.categorical, self.bins)?;
            let mut boosting = Boosting::new(self, &codes, &learnt, validated.as_ref(), data.classes, ctx);
            boosting.notes.extend(held_out.note);
            boosting.run()?;
            Ok(boosting.finish())
        })?
    }

    fn check_monotone(&self, data: &Train<'_>) -> Result<(), LearnError> {
        let signs = &self.growth.rules.monotone;
        let refuse = |message: String| Err(LearnError::Data(format!("gradient-boosting: {message}")));
        if signs.iter().all(|sign| *sign == 0) {
            return Ok(());
        }
        if signs.len() != data.x.columns() {
            return refuse(format!(
                "`monotone` has {} signs for {} columns: expected one for each",
                signs.len(),
                data.x.columns()
            ));
        }
        if data.classes > 2 {
            return refuse(format!("`monotone` needs two classes, found {}", data.classes));
        }
        let of_category = |column: &usize| data.categorical.is_some_and(|categorical| categorical[*column]);
        match (0..signs.len()).filter(|&column| signs[column] != 0).find(of_category) {
            Some(column) => {
                refuse(format!("column {column} has categories, which have no order to be `monotone` in"))
            }
            None => Ok(()),
        }
    }
}

/// A fit under way.
struct Boosting<'a> {
    fit: &'a BoostFit,
    ctx: &'a Ctx,
    learnt: &'a Part<'a>,
    validated: Option<(&'a Part<'a>, Margins)>,
    grower: Grower<'a>,
    margins: Margins,
    start: Vec<f64>,
    trees: Vec<Tree>,
    /// Lowest loss of the validated rows and the rounds that led to it.
    best: (f64, usize),
    notes: Vec<String>,
    /// Room for a round.
    derivatives: Vec<[f64; 2]>,
    marks: Vec<Mark>,
}

/// A tree whose leaves have been shrunk, and the weight of its nodes.
struct Tree {
    grown: Grown,
    covers: Vec<f64>,
}

impl<'a> Boosting<'a> {
    fn new(
        fit: &'a BoostFit,
        codes: &'a Codes,
        learnt: &'a Part<'a>,
        validated: Option<&'a Part<'a>>,
        classes: usize,
        ctx: &'a Ctx,
    ) -> Self {
        let rows = learnt.y.len();
        let start = loss::start(&learnt.y, &learnt.weights, classes);
        Self {
            fit,
            ctx,
            learnt,
            validated: validated.map(|part| (part, Margins::new(&start, part.y.len()))),
            grower: Grower::new(codes, &fit.growth, learnt.x.columns(), ctx.mem_bytes / 2),
            margins: Margins::new(&start, rows),
            start,
            trees: Vec::new(),
            best: (f64::INFINITY, 0),
            notes: Vec::new(),
            derivatives: vec![[0.0; 2]; rows],
            marks: vec![Mark::default(); rows],
        }
    }

    fn run(&mut self) -> Result<(), LearnError> {
        self.validate(0);
        for round in 0..self.fit.rounds {
            self.ctx.check()?;
            self.ctx.progress("growing trees", round as u64, self.fit.rounds as u64);
            if !self.round(round)? {
                self.notes.push(format!("stopped after {round} rounds: no split gains anything"));
                break;
            }
            let patience = self.fit.stopping.map_or(usize::MAX, |stopping| stopping.patience);
            if self.validate(round + 1) && round + 1 - self.best.1 >= patience {
                break;
            }
        }
        if self.validated.is_some() {
            let rounds = self.trees.len() / self.start.len();
            self.trees.truncate(self.best.1 * self.start.len());
            self.notes.push(format!(
                "the first {} of {rounds} rounds are kept: their loss on {} validation rows is the lowest, {:.6}",
                self.best.1,
                self.validated.as_ref().map_or(0, |(part, _)| part.y.len()),
                self.best.0
            ));
        }
        Ok(())
    }

    /// Grows the trees of a round; false when none of them could be split.
    fn round(&mut self, round: usize) -> Result<bool, LearnError> {
        let probabilities = self.margins.probabilities();
        let drawn = self.draw(round);
        let mut any = false;
        for class in 0..self.start.len() {
            self.ctx.check()?;
            let Part { y, weights, .. } = self.learnt;
            self.margins.derivatives(class, &probabilities, y, weights, &mut self.derivatives);
            let scale = quantise(&self.derivatives, &mut self.marks);
            let target = Target { marks: &self.marks, scale };
            let index = (round * self.start.len() + class) as u64;
            let mut rng = rng::stream(self.ctx.seed, "boosting columns", index);
            let mut grown = self.grower.grow(drawn.as_deref(), target, &mut rng);
            any |= grown.nodes.len() > 1;
            for (node, _) in &grown.leaves {
                let leaf = &mut grown.nodes[*node].value;
                *leaf = (self.fit.learning_rate * *leaf).clamp(-LEAF_MAX, LEAF_MAX);
            }
            let tree = Tree { covers: covers(&grown, &self.grower.rows, weights), grown };
            self.add(&tree, class, drawn.is_none());
            self.trees.push(tree);
        }
        if !any {
            self.trees.truncate(round * self.start.len());
        }
        Ok(any)
    }

    /// The rows of a round, ascending; `None` = all.
    fn draw(&self, round: usize) -> Option<Vec<u32>> {
        let rows = self.learnt.y.len();
        let wanted = ((self.fit.subsample * rows as f64).round() as usize).max(1);
        (wanted < rows)
            .then(|| select(&mut rng::stream(self.ctx.seed, "boosting rows", round as u64), rows, wanted))
    }

    /// Adds a tree to the margins.
    fn add(&mut self, tree: &Tree, class: usize, all_rows: bool) {
        let Grown { nodes, leaves, .. } = &tree.grown;
        let margins = self.margins.of_mut(class);
        if all_rows {
            let rows = &self.grower.rows;
            margins.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, margins)| {
                let (first, end) = (chunk * CHUNK, chunk * CHUNK + margins.len());
                for (node, range) in leaves {
                    let (value, rows) = (nodes[*node].value, &rows[range.clone()]);
                    let [from, to] =
                        [first, end].map(|end| rows.partition_point(|&row| (row as usize) < end));
                    rows[from..to].iter().for_each(|&row| margins[row as usize - first] += value);
                }
            });
        } else {
            walk_all(tree, &self.learnt.x, margins);
        }
        if let Some((part, margins)) = &mut self.validated {
            walk_all(tree, &part.x, margins.of_mut(class));
        }
    }

    /// Measures the loss of the validated rows; whether there are any.
    fn validate(&mut self, rounds: usize) -> bool {
        let Some((part, margins)) = &self.validated else { return false };
        let loss = margins.loss(&part.y, &part.weights);
        if loss < self.best.0 {
            self.best = (loss, rounds);
        }
        true
    }

    fn finish(self) -> Boosted {
        let columns = self.learnt.x.columns();
        let size = self.trees.iter().map(|tree| tree.grown.nodes.len()).sum();
        let (mut nodes, mut covers) = (Vec::with_capacity(size), Vec::with_capacity(size));
        let (mut roots, mut sets) = (Vec::with_capacity(self.trees.len()), CategorySets::default());
        let mut gains = vec![0.0; columns];
        for Tree { grown, covers: weights } in self.trees {
            let (first, first_set) = (nodes.len() as u32, sets.append(&grown.sets));
            roots.push(first);
            nodes.extend(grown.nodes.iter().map(|&node| node.moved(first, first_set)));
            covers.extend(weights.iter().map(|weight| (*weight as f32).clamp(f32::MIN_POSITIVE, f32::MAX)));
            gains.iter_mut().zip(&grown.gains).for_each(|(sum, gain)| *sum += gain);
        }
        let total: f64 = gains.iter().sum();
        if total > 0.0 {
            gains.iter_mut().for_each(|gain| *gain /= total);
        }
        let (start, importances, notes) = (self.start, gains, self.notes);
        Boosted {
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
        .finished()
    }
}

/// Adds what a tree says to the margin of each row.
fn walk_all(tree: &Tree, x: &Matrix, margins: &mut [f64]) {
    margins.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, margins)| {
        for (row, margin) in margins.iter_mut().enumerate() {
            *margin += leaf_value(&tree.grown.nodes, &tree.grown.sets, 0, x.row(chunk * CHUNK + row));
        }
    });
}

/// Training weight of every node.
fn covers(grown: &Grown, rows: &[u32], weights: &[f64]) -> Vec<f64> {
    let mut covers = vec![0.0; grown.nodes.len()];
    let cover = |range: &Range<usize>| rows[range.clone()].iter().map(|&row| weights[row as usize]).sum();
    let of_leaves: Vec<f64> = grown.leaves.par_iter().map(|(_, range)| cover(range)).collect();
    grown.leaves.iter().zip(of_leaves).for_each(|((node, _), cover)| covers[*node] = cover);
    for (place, node) in grown.nodes.iter().enumerate().rev().filter(|(_, node)| !node.is_leaf()) {
        covers[place] = covers[node.target as usize] + covers[node.target as usize + 1];
    }
    covers
}

/// `wanted` of `rows` rows, ascending, all sets equally likely (Knuth's algorithm S).
fn select(rng: &mut ChaCha8Rng, rows: usize, wanted: usize) -> Vec<u32> {
    let mut chosen = Vec::with_capacity(wanted);
    for row in 0..rows {
        if unit(rng) * ((rows - row) as f64) < (wanted - chosen.len()) as f64 {
            chosen.push(row as u32);
        }
    }
    chosen
}

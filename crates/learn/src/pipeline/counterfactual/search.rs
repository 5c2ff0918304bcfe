//! The search: single changes first, then greedy ones, then the values of rows on the other side; whatever crosses is pruned
//! of every change it can do without and shrunk towards the row.

use rand::RngExt;

use super::Counterfactuals;
use super::domain::{Cell, Domain};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::rng;
use crate::table::{Column, Field, ListColumn, Role, Table, TextColumn};

/// Rows kept to model changed rows on.
const PROTOTYPES: usize = 64;
/// Crossing rows pruned and shrunk, the nearest first.
const STARTS: usize = 8;
/// Halvings of a change that still crosses.
const HALVINGS: usize = 40;

/// Why a search ended early.
pub(super) enum Stop {
    Budget,
    Error(LearnError),
}

impl From<LearnError> for Stop {
    fn from(error: LearnError) -> Self {
        Self::Error(error)
    }
}

/// Seeded rows of a table and their labels.
pub(super) fn prototypes_of(table: &Table, ctx: &Ctx) -> Vec<(Vec<Cell>, Option<bool>)> {
    let labels = table.labels();
    let mut rows: Vec<usize> = (0..table.rows()).collect();
    let mut rng = rng::stream(ctx.seed, "counterfactual", 0);
    // as many of each side as there are places, drawn without replacement
    for place in 0..rows.len() {
        let other = rng.random_range(place..rows.len());
        rows.swap(place, other);
    }
    let mut left = [PROTOTYPES / 2; 3];
    rows.retain(|&row| {
        let side = labels[row].map_or(2, usize::from);
        let take = left[side] > 0;
        left[side] = left[side].saturating_sub(1);
        take
    });
    let cells = |&row: &usize| table.features().map(|(_, column)| Cell::of(column, row)).collect();
    rows.iter().map(|row| (cells(row), labels[*row])).collect()
}

/// Made-up rows of equal percentiles in every feature, where no rows are at hand.
pub(super) fn prototypes_between(domains: &[Domain]) -> Vec<(Vec<Cell>, Option<bool>)> {
    let cell = |domain: &Domain, part: usize| match domain {
        Domain::Fixed => Cell::List(Vec::new()),
        Domain::Number { values, .. } => Cell::Number(values[part * (values.len() - 1) / 8]),
        Domain::Words(words) => Cell::Word(Some(words[part * (words.len() - 1) / 8].clone())),
    };
    (0..=8).map(|part| (domains.iter().map(|domain| cell(domain, part)).collect(), None)).collect()
}

/// One search for one row.
pub(super) struct Search<'a> {
    owner: &'a Counterfactuals<'a>,
    ctx: &'a Ctx,
    from: Vec<Cell>,
    before: f64,
    alert: bool,
    nearest: f64,
    scored: usize,
    /// Rows that may have been scored by the end of what is being done.
    limit: usize,
}

/// A row that crosses, with what its changes come to.
struct Crossing {
    row: Vec<Cell>,
    changes: usize,
    cost: f64,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        owner: &'a Counterfactuals<'a>,
        from: Vec<Cell>,
        ctx: &'a Ctx,
    ) -> Result<Self, LearnError> {
        let mut search =
            Self { owner, ctx, from, before: 0.0, alert: false, nearest: 0.0, scored: 0, limit: 0 };
        search.before = search.score_of(&search.from)?;
        search.nearest = search.before;
        search.alert = owner.pipeline.is_alert(search.before);
        Ok(search)
    }

    pub(super) fn from(&self) -> &[Cell] {
        &self.from
    }

    pub(super) fn before(&self) -> f64 {
        self.before
    }

    pub(super) fn nearest(&self) -> f64 {
        self.nearest
    }

    /// Places of the features in which `row` differs.
    pub(super) fn changed(&self, row: &[Cell]) -> Vec<usize> {
        (0..row.len()).filter(|&place| !row[place].same(&self.from[place])).collect()
    }

    pub(super) fn score_of(&self, row: &[Cell]) -> Result<f64, LearnError> {
        Ok(self.raw_scores(&[row])?[0])
    }

    /// The best row found, or `None` when nothing crosses.
    pub(super) fn run(&mut self) -> Result<Option<Vec<Cell>>, Stop> {
        let mut best: Option<Crossing> = None;
        let mut starts = Vec::new();
        // each way to a start has half of what is left, so that enough remains to prune what was found
        self.in_half(|search| search.singles(&mut starts))?;
        if starts.is_empty() {
            self.in_half(|search| search.modelled(&mut starts))?;
            self.in_half(|search| search.greedy(&mut starts))?;
        }
        self.limit = self.owner.constraints.budget;
        if starts.is_empty() && self.scored >= self.limit / 2 {
            return Err(Stop::Budget);
        }
        starts.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        starts.truncate(STARTS);
        for start in starts {
            let refined = match self.refine(start.row) {
                Ok(row) => self.crossing(row),
                Err(Stop::Budget) if best.is_some() => break,
                Err(stop) => return Err(stop),
            };
            let better = |known: &Crossing| (refined.changes, refined.cost) < (known.changes, known.cost);
            if best.as_ref().is_none_or(better) {
                best = Some(refined);
            }
        }
        Ok(best.map(|best| best.row))
    }

    /// Does something with half of the budget that is left; it ends early when that is spent.
    fn in_half(&mut self, work: impl FnOnce(&mut Self) -> Result<(), Stop>) -> Result<(), Stop> {
        self.limit = self.scored + self.owner.constraints.budget.saturating_sub(self.scored).div_ceil(2);
        match work(self) {
            Err(Stop::Budget) => Ok(()),
            other => other,
        }
    }

    /// Per feature the cheapest value that crosses on its own.
    fn singles(&mut self, found: &mut Vec<Crossing>) -> Result<(), Stop> {
        let base = self.from.clone();
        for place in 0..base.len() {
            let tried = self.try_values(&base, place)?;
            let crossing = tried.into_iter().filter(|(_, score)| self.crosses(*score));
            let rows = crossing.map(|(cell, _)| self.crossing(with(&base, place, cell)));
            found.extend(rows.min_by(|a, b| a.cost.total_cmp(&b.cost)));
        }
        Ok(())
    }

    /// Takes the change that helps most, again and again, until the threshold is crossed or nothing helps.
    fn greedy(&mut self, found: &mut Vec<Crossing>) -> Result<(), Stop> {
        let mut row = self.from.clone();
        let mut reached = self.before;
        loop {
            let mut best: Option<(f64, f64, usize, Cell)> = None;
            for place in 0..row.len() {
                for (cell, score) in self.try_values(&row, place)? {
                    let (gain, cost) = (self.gain(score), self.cost(place, &cell));
                    let better = best
                        .as_ref()
                        .is_none_or(|(most, least, _, _)| gain > *most || (gain == *most && cost < *least));
                    if better {
                        best = Some((gain, cost, place, cell));
                    }
                }
            }
            let Some((gain, _, place, cell)) = best.filter(|(gain, ..)| *gain > self.gain(reached)) else {
                return Ok(());
            };
            reached = if self.alert { -gain } else { gain };
            row[place] = cell;
            if self.crosses(reached) {
                found.push(self.crossing(row));
                return Ok(());
            }
        }
    }

    /// The row with all that is allowed of rows on the other side: gets across plateaus where no single change helps.
    fn modelled(&mut self, found: &mut Vec<Crossing>) -> Result<(), Stop> {
        let wanted = !self.alert;
        let owner = self.owner;
        let other_side =
            owner.prototypes.iter().filter(|(_, label)| label.is_none_or(|label| label == wanted));
        let mixed = other_side.map(|(prototype, _)| {
            let choose = |(place, to): (usize, &Cell)| {
                if owner.domains[place].allows(&self.from[place], to) {
                    to.clone()
                } else {
                    self.from[place].clone()
                }
            };
            prototype.iter().enumerate().map(choose).collect()
        });
        let rows: Vec<Vec<Cell>> = mixed.collect();
        let scores = self.scores(&rows)?;
        let crossing = rows.into_iter().zip(scores).filter(|(_, score)| self.crosses(*score));
        found.extend(crossing.map(|(row, _)| self.crossing(row)));
        Ok(())
    }

    /// Prunes and shrinks until no change can be left out.
    fn refine(&mut self, mut row: Vec<Cell>) -> Result<Vec<Cell>, Stop> {
        self.prune(&mut row)?;
        loop {
            for place in self.changed(&row) {
                self.shrink(&mut row, place)?;
            }
            if !self.prune(&mut row)? {
                return Ok(row);
            }
        }
    }

    /// Takes changes back, the dearest first, while the row still crosses; says whether any was. Ends when each is needed.
    fn prune(&mut self, row: &mut Vec<Cell>) -> Result<bool, Stop> {
        let mut pruned = false;
        loop {
            let mut changed = self.changed(row);
            changed.sort_by(|&a, &b| self.cost(b, &row[b]).total_cmp(&self.cost(a, &row[a])));
            let without: Vec<Vec<Cell>> =
                changed.iter().map(|&place| with(row, place, self.from[place].clone())).collect();
            let scores = self.scores(&without)?;
            let Some(spare) = scores.iter().position(|&score| self.crosses(score)) else { return Ok(pruned) };
            row.clone_from(&without[spare]);
            pruned = true;
        }
    }

    /// Moves one change back towards the row as far as it still crosses: to a value seen, then by halving, then to a round one.
    fn shrink(&mut self, row: &mut Vec<Cell>, place: usize) -> Result<(), Stop> {
        let owner = self.owner;
        let domain = &owner.domains[place];
        let cost = self.cost(place, &row[place]);
        let tried = self.try_values(row, place)?;
        let cheaper =
            tried.into_iter().filter(|(cell, score)| self.crosses(*score) && self.cost(place, cell) < cost);
        if let Some((cell, _)) =
            cheaper.min_by(|(a, _), (b, _)| self.cost(place, a).total_cmp(&self.cost(place, b)))
        {
            row[place] = cell;
        }
        let mut short = self.from[place].clone();
        for _ in 0..HALVINGS {
            let Some(middle) = domain.between(&short, &row[place]) else { break };
            let tried = with(row, place, middle.clone());
            let allowed = domain.allows(&self.from[place], &middle);
            if allowed && self.scores(std::slice::from_ref(&tried))?.iter().all(|&score| self.crosses(score))
            {
                *row = tried;
            } else {
                short = middle;
            }
        }
        self.round(row, place)
    }

    /// Fewer digits where they do as well.
    fn round(&mut self, row: &mut Vec<Cell>, place: usize) -> Result<(), Stop> {
        let Cell::Number(exact) = row[place] else { return Ok(()) };
        let rounded = (0..6).filter_map(|digits| format!("{exact:.digits$e}").parse().ok().map(Cell::Number));
        let allowed: Vec<Vec<Cell>> = rounded
            .filter(|cell| {
                self.owner.domains[place].allows(&self.from[place], cell) && !cell.same(&self.from[place])
            })
            .map(|cell| with(row, place, cell))
            .collect();
        let limit = self.cost(place, &row[place]) * 1.05;
        let scores = self.scores(&allowed)?;
        let round = allowed.into_iter().zip(scores);
        let mut good =
            round.filter(|(tried, score)| self.crosses(*score) && self.cost(place, &tried[place]) <= limit);
        if let Some((tried, _)) = good.next() {
            *row = tried;
        }
        Ok(())
    }

    /// Every value worth trying of one feature in `row`, with its score.
    fn try_values(&mut self, row: &[Cell], place: usize) -> Result<Vec<(Cell, f64)>, Stop> {
        let candidates = self.owner.domains[place].candidates(&self.from[place]);
        let rows: Vec<Vec<Cell>> = candidates.iter().map(|cell| with(row, place, cell.clone())).collect();
        let scores = self.scores(&rows)?;
        Ok(candidates.into_iter().zip(scores).collect())
    }

    fn crosses(&self, score: f64) -> bool {
        self.owner.pipeline.is_alert(score) != self.alert
    }

    /// Higher = nearer to the other side.
    fn gain(&self, score: f64) -> f64 {
        if self.alert { -score } else { score }
    }

    fn cost(&self, place: usize, to: &Cell) -> f64 {
        self.owner.domains[place].cost(&self.from[place], to)
    }

    fn crossing(&self, row: Vec<Cell>) -> Crossing {
        let changed = self.changed(&row);
        let cost = changed.iter().map(|&place| self.cost(place, &row[place])).sum();
        Crossing { changes: changed.len(), cost, row }
    }

    fn scores(&mut self, rows: &[Vec<Cell>]) -> Result<Vec<f64>, Stop> {
        self.ctx.check()?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        self.scored += rows.len();
        if self.scored > self.limit {
            return Err(Stop::Budget);
        }
        let rows: Vec<&[Cell]> = rows.iter().map(Vec::as_slice).collect();
        let scores = self.raw_scores(&rows)?;
        let nearest = scores.iter().copied().max_by(|a, b| self.gain(*a).total_cmp(&self.gain(*b)));
        self.nearest =
            nearest.filter(|score| self.gain(*score) > self.gain(self.nearest)).unwrap_or(self.nearest);
        Ok(scores)
    }

    fn raw_scores(&self, rows: &[&[Cell]]) -> Result<Vec<f64>, LearnError> {
        let mut table = Table::default();
        for (place, feature) in self.owner.pipeline.schema.features.iter().enumerate() {
            let column = column(rows.iter().map(|row| &row[place]));
            table.push(Field::new(&feature.name, &feature.unit, Role::Feature), column)?;
        }
        Ok(self.owner.pipeline.score(&table, self.ctx)?.malicious)
    }
}

fn with(row: &[Cell], place: usize, cell: Cell) -> Vec<Cell> {
    let mut row = row.to_vec();
    row[place] = cell;
    row
}

/// The column of cells that are all of the first one's kind.
fn column<'c>(cells: impl Iterator<Item = &'c Cell> + Clone) -> Column {
    match cells.clone().next() {
        Some(Cell::Word(_)) => Column::Text(TextColumn::from_texts(cells.map(|cell| match cell {
            Cell::Word(word) => word.as_deref(),
            _ => None,
        }))),
        Some(Cell::List(_)) => Column::List(ListColumn::from_lists(cells.map(|cell| match cell {
            Cell::List(list) => list.clone(),
            _ => Vec::new(),
        }))),
        _ => Column::F64(
            cells.map(|cell| if let Cell::Number(number) = cell { *number } else { f64::NAN }).collect(),
        ),
    }
}

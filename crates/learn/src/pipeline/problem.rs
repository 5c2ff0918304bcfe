//! From a table and a spec to what an estimator learns: usable rows, classes, prepared matrix.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::adjust::{Adjust, Calibration};
use super::distinct::{first_alike, merge};
use super::hold_out::HeldOutScores;
use super::{PipelineSpec, Target, malicious_score, refuse_missing, score_rows};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::{Estimator, Kind, Model, ModelSpec, Train};
use crate::eval::cost::CostMatrix;
use crate::eval::split::Rows;
use crate::matrix::Matrix;
use crate::models;
use crate::params::Params;
use crate::prep::{Labels, Preparation, StepSpec, default_steps};
use crate::search::SearchSpec;
use crate::table::{BENIGN, Column, MALICIOUS, Role, Table};

/// A learning problem over a table whose rows are all usable.
pub(super) struct Problem<'a> {
    pub(super) table: &'a Table,
    pub(super) model: &'static ModelSpec,
    pub(super) params: Params,
    pub(super) classes: Vec<String>,
    /// Per row its place in `classes`; empty for novelty models.
    pub(super) y: Vec<u32>,
    pub(super) rows: Rows<'a>,
    /// Hyperparameters as typed, which no search changes.
    pub(super) given: BTreeMap<String, String>,
    pub(super) search: Option<SearchSpec>,
    pub(super) costs: Option<CostMatrix>,
    /// Shares of the classes to expect, in their order, as far as they are given.
    pub(super) expected: Option<Vec<f64>>,
    estimator: Box<dyn Estimator>,
    steps: Vec<StepSpec>,
    /// What equal rows weigh, and per row the first one like it.
    dedup: Option<(f64, Vec<u32>)>,
}

/// Preparation and model, and which classes the model knows (a fold may lack some).
pub(super) struct FittedRows {
    pub(super) prep: Preparation,
    /// Whether rows were learnt from, and are scored, without their zeros.
    pub(super) sparse: bool,
    pub(super) model: Box<dyn Model>,
    present: Vec<u32>,
}

/// Rows a fit may use: for a classifier those with a label; for a novelty model all.
pub(super) fn usable_rows(spec: &PipelineSpec, table: &Table) -> Result<Vec<usize>, LearnError> {
    if models::find(&spec.model)?.kind == Kind::Novelty {
        return Ok((0..table.rows()).collect());
    }
    let labels = table.labels();
    Ok((0..table.rows()).filter(|&row| labels[row].is_some()).collect())
}

/// The table with these rows only, without a copy when they are all.
pub(super) fn restrict<'a>(table: &'a Table, rows: &[usize]) -> Cow<'a, Table> {
    if rows.len() == table.rows() { Cow::Borrowed(table) } else { Cow::Owned(table.take_rows(rows)) }
}

/// The class of each row by name; `None` where unlabelled. Malicious rows without a name of their own are "malicious".
pub(super) fn class_names(target: Target, table: &Table) -> Result<Vec<Option<String>>, LearnError> {
    let words: Vec<Option<&str>> = match target {
        Target::Label => vec![None; table.rows()],
        Target::Family => table.families(),
        Target::Class => match table.column("class") {
            Some(Column::Text(text)) => text.iter().collect(),
            _ => {
                return Err(LearnError::Data(
                    "target class: the table has no text column named `class`".into(),
                ));
            }
        },
    };
    let name = |(label, word): (Option<bool>, Option<&str>)| {
        label.map(|malicious| match (malicious, word) {
            (false, _) => BENIGN.to_owned(),
            (true, Some(word)) if word != BENIGN => word.to_owned(),
            (true, _) => MALICIOUS.to_owned(),
        })
    };
    Ok(table.labels().into_iter().zip(words).map(name).collect())
}

impl<'a> Problem<'a> {
    pub(super) fn new(spec: &PipelineSpec, table: &'a Table) -> Result<Self, LearnError> {
        let model = models::find(&spec.model)?;
        let params = Params::check(model.name, model.params, &spec.params)?;
        let (classes, y) = match model.kind {
            Kind::Classifier => classes(spec.target, table)?,
            Kind::Novelty => (Vec::new(), Vec::new()),
        };
        let priors = spec.priors.as_ref().filter(|_| model.kind == Kind::Classifier);
        let expected = priors.map(|priors| expected_shares(priors, &classes)).transpose()?;
        let dedup = spec.dedup.map(|power| Ok((check_power(power)?, first_alike(table, &y)))).transpose()?;
        Ok(Self {
            given: spec.params.clone(),
            search: spec.search.clone(),
            costs: spec.costs.clone(),
            expected,
            dedup,
            table,
            model,
            estimator: (model.build)(&params)?,
            params,
            classes,
            y,
            rows: Rows::of(table),
            steps: spec.prep.clone().unwrap_or_else(|| default_steps(model, &table.schema())),
        })
    }

    /// Whether a novelty model has labels to leave malicious rows out by.
    pub(super) fn labelled(&self) -> bool {
        self.rows.labels.iter().any(Option::is_some)
    }

    /// Those of `rows` that are learnt from: all for a classifier, the benign ones for a novelty model (all without labels).
    pub(super) fn learnt(&self, rows: &[usize]) -> Vec<usize> {
        let benign_only = self.model.kind == Kind::Novelty && self.labelled();
        rows.iter().copied().filter(|&row| !benign_only || self.rows.labels[row] == Some(false)).collect()
    }

    /// The rows that stand for normal traffic: benign ones, or all without labels.
    pub(super) fn reference_rows(&self) -> Vec<usize> {
        (0..self.rows.len()).filter(|&row| !self.labelled() || self.rows.labels[row] == Some(false)).collect()
    }

    /// Whether a model can be learnt from these rows: some rows, and for a classifier benign ones and others.
    pub(super) fn suffices(&self, rows: &[usize]) -> bool {
        match self.model.kind {
            Kind::Novelty => !self.learnt(rows).is_empty(),
            Kind::Classifier => {
                let benign = rows.iter().filter(|&&row| self.y[row] == 0).count();
                benign > 0 && benign < rows.len()
            }
        }
    }

    /// Fits preparation and model on some rows.
    pub(super) fn fit(&self, rows: &[usize], ctx: &Ctx) -> Result<FittedRows, LearnError> {
        self.fit_with(&*self.estimator, rows, ctx)
    }

    /// The same with hyperparameters other than the problem's.
    pub(super) fn fit_with(
        &self,
        estimator: &dyn Estimator,
        rows: &[usize],
        ctx: &Ctx,
    ) -> Result<FittedRows, LearnError> {
        let rows = self.learnt(rows);
        if rows.is_empty() {
            return Err(LearnError::Data(format!("no rows for {} to learn from", self.model.name)));
        }
        let (rows, weights) = match &self.dedup {
            None => (rows, None),
            Some((power, alike)) => {
                let (rows, weights) = merge(&rows, alike, *power);
                (rows, Some(weights))
            }
        };
        let (y, present) = self.local_classes(&rows);
        let labels = Labels { y: &y, classes: present.len() };
        let (prep, x) = Preparation::fit_for(self.model, &self.steps, self.table, &rows, labels)?;
        refuse_missing(&prep, self.model, x.rows())?;
        let categorical: Vec<bool> = prep.columns().iter().map(|column| column.categorical).collect();
        let groups: Option<Vec<u32>> = self.rows.groups.as_ref().map(|groups| take(groups, &rows));
        let times: Option<Vec<i64>> = self.rows.times.as_ref().map(|times| take(times, &rows));
        let families = match self.table.role(Role::Family) {
            Some(Column::Text(text)) => Some(take(&text.codes, &rows)),
            _ => None,
        };
        let data = Train {
            x: x.rows(),
            y: &y,
            classes: present.len(),
            weights: weights.as_deref(),
            groups: groups.as_deref(),
            times: times.as_deref(),
            families: families.as_deref(),
            categorical: (self.model.takes_categories && categorical.contains(&true))
                .then_some(&categorical[..]),
        };
        let model = estimator.fit(&data, ctx)?;
        Ok(FittedRows { prep, sparse: x.is_sparse(), model, present })
    }

    /// Scores some rows: malicious scores, and rows × all classes (1 column for novelty models).
    pub(super) fn score(
        &self,
        fitted: &FittedRows,
        rows: &[usize],
        ctx: &Ctx,
    ) -> Result<(Vec<f64>, Matrix), LearnError> {
        let (prep, model, places) = (&fitted.prep, &*fitted.model, rows.iter().copied());
        let local = score_rows(prep, fitted.sparse, model, self.model, self.table, places, ctx)?;
        if self.model.kind == Kind::Novelty {
            return Ok((local.column(0), local));
        }
        let mut classes = Matrix::zeros(rows.len(), self.classes.len());
        for row in 0..rows.len() {
            for (&place, &score) in fitted.present.iter().zip(local.row(row)) {
                classes.row_mut(row)[place as usize] = score;
            }
        }
        let malicious = classes.iter_rows().map(|row| malicious_score(self.model.kind, row)).collect();
        Ok((malicious, classes))
    }

    /// The adjustments the spec asks for, fitted to the scores of rows held out and applied to them.
    pub(super) fn adjust(
        &self,
        spec: &PipelineSpec,
        held_out: &mut HeldOutScores,
    ) -> Result<Adjust, LearnError> {
        if self.model.kind == Kind::Novelty {
            return match (spec.calibration, &spec.costs, &spec.priors) {
                (Calibration::None, None, None) => Ok(Adjust::default()),
                _ => Err(LearnError::Data(format!(
                    "{} gives anomaly scores, not probabilities: calibration, costs and priors need a classifier",
                    self.model.name
                ))),
            };
        }
        let costs = spec.costs.as_ref().map(|costs| costs.of_classes(&self.classes)).transpose()?;
        let mut adjust = Adjust::with_costs(costs);
        let truth: Vec<u32> = held_out.rows.iter().map(|&row| self.y[row]).collect();
        if spec.calibration != Calibration::None {
            if truth.is_empty() {
                return Err(LearnError::Data(format!(
                    "calibration {}: no rows were held out to calibrate on; use another split",
                    spec.calibration
                )));
            }
            adjust.calibrate(spec.calibration, &held_out.classes, &truth);
        }
        if let Some(priors) = &spec.priors {
            let seen = if spec.calibration == Calibration::None {
                self.learnt_shares()
            } else {
                self.shares(&truth)
            };
            adjust.correct_priors(&seen, &expected_shares(priors, &self.classes)?);
        }
        apply_across(spec.calibration, &adjust, &truth, held_out);
        held_out.malicious =
            held_out.classes.iter_rows().map(|row| malicious_score(self.model.kind, row)).collect();
        held_out.decided = held_out.classes.iter_rows().map(|row| adjust.decide(row)).collect();
        if let Some(costs) = adjust.costs() {
            held_out.mean_cost = costs.mean_cost(&truth, &held_out.decided)?;
        }
        Ok(adjust)
    }

    /// The share of each class among the rows learnt from, as they are weighed.
    pub(super) fn learnt_shares(&self) -> Vec<f64> {
        let all: Vec<usize> = (0..self.y.len()).collect();
        let Some((power, alike)) = &self.dedup else { return self.shares(&self.y) };
        let (rows, weights) = merge(&all, alike, *power);
        let mut sums = vec![0.0; self.classes.len()];
        rows.iter().zip(&weights).for_each(|(&row, weight)| sums[self.y[row] as usize] += weight);
        let total: f64 = weights.iter().sum();
        sums.into_iter().map(|sum| sum / total).collect()
    }

    fn shares(&self, y: &[u32]) -> Vec<f64> {
        let mut counts = vec![0.0; self.classes.len()];
        y.iter().for_each(|&class| counts[class as usize] += 1.0);
        counts.into_iter().map(|count| count / y.len() as f64).collect()
    }

    /// Classes renumbered without gaps, and which they are.
    fn local_classes(&self, rows: &[usize]) -> (Vec<u32>, Vec<u32>) {
        if self.model.kind == Kind::Novelty {
            return (Vec::new(), Vec::new());
        }
        let mut rows_of = vec![0u32; self.classes.len()];
        rows.iter().for_each(|&row| rows_of[self.y[row] as usize] += 1);
        let present: Vec<u32> =
            (0..rows_of.len() as u32).filter(|&class| rows_of[class as usize] > 0).collect();
        let place = |row: &usize| present.partition_point(|&class| class < self.y[*row]) as u32;
        (rows.iter().map(place).collect(), present)
    }
}

/// Adjusts the rows of each fold with calibrators fitted to the other folds, so that no row is judged by what was learnt
/// from it; with one fold there are no others, and the record says so.
fn apply_across(how: Calibration, adjust: &Adjust, truth: &[u32], held_out: &mut HeldOutScores) {
    if how == Calibration::None || held_out.fold_ends.len() < 2 {
        if how != Calibration::None {
            held_out.notes.push(format!(
                "probabilities were calibrated ({how}) on the very rows they are measured on: expect worse of other rows"
            ));
        }
        return adjust.apply_all(&mut held_out.classes);
    }
    let raw = held_out.classes.clone();
    let mut start = 0;
    for &end in &held_out.fold_ends {
        let others: Vec<usize> = (0..start).chain(end..truth.len()).collect();
        let mut apart = adjust.clone();
        apart.calibrate(how, &raw.take_rows(&others), &take(truth, &others));
        (start..end).for_each(|row| apart.apply(held_out.classes.row_mut(row)));
        start = end;
    }
}

fn check_power(power: f64) -> Result<f64, LearnError> {
    if (0.0..=1.0).contains(&power) {
        return Ok(power);
    }
    Err(LearnError::Data(format!(
        "dedup: expected a power of the count from 0 (every distinct row weighs 1) to 1 (as often as it came), found {power}"
    )))
}

fn take<T: Copy>(values: &[T], rows: &[usize]) -> Vec<T> {
    rows.iter().map(|&row| values[row]).collect()
}

/// Class names, benign first and the others by alphabet, and the place of each row's class.
fn classes(target: Target, table: &Table) -> Result<(Vec<String>, Vec<u32>), LearnError> {
    let names: Vec<String> = class_names(target, table)?.into_iter().flatten().collect();
    let mut classes = names.clone();
    classes.sort_by_key(|name| (name != BENIGN, name.clone()));
    classes.dedup();
    if classes.len() < 2 || classes[0] != BENIGN {
        return Err(LearnError::Data(format!(
            "a classifier needs labelled benign and malicious rows; found {}",
            if classes.is_empty() {
                "no labelled row".to_owned()
            } else {
                format!("only {}", classes.join(", "))
            }
        )));
    }
    let place = |name: &String| classes.iter().position(|class| class == name).unwrap_or(0) as u32;
    let y = names.iter().map(place).collect();
    Ok((classes, y))
}

/// The shares of these classes to expect, in their order, summing to 1; nothing given = equal ones.
fn expected_shares(given: &BTreeMap<String, f64>, classes: &[String]) -> Result<Vec<f64>, LearnError> {
    if given.is_empty() {
        return Ok(vec![1.0 / classes.len() as f64; classes.len()]);
    }
    if let Some(stray) = given.keys().find(|name| !classes.contains(name)) {
        return Err(LearnError::Unknown {
            kind: "class to give a prior",
            name: stray.clone(),
            known: classes.join(", "),
        });
    }
    let shares: Vec<f64> = classes.iter().map(|name| given.get(name).copied().unwrap_or(0.0)).collect();
    let total: f64 = shares.iter().sum();
    if shares.iter().any(|share| !(0.0..=1e12).contains(share)) || total <= 0.0 {
        return Err(LearnError::Data(
            "priors: expected numbers from 0 to 1e12 that are not all 0".to_owned(),
        ));
    }
    Ok(shares.into_iter().map(|share| share / total).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Field, TextColumn};

    /// Learns nothing, but says which columns it was told are categories.
    struct Probe;

    impl Estimator for Probe {
        fn fit(&self, data: &Train<'_>, _: &Ctx) -> Result<Box<dyn Model>, LearnError> {
            Err(LearnError::Data(format!("{:?}", data.categorical)))
        }
    }

    #[test]
    fn models_that_know_categories_are_told_which_columns_are_codes() {
        let words = |words: [&'static str; 4]| Column::Text(TextColumn::from_texts(words.map(Some)));
        let table = Table::new(
            vec![
                Field::new("bytes", "", Role::Feature),
                Field::new("service", "", Role::Feature),
                Field::new("label", "", Role::Label),
            ],
            vec![
                Column::F64(vec![1.0, 2.0, 3.0, 4.0]),
                words(["http", "dns", "http", "ntp"]),
                words([BENIGN, MALICIOUS, BENIGN, MALICIOUS]),
            ],
        )
        .unwrap();
        for (takes_categories, told) in [(true, "Some([false, true])"), (false, "None")] {
            let known = models::find("decision-tree").unwrap();
            let model: &'static ModelSpec =
                Box::leak(Box::new(ModelSpec { takes_categories, takes_missing: true, ..*known }));
            let mut problem = Problem::new(&PipelineSpec::new(known.name), &table).unwrap();
            problem.steps = default_steps(model, &table.schema());
            (problem.model, problem.estimator) = (model, Box::new(Probe));
            let Err(error) = problem.fit(&[0, 1, 2, 3], &Ctx::new(1, 1)) else { panic!("fitted") };
            assert_eq!(error.to_string(), told);
        }
    }
}

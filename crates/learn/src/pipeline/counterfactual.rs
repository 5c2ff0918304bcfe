//! What would have to be different about a row for it to fall on the other side of the threshold: the fewest and smallest
//! changes that keep to what is possible ([`Constraints`]) and to what was seen in training ([`domain`]). The search
//! ([`search`]) needs nothing of the model but its scores, so it works with any.

mod domain;
mod search;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Pipeline;
use crate::LearnError;
use crate::ctx::Ctx;
use crate::table::{FeatureKind, Table};
use domain::{Cell, Domain};
use search::{Search, Stop};

/// Where a feature may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Movement {
    /// To any value seen in training.
    #[default]
    Any,
    /// Up only: what has been sent cannot be taken back.
    Up,
    /// Down only.
    Down,
    /// Nowhere.
    Fixed,
}

/// What a counterfactual must keep to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constraints {
    /// By name of the feature; one that is not named may go anywhere.
    pub movements: BTreeMap<String, Movement>,
    /// Features changed at most; 0 = any number.
    pub most_changes: usize,
    /// Rows scored at most on the way.
    pub budget: usize,
}

impl Default for Constraints {
    fn default() -> Self {
        Self { movements: BTreeMap::new(), most_changes: 0, budget: 50_000 }
    }
}

/// The answer to "what would have to be different?".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// These changes cross the threshold, and none of them can be left out.
    Found(Counterfactual),
    /// No such changes were found.
    NotFound {
        /// Why.
        reason: String,
        /// The score nearest to the other side.
        nearest: f64,
    },
}

/// The changes to a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counterfactual {
    /// How malicious the row looks.
    pub before: f64,
    /// How malicious it looks with the changes.
    pub after: f64,
    /// Whether it is an alert with the changes; without, the opposite.
    pub alert: bool,
    /// In the order of the features.
    pub changes: Vec<Change>,
}

/// One feature's change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Name of the feature.
    pub feature: String,
    /// Its unit, empty when there is none.
    pub unit: String,
    /// Its value in the row as people read it, empty when missing.
    pub from: String,
    /// Its value in the changed row; numbers read back exactly.
    pub to: String,
}

/// Finds counterfactuals of one pipeline under one set of constraints.
pub struct Counterfactuals<'p> {
    pipeline: &'p Pipeline,
    domains: Vec<Domain>,
    /// Rows seen in training that changed rows may be modelled on, and whether each is malicious.
    prototypes: Vec<(Vec<Cell>, Option<bool>)>,
    constraints: Constraints,
}

impl<'p> Counterfactuals<'p> {
    /// Learns the range and the usual values of each feature from `seen`, a table such as the pipeline was trained on; without
    /// one, from the normal rows the pipeline remembers ([`Pipeline::baseline`]), which knows no malicious values.
    ///
    /// # Errors
    /// [`LearnError::Schema`] when the table has other features, [`LearnError::Parameter`] for a constraint on a feature that
    /// does not exist or a direction of a feature that has none.
    pub fn new(
        pipeline: &'p Pipeline,
        seen: Option<&Table>,
        constraints: Constraints,
        ctx: &Ctx,
    ) -> Result<Self, LearnError> {
        if let Some(seen) = seen {
            pipeline.schema.check(&seen.schema())?;
        }
        check(pipeline, &constraints)?;
        let movement = |name: &str| constraints.movements.get(name).copied().unwrap_or_default();
        let columns = seen.map(|table| table.features().map(|(_, column)| column).collect::<Vec<_>>());
        let domain = |(place, feature): (usize, &crate::table::Feature)| match &columns {
            Some(columns) => Domain::of_column(columns[place], movement(&feature.name)),
            None => Domain::of_baseline(&pipeline.baseline.features[place], movement(&feature.name)),
        };
        let domains: Vec<Domain> = pipeline.schema.features.iter().enumerate().map(domain).collect();
        let prototypes = match seen {
            Some(table) => search::prototypes_of(table, ctx),
            None => search::prototypes_between(&domains),
        };
        Ok(Self { pipeline, domains, prototypes, constraints })
    }

    /// The fewest and smallest changes to a row that were found. The same seed gives the same answer.
    ///
    /// # Errors
    /// As [`Pipeline::score`], and [`LearnError::Data`] when the row does not exist.
    pub fn find(&self, table: &Table, row: usize, ctx: &Ctx) -> Result<Answer, LearnError> {
        self.pipeline.schema.check(&table.schema())?;
        if row >= table.rows() {
            return Err(LearnError::Data(format!("row {row} of a table of {} rows", table.rows())));
        }
        let from: Vec<Cell> = table.features().map(|(_, column)| Cell::of(column, row)).collect();
        let ctx = ctx.single_threaded();
        let mut search = Search::new(self, from, &ctx)?;
        match search.run() {
            Ok(Some(to)) => self.answer(&search, &to),
            Ok(None) => Ok(self
                .nothing(&search, "no allowed change to the values seen in training crosses the threshold")),
            Err(Stop::Budget) => Ok(self.nothing(&search, "none was found within the budget of scored rows")),
            Err(Stop::Error(error)) => Err(error),
        }
    }

    fn answer(&self, search: &Search<'_>, to: &[Cell]) -> Result<Answer, LearnError> {
        let changed: Vec<usize> = search.changed(to);
        if self.constraints.most_changes > 0 && changed.len() > self.constraints.most_changes {
            let reason = format!("the fewest changes found are {}", changed.len());
            return Ok(self.nothing(search, &reason));
        }
        let after = search.score_of(to)?;
        let change = |place: usize| {
            let feature = &self.pipeline.schema.features[place];
            Change {
                feature: feature.name.clone(),
                unit: feature.unit.clone(),
                from: search.from()[place].to_string(),
                to: to[place].to_string(),
            }
        };
        Ok(Answer::Found(Counterfactual {
            before: search.before(),
            after,
            alert: self.pipeline.is_alert(after),
            changes: changed.into_iter().map(change).collect(),
        }))
    }

    fn nothing(&self, search: &Search<'_>, reason: &str) -> Answer {
        let free = self.domains.iter().filter(|domain| !matches!(domain, Domain::Fixed)).count();
        let reason = if free == 0 { "no feature may change" } else { reason };
        Answer::NotFound { reason: reason.to_owned(), nearest: search.nearest() }
    }
}

fn check(pipeline: &Pipeline, constraints: &Constraints) -> Result<(), LearnError> {
    for (name, movement) in &constraints.movements {
        let refuse = |expected: &str| {
            Err(LearnError::Parameter {
                owner: "counterfactual".to_owned(),
                name: name.clone(),
                expected: expected.to_owned(),
                found: format!("{movement:?}").to_lowercase(),
            })
        };
        let Some(feature) = pipeline.schema.features.iter().find(|feature| feature.name == *name) else {
            return refuse("the name of a feature of the model");
        };
        let directed = matches!(movement, Movement::Up | Movement::Down);
        if directed && feature.kind != FeatureKind::Number {
            return refuse("any or fixed: only numbers go up or down");
        }
    }
    Ok(())
}

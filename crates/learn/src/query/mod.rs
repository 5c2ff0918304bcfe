//! What to ask an expert: which rows of a pool to label next, why, and what the program would answer itself.
//!
//! The way of an iteration: a [`campaign`] turns the ordered log of answers into a [`View`] (labels, scores of the model they
//! teach, seed, number of the iteration); a strategy of [`STRATEGIES`] ranks the rows of the [`Pool`] group by group; [`Asked`]
//! takes from each ranking what is neither known nor all but the same as a row just asked. Nothing here knows clocks, threads or
//! when an answer came: the same log gives the same queries, byte for byte.

mod allocate;
pub mod campaign;
mod cold;
mod families;
mod gaussians;
mod ground;
pub mod monitor;
mod pool;
mod round;
mod sssvdd;
mod strategies;
mod view;

use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::ctx::Ctx;
use crate::params::{ParamSpec, Params};

pub use pool::Pool;
pub use sssvdd::{Ball, Sssvdd};
pub use strategies::STRATEGIES;
pub use view::{Asked, Learner, View};

/// The family of an annotation that names none.
pub const OTHER: &str = "other";

/// What an expert says of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Annotation {
    /// Whether it is malicious.
    pub malicious: bool,
    /// Which kind of malicious or benign row it is.
    pub family: String,
}

impl Annotation {
    /// A label with its family; an empty name is [`OTHER`].
    #[must_use]
    pub fn new(malicious: bool, family: &str) -> Self {
        let family = if family.trim().is_empty() { OTHER } else { family.trim() };
        Self { malicious, family: family.to_owned() }
    }
}

/// Queries that are asked together because they serve the same end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// Rows the model cannot decide about.
    Uncertain,
    /// Rows the model takes for malicious.
    Malicious,
    /// Rows the model takes for benign.
    Benign,
    /// Strategies that make no difference.
    All,
}

impl Group {
    /// Its name, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uncertain => "uncertain",
            Self::Malicious => "malicious",
            Self::Benign => "benign",
            Self::All => "all",
        }
    }
}

/// Where in its family a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Among its most typical members.
    Centre,
    /// Among its least typical members.
    Edge,
}

/// What the program would answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggestion {
    /// The label.
    pub malicious: bool,
    /// The family, where there is a model of families.
    pub family: Option<String>,
    /// Whether it is sure enough to be shown; what is not shown cannot sway an expert.
    pub confident: bool,
}

/// The number behind a query.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// What it is.
    pub name: &'static str,
    /// Its value, always finite.
    pub value: f64,
}

/// A question: one row, and why this one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Query {
    /// Row of the pool.
    pub row: u32,
    /// What it is asked for.
    pub group: Group,
    /// The family it is thought to be of.
    pub family: Option<String>,
    /// Where in that family it stands.
    pub place: Option<Place>,
    /// Why this row, in words.
    pub reason: String,
    /// What the program would answer.
    pub suggestion: Option<Suggestion>,
    /// The number it was chosen by.
    pub figure: Figure,
}

impl Query {
    /// The suggestion an expert may see.
    #[must_use]
    pub fn shown(&self) -> Option<&Suggestion> {
        self.suggestion.as_ref().filter(|suggestion| suggestion.confident)
    }
}

/// A way to choose what is asked.
pub trait Strategy: Send + Sync {
    /// Its groups, in the order they are asked: the first can be had before the others are worked out.
    fn groups(&self) -> &'static [Group];

    /// The queries of one group, given those of the groups before it.
    ///
    /// # Errors
    /// [`LearnError::Cancelled`], or [`LearnError::Data`] when the pool cannot be learnt from.
    fn ask(
        &self,
        view: &View<'_>,
        group: Group,
        before: &[Query],
        ctx: &Ctx,
    ) -> Result<Vec<Query>, LearnError>;
}

/// One line of [`STRATEGIES`].
pub struct StrategySpec {
    /// Name on the command line.
    pub name: &'static str,
    /// What it asks and why, in a sentence or two, with its source.
    pub doc: &'static str,
    /// Parameters with type, range and default.
    pub params: &'static [ParamSpec],
    /// Checked parameters to strategy.
    pub build: fn(&Params) -> Result<Box<dyn Strategy>, LearnError>,
}

/// The strategy of this name.
///
/// # Errors
/// [`LearnError::Unknown`] with the names that exist.
pub fn find(name: &str) -> Result<&'static StrategySpec, LearnError> {
    STRATEGIES.iter().find(|spec| spec.name == name).copied().ok_or_else(|| LearnError::Unknown {
        kind: "strategy",
        name: name.to_owned(),
        known: STRATEGIES.iter().map(|spec| spec.name).collect::<Vec<_>>().join(", "),
    })
}

//! `explain`: everything a model has to say of a few rows: what spoke for and against, which labelled rows look most like
//! them, and what would have to be different.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::{Array, RecordBatch};
use arrow::util::display::array_value_to_string;
pub use cormorant_learn::pipeline::counterfactual::{Answer, Change, Counterfactual, Movement};
use cormorant_learn::pipeline::counterfactual::{Constraints, Counterfactuals};
use cormorant_learn::pipeline::nearest::Nearest;
use cormorant_learn::table::{Column, Role, Table};
use serde::{Deserialize, Serialize};

use crate::extraction::{CaptureFault, Chunk};
use crate::feed::Feed;
use crate::model::{Loaded, gather, restrict};
use crate::plain::plain;
use crate::reading::Reading;
use crate::reasons::{Reason, both_sides};
use crate::tables::batch;
use crate::{Ctx, LabError};

/// Which rows, with which model, beside what.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The model file.
    pub model: PathBuf,
    /// Tables, or captures and directories of captures.
    pub inputs: Vec<PathBuf>,
    /// Rows to explain, 1 = the first; none = the `top` that score highest.
    #[serde(default)]
    pub rows: Vec<u64>,
    /// How many of the highest scores are explained when no row is named.
    pub top: usize,
    /// Reasons for each.
    pub reasons: usize,
    /// A labelled table, best the one the model learnt from.
    #[serde(default)]
    pub against: Option<PathBuf>,
    /// Nearest labelled rows of `against` for each.
    pub nearest: usize,
    /// What would have to be different, and what that must keep to.
    #[serde(default)]
    pub changes: Option<Changes>,
    /// Another threshold than the model's own.
    #[serde(default)]
    pub threshold: Option<f64>,
}

/// What a change of a row must keep to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Changes {
    /// Where features may go, by name; one that is not named may go anywhere it went in `against`.
    pub movements: BTreeMap<String, Movement>,
    /// Features changed at most; 0 = any number.
    pub most: usize,
}

/// What the model says.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name of the learning algorithm.
    pub model: String,
    /// SHA-256 of the model file in hex.
    pub model_sha256: String,
    /// Scores at or above it are alerts.
    pub threshold: f64,
    /// Rows scored.
    pub rows: u64,
    /// The rows explained: in the order asked for, or highest score first.
    pub explained: Vec<Explained>,
    /// Captures that ended with a fault; their rows before it were scored.
    pub faults: Vec<CaptureFault>,
    /// What else is worth knowing, in sentences.
    pub notes: Vec<String>,
}

/// One row.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// Its number among all rows of the inputs, 1 = the first.
    pub row: u64,
    /// The capture it is from, when it is from one.
    pub capture: String,
    /// What names it and what is known of it, column by column; what is empty is left out.
    pub identity: Vec<(String, String)>,
    /// Higher = more malicious.
    pub score: f64,
    /// Whether that is an alert.
    pub alert: bool,
    /// The class decided; `null` for novelty models.
    pub class: Option<String>,
    /// The margin of an average row; `null` where the model cannot say.
    pub baseline: Option<f64>,
    /// What `baseline` and the contributions of all features sum to, in the model's own measure.
    pub margin: Option<f64>,
    /// What spoke for it (contribution above 0) and against, strongest first.
    pub reasons: Vec<Reason>,
    /// The labelled rows that look most like it, nearest first.
    pub nearest: Vec<Near>,
    /// What would have to be different for the opposite verdict, when asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Answer>,
}

/// A labelled row that looks like another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Near {
    /// Its number in the table, 1 = the first.
    pub row: u64,
    /// How far it is, in standard deviations over the model's columns.
    pub distance: f64,
    /// `benign` or `malicious`.
    pub label: String,
    /// Its family, empty when it has none.
    pub family: String,
}

/// Scores every row and explains those asked for.
///
/// # Errors
/// [`LabError`] of the model or of an input, or when a row does not exist.
pub fn run(spec: &Spec, ctx: &Ctx) -> Result<Report, LabError> {
    let model = Loaded::read(&spec.model, spec.threshold)?;
    let feed = Feed::open(&spec.inputs, &Reading::default(), None, ctx, || model.recipe())?;
    let mut picked = Picked::new(&spec.rows, spec.top);
    let arrived = model.score_feed(feed, ctx, &mut |chunks, table, scores| {
        picked.add(chunks, table, &scores.malicious);
        Ok(())
    })?;
    let rows = picked.seen;
    let found = picked.finish()?;
    let seen = spec.against.as_deref().map(|path| labelled(&model, path, ctx)).transpose()?;
    let wrong = || LabError::learn("explaining a row");
    let nearest =
        seen.as_ref().map(|seen| Nearest::new(&model.pipeline, seen, ctx)).transpose().map_err(wrong())?;
    let changes = spec.changes.as_ref().map(|changes| {
        let constraints = Constraints {
            movements: changes.movements.clone(),
            most_changes: changes.most,
            ..Constraints::default()
        };
        Counterfactuals::new(&model.pipeline, seen.as_ref(), constraints, ctx)
    });
    let changes = changes.transpose().map_err(wrong())?;
    let explain = |(done, row): (usize, Row)| {
        ctx.progress("explaining rows", done as u64, 0);
        let said = model.pipeline.explain(&row.features, 0).map_err(wrong())?;
        let near = match (&nearest, &seen) {
            (Some(nearest), Some(seen)) => near(nearest, seen, &row.features, spec.nearest)?,
            _ => Vec::new(),
        };
        let changes = changes.as_ref().map(|changes| changes.find(&row.features, 0, ctx));
        Ok(Explained {
            row: row.place + 1,
            capture: plain(&row.capture).into_owned(),
            identity: identity(&row.identity)?,
            score: said.score,
            alert: said.alert,
            class: said.class.clone(),
            baseline: said.baseline,
            margin: said.margin,
            reasons: both_sides(&said, model.reference(), spec.reasons),
            nearest: near,
            changes: changes.transpose().map_err(wrong())?,
        })
    };
    Ok(Report {
        model: model.algorithm(),
        model_sha256: model.sha256.clone(),
        threshold: model.pipeline.threshold(),
        rows,
        explained: found.into_iter().enumerate().map(explain).collect::<Result<_, LabError>>()?,
        faults: arrived.faults,
        notes: arrived.notes,
    })
}

/// A row kept while rows stream by.
struct Row {
    /// 0 = the first of all rows.
    place: u64,
    score: f64,
    capture: String,
    identity: RecordBatch,
    features: Table,
}

/// The rows to explain, found so far.
struct Picked<'a> {
    asked: &'a [u64],
    top: usize,
    seen: u64,
    /// By falling score, of equal ones the earlier first; or in any order when rows are asked for.
    rows: Vec<Row>,
}

impl<'a> Picked<'a> {
    fn new(asked: &'a [u64], top: usize) -> Self {
        Self { asked, top, seen: 0, rows: Vec::new() }
    }

    fn add(&mut self, chunks: &[Chunk], table: &Table, scores: &[f64]) {
        let mut at = 0;
        for chunk in chunks {
            for row in 0..chunk.rows.num_rows() {
                if self.wants(scores[at]) {
                    let row = Row {
                        place: self.seen,
                        score: scores[at],
                        capture: chunk.capture.to_string(),
                        identity: chunk.rows.slice(row, 1),
                        features: table.take_rows(&[at]),
                    };
                    self.keep(row);
                }
                self.seen += 1;
                at += 1;
            }
        }
    }

    fn wants(&self, score: f64) -> bool {
        if !self.asked.is_empty() {
            return self.asked.contains(&(self.seen + 1));
        }
        self.rows.len() < self.top || self.rows.last().is_some_and(|last| score > last.score)
    }

    fn keep(&mut self, row: Row) {
        if !self.asked.is_empty() {
            return self.rows.push(row);
        }
        let place = self.rows.partition_point(|kept| kept.score >= row.score);
        self.rows.insert(place, row);
        self.rows.truncate(self.top);
    }

    /// The rows in the order they are told in.
    fn finish(mut self) -> Result<Vec<Row>, LabError> {
        let place = |row: &Row| self.asked.iter().position(|asked| *asked == row.place + 1);
        if let Some(missing) =
            self.asked.iter().find(|asked| !self.rows.iter().any(|row| row.place + 1 == **asked))
        {
            return Err(LabError::Request {
                what: "row",
                expected: format!("a number from 1 to {}, the rows of the inputs", self.seen),
                found: missing.to_string(),
                advice: "leave it out to see the rows that score highest".to_owned(),
            });
        }
        if !self.asked.is_empty() {
            let mut rows = std::mem::take(&mut self.rows);
            rows.sort_by_key(place);
            return Ok(rows);
        }
        Ok(self.rows)
    }
}

/// The labelled table beside which rows are explained, with the model's features.
fn labelled(model: &Loaded, path: &Path, ctx: &Ctx) -> Result<Table, LabError> {
    let feed = Feed::open(&[path.to_path_buf()], &Reading::default(), None, ctx, || model.recipe())?;
    model.select(&path.display().to_string(), &feed.schema)?;
    let (table, _) = gather(feed, ctx)?;
    restrict(&table, &model.pipeline)
}

fn near(nearest: &Nearest<'_>, seen: &Table, features: &Table, most: usize) -> Result<Vec<Near>, LabError> {
    let found = nearest.of(features, 0, most).map_err(LabError::learn("explaining a row"))?;
    let text =
        |role, row: usize| seen.role(role).map_or_else(String::new, |column: &Column| column.text(row));
    let near = |neighbour: cormorant_learn::neighbours::Neighbour| {
        let row = neighbour.row as usize;
        Near {
            row: row as u64 + 1,
            distance: neighbour.distance,
            label: text(Role::Label, row),
            family: plain(&text(Role::Family, row)).into_owned(),
        }
    };
    Ok(found.into_iter().map(near).collect())
}

/// The cells of a row that are no features and not empty, as text.
fn identity(row: &RecordBatch) -> Result<Vec<(String, String)>, LabError> {
    let schema = row.schema();
    let cells = schema.fields().iter().zip(row.columns());
    let mut named = Vec::new();
    for (field, array) in
        cells.filter(|(field, array)| batch::role(field) != Some(Role::Feature) && array.is_valid(0))
    {
        let text = array_value_to_string(array, 0).map_err(|error| LabError::Internal(error.to_string()))?;
        if !text.is_empty() {
            named.push((plain(field.name()).into_owned(), plain(&text).into_owned()));
        }
    }
    Ok(named)
}

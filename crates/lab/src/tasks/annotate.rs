//! `label --terminal`: an annotation campaign with a person, question by question, that can be left and taken up at any point.
//!
//! The person is behind an [`Expert`]; every act is in the log before the next question comes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use cormorant_learn::query::campaign::{CampaignSpec, End, Event, Ground, Round, State};
use cormorant_learn::query::monitor;
pub use cormorant_learn::query::monitor::ByLabel;
pub use cormorant_learn::query::{Annotation, Query, Suggestion};
use cormorant_learn::table::{Role, Table};
use serde::{Deserialize, Serialize};

use crate::feed::Feed;
use crate::lab::Lab;
use crate::label::annotations;
use crate::label::in_lab::{LabLedger, Place};
use crate::label::ledger::{FileLedger, Ledger};
use crate::reading::Reading;
use crate::tables::learn::training_table;
use crate::{Ctx, LabError};

/// What to ask about, how, and where the answers are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Tables; labels they hold are not looked at.
    pub inputs: Vec<PathBuf>,
    /// Strategy by name, of a new campaign.
    pub strategy: String,
    /// Its parameters as typed.
    #[serde(default)]
    pub ask: BTreeMap<String, String>,
    /// The campaign's model by name.
    pub model: String,
    /// Its parameters as typed.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Whether its other parameters are searched as labels grow.
    pub search: bool,
    /// Rows closer than this in every prepared column are one question.
    pub alike: f64,
    /// Answers.
    pub budget: u64,
    /// Where the campaign is kept; one that exists is taken up with the spec it has.
    pub campaign: Kept,
    /// Annotations a new campaign begins with, in SecuML's form.
    #[serde(default)]
    pub annotations: Option<PathBuf>,
    /// Where to write all annotations at the end, in SecuML's form.
    #[serde(default)]
    pub export: Option<PathBuf>,
    /// Who answers.
    pub by: String,
}

/// Where a campaign is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kept {
    /// In a file of its own, one event a line.
    File(PathBuf),
    /// In the lab, under this name, with its table as a version of a dataset of this project.
    Lab {
        /// The project; made when it is not there.
        project: String,
        /// The campaign.
        name: String,
        /// The command line that goes on with it.
        command: String,
    },
}

/// The lab that campaigns may be kept in, and the time in ns since the UNIX epoch.
pub type Keeper<'a> = (&'a Lab, &'a dyn Fn() -> i64);

/// A question with all a person needs to answer it.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The query.
    pub query: Query,
    /// Which question of the iteration it is, from 1, and of how many that are known so far.
    pub place: (u64, u64),
    /// The iteration.
    pub iteration: u64,
    /// Answers left of the budget.
    pub left: u64,
    /// Which row it is: columns that name it, with their values.
    pub identity: Vec<(String, String)>,
    /// What matters most: feature, value, what it adds towards malicious (`None` where the model cannot say).
    pub reasons: Vec<(String, String, Option<f64>)>,
    /// Families known so far by label and name.
    pub families: Vec<Annotation>,
}

/// What a person does about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Says what it is.
    Answer(Annotation),
    /// Cannot tell.
    Skip,
    /// Takes the last act back.
    Undo,
    /// Leaves; the campaign can be taken up again.
    Quit,
}

/// Someone who answers.
pub trait Expert {
    /// Shows the question and waits for an act.
    fn ask(&mut self, question: &Question) -> Act;

    /// Says something that is not a question.
    fn tell(&mut self, text: &str);
}

/// How far the campaign is.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The file of the campaign, or its name in the lab.
    pub campaign: String,
    /// The iteration it is in.
    pub iteration: u64,
    /// Labelled rows.
    pub labels: ByLabel,
    /// Families among them.
    pub families: ByLabel,
    /// Answers given.
    pub spent: u64,
    /// Answers left.
    pub left: u64,
    /// Why it is over, if it is.
    pub over: Option<End>,
}

/// Features shown of a row.
const REASONS: usize = 8;

/// Asks until the budget is spent, nothing is left, or the person leaves. `keeper` is asked for only by a campaign of the lab.
///
/// # Errors
/// [`LabError`] of an input, of where the campaign is kept or of data that cannot be learnt from; what was answered is kept.
pub fn run(
    spec: &Spec,
    keeper: Option<Keeper<'_>>,
    expert: &mut dyn Expert,
    ctx: &Ctx,
) -> Result<Report, LabError> {
    let (table, ids) = read(&spec.inputs, ctx)?;
    match (&spec.campaign, keeper) {
        (Kept::File(path), _) => {
            hold(spec, (&table, &ids), &table.digest(), &mut FileLedger::open(path)?, expert, ctx)
        }
        (Kept::Lab { project, name, command }, Some((lab, now))) => {
            let [input] = &spec.inputs[..] else { return Err(one_table(spec.inputs.len())) };
            let place = Place { project, name, command, author: &spec.by };
            let mut ledger = LabLedger::open(lab, input, &table, &ids, place, now)?;
            let dataset = ledger.dataset();
            hold(spec, (&table, &ids), &dataset, &mut ledger, expert, ctx)
        }
        (Kept::Lab { .. }, None) => {
            Err(LabError::Internal("a campaign of the lab without the lab".to_owned()))
        }
    }
}

fn one_table(found: usize) -> LabError {
    LabError::Request {
        what: "input",
        expected: "one table, which the lab keeps beside the campaign".to_owned(),
        found: format!("{found} files"),
        advice: "make one table of them, or keep the campaign in a file with --campaign".to_owned(),
    }
}

/// The campaign that `ledger` keeps, about the table that its spec calls `dataset`.
fn hold(
    spec: &Spec,
    (table, ids): (&Table, &[String]),
    dataset: &str,
    ledger: &mut dyn Ledger,
    expert: &mut dyn Expert,
    ctx: &Ctx,
) -> Result<Report, LabError> {
    let (campaign, log) = opened(spec, dataset, ids, ledger, ctx)?;
    let refused = || LabError::learn("the campaign");
    let ground = Ground::new(table, None, &campaign.model, campaign.alike, ctx).map_err(refused())?;
    let mut session = Session { spec, campaign, log, table, ledger };
    session.hold(&ground, expert, ctx)?;
    let state = session.state()?;
    if let Some(path) = &spec.export {
        annotations::write(path, &state.labels, ids)?;
    }
    Ok(Report {
        campaign: spec.campaign.to_string(),
        iteration: state.iteration,
        labels: monitor::labels(&state.labels),
        families: monitor::families(&state.labels),
        spent: state.spent,
        left: state.left(&session.campaign),
        over: state.over(&session.campaign, table.rows()),
    })
}

impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Lab { name, .. } => f.write_str(name),
        }
    }
}

/// The campaign that is kept, or a new one.
fn opened(
    spec: &Spec,
    dataset: &str,
    ids: &[String],
    ledger: &mut dyn Ledger,
    ctx: &Ctx,
) -> Result<(CampaignSpec, Vec<Event>), LabError> {
    if let Some((campaign, log)) = ledger.read()? {
        if campaign.dataset == dataset {
            return Ok((campaign, log));
        }
        return Err(LabError::Request {
            what: "--campaign",
            expected: "a campaign about this table".to_owned(),
            found: format!("{} is about another one", spec.campaign),
            advice: "give the table it was begun with, or begin another campaign".to_owned(),
        });
    }
    let initial = match &spec.annotations {
        Some(path) => {
            annotations::read(path, &ids.iter().cloned().zip(0..).collect::<HashMap<String, u32>>())?
        }
        None => BTreeMap::new(),
    };
    let campaign = CampaignSpec {
        dataset: dataset.to_owned(),
        strategy_params: spec.ask.clone(),
        model: spec.model.clone(),
        model_params: spec.params.clone(),
        search: spec.search,
        alike: spec.alike,
        initial,
        ..CampaignSpec::new(&spec.strategy, spec.budget, ctx.seed)
    };
    ledger.begin(&campaign)?;
    Ok((campaign, Vec::new()))
}

struct Session<'a> {
    spec: &'a Spec,
    campaign: CampaignSpec,
    log: Vec<Event>,
    table: &'a Table,
    ledger: &'a mut dyn Ledger,
}

impl Session<'_> {
    fn state(&self) -> Result<State, LabError> {
        State::replay(&self.campaign, &self.log, self.table.rows()).map_err(LabError::learn("the campaign"))
    }

    fn keep(&mut self, event: Event) -> Result<(), LabError> {
        self.ledger.append(&event)?;
        self.log.push(event);
        Ok(())
    }

    /// Iteration after iteration.
    fn hold(&mut self, ground: &Ground, expert: &mut dyn Expert, ctx: &Ctx) -> Result<(), LabError> {
        loop {
            let state = self.state()?;
            if state.over(&self.campaign, self.table.rows()).is_some() {
                return Ok(());
            }
            let campaign = self.campaign.clone();
            let refused = || LabError::learn("the campaign");
            let mut round = Round::begin(ground, &campaign, &state, ctx).map_err(refused())?;
            loop {
                if !self.settle(&round, expert)? {
                    return Ok(());
                }
                if round.next_group(ctx).map_err(refused())?.is_none() {
                    break;
                }
            }
            self.keep(Event::Next)?;
        }
    }

    /// Asks about the queries worked out so far until none is open; `false` when the person leaves.
    fn settle(&mut self, round: &Round<'_>, expert: &mut dyn Expert) -> Result<bool, LabError> {
        loop {
            let now = self.state()?;
            let open = round.queries().iter().position(|query| !now.is_settled(query.row));
            let Some(place) = open.filter(|_| now.left(&self.campaign) > 0) else { return Ok(true) };
            let question = self.question(round, place, &now);
            let by = self.spec.by.clone();
            let row = question.query.row;
            match expert.ask(&question) {
                Act::Answer(annotation) => self.keep(Event::Answer { row, annotation, by })?,
                Act::Skip => self.keep(Event::Skip { row, by })?,
                Act::Quit => return Ok(false),
                Act::Undo => {
                    let undo = Event::Undo { by };
                    let tried = [&self.log[..], std::slice::from_ref(&undo)].concat();
                    match State::replay(&self.campaign, &tried, self.table.rows()) {
                        Ok(_) => self.keep(undo)?,
                        Err(_) => expert.tell("there is nothing to take back"),
                    }
                }
            }
        }
    }

    fn question(&self, round: &Round<'_>, place: usize, now: &State) -> Question {
        let query = round.queries()[place].clone();
        let row = query.row as usize;
        let named = self.table.fields().iter().zip(self.table.columns());
        let identity = named
            .filter(|(field, _)| matches!(field.role, Role::Identity | Role::Time | Role::Group))
            .map(|(field, column)| (field.name.clone(), column.text(row)))
            .collect();
        let features: Vec<_> = self.table.features().collect();
        let shown = |feature: usize, adds: Option<f64>| {
            let (field, column) = features[feature];
            (field.name.clone(), column.text(row), adds)
        };
        let reasons = match round.contributions(query.row) {
            Some(parts) => {
                parts.into_iter().take(REASONS).map(|(feature, adds)| shown(feature, Some(adds))).collect()
            }
            None => (0..features.len().min(REASONS)).map(|feature| shown(feature, None)).collect(),
        };
        let mut families: Vec<Annotation> = now.labels.values().cloned().collect();
        families.sort_unstable();
        families.dedup();
        Question {
            query,
            place: (place as u64 + 1, round.queries().len() as u64),
            iteration: now.iteration,
            left: now.left(&self.campaign),
            identity,
            reasons,
            families,
        }
    }
}

/// The tables with the columns that name their rows, and an id of each row: the column `instance_id`, or its place from 1.
fn read(inputs: &[PathBuf], ctx: &Ctx) -> Result<(Table, Vec<String>), LabError> {
    let tables_only = || {
        Err(LabError::Request {
            what: "input",
            expected: "tables".to_owned(),
            found: "captures".to_owned(),
            advice: "make a table of them with `cormorant extract`".to_owned(),
        })
    };
    let feed = Feed::open(inputs, &Reading::default(), None, ctx, tables_only)?;
    let schema = feed.schema.clone();
    let mut batches = Vec::new();
    feed.run(ctx, &mut |chunk| {
        batches.push(chunk.rows);
        Ok(())
    })?;
    let table = training_table("the input", &schema, &batches)?;
    let own = table
        .column("instance_id")
        .map(|column| -> Vec<String> { (0..table.rows()).map(|row| column.text(row)).collect() });
    // Ids that two rows share, or that a row lacks, name nothing.
    let names_rows = |ids: &Vec<String>| {
        ids.iter().all(|id| !id.is_empty()) && ids.iter().collect::<HashSet<_>>().len() == ids.len()
    };
    let ids =
        own.filter(names_rows).unwrap_or_else(|| (1..=table.rows()).map(|row| row.to_string()).collect());
    Ok((table, ids))
}

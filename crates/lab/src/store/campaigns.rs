//! Campaigns: active-learning efforts on one version of a dataset. A campaign's memory is its spec and its log of answers
//! (`annotations`); from these two it can always be taken up again. A checkpoint only saves doing so from the start.

use serde_json::{Value as Json, json};

use super::audit::{Stamp, record};
use super::driver::Session;
use super::error::{Result, StoreError};
use super::row::{Row, values};
use super::{Store, projects, text};

/// What a campaign is going to do.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCampaign {
    /// The dataset it asks about.
    pub dataset: i64,
    /// The version of it.
    pub version: i64,
    /// Its name, unique in the dataset.
    pub name: String,
    /// Strategy, model, budget and the rest, a JSON document.
    pub spec: Json,
    /// The seed.
    pub seed: u64,
    /// The command line that does it again.
    pub command: String,
}

/// How far a campaign is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CampaignState {
    /// It asks, and answers are welcome.
    Open,
    /// It came to its end: the budget is spent, or nothing is left to ask.
    Finished,
    /// It was stopped before.
    Cancelled,
}

impl CampaignState {
    /// `open`, `finished` or `cancelled`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::Open, Self::Finished, Self::Cancelled].into_iter().find(|state| state.word() == word)
    }
}

/// A campaign, as the store knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Campaign {
    /// Its number.
    pub id: i64,
    /// What it is to do.
    pub about: NewCampaign,
    /// How far it is.
    pub state: CampaignState,
    /// The iteration it is in; 0 before the first.
    pub iteration: i64,
    /// How many answers it has.
    pub answers: u64,
    /// What its strategy keeps between iterations, a JSON document.
    pub checkpoint: Option<Json>,
    /// Who started it.
    pub author: String,
    /// When, in ns since the UNIX epoch.
    pub created_ns: i64,
    /// When it last moved on.
    pub changed_ns: i64,
}

const COLUMNS: &str = "SELECT id, dataset_id, version_id, name, spec, seed, command, state, iteration, next_seq, \
                       checkpoint, author, created_ns, changed_ns FROM campaigns";

impl Store {
    /// Starts a campaign.
    ///
    /// # Errors
    /// When the name is taken, there is no such version of the dataset, or it has no command line.
    pub fn start_campaign(&self, campaign: &NewCampaign, stamp: &Stamp) -> Result<Campaign> {
        text::name("the campaign's name", &campaign.name)?;
        text::command(&campaign.command)?;
        let spec = campaign.spec.to_string();
        text::text("the spec", &spec)?;
        self.write(|session| {
            let (dataset, version) = (campaign.dataset, campaign.version);
            hold(session, dataset, version)?;
            let named = "SELECT id FROM campaigns WHERE dataset_id = ? AND name = ?";
            if session.first(named, values![dataset, &campaign.name])?.is_some() {
                return Err(StoreError::taken("campaign", &campaign.name, "resume it, or choose another name"));
            }
            let id = session.insert(
                "INSERT INTO campaigns (dataset_id, version_id, name, spec, seed, command, state, iteration, \
                 next_seq, checkpoint, author, created_ns, changed_ns) VALUES (?, ?, ?, ?, ?, ?, ?, 0, 1, ?, ?, ?, ?)",
                values![
                    dataset, version, &campaign.name, &spec, campaign.seed.cast_signed(), &campaign.command,
                    CampaignState::Open.word(), None::<&str>, &stamp.author, stamp.at_ns, stamp.at_ns,
                ],
            )?;
            let subject = format!("campaign {}", campaign.name);
            record(session, stamp, "campaign.start", &subject, &json!({"id": id, "dataset": dataset}))?;
            Ok(Campaign {
                id,
                about: campaign.clone(),
                state: CampaignState::Open,
                iteration: 0,
                answers: 0,
                checkpoint: None,
                author: stamp.author.clone(),
                created_ns: stamp.at_ns,
                changed_ns: stamp.at_ns,
            })
        })
    }

    /// Moves a campaign on: to an iteration that is not before the one it is in, or to its end.
    ///
    /// # Errors
    /// When it is not open, or would go back.
    pub fn advance_campaign(
        &self,
        id: i64,
        iteration: i64,
        state: CampaignState,
        checkpoint: Option<&Json>,
        stamp: &Stamp,
    ) -> Result<()> {
        let checkpoint = checkpoint.map(ToString::to_string);
        text::text("the checkpoint", checkpoint.as_deref().unwrap_or_default())?;
        self.write(|session| {
            let met = session.execute(
                "UPDATE campaigns SET iteration = ?, state = ?, checkpoint = ?, changed_ns = ? \
                 WHERE id = ? AND state = ? AND iteration <= ?",
                values![
                    iteration,
                    state.word(),
                    &checkpoint,
                    stamp.at_ns,
                    id,
                    CampaignState::Open.word(),
                    iteration,
                ],
            )?;
            if met == 0 {
                return Err(stuck(&find(session, id)?, iteration));
            }
            let detail = json!({"iteration": iteration, "state": state.word()});
            record(session, stamp, "campaign.advance", &format!("campaign {id}"), &detail)
        })
    }

    /// The campaign of this number.
    ///
    /// # Errors
    /// When there is none.
    pub fn campaign(&self, id: i64) -> Result<Campaign> {
        self.read(|session| find(session, id))
    }

    /// The campaigns on a dataset, first to last.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn campaigns(&self, dataset: i64) -> Result<Vec<Campaign>> {
        self.read(|session| {
            let rows =
                session.rows(&format!("{COLUMNS} WHERE dataset_id = ? ORDER BY id"), values![dataset])?;
            rows.iter().map(campaign).collect()
        })
    }
}

/// Holds the project of a version of a dataset.
fn hold(session: &mut Session<'_>, dataset: i64, version: i64) -> Result<()> {
    let found = session.first(
        "SELECT datasets.project_id FROM datasets JOIN dataset_versions ON dataset_versions.dataset_id = datasets.id \
         WHERE datasets.id = ? AND dataset_versions.id = ?",
        values![dataset, version],
    )?;
    let advice = "commit the table as a version first";
    let project = found
        .ok_or_else(|| StoreError::missing("version", format!("{version} of dataset {dataset}"), advice))?;
    projects::hold(session, project.int(0)?)
}

fn stuck(campaign: &Campaign, iteration: i64) -> StoreError {
    let found = format!("it {} in iteration {}", campaign.state.word(), campaign.iteration);
    let expected = format!("it open in iteration {iteration} or before");
    StoreError::refused("the campaign to move on", expected, found, "start another campaign")
}

fn find(session: &mut Session<'_>, id: i64) -> Result<Campaign> {
    let row = session.first(&format!("{COLUMNS} WHERE id = ?"), values![id])?;
    campaign(
        &row.ok_or_else(|| StoreError::missing("campaign", id, "see the list of the dataset's campaigns"))?,
    )
}

fn campaign(row: &Row) -> Result<Campaign> {
    let checkpoint = row.opt_text(10)?.map(|_| row.json(10)).transpose()?;
    Ok(Campaign {
        id: row.int(0)?,
        about: NewCampaign {
            dataset: row.int(1)?,
            version: row.int(2)?,
            name: row.text(3)?,
            spec: row.json(4)?,
            seed: row.int(5)?.cast_unsigned(),
            command: row.text(6)?,
        },
        state: row.word(7, CampaignState::of)?,
        iteration: row.int(8)?,
        answers: row.count(9)?.saturating_sub(1),
        checkpoint,
        author: row.text(11)?,
        created_ns: row.int(12)?,
        changed_ns: row.int(13)?,
    })
}

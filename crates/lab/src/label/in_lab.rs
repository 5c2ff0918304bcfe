//! A campaign kept in the lab: its table as a version of a dataset, its spec as a campaign, every act as an event of the
//! dataset's log of annotations. Events are numbered within the campaign, which gives their order; the key of an event is its
//! number, so that an act sent again after a lost answer is written once, and two people who answer one campaign at the
//! same moment cannot both be next.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use cormorant_learn::query::campaign::{CampaignSpec, Event};
use cormorant_learn::query::{Annotation, OTHER};
use cormorant_learn::table::Table;
use serde_json::json;

use super::ledger::Ledger;
use crate::LabError;
use crate::lab::Lab;
use crate::store::{
    AnnotationEvent, CampaignState, DatasetVersion, EventKind, Family, Feature, Label, NewAnnotation,
    NewCampaign, Said, Stamp, Store, StoreError, TableFile,
};
use crate::tables::names::word_of;

/// What of the store a campaign is about.
#[derive(Clone, Debug)]
pub(crate) struct Place<'a> {
    /// The project, made when it is not there.
    pub(crate) project: &'a str,
    /// The campaign's name, unique among those about its table.
    pub(crate) name: &'a str,
    /// The command line that goes on with it.
    pub(crate) command: &'a str,
    /// Who keeps it.
    pub(crate) author: &'a str,
}

/// A campaign of the lab.
pub(crate) struct LabLedger<'l> {
    store: &'l Store,
    now: &'l dyn Fn() -> i64,
    place: Place<'l>,
    project: i64,
    version: DatasetVersion,
    ids: &'l [String],
    campaign: Option<i64>,
    /// Events so far.
    written: i64,
    iteration: i64,
    /// Acts that stand: event, whose, about which row.
    acts: Vec<(i64, String, String)>,
}

/// Origins of events: an answer to a query, and a change beside them.
const ANSWER: &str = "answer";
const CHANGE: &str = "change";
/// Events read at once.
const PAGE: u32 = 1000;

impl<'l> LabLedger<'l> {
    /// Puts the table into the lab unless it is there, as the next version of the dataset that has its file's name.
    ///
    /// # Errors
    /// [`LabError`] of the file, of the objects or of the store.
    pub(crate) fn open(
        lab: &'l Lab,
        path: &Path,
        table: &Table,
        ids: &'l [String],
        place: Place<'l>,
        now: &'l dyn Fn() -> i64,
    ) -> Result<Self, LabError> {
        let store = lab.store();
        let stamp = Stamp::new(place.author, now());
        let object = lab.objects().put_file(path, stamp.at_ns)?;
        let project = match store.projects()?.into_iter().find(|known| known.name == place.project) {
            Some(known) => known,
            None => store.create_project(place.project, "", &stamp)?,
        };
        let name =
            path.file_stem().map_or_else(|| "table".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let dataset = match store.datasets(project.id)?.into_iter().find(|known| known.name == name) {
            Some(known) => known,
            None => store.create_dataset(project.id, &name, "", &stamp)?,
        };
        let file = TableFile {
            digest: object.digest.to_string(),
            bytes: object.bytes,
            rows: table.rows() as u64,
            schema_digest: table.schema().digest(),
            provenance: json!({ "file": path.display().to_string() }),
            command: place.command.to_owned(),
            run_id: None,
        };
        let version = store.commit_version(dataset.id, &file, &described(table), &stamp)?;
        Ok(Self {
            store,
            now,
            place,
            project: project.id,
            version,
            ids,
            campaign: None,
            written: 0,
            iteration: 0,
            acts: Vec::new(),
        })
    }

    /// What the campaign's spec calls its table: the digest of its file, which is that of an object.
    pub(crate) fn dataset(&self) -> String {
        self.version.table.digest.clone()
    }

    fn stamp(&self, author: &str) -> Stamp {
        Stamp::new(author, (self.now)())
    }

    /// The campaign's log, and the number of its last event. The events of a split that was undone are not in it.
    fn events(&self, campaign: i64) -> Result<(Vec<AnnotationEvent>, i64), StoreError> {
        let undone: BTreeSet<i64> = self
            .store
            .family_history(self.project)?
            .into_iter()
            .filter(|event| event.undone)
            .map(|event| event.id)
            .collect();
        let (mut events, mut last): (Vec<AnnotationEvent>, i64) = (Vec::new(), 0);
        loop {
            let page = self.store.campaign_events(campaign, last, PAGE)?;
            let is_last = page.len() < PAGE as usize;
            last = page.last().and_then(|event| event.campaign_seq).unwrap_or(last);
            events.extend(
                page.into_iter().filter(|event| event.split_id.is_none_or(|split| !undone.contains(&split))),
            );
            if is_last {
                return Ok((events, last));
            }
        }
    }

    /// Keeps track of an event that is on disk.
    fn follow(&mut self, event: &Event, seq: i64) {
        match event {
            Event::Answer { row, by, .. } | Event::Skip { row, by } | Event::Change { row, by, .. } => {
                self.acts.push((seq, by.clone(), self.ids[*row as usize].clone()));
            }
            Event::Undo { by } => {
                if let Some(place) = self.acts.iter().rposition(|(_, author, _)| author == by) {
                    self.acts.remove(place);
                }
            }
            Event::Next => self.iteration += 1,
        }
    }

    /// Who says what about which row, and how it came about.
    fn said(&self, event: &Event) -> Result<(String, String, Said, &'static str), LabError> {
        let id = |row: u32| self.ids[row as usize].clone();
        let label = |annotation: &Annotation| {
            let family = (annotation.family != OTHER).then(|| annotation.family.clone());
            Said::Label(if annotation.malicious { Label::Malicious } else { Label::Benign }, family)
        };
        Ok(match event {
            Event::Answer { row, annotation, by } => (by.clone(), id(*row), label(annotation), ANSWER),
            Event::Skip { row, by } => (by.clone(), id(*row), Said::Skip, ANSWER),
            Event::Change { row, annotation, by } => {
                (by.clone(), id(*row), annotation.as_ref().map_or(Said::Remove, label), CHANGE)
            }
            Event::Undo { by } => {
                let last = self.acts.iter().rfind(|(_, author, _)| author == by);
                let (seq, _, row) =
                    last.ok_or_else(|| LabError::Internal(format!("{by} has nothing to take back")))?;
                (by.clone(), row.clone(), Said::Retract(*seq), ANSWER)
            }
            Event::Next => (self.place.author.to_owned(), String::new(), Said::Next, ANSWER),
        })
    }
}

impl Ledger for LabLedger<'_> {
    fn read(&mut self) -> Result<Option<(CampaignSpec, Vec<Event>)>, LabError> {
        let known = self.store.campaigns(self.version.dataset_id)?;
        let Some(known) = known.into_iter().find(|known| known.about.name == self.place.name) else {
            return Ok(None);
        };
        let spec = serde_json::from_value(known.about.spec.clone()).map_err(|error| {
            LabError::Internal(format!("the spec of campaign {}: {error}", known.about.name))
        })?;
        let families = self.store.standing_families(self.project)?;
        let rows: HashMap<&str, u32> = self.ids.iter().map(String::as_str).zip(0..).collect();
        let mut log = Vec::new();
        let (events, last) = self.events(known.id)?;
        self.written = last;
        for event in events {
            let told = told(&event, &rows, &families)?;
            self.follow(&told, event.seq);
            log.push(told);
        }
        self.campaign = Some(known.id);
        Ok(Some((spec, log)))
    }

    fn begin(&mut self, spec: &CampaignSpec) -> Result<(), LabError> {
        let internal = |error: serde_json::Error| LabError::Internal(error.to_string());
        let campaign = NewCampaign {
            dataset: self.version.dataset_id,
            version: self.version.id,
            name: self.place.name.to_owned(),
            spec: serde_json::to_value(spec).map_err(internal)?,
            seed: spec.seed,
            command: self.place.command.to_owned(),
        };
        self.campaign = Some(self.store.start_campaign(&campaign, &self.stamp(self.place.author))?.id);
        Ok(())
    }

    fn append(&mut self, event: &Event) -> Result<(), LabError> {
        let campaign =
            self.campaign.ok_or_else(|| LabError::Internal("an answer before its campaign".to_owned()))?;
        let (author, row, said, origin) = self.said(event)?;
        let annotation = NewAnnotation {
            key: format!("campaign-{campaign}-{}", self.written + 1),
            row,
            said,
            version: Some(self.version.id),
            campaign: Some((campaign, self.iteration)),
            origin: origin.to_owned(),
            note: None,
        };
        let written = self.store.annotate(self.version.dataset_id, &annotation, &self.stamp(&author))?;
        self.written += 1;
        self.follow(event, written.seq);
        if matches!(event, Event::Next) {
            let state = CampaignState::Open;
            self.store.advance_campaign(
                campaign,
                self.iteration,
                state,
                None,
                &self.stamp(self.place.author),
            )?;
        }
        Ok(())
    }
}

/// What an event of the store is to a campaign. A family that has been renamed or merged since is the one that stands now.
fn told(
    event: &AnnotationEvent,
    rows: &HashMap<&str, u32>,
    families: &BTreeMap<i64, Family>,
) -> Result<Event, LabError> {
    let by = event.author.clone();
    if event.kind == EventKind::Next {
        return Ok(Event::Next);
    }
    if event.kind == EventKind::Retract {
        return Ok(Event::Undo { by });
    }
    let row = *rows.get(event.row.as_str()).ok_or_else(|| LabError::Request {
        what: "table",
        expected: "the table that the campaign asks about".to_owned(),
        found: format!("one without row {}", crate::plain::plain(&event.row)),
        advice: "name the table it was begun with, or another campaign".to_owned(),
    })?;
    let standing = event.family.and_then(|id| families.get(&id));
    let label = standing.map_or(event.label, |family| Some(family.label));
    let annotation = label.map(|label| {
        Annotation::new(label == Label::Malicious, standing.map_or(OTHER, |family| family.name.as_str()))
    });
    Ok(match (event.kind, annotation) {
        (EventKind::Skip, _) => Event::Skip { row, by },
        (EventKind::Label, Some(annotation)) if event.origin == ANSWER && event.split_id.is_none() => {
            Event::Answer { row, annotation, by }
        }
        (_, annotation) => Event::Change { row, annotation, by },
    })
}

/// What the columns of a table mean.
fn described(table: &Table) -> Vec<Feature> {
    let feature =
        |(field, column): (&cormorant_learn::table::Field, &cormorant_learn::table::Column)| Feature {
            name: field.name.clone(),
            role: word_of(field.role).to_owned(),
            kind: column.type_name().to_owned(),
            unit: field.unit.clone(),
            description: String::new(),
        };
    table.fields().iter().zip(table.columns()).map(feature).collect()
}

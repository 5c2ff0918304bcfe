//! A campaign as a pure state machine: what it is ([`CampaignSpec`]), what happened ([`Event`], in order), and what follows
//! from both ([`State`]).
//!
//! The state is folded from the log alone: no query, model or clock is needed, so that a log of any length is read back at
//! once. The queries of an iteration depend on the labels at its start, which is the last [`Event::Next`] of the log, and not on
//! when or in which pieces the answers came.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Annotation;
use crate::LearnError;

pub use super::ground::Ground;
pub use super::round::Round;

/// Everything that determines a campaign, beside its table and its log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CampaignSpec {
    /// Digest of the table asked about ([`crate::table::Table::digest`]).
    pub dataset: String,
    /// Name in [`super::STRATEGIES`].
    pub strategy: String,
    /// Its parameters as typed.
    #[serde(default)]
    pub strategy_params: BTreeMap<String, String>,
    /// Name of a classifier in [`crate::models::MODELS`].
    pub model: String,
    /// Its hyperparameters as typed, which no search changes.
    #[serde(default)]
    pub model_params: BTreeMap<String, String>,
    /// Whether the other hyperparameters are searched, anew whenever the labels have doubled.
    #[serde(default = "yes")]
    pub search: bool,
    /// Answers that may be asked for.
    pub budget: u64,
    /// Seed of everything random.
    pub seed: u64,
    /// What is known before the first question, by row.
    #[serde(default)]
    pub initial: BTreeMap<u32, Annotation>,
    /// When answers make a label.
    #[serde(default)]
    pub agreement: Agreement,
    /// Rows closer than this in every prepared column are one question.
    #[serde(default = "alike")]
    pub alike: f64,
}

/// The default of [`CampaignSpec::alike`]: a tenth of a column's standard deviation.
pub const ALIKE: f64 = 0.1;

fn yes() -> bool {
    true
}

fn alike() -> f64 {
    ALIKE
}

impl CampaignSpec {
    /// A campaign with every default: logistic regression, hyperparameters searched, one annotator.
    pub fn new(strategy: impl Into<String>, budget: u64, seed: u64) -> Self {
        Self {
            dataset: String::new(),
            strategy: strategy.into(),
            strategy_params: BTreeMap::new(),
            model: "logistic".to_owned(),
            model_params: BTreeMap::new(),
            search: true,
            budget,
            seed,
            initial: BTreeMap::new(),
            agreement: Agreement::default(),
            alike: ALIKE,
        }
    }
}

/// When the answers of several annotators make a label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Agreement {
    /// The latest answer is the label.
    #[default]
    Latest,
    /// More than half of so many annotators gave it.
    Majority(u32),
    /// All of so many annotators gave it.
    Unanimous(u32),
}

impl Agreement {
    /// Annotators each row needs.
    #[must_use]
    pub fn annotators(self) -> u32 {
        match self {
            Self::Latest => 1,
            Self::Majority(count) | Self::Unanimous(count) => count.max(1),
        }
    }

    /// What these votes, in the order they were first cast, come to.
    fn verdict(self, votes: &[(String, Annotation)]) -> Verdict {
        let needed = match self {
            Self::Latest => {
                return votes.last().map_or(Verdict::Open, |(_, one)| Verdict::Agreed(one.clone()));
            }
            Self::Majority(count) => count.max(1) as usize / 2 + 1,
            Self::Unanimous(count) => count.max(1) as usize,
        };
        let label = [true, false]
            .into_iter()
            .find(|&malicious| votes.iter().filter(|(_, one)| one.malicious == malicious).count() >= needed);
        match label {
            Some(malicious) => Verdict::Agreed(Annotation { malicious, family: commonest(votes, malicious) }),
            None if votes.len() >= self.annotators() as usize => Verdict::Disputed,
            None => Verdict::Open,
        }
    }
}

/// The family most of those named who gave this label; of equals the one named first.
fn commonest(votes: &[(String, Annotation)], malicious: bool) -> String {
    let of_label = || votes.iter().map(|(_, one)| one).filter(move |one| one.malicious == malicious);
    let count = |family: &str| of_label().filter(|one| one.family == family).count();
    let first_best = |best: Option<&Annotation>, one: &Annotation| -> bool {
        best.is_none_or(|best| count(&one.family) > count(&best.family))
    };
    let mut best: Option<&Annotation> = None;
    for one in of_label() {
        if first_best(best, one) {
            best = Some(one);
        }
    }
    best.map_or_else(|| super::OTHER.to_owned(), |one| one.family.clone())
}

/// What the votes on a row come to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// More votes are needed.
    Open,
    /// A label.
    Agreed(Annotation),
    /// All votes are in and do not agree.
    Disputed,
}

/// One entry of a campaign's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "event", deny_unknown_fields)]
pub enum Event {
    /// An annotator answers a query.
    Answer {
        /// Row of the pool.
        row: u32,
        /// What it is.
        annotation: Annotation,
        /// Who says so.
        by: String,
    },
    /// An annotator cannot tell; the row is not asked again.
    Skip {
        /// Row of the pool.
        row: u32,
        /// Who.
        by: String,
    },
    /// A label is set or taken away outside the queries; it stands whatever the votes were, and costs nothing.
    Change {
        /// Row of the pool.
        row: u32,
        /// The label, or none.
        annotation: Option<Annotation>,
        /// Who.
        by: String,
    },
    /// The last answer, skip or change of this annotator that still stands is taken back.
    Undo {
        /// Who.
        by: String,
    },
    /// The iteration is over.
    Next,
}

/// What has become of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct RowState {
    /// By annotator, in the order they first voted.
    votes: Vec<(String, Annotation)>,
    /// A label set outside the queries, or (`Some(None)`) taken away.
    set: Option<Option<Annotation>>,
    skipped: bool,
}

impl RowState {
    fn verdict(&self, agreement: Agreement) -> Verdict {
        match &self.set {
            Some(Some(annotation)) => Verdict::Agreed(annotation.clone()),
            Some(None) if self.votes.is_empty() => Verdict::Open,
            _ => agreement.verdict(&self.votes),
        }
    }
}

/// What an undo restores.
struct Before {
    by: String,
    row: u32,
    state: RowState,
    cost: u64,
}

/// What follows from a campaign's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Number of the iteration, from 1.
    pub iteration: u64,
    /// What is known now.
    pub labels: BTreeMap<u32, Annotation>,
    /// Rows without a label that are not asked about: skipped, or disputed.
    pub left_out: BTreeSet<u32>,
    /// Rows whose annotators do not agree.
    pub disputed: BTreeSet<u32>,
    /// What was known when the iteration began: what its queries depend on.
    pub at_start: BTreeMap<u32, Annotation>,
    /// Rows left out when the iteration began.
    pub left_out_at_start: BTreeSet<u32>,
    /// What hyperparameters are searched on for this iteration; empty = they are at their defaults.
    pub searched: BTreeMap<u32, Annotation>,
    /// What they are searched on for the next one: what was known at the first iteration with both labels, and then whenever an
    /// iteration began with at least twice as many. An iteration late, so that a search can run while the expert answers.
    pub to_search: BTreeMap<u32, Annotation>,
    /// Answers given and not taken back.
    pub spent: u64,
    /// The same when the iteration began.
    spent_at_start: u64,
    /// Whether the iteration before this one brought any label or change.
    pub moved: bool,
    rows: BTreeMap<u32, RowState>,
}

/// Why a campaign is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// The budget is spent.
    Budget,
    /// Every row has a label or is left out.
    Exhausted,
    /// An iteration brought nothing new.
    Idle,
}

impl State {
    /// Reads a log over a pool of `rows` rows.
    ///
    /// # Errors
    /// [`LearnError::Data`] naming the entry whose row does not exist, or an undo of nothing.
    pub fn replay(spec: &CampaignSpec, events: &[Event], rows: usize) -> Result<Self, LearnError> {
        let mut state = Self {
            iteration: 1,
            labels: spec.initial.clone(),
            left_out: BTreeSet::new(),
            disputed: BTreeSet::new(),
            at_start: spec.initial.clone(),
            left_out_at_start: BTreeSet::new(),
            searched: BTreeMap::new(),
            to_search: BTreeMap::new(),
            spent: 0,
            spent_at_start: 0,
            moved: true,
            rows: BTreeMap::new(),
        };
        if let Some(row) = spec.initial.keys().find(|row| **row as usize >= rows) {
            return Err(LearnError::Data(format!("initial label of row {row}: the pool has {rows} rows")));
        }
        for (&row, annotation) in &spec.initial {
            state.rows.insert(row, RowState { set: Some(Some(annotation.clone())), ..RowState::default() });
        }
        state.begin();
        let mut history: Vec<Before> = Vec::new();
        for (place, event) in events.iter().enumerate() {
            state
                .apply(spec, event, rows, &mut history)
                .map_err(|reason| LearnError::Data(format!("entry {} of the log: {reason}", place + 1)))?;
        }
        Ok(state)
    }

    fn apply(
        &mut self,
        spec: &CampaignSpec,
        event: &Event,
        rows: usize,
        history: &mut Vec<Before>,
    ) -> Result<(), String> {
        let (row, by) = match event {
            Event::Next => {
                self.moved = self.labels != self.at_start || self.left_out != self.left_out_at_start;
                self.iteration += 1;
                self.begin();
                return Ok(());
            }
            Event::Undo { by } => {
                let last = history.iter().rposition(|before| before.by == *by);
                let Some(place) = last else { return Err(format!("{by} has nothing to take back")) };
                let before = history.remove(place);
                self.spent -= before.cost;
                self.rows.insert(before.row, before.state);
                self.settle(spec, before.row);
                return Ok(());
            }
            Event::Answer { row, by, .. } | Event::Skip { row, by } | Event::Change { row, by, .. } => {
                (*row, by)
            }
        };
        if row as usize >= rows {
            return Err(format!("row {row} of a pool of {rows} rows"));
        }
        let one = self.rows.entry(row).or_default();
        let state = one.clone();
        let cost = u64::from(matches!(event, Event::Answer { .. }));
        match event {
            Event::Answer { annotation, by, .. } => {
                one.set = None;
                one.skipped = false;
                match one.votes.iter_mut().find(|(voter, _)| voter == by) {
                    Some(vote) if spec.agreement != Agreement::Latest => vote.1 = annotation.clone(),
                    _ => one.votes.push((by.clone(), annotation.clone())),
                }
            }
            Event::Skip { .. } => one.skipped = true,
            Event::Change { annotation, .. } => {
                one.set = Some(annotation.clone());
                if annotation.is_none() {
                    one.votes.clear();
                }
                one.skipped = false;
            }
            Event::Undo { .. } | Event::Next => {}
        }
        history.push(Before { by: by.clone(), row, state, cost });
        self.spent += cost;
        self.settle(spec, row);
        Ok(())
    }

    /// Brings label, dispute and skip of a row up to date.
    fn settle(&mut self, spec: &CampaignSpec, row: u32) {
        let Some(one) = self.rows.get(&row) else { return };
        let verdict = one.verdict(spec.agreement);
        let skipped = one.skipped;
        let disputed = verdict == Verdict::Disputed;
        if disputed {
            self.disputed.insert(row)
        } else {
            self.disputed.remove(&row)
        };
        match verdict {
            Verdict::Agreed(annotation) => {
                self.labels.insert(row, annotation);
                self.left_out.remove(&row);
            }
            Verdict::Open | Verdict::Disputed => {
                self.labels.remove(&row);
                if skipped || disputed {
                    self.left_out.insert(row)
                } else {
                    self.left_out.remove(&row)
                };
            }
        }
    }

    /// An iteration begins with what is known now.
    fn begin(&mut self) {
        self.at_start.clone_from(&self.labels);
        self.left_out_at_start.clone_from(&self.left_out);
        self.spent_at_start = self.spent;
        self.searched.clone_from(&self.to_search);
        if both_known(&self.at_start)
            && (self.to_search.is_empty() || self.at_start.len() >= 2 * self.to_search.len())
        {
            self.to_search.clone_from(&self.at_start);
        }
    }

    /// Answers left to ask for.
    #[must_use]
    pub fn left(&self, spec: &CampaignSpec) -> u64 {
        spec.budget.saturating_sub(self.spent)
    }

    /// Answers that were left to ask for when the iteration began.
    pub(super) fn left_at_start(&self, spec: &CampaignSpec) -> u64 {
        spec.budget.saturating_sub(self.spent_at_start)
    }

    /// Whether a query needs no more answers: it has a label, was skipped, or is disputed.
    #[must_use]
    pub fn is_settled(&self, row: u32) -> bool {
        self.labels.contains_key(&row) || self.left_out.contains(&row)
    }

    /// Why no more is asked, if so.
    #[must_use]
    pub fn over(&self, spec: &CampaignSpec, rows: usize) -> Option<End> {
        let known = self.at_start.len()
            + self.left_out_at_start.difference(&self.at_start.keys().copied().collect()).count();
        if self.left(spec) == 0 {
            Some(End::Budget)
        } else if known >= rows {
            Some(End::Exhausted)
        } else {
            (!self.moved).then_some(End::Idle)
        }
    }

    /// Of the pairs of annotators who voted on one row, the share that gave one label; `None` without such pairs.
    #[must_use]
    pub fn pairwise_agreement(&self) -> Option<f64> {
        let (mut pairs, mut agreed) = (0u64, 0u64);
        for one in self.rows.values() {
            for (place, (voter, first)) in one.votes.iter().enumerate() {
                for (_, second) in one.votes[..place].iter().filter(|(other, _)| other != voter) {
                    pairs += 1;
                    agreed += u64::from(first.malicious == second.malicious);
                }
            }
        }
        (pairs > 0).then(|| agreed as f64 / pairs as f64)
    }
}

/// Whether there are malicious and benign rows, so that a classifier can learn.
pub(super) fn both_known(labels: &BTreeMap<u32, Annotation>) -> bool {
    [true, false].iter().all(|label| labels.values().any(|one| one.malicious == *label))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(row: u32, malicious: bool, family: &str, by: &str) -> Event {
        Event::Answer { row, annotation: Annotation::new(malicious, family), by: by.to_owned() }
    }

    fn undo(by: &str) -> Event {
        Event::Undo { by: by.to_owned() }
    }

    fn replay(spec: &CampaignSpec, events: &[Event]) -> State {
        State::replay(spec, events, 100).unwrap()
    }

    #[test]
    fn answers_make_labels_and_next_begins_an_iteration_with_them() {
        let mut spec = CampaignSpec::new("random", 3, 0);
        spec.initial.insert(7, Annotation::new(false, "web"));
        let events = [answer(1, true, "scan", "a"), Event::Next, answer(2, true, "", "a")];
        let state = replay(&spec, &events);
        assert_eq!((state.iteration, state.spent, state.left(&spec)), (2, 2, 1));
        assert_eq!(state.at_start.keys().copied().collect::<Vec<_>>(), [1, 7]);
        assert_eq!(state.labels[&2], Annotation::new(true, "other"));
        assert_eq!(state.over(&spec, 100), None);
        let over = replay(&spec, &[&events[..], &[answer(3, true, "", "a"), Event::Next]].concat());
        assert_eq!(over.over(&spec, 100), Some(End::Budget));
    }

    #[test]
    fn an_undo_takes_back_the_last_act_of_its_author_and_its_cost() {
        let spec = CampaignSpec::new("random", 9, 0);
        let skip = Event::Skip { row: 4, by: "a".to_owned() };
        let mut events =
            vec![answer(1, true, "x", "a"), answer(1, false, "y", "a"), answer(2, true, "z", "b"), skip];
        let state = replay(&spec, &events);
        assert_eq!((state.spent, state.left_out.contains(&4)), (3, true));
        events.push(undo("a"));
        let state = replay(&spec, &events);
        assert_eq!(
            (state.spent, state.left_out.contains(&4)),
            (3, false),
            "the skip is gone and cost nothing"
        );
        events.push(undo("a"));
        let state = replay(&spec, &events);
        assert_eq!((state.spent, &state.labels[&1]), (2, &Annotation::new(true, "x")));
        events.push(undo("a"));
        assert!(!replay(&spec, &events).labels.contains_key(&1));
        events.push(undo("a"));
        let error = State::replay(&spec, &events, 100).unwrap_err().to_string();
        assert_eq!(error, "entry 8 of the log: a has nothing to take back");
        assert!(replay(&spec, &events[..7]).labels.contains_key(&2), "b's answer stands");
    }

    #[test]
    fn a_label_removed_outside_the_queries_leaves_the_counts_right() {
        let mut spec = CampaignSpec::new("random", 9, 0);
        spec.initial.insert(7, Annotation::new(false, "web"));
        let change = |row, annotation| Event::Change { row, annotation, by: "a".to_owned() };
        let events = [
            answer(1, true, "x", "a"),
            change(1, None),
            change(7, None),
            change(8, Some(Annotation::new(true, "q"))),
        ];
        let state = replay(&spec, &events);
        assert_eq!(state.labels.keys().copied().collect::<Vec<_>>(), [8]);
        assert_eq!(state.spent, 1, "changes cost nothing");
        let state = replay(&spec, &[&events[..], &[undo("a"), undo("a")]].concat());
        assert_eq!(state.labels.keys().copied().collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn annotators_agree_by_the_rule() {
        let mut spec = CampaignSpec::new("random", 99, 0);
        spec.agreement = Agreement::Majority(3);
        let votes = [answer(1, true, "x", "a"), answer(1, false, "", "b"), answer(1, true, "y", "c")];
        assert!(replay(&spec, &votes[..2]).labels.is_empty());
        assert!(!replay(&spec, &votes[..2]).is_settled(1));
        assert_eq!(replay(&spec, &votes).labels[&1], Annotation::new(true, "x"), "of equals the first named");
        assert_eq!(replay(&spec, &votes).pairwise_agreement(), Some(1.0 / 3.0));
        spec.agreement = Agreement::Unanimous(2);
        let state = replay(&spec, &votes[..2]);
        assert!(state.disputed.contains(&1) && state.is_settled(1) && state.labels.is_empty());
        let second_thoughts = [&votes[..2], &[answer(1, true, "y", "b")]].concat();
        assert_eq!(replay(&spec, &second_thoughts).labels[&1].family, "x");
        assert_eq!(replay(&spec, &second_thoughts).disputed.len(), 0);
    }

    #[test]
    fn hyperparameters_are_searched_when_labels_have_doubled() {
        let spec = CampaignSpec::new("random", 999, 0);
        let mut events = Vec::new();
        let (mut searched, mut to_search) = (Vec::new(), Vec::new());
        for row in 0..40 {
            events.push(answer(row, row % 2 == 0, "", "a"));
            events.push(Event::Next);
            let state = replay(&spec, &events);
            searched.push(state.searched.len());
            to_search.push(state.to_search.len());
        }
        assert_eq!(searched[1..], to_search[..39], "what is searched now is used in the next iteration");
        to_search.dedup();
        assert_eq!(to_search, [0, 2, 4, 8, 16, 32]);
    }

    #[test]
    fn an_idle_iteration_ends_the_campaign() {
        let spec = CampaignSpec::new("random", 9, 0);
        assert_eq!(replay(&spec, &[Event::Next]).over(&spec, 100), Some(End::Idle));
        assert_eq!(
            replay(&spec, &[answer(0, true, "", "a"), Event::Next]).over(&spec, 1),
            Some(End::Exhausted)
        );
        assert!(State::replay(&spec, &[answer(100, true, "", "a")], 100).is_err());
    }

    #[test]
    fn logs_are_read_as_they_are_written() {
        let change = Event::Change { row: 3, annotation: None, by: "b".to_owned() };
        for event in [answer(1, true, "x", "a"), undo("a"), Event::Next, change] {
            let line = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event, "{line}");
        }
        assert_eq!(serde_json::to_string(&Event::Next).unwrap(), r#"{"event":"next"}"#);
    }
}

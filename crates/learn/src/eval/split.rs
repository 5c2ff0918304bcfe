//! Which rows are learnt from and which are held out: one function and one line in [`SPLITS`] per way of dividing.
//!
//! Rows that belong together (one capture, one host) stay together and the future is held out before the past, unless
//! someone asks for a split by row.

mod families;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

use rand::seq::SliceRandom;

use crate::LearnError;
use crate::rng;
use crate::table::Table;
pub use windows::{Span, Window};

/// What a split looks at; slices run parallel to the rows.
#[derive(Clone, Debug, Default)]
pub struct Rows<'a> {
    /// Malicious or not; `None` = unlabelled.
    pub labels: Vec<Option<bool>>,
    /// Attack family.
    pub families: Vec<Option<&'a str>>,
    /// Number of the row's group.
    pub groups: Option<Vec<u32>>,
    /// ns since the epoch.
    pub times: Option<Vec<i64>>,
}

impl<'a> Rows<'a> {
    /// Labels, families, groups and times of a table.
    #[must_use]
    pub fn of(table: &'a Table) -> Self {
        Self {
            labels: table.labels(),
            families: table.families(),
            groups: table.groups(),
            times: table.times(),
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    fn malicious(&self, row: usize) -> bool {
        self.labels[row] == Some(true)
    }
}

/// One way of dividing: learn from `train`, measure on `test`. Both ascend; they share no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// Rows to learn from.
    pub train: Vec<usize>,
    /// Rows held out.
    pub test: Vec<usize>,
}

/// What follows the colon of a split.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// Nothing.
    None,
    /// Share of the rows held out, above 0 and below 1.
    Share(f64),
    /// Number of folds.
    Folds(usize),
    /// Names of families; empty = each family in turn.
    Families(Vec<String>),
    /// ns since the epoch; there is no default.
    Moment(Option<i64>),
    /// Lengths of a window that moves over time.
    Window(Window),
}

/// One line of [`SPLITS`].
pub struct SplitSpec {
    /// Name before the colon.
    pub name: &'static str,
    /// How it is typed, with its default argument.
    pub example: &'static str,
    /// What it does, in a sentence.
    pub doc: &'static str,
    default: Argument,
    folds: fn(&Argument, &Rows<'_>, u64) -> Result<Vec<Fold>, LearnError>,
}

/// Every way of dividing the program has.
pub static SPLITS: &[&SplitSpec] = &[
    &SplitSpec {
        name: "group-k-fold",
        example: "group-k-fold:5",
        doc: "Divides the groups into folds of about equal rows and malicious rows; each fold is held out once.",
        default: Argument::Folds(5),
        folds: |argument, rows, seed| {
            let parts = group_parts(rows, &all(rows), argument.folds(), seed)?;
            Ok(each_part_held_out(&parts, rows.len()))
        },
    },
    &SplitSpec {
        name: "group",
        example: "group:0.3",
        doc: "Holds out whole groups until about this share of the rows is reached.",
        default: Argument::Share(0.3),
        folds: |argument, rows, seed| {
            Ok(vec![held_out(group_share(rows, argument.share(), seed)?, rows.len())])
        },
    },
    &SplitSpec {
        name: "time",
        example: "time:0.3",
        doc: "Holds out the last share of the rows by time; equal times are never torn apart.",
        default: Argument::Share(0.3),
        folds: |argument, rows, _| {
            let start = ((1.0 - argument.share()) * rows.len() as f64).floor() as usize;
            Ok(vec![held_out(time_blocks(rows, &all(rows), &[start])?.swap_remove(1), rows.len())])
        },
    },
    &SplitSpec {
        name: "time-k-fold",
        example: "time-k-fold:5",
        doc: "Divides the rows into blocks of time; each block is held out once and all others are learnt from.",
        default: Argument::Folds(5),
        folds: |argument, rows, _| {
            let parts = even_time_blocks(rows, &all(rows), argument.folds())?;
            Ok(each_part_held_out(&parts, rows.len()))
        },
    },
    &SplitSpec {
        name: "time-forward",
        example: "time-forward:5",
        doc: "Divides the rows into one block of time more than this; each but the first is held out and only the past is learnt from.",
        default: Argument::Folds(5),
        folds: |argument, rows, _| {
            let parts = even_time_blocks(rows, &all(rows), argument.folds() + 1)?;
            Ok((1..parts.len())
                .map(|place| Fold {
                    train: sorted(parts[..place].concat()),
                    test: sorted(parts[place].clone()),
                })
                .collect())
        },
    },
    &SplitSpec {
        name: "leave-family-out",
        example: "leave-family-out:scan+beacon",
        doc: "Holds out whole attack families (without names: each in turn) and a part of the benign rows, divided by group or time.",
        default: Argument::Families(Vec::new()),
        folds: families::leave_family_out,
    },
    &SplitSpec {
        name: "leave-families-out",
        example: "leave-families-out:5",
        doc: "Deals the attack families out into this many parts; each is held out once, with a part of the benign rows.",
        default: Argument::Folds(5),
        folds: families::leave_families_out,
    },
    &SplitSpec {
        name: "cutoff",
        example: "cutoff:2023-11-14T22:15:00Z",
        doc: "Learns from the rows before a date (and time, UTC) and holds out the rows from then on.",
        default: Argument::Moment(None),
        folds: windows::cutoff,
    },
    &SplitSpec {
        name: "sliding-window",
        example: "sliding-window:40%+0%+10%",
        doc: "Moves a window over time by the length of its test part: learns from its first part, skips a gap, holds out its last. Each of the three is a share of all time (40%) or a length (7d, 12h, 30m, 10s).",
        default: Argument::Window(windows::DEFAULT),
        folds: windows::sliding_window,
    },
    &SplitSpec {
        name: "stratified",
        example: "stratified:0.2",
        doc: "Holds out random rows, the same share of each family. Not honest when rows belong together.",
        default: Argument::Share(0.2),
        folds: |argument, rows, seed| {
            let mut test = Vec::new();
            for mut stratum in shuffled_strata(rows, &all(rows), seed) {
                stratum.truncate((argument.share() * stratum.len() as f64).round() as usize);
                test.extend(stratum);
            }
            Ok(vec![held_out(test, rows.len())])
        },
    },
    &SplitSpec {
        name: "stratified-k-fold",
        example: "stratified-k-fold:5",
        doc: "Divides the rows at random into folds with the same share of each family. Not honest when rows belong together.",
        default: Argument::Folds(5),
        folds: |argument, rows, seed| {
            Ok(each_part_held_out(&stratified_parts(rows, &all(rows), argument.folds(), seed), rows.len()))
        },
    },
    &SplitSpec {
        name: "k-fold",
        example: "k-fold:5",
        doc: "Divides the rows at random into folds; each is held out once. Not honest when rows belong together.",
        default: Argument::Folds(5),
        folds: |argument, rows, seed| {
            let mut parts = vec![Vec::new(); argument.folds()];
            let order = shuffled(all(rows), seed, "k-fold split", 0);
            order.into_iter().enumerate().for_each(|(turn, row)| parts[turn % argument.folds()].push(row));
            Ok(each_part_held_out(&parts, rows.len()))
        },
    },
    &SplitSpec {
        name: "random",
        example: "random:0.2",
        doc: "Holds out random rows. Not honest when rows belong together.",
        default: Argument::Share(0.2),
        folds: |argument, rows, seed| {
            let mut test = shuffled(all(rows), seed, "random split", 0);
            test.truncate((argument.share() * rows.len() as f64).round() as usize);
            Ok(vec![held_out(test, rows.len())])
        },
    },
    &SplitSpec {
        name: "none",
        example: "none",
        doc: "Holds out nothing: no estimate of quality, and the threshold must be given as a value.",
        default: Argument::None,
        folds: |_, _, _| Ok(Vec::new()),
    },
];

/// A way of dividing with its argument; `Display` gives the text that [`Split::parse`] reads.
#[derive(Clone)]
pub struct Split {
    spec: &'static SplitSpec,
    argument: Argument,
}

impl Split {
    /// Reads `name` or `name:argument`.
    ///
    /// # Errors
    /// [`LearnError::Unknown`] for the name, [`LearnError::Parameter`] for the argument.
    pub fn parse(text: &str) -> Result<Self, LearnError> {
        let (name, argument) =
            text.split_once(':').map_or((text, None), |(name, argument)| (name, Some(argument)));
        let spec =
            SPLITS.iter().find(|spec| spec.name == name).copied().ok_or_else(|| LearnError::Unknown {
                kind: "split",
                name: name.to_owned(),
                known: SPLITS.iter().map(|spec| spec.name).collect::<Vec<_>>().join(", "),
            })?;
        let Some(argument) = argument.or((spec.default == Argument::Moment(None)).then_some("")) else {
            return Ok(Self { spec, argument: spec.default.clone() });
        };
        let parsed = match spec.default {
            Argument::None => None,
            Argument::Share(_) => {
                argument.parse().ok().filter(|share| *share > 0.0 && *share < 1.0).map(Argument::Share)
            }
            Argument::Folds(_) => {
                argument.parse().ok().filter(|folds| (2..=1000).contains(folds)).map(Argument::Folds)
            }
            Argument::Families(_) => {
                Some(Argument::Families(argument.split('+').map(str::to_owned).collect()))
            }
            Argument::Moment(_) => windows::parse_moment(argument).map(|at| Argument::Moment(Some(at))),
            Argument::Window(_) => Window::parse(argument).map(Argument::Window),
        };
        match parsed {
            Some(argument) => Ok(Self { spec, argument }),
            None => Err(LearnError::Parameter {
                owner: format!("split `{name}`"),
                name: "argument".to_owned(),
                expected: spec.default.expected().to_owned(),
                found: argument.to_owned(),
            }),
        }
    }

    /// The honest split for these rows: by group when at least two groups hold benign and two hold malicious rows (or there
    /// are two groups and no labels), else by blocks of time, else by row.
    #[must_use]
    pub fn default_for(rows: &Rows<'_>) -> Self {
        let name = match (groups_suffice(rows), &rows.times) {
            (true, _) => "group-k-fold:5",
            (false, Some(_)) => "time-k-fold:5",
            (false, None) => "stratified-k-fold:5",
        };
        Self::parse(name).expect("the table above has these splits")
    }

    /// The folds of these rows; the same for the same seed. Every fold has rows to learn from and rows held out.
    ///
    /// # Errors
    /// [`LearnError::Data`] when the rows lack what the split divides by (groups, times, families) or are too few.
    pub fn folds(&self, rows: &Rows<'_>, seed: u64) -> Result<Vec<Fold>, LearnError> {
        let folds = (self.spec.folds)(&self.argument, rows, seed)?;
        let empty = folds.iter().any(|fold| fold.train.is_empty() || fold.test.is_empty());
        if empty || (folds.is_empty() && self.spec.name != "none") {
            return Err(LearnError::Data(format!(
                "split `{self}` leaves nothing to learn from or nothing to test on in {} rows",
                rows.len()
            )));
        }
        Ok(folds)
    }

    /// The line of [`SPLITS`].
    #[must_use]
    pub fn spec(&self) -> &'static SplitSpec {
        self.spec
    }
}

impl std::str::FromStr for Split {
    type Err = LearnError;

    fn from_str(text: &str) -> Result<Self, LearnError> {
        Self::parse(text)
    }
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.spec.name;
        match &self.argument {
            Argument::Share(share) => write!(f, "{name}:{share}"),
            Argument::Folds(folds) => write!(f, "{name}:{folds}"),
            Argument::Families(families) if !families.is_empty() => {
                write!(f, "{name}:{}", families.join("+"))
            }
            Argument::Moment(Some(at)) => write!(f, "{name}:{}", windows::moment_text(*at)),
            Argument::Window(window) => write!(f, "{name}:{window}"),
            Argument::None | Argument::Families(_) | Argument::Moment(None) => f.write_str(name),
        }
    }
}

impl std::fmt::Debug for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Split({self})")
    }
}

impl PartialEq for Split {
    fn eq(&self, other: &Self) -> bool {
        self.spec.name == other.spec.name && self.argument == other.argument
    }
}

impl Argument {
    fn expected(&self) -> &'static str {
        match self {
            Self::None => "nothing after the name",
            Self::Share(_) => "a share above 0 and below 1",
            Self::Folds(_) => "a number of folds from 2 to 1000",
            Self::Families(_) => "families joined by `+`",
            Self::Moment(_) => "a date such as 2017-07-05 or 2017-07-05T12:30:00Z (UTC)",
            Self::Window(_) => {
                "train+gap+test, each a share of all time such as 40% or a length such as 7d, 12h, 30m, 10s; train and test above 0"
            }
        }
    }

    fn share(&self) -> f64 {
        if let Self::Share(share) = self { *share } else { 0.3 }
    }

    fn folds(&self) -> usize {
        if let Self::Folds(folds) = self { *folds } else { 5 }
    }
}

fn all(rows: &Rows<'_>) -> Vec<usize> {
    (0..rows.len()).collect()
}

fn sorted(mut rows: Vec<usize>) -> Vec<usize> {
    rows.sort_unstable();
    rows
}

fn held_out(test: Vec<usize>, rows: usize) -> Fold {
    let test = sorted(test);
    let train = (0..rows).filter(|row| test.binary_search(row).is_err()).collect();
    Fold { train, test }
}

fn each_part_held_out(parts: &[Vec<usize>], rows: usize) -> Vec<Fold> {
    parts.iter().filter(|part| !part.is_empty()).map(|part| held_out(part.clone(), rows)).collect()
}

fn shuffled(mut rows: Vec<usize>, seed: u64, purpose: &str, index: u64) -> Vec<usize> {
    rows.shuffle(&mut rng::stream(seed, purpose, index));
    rows
}

/// Rows of one label and family each, shuffled.
fn shuffled_strata(rows: &Rows<'_>, among: &[usize], seed: u64) -> Vec<Vec<usize>> {
    let mut strata: BTreeMap<(Option<bool>, Option<&str>), Vec<usize>> = BTreeMap::new();
    for &row in among {
        strata.entry((rows.labels[row], rows.families[row])).or_default().push(row);
    }
    strata
        .into_values()
        .enumerate()
        .map(|(index, stratum)| shuffled(stratum, seed, "stratified split", index as u64))
        .collect()
}

/// Deals the strata out in turn, going on where the stratum before ended, so that small strata spread over the parts.
fn stratified_parts(rows: &Rows<'_>, among: &[usize], parts: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut dealt = vec![Vec::new(); parts];
    for (turn, row) in shuffled_strata(rows, among, seed).into_iter().flatten().enumerate() {
        dealt[turn % parts].push(row);
    }
    dealt
}

/// Cuts rows in order of time at about these places, moving each cut forward past equal times.
fn time_blocks(rows: &Rows<'_>, among: &[usize], cuts: &[usize]) -> Result<Vec<Vec<usize>>, LearnError> {
    let times =
        rows.times.as_ref().ok_or_else(|| missing("times", "give the table a column of role time"))?;
    let mut order = among.to_vec();
    order.sort_by_key(|&row| times[row]);
    let mut blocks = Vec::new();
    let mut start = 0;
    for &cut in cuts.iter().chain([&order.len()]) {
        let mut end = cut.max(start);
        while end > start && end < order.len() && times[order[end]] == times[order[end - 1]] {
            end += 1;
        }
        blocks.push(order[start..end].to_vec());
        start = end;
    }
    Ok(blocks)
}

fn even_time_blocks(rows: &Rows<'_>, among: &[usize], parts: usize) -> Result<Vec<Vec<usize>>, LearnError> {
    let cuts: Vec<usize> = (1..parts).map(|part| part * among.len() / parts).collect();
    let mut blocks = time_blocks(rows, among, &cuts)?;
    blocks.retain(|block| !block.is_empty());
    Ok(blocks)
}

/// Rows, malicious rows and members of each group, largest first (equal ones in seeded order).
struct Group {
    malicious: usize,
    members: Vec<usize>,
}

fn ranked_groups(rows: &Rows<'_>, among: &[usize], seed: u64) -> Result<Vec<Group>, LearnError> {
    let groups =
        rows.groups.as_ref().ok_or_else(|| missing("groups", "give the table a column of role group"))?;
    let mut members: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for &row in among {
        members.entry(groups[row]).or_default().push(row);
    }
    let malicious = |members: &[usize]| members.iter().filter(|&&row| rows.malicious(row)).count();
    let mut ranked: Vec<Group> =
        members.into_values().map(|members| Group { malicious: malicious(&members), members }).collect();
    if ranked.len() < 2 {
        return Err(missing("second group", "use a split by time"));
    }
    ranked.shuffle(&mut rng::stream(seed, "group split", 0));
    ranked.sort_by_key(|group| std::cmp::Reverse(group.members.len()));
    Ok(ranked)
}

/// Greedy: each group, largest first, goes to the part that is least full when benign and malicious rows count alike.
fn group_parts(
    rows: &Rows<'_>,
    among: &[usize],
    parts: usize,
    seed: u64,
) -> Result<Vec<Vec<usize>>, LearnError> {
    let groups = ranked_groups(rows, among, seed)?;
    let malicious = groups.iter().map(|group| group.malicious).sum::<usize>().max(1) as f64;
    let benign = (among.len() as f64 - malicious).max(1.0);
    let parts = parts.min(groups.len());
    let mut dealt = vec![(0.0, 0.0, Vec::new()); parts];
    for group in groups {
        let (bad, good) =
            (group.malicious as f64 / malicious, (group.members.len() - group.malicious) as f64 / benign);
        let fullness = |part: &(f64, f64, Vec<usize>)| bad * part.0 + good * part.1;
        let least = (0..parts).min_by(|&a, &b| {
            let load = |part: usize| dealt[part].0 + dealt[part].1;
            fullness(&dealt[a]).total_cmp(&fullness(&dealt[b])).then(load(a).total_cmp(&load(b)))
        });
        let part = &mut dealt[least.unwrap_or(0)];
        (part.0, part.1) = (part.0 + bad, part.1 + good);
        part.2.extend(group.members);
    }
    Ok(dealt.into_iter().map(|(_, _, members)| members).collect())
}

/// Whole groups in seeded order until the share of the rows is reached, leaving at least one to learn from.
fn group_share(rows: &Rows<'_>, share: f64, seed: u64) -> Result<Vec<usize>, LearnError> {
    let mut groups = ranked_groups(rows, &all(rows), seed)?;
    groups.shuffle(&mut rng::stream(seed, "group split", 1));
    let wanted = (share * rows.len() as f64).round() as usize;
    let mut test = Vec::new();
    for group in groups.iter().skip(1) {
        let overshoot = (test.len() + group.members.len()).saturating_sub(wanted);
        if test.is_empty() || overshoot <= wanted.saturating_sub(test.len()) {
            test.extend_from_slice(&group.members);
        }
    }
    Ok(test)
}

fn groups_suffice(rows: &Rows<'_>) -> bool {
    let Some(groups) = &rows.groups else { return false };
    let holding = |wanted: Option<bool>| {
        let held = |&(_, label): &(&u32, &Option<bool>)| *label == wanted;
        groups.iter().zip(&rows.labels).filter(held).map(|(group, _)| group).collect::<BTreeSet<_>>().len()
    };
    let unlabelled = rows.labels.iter().all(Option::is_none);
    if unlabelled { holding(None) >= 2 } else { holding(Some(true)) >= 2 && holding(Some(false)) >= 2 }
}

fn missing(what: &str, advice: &str) -> LearnError {
    LearnError::Data(format!("the rows have no {what} to split by; {advice}"))
}

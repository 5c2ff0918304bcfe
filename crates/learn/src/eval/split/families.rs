//! Whole attack families held out, each once, beside a part of the benign rows to raise false alarms on.

use std::collections::{BTreeMap, BTreeSet};

use rand::seq::SliceRandom;

use super::{Argument, Fold, Rows, all, even_time_blocks, group_parts, held_out, stratified_parts};
use crate::LearnError;
use crate::rng;

/// The named families together, or each in turn.
pub(super) fn leave_family_out(
    argument: &Argument,
    rows: &Rows<'_>,
    seed: u64,
) -> Result<Vec<Fold>, LearnError> {
    let known = known_families(rows);
    let named = if let Argument::Families(named) = argument { named.as_slice() } else { &[] };
    if let Some(stray) = named.iter().find(|name| !known.contains(name.as_str())) {
        return Err(LearnError::Unknown {
            kind: "family among the malicious rows",
            name: stray.clone(),
            known: known.into_iter().collect::<Vec<_>>().join(", "),
        });
    }
    let left_out: Vec<Vec<&str>> = if named.is_empty() {
        known.iter().map(|family| vec![*family]).collect()
    } else {
        vec![named.iter().map(String::as_str).collect()]
    };
    Ok(without_each(&left_out, rows, seed))
}

/// The families shuffled and dealt out in turn, so that each part has as many (or one fewer); each part is held out once.
pub(super) fn leave_families_out(
    argument: &Argument,
    rows: &Rows<'_>,
    seed: u64,
) -> Result<Vec<Fold>, LearnError> {
    let mut families: Vec<&str> = known_families(rows).into_iter().collect();
    if families.len() < 2 {
        return Err(LearnError::Data(format!(
            "the malicious rows are of {} families: expected at least 2 to leave some out",
            families.len()
        )));
    }
    families.shuffle(&mut rng::stream(seed, "families split", 0));
    let mut parts = vec![Vec::new(); argument.folds().min(families.len())];
    let turns = parts.len();
    families.into_iter().enumerate().for_each(|(turn, family)| parts[turn % turns].push(family));
    Ok(without_each(&parts, rows, seed))
}

fn known_families<'a>(rows: &Rows<'a>) -> BTreeSet<&'a str> {
    let malicious = all(rows).into_iter().filter(|&row| rows.malicious(row));
    malicious.filter_map(|row| rows.families[row]).collect()
}

/// One fold per set of families: its rows and one part of the benign rows are held out.
fn without_each(left_out: &[Vec<&str>], rows: &Rows<'_>, seed: u64) -> Vec<Fold> {
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut benign = Vec::new();
    for row in all(rows) {
        match rows.families[row] {
            _ if !rows.malicious(row) => benign.push(row),
            Some(family) => members.entry(family).or_default().push(row),
            None => {}
        }
    }
    let parts = benign_parts(rows, &benign, left_out.len().max(3), seed);
    let fold = |(place, families): (usize, &Vec<&str>)| {
        let gone = families.iter().filter_map(|family| members.get(family)).flatten();
        let alarms = parts.get(place % parts.len().max(1)).into_iter().flatten();
        held_out(gone.chain(alarms).copied().collect(), rows.len())
    };
    left_out.iter().enumerate().map(fold).collect()
}

/// Benign rows by group when there are enough groups, else by time, else at random.
fn benign_parts(rows: &Rows<'_>, benign: &[usize], parts: usize, seed: u64) -> Vec<Vec<usize>> {
    let by_group = group_parts(rows, benign, parts, seed).ok().filter(|divided| divided.len() == parts);
    let by_time = || even_time_blocks(rows, benign, parts).ok().filter(|divided| divided.len() > 1);
    by_group.or_else(by_time).unwrap_or_else(|| stratified_parts(rows, benign, parts, seed))
}

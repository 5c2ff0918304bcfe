//! Metrics of decisions among several classes: confusion matrix, and precision, recall and F1 of each.

use serde::{Deserialize, Serialize};

use crate::LearnError;

/// How well classes were told apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// Names in the order of the confusion's rows and columns.
    pub classes: Vec<String>,
    /// Rows of true class i decided as class j.
    pub confusion: Vec<Vec<u64>>,
    /// Share of rows decided rightly; `None` without rows.
    pub accuracy: Option<f64>,
    /// Mean F1 of the classes that occur in truth or decisions; a class never decided counts 0.
    pub macro_f1: Option<f64>,
    /// Mean recall of the classes that occur in truth.
    pub balanced_accuracy: Option<f64>,
    /// Per class, in the same order.
    pub per_class: Vec<ClassMetrics>,
}

/// One class against all others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// Its name.
    pub class: String,
    /// Rows that are of this class.
    pub rows: u64,
    /// Share of the rows decided as this class that are.
    pub precision: Option<f64>,
    /// Share of its rows decided as such.
    pub recall: Option<f64>,
    /// 2 tp / (2 tp + fp + fn).
    pub f1: Option<f64>,
}

/// Compares decided with true classes, both as places in `classes`.
///
/// # Errors
/// [`LearnError::Data`] when lengths differ or a class does not exist.
pub fn measure_classes(
    truth: &[u32],
    decided: &[u32],
    classes: &[String],
) -> Result<ClassReport, LearnError> {
    if truth.len() != decided.len() {
        return Err(LearnError::Data(format!("{} true and {} decided classes", truth.len(), decided.len())));
    }
    let mut confusion = vec![vec![0u64; classes.len()]; classes.len()];
    for (&is, &said) in truth.iter().zip(decided) {
        let cell = confusion.get_mut(is as usize).and_then(|row| row.get_mut(said as usize));
        *cell.ok_or_else(|| {
            LearnError::Data(format!("class {is} or {said} of {} classes", classes.len()))
        })? += 1;
    }
    let per_class: Vec<ClassMetrics> =
        (0..classes.len()).map(|class| one_class(&confusion, class, &classes[class])).collect();
    let right: u64 = (0..classes.len()).map(|class| confusion[class][class]).sum();
    Ok(ClassReport {
        classes: classes.to_vec(),
        accuracy: ratio(right, truth.len() as u64),
        macro_f1: mean(per_class.iter().filter_map(|class| class.f1)),
        balanced_accuracy: mean(per_class.iter().filter_map(|class| class.recall)),
        confusion,
        per_class,
    })
}

fn one_class(confusion: &[Vec<u64>], class: usize, name: &str) -> ClassMetrics {
    let hits = confusion[class][class];
    let rows: u64 = confusion[class].iter().sum();
    let decided: u64 = confusion.iter().map(|row| row[class]).sum();
    ClassMetrics {
        class: name.to_owned(),
        rows,
        precision: ratio(hits, decided),
        recall: ratio(hits, rows),
        f1: ratio(2 * hits, rows + decided),
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_classes_by_hand() {
        let names = ["benign", "scan", "beacon"].map(str::to_owned);
        let report = measure_classes(&[0, 0, 1, 1, 2], &[0, 1, 1, 1, 0], &names).unwrap();
        assert_eq!(report.confusion, vec![vec![1, 1, 0], vec![0, 2, 0], vec![1, 0, 0]]);
        assert_eq!(report.accuracy, Some(0.6));
        let f1: Vec<_> = report.per_class.iter().map(|class| class.f1.unwrap()).collect();
        assert_eq!(f1, vec![0.5, 0.8, 0.0]);
        assert!((report.macro_f1.unwrap() - 1.3 / 3.0).abs() < 1e-12);
        assert_eq!(report.balanced_accuracy, Some(0.5));
        assert_eq!(report.per_class[2].precision, None, "never decided");
        assert!(measure_classes(&[3], &[0], &names).is_err());
    }
}

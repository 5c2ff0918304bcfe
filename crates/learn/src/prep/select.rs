//! `select`: keeps the columns that say most about the classes, each judged alone, as scikit-learn's `SelectKBest` and
//! `SelectPercentile`. The scores are in [`scores`].

mod neighbours;
pub mod scores;

use super::kept::Kept;
use super::{Labels, PrepSpec, Step, Values};
use crate::LearnError;
use crate::params::{ParamKind, ParamSpec, Params};

/// The line of the table.
pub(super) static SPEC: PrepSpec = PrepSpec {
    name: "select",
    doc: "Keeps the columns that alone say most about the class, by the F statistic of an analysis of variance, chi-squared or \
          mutual information (of equals the earlier).",
    takes_lists: false,
    needs_numbers: true,
    needs_labels: true,
    params: &[
        ParamSpec {
            name: "by",
            kind: ParamKind::Choice(&["f", "chi2", "mutual-information"]),
            default: "f",
            doc: "What columns are ranked by; chi2 takes no negative numbers.",
        },
        ParamSpec {
            name: "k",
            kind: ParamKind::Int { min: 1, max: 1_000_000 },
            default: "10",
            doc: "Columns to keep.",
        },
        ParamSpec {
            name: "share",
            kind: ParamKind::Float { min: 0.0, max: 1.0 },
            default: "0",
            doc: "Share of the columns to keep in place of `k`, rounded down, at least one; 0 = keep `k`.",
        },
        ParamSpec {
            name: "neighbors",
            kind: ParamKind::Int { min: 1, max: 1000 },
            default: "3",
            doc: "Neighbours in the estimate of mutual information.",
        },
    ],
    fit,
    load: |bytes| Kept::load(SPEC.name, bytes),
};

fn fit(params: &Params, columns: &[Values<'_>], labels: Labels<'_>) -> Result<Box<dyn Step>, LearnError> {
    let labels = labels.required(SPEC.name)?;
    let mut ranked = Vec::with_capacity(columns.len());
    for (place, column) in columns.iter().enumerate() {
        ranked.push((score(params, place, column, labels)?, place));
    }
    // NaN (a column that does not vary) comes last
    let worth = |score: f64| if score.is_nan() { f64::NEG_INFINITY } else { score };
    ranked.sort_by(|a, b| worth(b.0).total_cmp(&worth(a.0)));
    let count = match params.float("share") {
        share if share > 0.0 => ((share * columns.len() as f64) as usize).max(1),
        _ => params.int("k"),
    };
    let mut keep = vec![false; columns.len()];
    ranked.iter().take(count).for_each(|&(_, place)| keep[place] = true);
    Ok(Box::new(Kept::new(SPEC.name, columns, keep)))
}

fn score(params: &Params, place: usize, column: &Values<'_>, labels: Labels<'_>) -> Result<f64, LearnError> {
    let refuse = |what: &str, step: &str| {
        Err(LearnError::Data(format!(
            "step `select`: column {} {what}; put the step {step} before it",
            place + 1
        )))
    };
    let Values::Numbers(numbers) = column else { return refuse("is text", "`one-hot` or `target`") };
    if numbers.iter().any(|number| number.is_nan()) {
        return refuse("has missing values", "`impute`");
    }
    Ok(match params.text("by") {
        "chi2" if numbers.iter().any(|number| *number < 0.0) => {
            return refuse("has negative numbers, which chi2 does not take", "`min-max`");
        }
        "chi2" => scores::chi2(numbers, labels),
        "f" => scores::f(numbers, labels),
        _ => scores::mutual_information(numbers, labels, params.int("neighbors")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(given: &[(&str, &str)], columns: &[Vec<f64>]) -> Result<Vec<usize>, LearnError> {
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let params = Params::check(SPEC.name, SPEC.params, &given)?;
        let values: Vec<Values<'_>> = columns.iter().cloned().map(Values::Numbers).collect();
        let labels = Labels { y: &[0, 0, 0, 1, 1, 1], classes: 2 };
        let out = fit(&params, &values, labels)?.apply(values);
        let place = |column: &Values<'_>| match column {
            Values::Numbers(numbers) => columns.iter().position(|known| known == numbers).unwrap(),
            other => panic!("{other:?}"),
        };
        Ok(out.iter().map(place).collect())
    }

    #[test]
    fn the_best_columns_stay_in_their_order() {
        let columns = [
            vec![3.0, 1.0, 2.0, 1.0, 3.0, 2.0],
            vec![0.0, 1.0, 0.5, 3.0, 4.0, 3.5],
            vec![7.0; 6],
            vec![0.0, 1.0, 4.0, 3.0, 4.0, 3.5],
        ];
        for by in ["f", "chi2"] {
            assert_eq!(kept(&[("by", by), ("k", "2")], &columns).unwrap(), [1, 3], "{by}");
            assert_eq!(kept(&[("by", by), ("share", "0.3")], &columns).unwrap(), [1], "{by}");
            assert_eq!(kept(&[("by", by)], &columns).unwrap(), [0, 1, 2, 3], "{by}");
        }
        assert_eq!(kept(&[("by", "mutual-information"), ("k", "1")], &columns).unwrap(), [1]);
        assert_eq!(kept(&[("k", "3")], &columns).unwrap(), [0, 1, 3], "a constant column comes last");
    }

    #[test]
    fn what_cannot_be_judged_is_refused_with_the_step_that_helps() {
        let message = |by: &str, column: Vec<f64>| kept(&[("by", by)], &[column]).unwrap_err().to_string();
        assert!(message("f", vec![f64::NAN; 6]).contains("`impute`"));
        assert!(message("chi2", vec![-1.0; 6]).contains("`min-max`"));
    }
}

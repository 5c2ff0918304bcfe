//! K nearest neighbours: a row is what the training rows nearest to it are (Cover & Hart 1967).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::corm::{pack, unpack};
use crate::ctx::Ctx;
use crate::estimator::{Estimator, Kind, Model, ModelSpec, Train};
use crate::matrix::Matrix;
use crate::neighbours::{Metric, Neighbour, Neighbours};
use crate::params::{ParamKind, ParamSpec};

/// The line of the table.
pub(super) static SPEC: ModelSpec = ModelSpec {
    name: "k-neighbours",
    kind: Kind::Classifier,
    doc: "The classes of the k nearest training rows, each with one vote or with one that falls with distance; the score is \
          the share of votes (as scikit-learn's KNeighborsClassifier; ties go to the earlier row). The model file holds the \
          training rows.",
    takes_missing: false,
    takes_sparse: false,
    takes_categories: false,
    wants_scaling: true,
    params: &[
        ParamSpec {
            name: "k",
            kind: ParamKind::Int { min: 1, max: 10_000 },
            default: "5",
            doc: "Neighbours that vote; all training rows when there are fewer.",
        },
        ParamSpec {
            name: "weights",
            kind: ParamKind::Choice(&["uniform", "distance"]),
            default: "uniform",
            doc: "`distance` weighs a vote by the inverse of the distance; rows at distance 0 then vote alone.",
        },
        ParamSpec {
            name: "metric",
            kind: ParamKind::Choice(&["euclidean", "manhattan", "cosine"]),
            default: "euclidean",
            doc: "What near means; `cosine` looks at directions alone.",
        },
    ],
    build: |params| {
        Ok(Box::new(KNeighbours {
            k: params.int("k"),
            by_distance: params.text("weights") == "distance",
            metric: params.text("metric").to_owned(),
        }))
    },
    load: |bytes| {
        let saved: Saved = unpack("model `k-neighbours`", bytes)?;
        saved.check()?;
        Ok(Box::new(Voters::new(saved, &Ctx::new(0, 1))?))
    },
};

/// Hyperparameters.
struct KNeighbours {
    k: usize,
    by_distance: bool,
    metric: String,
}

impl Estimator for KNeighbours {
    fn fit(&self, data: &Train<'_>, ctx: &Ctx) -> Result<Box<dyn Model>, LearnError> {
        data.check_labelled("k-neighbours", false)?;
        let x = data.x.dense();
        let weigh = |&row: &usize| data.weights.is_none_or(|weights| weights[row] > 0.0);
        let rows: Vec<usize> = (0..x.rows()).filter(weigh).collect();
        let saved = Saved {
            k: self.k,
            by_distance: self.by_distance,
            metric: self.metric.clone(),
            classes: data.classes,
            columns: x.columns(),
            x: x.take_rows(&rows).values().to_vec(),
            y: rows.iter().map(|&row| data.y[row]).collect(),
            weights: data.weights.map(|weights| rows.iter().map(|&row| weights[row]).collect()),
        };
        Ok(Box::new(Voters::new(saved, ctx)?))
    }
}

/// What the file has: the tree is made again from it.
#[derive(Clone, Serialize, Deserialize)]
struct Saved {
    k: usize,
    by_distance: bool,
    metric: String,
    classes: usize,
    columns: usize,
    /// Row by row.
    x: Vec<f64>,
    y: Vec<u32>,
    /// `None`: all 1.
    weights: Option<Vec<f64>>,
}

impl Saved {
    fn check(&self) -> Result<(), LearnError> {
        let rows = self.y.len();
        let sound = (1..=10_000).contains(&self.k)
            && ["euclidean", "manhattan", "cosine"].contains(&self.metric.as_str())
            && (2..=usize::from(u16::MAX)).contains(&self.classes)
            && rows > 0
            && u32::try_from(rows).is_ok()
            && self.columns > 0
            && self.x.len() == rows.saturating_mul(self.columns)
            && self.x.iter().all(|value| value.is_finite())
            && self.y.iter().all(|&class| (class as usize) < self.classes)
            && self.weights.as_ref().is_none_or(|weights| {
                weights.len() == rows && weights.iter().all(|weight| *weight > 0.0 && *weight < 1e300)
            });
        if sound {
            Ok(())
        } else {
            Err(LearnError::File("model `k-neighbours` does not fit together".into()))
        }
    }
}

/// Training rows that vote.
struct Voters {
    saved: Saved,
    tree: Neighbours,
}

impl Voters {
    fn new(saved: Saved, ctx: &Ctx) -> Result<Self, LearnError> {
        let mut x = Matrix::from_values(saved.y.len(), saved.columns, saved.x.clone());
        if saved.metric == "cosine" {
            (0..x.rows()).for_each(|row| direction(x.row_mut(row)));
        }
        let metric = if saved.metric == "manhattan" { Metric::Manhattan } else { Metric::Euclidean };
        let tree = Neighbours::new(&x, metric, ctx)?;
        Ok(Self { saved, tree })
    }

    /// The weight of a neighbour's vote.
    fn vote(&self, near: &Neighbour) -> f64 {
        let own = self.saved.weights.as_ref().map_or(1.0, |weights| weights[near.row as usize]);
        match (self.saved.by_distance, self.saved.metric.as_str()) {
            (false, _) => own,
            // 1 - cosine of unit vectors is half their squared distance.
            (true, "cosine") => own / (near.distance * near.distance / 2.0),
            (true, _) => own / near.distance,
        }
    }
}

/// To length 1; a row without length stays.
fn direction(row: &mut [f64]) {
    let largest = row.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return;
    }
    row.iter_mut().for_each(|value| *value /= largest);
    let length = row.iter().map(|value| value * value).sum::<f64>().sqrt();
    row.iter_mut().for_each(|value| *value /= length);
}

impl Model for Voters {
    fn columns(&self) -> usize {
        self.saved.columns
    }

    fn outputs(&self) -> usize {
        self.saved.classes
    }

    fn score_row(&self, row: &[f64], out: &mut [f64]) {
        let nearest = if self.saved.metric == "cosine" {
            let mut row = row.to_vec();
            direction(&mut row);
            self.tree.nearest(&row, self.saved.k)
        } else {
            self.tree.nearest(row, self.saved.k)
        };
        out.fill(0.0);
        let here = self.saved.by_distance && nearest.first().is_some_and(|near| near.distance == 0.0);
        for near in nearest.iter().take_while(|near| !here || near.distance == 0.0) {
            let vote = if here {
                self.saved.weights.as_ref().map_or(1.0, |weights| weights[near.row as usize])
            } else {
                self.vote(near)
            };
            // Votes of rows that are all but here are cut, so that their sum stays a number.
            out[self.saved.y[near.row as usize] as usize] += vote.clamp(1e-290, 1e290);
        }
        let sum: f64 = out.iter().sum();
        out.iter_mut().for_each(|votes| *votes /= sum);
    }

    fn score(&self, x: &Matrix, ctx: &Ctx) -> Matrix {
        const ROWS: usize = 64;
        let outputs = self.outputs();
        let mut out = Matrix::zeros(x.rows(), outputs);
        let fill = |(block, scores): (usize, &mut [f64])| {
            for (row, out) in scores.chunks_exact_mut(outputs).enumerate() {
                self.score_row(x.row(block * ROWS + row), out);
            }
        };
        if ctx.threads < 2
            || ctx
                .install(|| out.values_mut().par_chunks_mut(ROWS * outputs).enumerate().for_each(fill))
                .is_err()
        {
            out.values_mut().chunks_mut(ROWS * outputs).enumerate().for_each(fill);
        }
        out
    }

    fn notes(&self) -> Vec<String> {
        vec![format!("keeps {} training rows", self.saved.y.len())]
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        pack("model `k-neighbours`", &self.saved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Params;

    fn scored(given: &[(&str, &str)], weights: Option<&[f64]>, row: &[f64]) -> Vec<f64> {
        let x = Matrix::from_values(4, 2, vec![0.0, 0.0, 1.0, 0.0, 0.0, 2.0, 4.0, 4.0]);
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let params = Params::check(SPEC.name, SPEC.params, &given).unwrap();
        let data = Train { weights, ..Train::labelled(&x, &[0, 1, 1, 0], 2) };
        let model = (SPEC.build)(&params).unwrap().fit(&data, &Ctx::new(0, 1)).unwrap();
        let mut out = vec![0.0; 2];
        model.score_row(row, &mut out);
        out
    }

    #[test]
    fn votes_are_counted_by_hand() {
        assert_eq!(scored(&[("k", "3")], None, &[0.2, 0.0]), [1.0 / 3.0, 2.0 / 3.0]);
        // Distances 0.5, 0.5: half and half; at a training row it votes alone.
        assert_eq!(scored(&[("k", "2"), ("weights", "distance")], None, &[0.5, 0.0]), [0.5, 0.5]);
        assert_eq!(scored(&[("k", "3"), ("weights", "distance")], None, &[1.0, 0.0]), [0.0, 1.0]);
        // Manhattan distances from (0, 1): 1, 2, 1, 7; votes 1, 1/2, 1.
        let near = scored(&[("k", "3"), ("weights", "distance"), ("metric", "manhattan")], None, &[0.0, 1.0]);
        assert!((near[0] - 1.0 / 2.5).abs() < 1e-15, "{near:?}");
        // In direction (1, 1) only the last row lies.
        assert_eq!(scored(&[("k", "1"), ("metric", "cosine")], None, &[9.0, 9.0]), [1.0, 0.0]);
    }

    #[test]
    fn weights_multiply_votes_and_none_is_no_vote() {
        assert_eq!(scored(&[("k", "2")], Some(&[3.0, 1.0, 1.0, 1.0]), &[0.2, 0.0]), [0.75, 0.25]);
        assert_eq!(scored(&[("k", "2")], Some(&[0.0, 1.0, 1.0, 1.0]), &[0.2, 0.0]), [0.0, 1.0]);
    }
}

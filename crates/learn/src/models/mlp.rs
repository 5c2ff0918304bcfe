//! Multi-layer perceptron: layers of weighted sums, fitted by gradients of small batches.
//!
//! Minimises scikit-learn's objective, mean of weight × log loss + ½ alpha w·w / rows of a batch (biases unpenalised), by
//! Adam or by gradient descent ([`step`]). [`net`] holds the layers, [`train`] the epochs.

mod net;
mod step;
mod train;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::corm::{pack, unpack};
use crate::ctx::Ctx;
use crate::estimator::{Kind, Model, ModelSpec};
use crate::matrix::Matrix;
use crate::params::{ParamKind, ParamSpec, Params};
use net::{Activation, Shape};
use step::Solver;
use train::Mlp;

/// The line of the table.
pub(super) static SPEC: ModelSpec = ModelSpec {
    name: "mlp",
    kind: Kind::Classifier,
    doc: "Multi-layer perceptron: layers of weighted sums whose last is a logistic or softmax output, fitted by \
          back-propagation (Rumelhart, Hinton and Williams 1986) with Adam (Kingma and Ba 2015) or gradient descent, as \
          scikit-learn's MLPClassifier.",
    takes_missing: false,
    takes_sparse: false,
    takes_categories: false,
    wants_scaling: true,
    params: PARAMS,
    build,
    load: |bytes| {
        let model: MlpModel = unpack("model `mlp`", bytes)?;
        model.check()?;
        Ok(Box::new(model))
    },
};

/// Most hidden layers and units of a layer; with [`HEAVIEST`] they keep every sum of a score finite.
const MOST_LAYERS: usize = 12;
const MOST_UNITS: usize = 10_000;
/// No weight of a model is larger.
const HEAVIEST: f64 = 1e9;
/// Scaled values are cut to this when a row is scored.
const LARGEST: f64 = 1e15;

const PARAMS: &[ParamSpec] = &[
    ParamSpec {
        name: "layers",
        kind: ParamKind::IntList { min: 1, max: MOST_UNITS as i64, least: 1, most: MOST_LAYERS },
        default: "100",
        doc: "Units of each hidden layer, first to last.",
    },
    ParamSpec {
        name: "activation",
        kind: ParamKind::Choice(&["relu", "tanh", "logistic"]),
        default: "relu",
        doc: "What a hidden unit does with its sum.",
    },
    ParamSpec {
        name: "solver",
        kind: ParamKind::Choice(&["adam", "sgd"]),
        default: "adam",
        doc: "How weights follow gradients.",
    },
    ParamSpec {
        name: "alpha",
        kind: ParamKind::Float { min: 0.0, max: 1e6 },
        default: "1e-4",
        doc: "Strength of the L2 penalty.",
    },
    ParamSpec {
        name: "learning_rate",
        kind: ParamKind::Float { min: 1e-10, max: 10.0 },
        default: "1e-3",
        doc: "Length of a step.",
    },
    ParamSpec {
        name: "momentum",
        kind: ParamKind::Float { min: 0.0, max: 1.0 },
        default: "0.9",
        doc: "Share of the step before that `sgd` keeps.",
    },
    ParamSpec {
        name: "nesterov",
        kind: ParamKind::Bool,
        default: "true",
        doc: "Whether `sgd` looks ahead by its momentum.",
    },
    ParamSpec {
        name: "batch",
        kind: ParamKind::Int { min: 1, max: 1_000_000 },
        default: "200",
        doc: "Rows between two steps.",
    },
    ParamSpec {
        name: "max_iter",
        kind: ParamKind::Int { min: 1, max: 1_000_000 },
        default: "200",
        doc: "Most passes over the rows.",
    },
    ParamSpec {
        name: "tol",
        kind: ParamKind::Float { min: 0.0, max: 1e6 },
        default: "1e-4",
        doc: "Least gain of a pass that counts: fall of the loss, or rise of the validation accuracy.",
    },
    ParamSpec {
        name: "n_iter_no_change",
        kind: ParamKind::Int { min: 1, max: 1_000_000 },
        default: "10",
        doc: "The fit is over after so many passes in a row that gain less than `tol`.",
    },
    ParamSpec {
        name: "early_stopping",
        kind: ParamKind::Bool,
        default: "false",
        doc: "Whether gain is measured on rows kept aside, and the weights of the best pass are kept.",
    },
    ParamSpec {
        name: "validation",
        kind: ParamKind::Float { min: 0.001, max: 0.9 },
        default: "0.1",
        doc: "Share of each class that `early_stopping` keeps aside.",
    },
];

fn build(params: &Params) -> Result<Box<dyn crate::estimator::Estimator>, LearnError> {
    let activation = match params.text("activation") {
        "tanh" => Activation::Tanh,
        "logistic" => Activation::Logistic,
        _ => Activation::Relu,
    };
    let solver = if params.text("solver") == "sgd" {
        Solver::Sgd { momentum: params.float("momentum"), nesterov: params.bool("nesterov") }
    } else {
        Solver::Adam
    };
    Ok(Box::new(Mlp {
        layers: params.ints("layers").into_iter().map(|units| units as usize).collect(),
        activation,
        solver,
        alpha: params.float("alpha"),
        rate: params.float("learning_rate"),
        batch: params.int("batch"),
        epochs: params.int("max_iter"),
        tol: params.float("tol"),
        patience: params.int("n_iter_no_change"),
        validation: params.bool("early_stopping").then(|| params.float("validation")),
    }))
}

/// A fitted perceptron.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct MlpModel {
    shape: Shape,
    /// What a column is multiplied with: 1, or a power of two where its values are huge.
    scales: Vec<f64>,
    /// Most frequent value of each scaled column, or 0.
    middle: Vec<f64>,
    /// See [`net`].
    weights: Vec<f64>,
    /// Biases of the first layer for rows about the middle.
    bias: Vec<f64>,
    notes: Vec<String>,
}

impl MlpModel {
    fn check(&self) -> Result<(), LearnError> {
        let sizes = &self.shape.sizes;
        let columns = self.scales.len();
        let sound = (3..=MOST_LAYERS + 2).contains(&sizes.len())
            && sizes[0] == columns
            && columns > 0
            && sizes[1..sizes.len() - 1].iter().all(|size| (1..=MOST_UNITS).contains(size))
            && (1..=usize::from(u16::MAX)).contains(&sizes[sizes.len() - 1])
            && sizes[sizes.len() - 1] != 2
            && self.shape.weights() == Some(self.weights.len())
            && self.middle.len() == columns
            && self.bias.len() == sizes[1]
            && self.scales.iter().all(|scale| *scale > 0.0 && *scale <= 1.0)
            && self.middle.iter().all(|x| x.abs() <= LARGEST)
            && self.weights.iter().all(|w| w.abs() <= HEAVIEST)
            && self.bias.iter().all(|b| b.is_finite() && b.abs() <= 1e40);
        if sound {
            return Ok(());
        }
        Err(LearnError::File("model `mlp` has lists of the wrong length or values out of range".into()))
    }

    /// Scores a row with room for its entries and the units.
    fn score_with(&self, row: &[f64], room: &mut Room, out: &mut [f64]) {
        room.places.clear();
        room.values.clear();
        for (place, ((x, scale), middle)) in row.iter().zip(&self.scales).zip(&self.middle).enumerate() {
            let apart = (x * scale).clamp(-LARGEST, LARGEST) - middle;
            if apart != 0.0 {
                room.places.push(place as u32);
                room.values.push(apart);
            }
        }
        room.units.resize(self.shape.units(), 0.0);
        self.shape.forward(&self.weights, &self.bias, (&room.places, &room.values), &mut room.units);
        let outputs = self.shape.sizes[self.shape.layers()];
        Shape::probabilities(&room.units[room.units.len() - outputs..], out);
    }
}

/// What one thread needs to score.
#[derive(Default)]
struct Room {
    places: Vec<u32>,
    values: Vec<f64>,
    units: Vec<f64>,
}

thread_local! {
    static ROOM: std::cell::RefCell<Room> = std::cell::RefCell::default();
}

impl Model for MlpModel {
    fn columns(&self) -> usize {
        self.scales.len()
    }

    fn outputs(&self) -> usize {
        self.shape.sizes[self.shape.layers()].max(2)
    }

    fn score_row(&self, row: &[f64], out: &mut [f64]) {
        ROOM.with_borrow_mut(|room| self.score_with(row, room, out));
    }

    fn score(&self, x: &Matrix, ctx: &Ctx) -> Matrix {
        const ROWS: usize = 1024;
        let outputs = self.outputs();
        let mut out = Matrix::zeros(x.rows(), outputs);
        let fill = |(block, scores): (usize, &mut [f64])| {
            let mut room = Room::default();
            for (row, out) in scores.chunks_exact_mut(outputs).enumerate() {
                self.score_with(x.row(block * ROWS + row), &mut room, out);
            }
        };
        let values = out.values_mut();
        if ctx.threads < 2 || x.rows() <= ROWS {
            values.chunks_mut(ROWS * outputs).enumerate().for_each(fill);
        } else if ctx.install(|| values.par_chunks_mut(ROWS * outputs).enumerate().for_each(fill)).is_err() {
            out.values_mut().chunks_mut(ROWS * outputs).enumerate().for_each(fill);
        }
        out
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        pack("model `mlp`", self)
    }
}

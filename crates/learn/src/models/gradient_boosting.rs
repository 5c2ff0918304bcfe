//! Gradient boosting (Friedman 2001) on histograms, leaf by leaf, as LightGBM does it (Ke et al. 2017).

use super::decision_tree::{CLASS_WEIGHT, columns_tried, max_features};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::{Estimator, Kind, Model, ModelSpec, Train};
use crate::params::{ParamKind, ParamSpec, Params};
use crate::trees::{BoostFit, BoostGrowth, Boosted, DEPTH_MAX, Rules, Stopping};

/// Gradient boosting.
pub(super) static SPEC: ModelSpec = ModelSpec {
    name: "gradient-boosting",
    kind: Kind::Classifier,
    doc: "Trees fitted one after the other to what those before them got wrong (Friedman 2001), each grown leaf by leaf \
          on histograms (Ke et al. 2017; defaults as in LightGBM). Minimises log loss: the margin is the log-odds of two \
          classes, or one per class whose softmax is the score. Missing values go to the side that gains more; \
          categories are split by sets.",
    takes_missing: true,
    takes_sparse: false,
    takes_categories: true,
    wants_scaling: false,
    params: PARAMS,
    build: |params| Ok(Box::new(GradientBoosting { params: params.clone() })),
    load: |bytes| Ok(Box::new(Boosted::load(bytes)?)),
};

const PARAMS: &[ParamSpec] = &[
    ParamSpec {
        name: "iterations",
        kind: ParamKind::Int { min: 1, max: 100_000 },
        default: "100",
        doc: "Rounds: one tree each for two classes, else one per class.",
    },
    float("learning_rate", 1e-6, 10.0, "0.1", "What the values of a tree are multiplied with."),
    ParamSpec {
        name: "max_leaf_nodes",
        kind: ParamKind::Int { min: 2, max: 131_072 },
        default: "31",
        doc: "Most leaves of a tree.",
    },
    ParamSpec {
        name: "max_depth",
        kind: ParamKind::Int { min: 1, max: DEPTH_MAX as i64 },
        default: "1024",
        doc: "Most splits between root and leaf; the default never binds in practice.",
    },
    ParamSpec {
        name: "min_samples_leaf",
        kind: ParamKind::Int { min: 1, max: 1_000_000_000 },
        default: "20",
        doc: "Fewest rows of a leaf.",
    },
    float("min_sum_hessian", 0.0, 1e12, "0.001", "Least sum of second derivatives of the loss in a leaf."),
    float("l1", 0.0, 1e12, "0", "Penalty on the size of leaf values."),
    float(
        "l2",
        0.0,
        1e12,
        "1",
        "Penalty on the squares of leaf values; without any, rare classes make steps that lead astray.",
    ),
    ParamSpec {
        name: "max_bins",
        kind: ParamKind::Int { min: 2, max: 255 },
        default: "255",
        doc: "Most bins a column is cut into.",
    },
    float(
        "subsample",
        1e-6,
        1.0,
        "1",
        "Rows drawn for each round without replacement, as a share of all rows.",
    ),
    max_features("all"),
    float(
        "cat_smooth",
        0.0,
        1e12,
        "10",
        "What pulls the values of categories to 0 when they are put in order; fewest rows of a category that is split off.",
    ),
    float("cat_l2", 0.0, 1e12, "10", "Added to l2 for splits by categories."),
    ParamSpec {
        name: "monotone",
        kind: ParamKind::IntList { min: -1, max: 1, least: 0, most: 65_535 },
        default: "none",
        doc: "Per column, in order: 1 when the score must not fall as its value rises, -1 when it must not rise, 0 for either. Two classes only.",
    },
    ParamSpec {
        name: "early_stopping",
        kind: ParamKind::Choice(&["on", "off", "auto"]),
        default: "off",
        doc: "Whether to hold rows out and stop when their loss no longer falls; `auto`: from 10000 rows on.",
    },
    float(
        "validation_share",
        0.001,
        0.9,
        "0.1",
        "Share of the rows (whole groups where there are groups) held out for early stopping.",
    ),
    ParamSpec {
        name: "patience",
        kind: ParamKind::Int { min: 1, max: 100_000 },
        default: "10",
        doc: "Rounds without a lower loss after which early stopping stops.",
    },
    CLASS_WEIGHT,
];

const fn float(
    name: &'static str,
    min: f64,
    max: f64,
    default: &'static str,
    doc: &'static str,
) -> ParamSpec {
    ParamSpec { name, kind: ParamKind::Float { min, max }, default, doc }
}

/// Fewest rows for which `early_stopping=auto` means on (as in scikit-learn).
const AUTO_STOPPING_ROWS: usize = 10_000;

/// Hyperparameters.
struct GradientBoosting {
    params: Params,
}

impl Estimator for GradientBoosting {
    fn fit(&self, data: &Train<'_>, ctx: &Ctx) -> Result<Box<dyn Model>, LearnError> {
        let params = &self.params;
        let stops = match params.text("early_stopping") {
            "auto" => data.x.rows() >= AUTO_STOPPING_ROWS,
            word => word == "on",
        };
        let stopping = Stopping { share: params.float("validation_share"), patience: params.int("patience") };
        let rules = Rules {
            min_rows: params.int("min_samples_leaf") as u64,
            min_hessian: params.float("min_sum_hessian"),
            l1: params.float("l1"),
            l2: params.float("l2"),
            category_l2: params.float("cat_l2"),
            category_smooth: params.float("cat_smooth"),
            monotone: params.ints("monotone").iter().map(|&sign| sign as i8).collect(),
        };
        let growth = BoostGrowth {
            max_leaves: params.int("max_leaf_nodes"),
            max_depth: params.int("max_depth"),
            columns_per_split: columns_tried(params, data.x.columns()),
            rules,
        };
        let fit = BoostFit {
            rounds: params.int("iterations"),
            learning_rate: params.float("learning_rate"),
            bins: params.int("max_bins"),
            subsample: params.float("subsample"),
            balanced: params.text("class_weight") == "balanced",
            stopping: stops.then_some(stopping),
            growth,
        };
        Ok(Box::new(fit.fit(data, ctx)?))
    }
}

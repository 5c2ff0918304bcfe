//! Decision tree (CART, Breiman et al. 1984) for classification; its parameters are those of the forest's trees too.

use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::{Estimator, Kind, Model, ModelSpec, Train};
use crate::params::{ParamKind, ParamSpec, Params};
use crate::trees::{Criterion, DEPTH_MAX, Forest, ForestFit, Growth};

use std::f64::consts::LN_2;

/// The decision tree.
pub(super) static SPEC: ModelSpec = ModelSpec {
    name: "decision-tree",
    kind: Kind::Classifier,
    doc: "One tree whose every split is the best of all columns (CART, Breiman et al. 1984); the score is the class \
          share of the leaf. Missing values go to the side that gains more. Columns of more than 255 distinct values \
          are cut at quantiles.",
    takes_missing: true,
    takes_sparse: false,
    takes_categories: false,
    wants_scaling: false,
    params: &of_trees("all"),
    build,
    load,
};

/// The parameters of every tree that classifies, alone or in a forest.
pub(super) const fn of_trees(columns: &'static str) -> [ParamSpec; 8] {
    [
        ParamSpec {
            name: "criterion",
            kind: ParamKind::Choice(&["gini", "entropy"]),
            default: "gini",
            doc: "Impurity that splits decrease.",
        },
        ParamSpec {
            name: "max_depth",
            kind: ParamKind::Int { min: 1, max: DEPTH_MAX as i64 },
            default: "1024",
            doc: "Most splits between root and leaf; the default never binds in practice.",
        },
        ParamSpec {
            name: "max_leaf_nodes",
            kind: ParamKind::Int { min: 2, max: 1_000_000_000 },
            default: "1000000000",
            doc: "Most leaves of a tree, grown best split first when there are more rows; the default never binds.",
        },
        ParamSpec {
            name: "min_samples_split",
            kind: ParamKind::Int { min: 2, max: 1_000_000_000 },
            default: "2",
            doc: "Fewest rows of a node that is split.",
        },
        ParamSpec {
            name: "min_samples_leaf",
            kind: ParamKind::Int { min: 1, max: 1_000_000_000 },
            default: "1",
            doc: "Fewest rows of a leaf.",
        },
        max_features(columns),
        ParamSpec {
            name: "ccp_alpha",
            kind: ParamKind::Float { min: 0.0, max: 1.0 },
            default: "0",
            doc: "Cost of a leaf: branches that take less impurity (Gini, or entropy in bits) off the whole tree per leaf are \
                  pruned (minimal cost-complexity pruning, Breiman et al. 1984).",
        },
        CLASS_WEIGHT,
    ]
}

pub(super) const CLASS_WEIGHT: ParamSpec = ParamSpec {
    name: "class_weight",
    kind: ParamKind::Choice(&["none", "balanced"]),
    default: "none",
    doc: "`balanced` gives every class the same total weight.",
};

pub(super) const fn max_features(default: &'static str) -> ParamSpec {
    ParamSpec {
        name: "max_features",
        kind: ParamKind::ChoiceOrFloat { words: &["sqrt", "log2", "all"], min: 0.0, max: 1.0 },
        default,
        doc: "Columns tried per split: the root or the logarithm of their number, all, or a share of them.",
    }
}

/// What [`max_features`] says for so many columns.
pub(super) fn columns_tried(params: &Params, columns: usize) -> usize {
    let tried = match (params.text("max_features"), params.float_or_word("max_features")) {
        ("sqrt", _) => (columns as f64).sqrt(),
        ("log2", _) => (columns as f64).log2(),
        (_, Some(share)) => share * columns as f64,
        _ => columns as f64,
    };
    (tried as usize).max(1)
}

/// A tree or forest with its parameters read.
pub(super) struct TreeEstimator {
    pub(super) trees: usize,
    /// Share of the rows drawn with replacement for each tree; `None` = each sees all rows.
    pub(super) bootstrap: Option<f64>,
    pub(super) out_of_bag: bool,
    pub(super) random_cuts: bool,
    pub(super) params: Params,
}

impl Estimator for TreeEstimator {
    fn fit(&self, data: &Train<'_>, ctx: &Ctx) -> Result<Box<dyn Model>, LearnError> {
        let params = &self.params;
        let (criterion, unit) = if params.text("criterion") == "gini" {
            (Criterion::Gini, 1.0)
        } else {
            (Criterion::Entropy, LN_2)
        };
        let growth = Growth {
            max_depth: params.int("max_depth"),
            max_leaves: params.int("max_leaf_nodes"),
            min_split: params.int("min_samples_split"),
            min_leaf: params.int("min_samples_leaf"),
            columns_per_split: columns_tried(params, data.x.columns()),
            random_cuts: self.random_cuts,
            ccp_alpha: params.float("ccp_alpha") * unit,
        };
        let fit = ForestFit {
            trees: self.trees,
            bootstrap: self.bootstrap,
            out_of_bag: self.out_of_bag,
            criterion,
            balanced: params.text("class_weight") == "balanced",
            growth,
        };
        Ok(Box::new(fit.fit(data, ctx)?))
    }
}

fn build(params: &Params) -> Result<Box<dyn Estimator>, LearnError> {
    let params = params.clone();
    Ok(Box::new(TreeEstimator { trees: 1, bootstrap: None, out_of_bag: false, random_cuts: false, params }))
}

pub(super) fn load(bytes: &[u8]) -> Result<Box<dyn Model>, LearnError> {
    Ok(Box::new(Forest::load(bytes)?))
}

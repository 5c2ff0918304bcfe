//! Where to look when nobody says: one line per model. A parameter or model that does not exist is passed over.

use super::space::Dimension;
use crate::estimator::ModelSpec;

/// The default space of each model by name.
pub static SPACES: &[(&str, &[&str])] = &[
    ("logistic", &["C=1e-3..1e2:log", "class_weight=none|balanced"]),
    ("linear-svm", &["C=1e-3..1e2:log", "penalty=l2|l1", "class_weight=none|balanced"]),
    ("svm", &["C=1e-1..1e3:log", "gamma=1e-3..1e1:log"]),
    ("decision-tree", &["criterion=gini|entropy", "max_depth=5|10|20|1024", "min_samples_leaf=1|5|20|100"]),
    (
        "random-forest",
        &["max_features=sqrt|0.2|0.4|0.7", "min_samples_leaf=1|2|5|20", "criterion=gini|entropy"],
    ),
    (
        "extra-trees",
        &["max_features=sqrt|0.2|0.4|0.7", "min_samples_leaf=1|2|5|20", "criterion=gini|entropy"],
    ),
    (
        "gradient-boosting",
        &[
            "learning_rate=1e-2..3e-1:log",
            "iterations=50|100|300",
            "max_leaf_nodes=7|15|31|63",
            "min_samples_leaf=5|20|100",
            "l2=1e-3..1e2:log",
            "subsample=0.5|0.8|1",
        ],
    ),
    ("gaussian-nb", &["var_smoothing=1e-10..1e-1:log"]),
    ("bernoulli-nb", &["alpha=1e-3..1e1:log"]),
    ("multinomial-nb", &["alpha=1e-3..1e1:log"]),
    ("k-neighbours", &["k=1|3|5|11|21", "weights=uniform|distance"]),
    ("mlp", &["alpha=1e-6..1e-1:log", "learning_rate=1e-4..1e-2:log", "layers=32|64|128|64,32"]),
    ("isolation-forest", &["trees=100|300", "max_samples=64|256|1024"]),
];

/// The default space of a model: the dimensions of its line whose parameter it has, with the values it takes.
#[must_use]
pub fn default_space(model: &ModelSpec) -> Vec<Dimension> {
    let line = SPACES.iter().find(|(name, _)| *name == model.name).map_or(&[][..], |(_, space)| *space);
    let dimensions = line.iter().filter_map(|text| text.parse::<Dimension>().ok());
    dimensions.filter_map(|dimension| dimension.within(model)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::MODELS;

    #[test]
    fn every_line_is_readable_and_models_here_have_something_to_search() {
        for (name, space) in SPACES {
            assert!(space.iter().all(|text| text.parse::<Dimension>().is_ok()), "{name}");
        }
        for name in ["logistic", "decision-tree", "random-forest", "isolation-forest"] {
            let model = MODELS.iter().find(|model| model.name == name).unwrap();
            assert!(!default_space(model).is_empty(), "{name}");
        }
    }
}

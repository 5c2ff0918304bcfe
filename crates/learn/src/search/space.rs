//! Where hyperparameters are looked for: per parameter some values or a range, as typed, and the points of a grid or of chance.

use std::collections::BTreeMap;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::estimator::ModelSpec;
use crate::params::{ParamKind, ParamSpec, Params};
use crate::rng;

/// Points a grid takes of a range.
const GRID_POINTS: usize = 4;
/// No grid has more points.
const MOST_POINTS: usize = 10_000;

/// Hyperparameters as typed.
pub type Candidate = BTreeMap<String, String>;

/// One parameter and where to look; `Display` gives the text that `FromStr` reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Dimension {
    name: String,
    place: Place,
}

#[derive(Clone, Debug, PartialEq)]
enum Place {
    Values(Vec<String>),
    Range { low: f64, high: f64, log: bool },
}

impl std::str::FromStr for Dimension {
    type Err = LearnError;

    /// Reads `name=v1|v2|v3`, `name=0.1..0.9` or `name=1e-3..1e3:log`.
    fn from_str(text: &str) -> Result<Self, LearnError> {
        let parsed = text.split_once('=').filter(|(name, place)| !name.is_empty() && !place.is_empty());
        let place = parsed.and_then(|(_, place)| Place::parse(place));
        match (parsed, place) {
            (Some((name, _)), Some(place)) => Ok(Self { name: name.to_owned(), place }),
            _ => Err(LearnError::Parameter {
                owner: "search".to_owned(),
                name: "space".to_owned(),
                expected: "name=v1|v2|v3, a range name=0.1..0.9, or name=1e-3..1e3:log (above 0)".to_owned(),
                found: text.to_owned(),
            }),
        }
    }
}

impl TryFrom<String> for Dimension {
    type Error = LearnError;

    fn try_from(text: String) -> Result<Self, LearnError> {
        text.parse()
    }
}

impl From<Dimension> for String {
    fn from(dimension: Dimension) -> Self {
        dimension.to_string()
    }
}

impl std::fmt::Display for Dimension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=", self.name)?;
        match &self.place {
            Place::Values(values) => f.write_str(&values.join("|")),
            Place::Range { low, high, log } => {
                write!(f, "{low:e}..{high:e}{}", if *log { ":log" } else { "" })
            }
        }
    }
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        if !text.contains("..") {
            return Some(Self::Values(text.split('|').map(str::to_owned).collect()));
        }
        let (range, log) = text.strip_suffix(":log").map_or((text, false), |range| (range, true));
        let (low, high) = range.split_once("..")?;
        let (low, high): (f64, f64) = (low.parse().ok()?, high.parse().ok()?);
        let sound = low.is_finite() && high.is_finite() && low < high && (!log || low > 0.0);
        sound.then_some(Self::Range { low, high, log })
    }

    /// The value a share of the way from low to high.
    fn at(low: f64, high: f64, log: bool, share: f64) -> f64 {
        let value =
            if log { (low.ln() + share * (high.ln() - low.ln())).exp() } else { low + share * (high - low) };
        value.clamp(low, high)
    }
}

impl Dimension {
    /// The parameter.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same with the values this model takes; `None` when it has no such parameter or takes none of them.
    pub(super) fn within(&self, model: &ModelSpec) -> Option<Self> {
        let whole = is_whole(self, model.params);
        let takes = |value: &String| {
            let candidate = Candidate::from([(self.name.clone(), value.clone())]);
            Params::check(model.name, model.params, &candidate).is_ok()
        };
        let place = match &self.place {
            Place::Values(values) => {
                Place::Values(values.iter().filter(|value| takes(value)).cloned().collect())
            }
            range @ Place::Range { .. } => self.grid(whole).iter().all(takes).then(|| range.clone())?,
        };
        (place != Place::Values(Vec::new())).then(|| Self { name: self.name.clone(), place })
    }

    fn grid(&self, whole: bool) -> Vec<String> {
        match &self.place {
            Place::Values(values) => values.clone(),
            Place::Range { low, high, log } => {
                let at = |point: usize| Place::at(*low, *high, *log, point as f64 / (GRID_POINTS - 1) as f64);
                let mut points: Vec<String> = (0..GRID_POINTS).map(|point| typed(at(point), whole)).collect();
                points.dedup();
                points
            }
        }
    }

    fn draw(&self, whole: bool, rng: &mut ChaCha8Rng) -> String {
        match &self.place {
            Place::Values(values) => values[rng.random_range(0..values.len())].clone(),
            Place::Range { low, high, log } => {
                typed(Place::at(*low, *high, *log, rng.random::<f64>()), whole)
            }
        }
    }
}

fn typed(value: f64, whole: bool) -> String {
    // Four digits say all that a search can find out, and read well.
    if whole {
        format!("{:.0}", value.round())
    } else {
        format!("{:e}", format!("{value:.3e}").parse::<f64>().unwrap_or(value))
    }
}

/// Every combination, the last dimension turning fastest; one candidate of no parameters for no dimension.
///
/// # Errors
/// [`LearnError::Data`] for more than 10,000.
pub(crate) fn grid(space: &[Dimension], params: &[ParamSpec]) -> Result<Vec<Candidate>, LearnError> {
    let mut points = vec![Candidate::new()];
    for dimension in space {
        let values = dimension.grid(is_whole(dimension, params));
        if points.len() * values.len() > MOST_POINTS {
            return Err(LearnError::Data(format!(
                "search: the grid has more than {MOST_POINTS} points; give fewer values, or use random:N"
            )));
        }
        let with = |point: &Candidate, value: &String| {
            let mut point = point.clone();
            point.insert(dimension.name.clone(), value.clone());
            point
        };
        points = points.iter().flat_map(|point| values.iter().map(move |value| with(point, value))).collect();
    }
    Ok(points)
}

/// `count` candidates drawn evenly, without those drawn before (fewer when the space has no more).
pub(crate) fn random(space: &[Dimension], params: &[ParamSpec], count: usize, seed: u64) -> Vec<Candidate> {
    let mut rng = rng::stream(seed, "hyperparameter search", 0);
    let mut drawn: Vec<Candidate> = Vec::new();
    for _ in 0..count.saturating_mul(20) {
        if drawn.len() == count {
            break;
        }
        let candidate: Candidate = space
            .iter()
            .map(|dimension| (dimension.name.clone(), dimension.draw(is_whole(dimension, params), &mut rng)))
            .collect();
        if !drawn.contains(&candidate) {
            drawn.push(candidate);
        }
    }
    drawn
}

fn is_whole(dimension: &Dimension, params: &[ParamSpec]) -> bool {
    let of = params.iter().find(|spec| spec.name == dimension.name);
    of.is_some_and(|spec| matches!(spec.kind, ParamKind::Int { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMS: &[ParamSpec] = &[ParamSpec {
        name: "trees",
        kind: ParamKind::Int { min: 1, max: 10_000 },
        default: "100",
        doc: "Trees.",
    }];

    fn space(texts: &[&str]) -> Vec<Dimension> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn dimensions_are_read_and_written() {
        for text in ["C=0.1|1|10", "penalty=l1", "C=1e-3..1e3:log", "share=1e-1..9e-1"] {
            let dimension: Dimension = text.parse().unwrap();
            assert_eq!(dimension.to_string(), text);
        }
        for bad in ["C", "=1", "C=", "C=3..1", "C=0..1:log", "C=1..x", "C=NaN..1"] {
            assert!(bad.parse::<Dimension>().unwrap_err().to_string().contains("name=v1|v2|v3"), "{bad}");
        }
    }

    #[test]
    fn grids_by_hand() {
        let points = grid(&space(&["trees=1..10", "C=1e-3..1e3:log"]), PARAMS).unwrap();
        assert_eq!(points.len(), 16);
        let trees: Vec<&str> = points.iter().step_by(4).map(|point| point["trees"].as_str()).collect();
        assert_eq!(trees, ["1", "4", "7", "10"]);
        let c: Vec<f64> = points[..4].iter().map(|point| point["C"].parse().unwrap()).collect();
        assert!(c.iter().zip([1e-3, 1e-1, 1e1, 1e3]).all(|(c, is)| (c / is - 1.0).abs() < 1e-3), "{c:?}");
        assert_eq!(grid(&[], PARAMS).unwrap(), [Candidate::new()]);
        let many = space(&["a=0..1", "b=0..1", "c=0..1", "d=0..1", "e=0..1", "f=0..1", "g=0..1"]);
        assert!(grid(&many, PARAMS).unwrap_err().to_string().contains("random:N"));
    }

    #[test]
    fn chance_is_seeded_and_never_repeats() {
        let space = space(&["trees=1..3", "x=a|b"]);
        let drawn = random(&space, PARAMS, 6, 1);
        assert_eq!(drawn, random(&space, PARAMS, 6, 1));
        assert_eq!(drawn.len(), 6, "all six there are");
        assert!(random(&space, PARAMS, 50, 1).len() <= 6);
    }
}

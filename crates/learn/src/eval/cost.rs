//! What each mistake costs: mean cost of decisions, and the decisions that cost least.

use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::table::BENIGN;

/// The name in [`CostMatrix::named`] of the costs of the 1999 KDD cup.
pub const KDD99: &str = "kdd99";
/// No matrix has more classes.
const MOST_CLASSES: usize = 1000;

/// Costs of deciding a row of one class as another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostMatrix {
    classes: Vec<String>,
    /// Row = true class, column = decided class.
    costs: Vec<Vec<f64>>,
}

impl CostMatrix {
    /// Checks names and costs. "normal" is read as "benign".
    ///
    /// # Errors
    /// [`LearnError::Data`] unless there are 2 to 1000 classes of different names and a cost from 0 to 10¹² for each pair.
    pub fn new(classes: Vec<String>, costs: Vec<Vec<f64>>) -> Result<Self, LearnError> {
        let classes: Vec<String> = classes.iter().map(|name| own_name(name)).collect();
        let refuse = |message: String| Err(LearnError::Data(format!("cost matrix: {message}")));
        if !(2..=MOST_CLASSES).contains(&classes.len()) {
            return refuse(format!("expected 2 to {MOST_CLASSES} classes, found {}", classes.len()));
        }
        if let Some(twice) = (1..classes.len()).find(|&place| classes[..place].contains(&classes[place])) {
            return refuse(format!("class `{}` occurs twice", classes[twice]));
        }
        if costs.len() != classes.len() || costs.iter().any(|row| row.len() != classes.len()) {
            return refuse(format!("expected {0} × {0} costs", classes.len()));
        }
        if costs.iter().flatten().any(|cost| !(0.0..=1e12).contains(cost)) {
            return refuse("expected costs from 0 to 1e12".to_owned());
        }
        Ok(Self { classes, costs })
    }

    /// The costs of the 1999 KDD cup (Elkan, "Results of the KDD'99 classifier learning contest").
    #[must_use]
    pub fn kdd99() -> Self {
        let costs = [[0, 1, 2, 2, 2], [1, 0, 2, 2, 2], [2, 1, 0, 2, 2], [3, 2, 2, 0, 2], [4, 2, 2, 2, 0]];
        Self {
            classes: [BENIGN, "probe", "dos", "u2r", "r2l"].map(str::to_owned).to_vec(),
            costs: costs.iter().map(|row| row.iter().copied().map(f64::from).collect()).collect(),
        }
    }

    /// The matrix of this name ([`KDD99`]).
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        (name == KDD99).then(Self::kdd99)
    }

    /// Reads comma-separated lines: a head of decided classes after one cell that is passed over, then for each true class
    /// its name and the cost of each decision. Classes may come in another order down than across.
    ///
    /// # Errors
    /// [`LearnError::Data`] naming the line.
    pub fn from_csv(text: &str) -> Result<Self, LearnError> {
        let refuse =
            |line: usize, message: &str| LearnError::Data(format!("cost matrix, line {line}: {message}"));
        let mut lines =
            text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).take(MOST_CLASSES + 2);
        let (_, head) = lines.next().ok_or_else(|| refuse(1, "expected a head of class names"))?;
        let classes: Vec<String> = head.split(',').skip(1).map(|name| own_name(name.trim())).collect();
        let mut costs = vec![Vec::new(); classes.len()];
        for (place, line) in lines {
            let mut cells = line.split(',').map(str::trim);
            let name = own_name(cells.next().unwrap_or_default());
            let class = classes.iter().position(|known| *known == name);
            let class =
                class.ok_or_else(|| refuse(place + 1, &format!("class `{name}` is not in the head")))?;
            let row: Option<Vec<f64>> = cells.map(|cell| cell.parse().ok()).collect();
            let row = row.ok_or_else(|| refuse(place + 1, "expected a number in each cell"))?;
            if !std::mem::replace(&mut costs[class], row).is_empty() {
                return Err(refuse(place + 1, &format!("class `{name}` occurs twice")));
            }
        }
        Self::new(classes, costs)
    }

    /// What [`CostMatrix::from_csv`] reads.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut text = format!("true,{}\n", self.classes.join(","));
        for (name, row) in self.classes.iter().zip(&self.costs) {
            let costs: Vec<String> = row.iter().map(f64::to_string).collect();
            text.push_str(&format!("{name},{}\n", costs.join(",")));
        }
        text
    }

    /// Names of the classes.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Row = true class, column = decided class.
    #[must_use]
    pub fn costs(&self) -> &[Vec<f64>] {
        &self.costs
    }

    /// The same costs for classes in another order, and fewer.
    ///
    /// # Errors
    /// [`LearnError::Unknown`] for a class without costs.
    pub fn of_classes(&self, classes: &[String]) -> Result<Self, LearnError> {
        let place = |name: &String| {
            self.classes.iter().position(|known| *known == own_name(name)).ok_or_else(|| {
                LearnError::Unknown {
                    kind: "class with costs",
                    name: name.clone(),
                    known: self.classes.join(", "),
                }
            })
        };
        let places: Vec<usize> = classes.iter().map(place).collect::<Result<_, _>>()?;
        let row = |&is: &usize| places.iter().map(|&said| self.costs[is][said]).collect();
        Ok(Self { costs: places.iter().map(row).collect(), classes: classes.to_vec() })
    }

    /// The class whose decision has the least expected cost under these probabilities (one per class; the first of equals).
    #[must_use]
    pub fn decide(&self, probabilities: &[f64]) -> u32 {
        let expected =
            |said: usize| -> f64 { self.costs.iter().zip(probabilities).map(|(row, p)| row[said] * p).sum() };
        let best = |(best, least): (usize, f64), said: usize| {
            let cost = expected(said);
            if cost < least { (said, cost) } else { (best, least) }
        };
        (0..self.classes.len()).fold((0, f64::INFINITY), best).0 as u32
    }

    /// Mean cost per row of decisions, both as places in the classes; `None` without rows.
    ///
    /// # Errors
    /// [`LearnError::Data`] when lengths differ or a class has no costs.
    pub fn mean_cost(&self, truth: &[u32], decided: &[u32]) -> Result<Option<f64>, LearnError> {
        let cost = |(&is, &said): (&u32, &u32)| {
            let cost = self.costs.get(is as usize).and_then(|row| row.get(said as usize)).copied();
            cost.ok_or_else(|| LearnError::Data(format!("no cost of class {said} for class {is}")))
        };
        if truth.len() != decided.len() {
            return Err(LearnError::Data(format!(
                "{} true and {} decided classes",
                truth.len(),
                decided.len()
            )));
        }
        let total: f64 = truth.iter().zip(decided).map(cost).sum::<Result<_, _>>()?;
        Ok((!truth.is_empty()).then(|| total / truth.len() as f64))
    }

    /// Mean cost of a row where classes come in these shares: the mean cost of each class's rows, weighed by its share; a class
    /// without rows is left out. `None` without rows.
    ///
    /// # Errors
    /// As [`CostMatrix::mean_cost`].
    pub fn expected_cost(
        &self,
        truth: &[u32],
        decided: &[u32],
        shares: &[f64],
    ) -> Result<Option<f64>, LearnError> {
        let (mut sum, mut weight) = (0.0, 0.0);
        for (class, share) in (0..).zip(shares) {
            let of_class = || truth.iter().zip(decided).filter(|(is, _)| **is == class);
            let (is, said): (Vec<u32>, Vec<u32>) = of_class().map(|(is, said)| (*is, *said)).unzip();
            if let Some(cost) = self.mean_cost(&is, &said)? {
                sum += share * cost;
                weight += share;
            }
        }
        Ok((weight > 0.0).then(|| sum / weight))
    }

    /// Whether this is a matrix such as [`CostMatrix::new`] makes, for these classes in this order.
    pub(crate) fn is_sound_for(&self, classes: &[String]) -> bool {
        self.classes == classes && Self::new(self.classes.clone(), self.costs.clone()).is_ok()
    }
}

fn own_name(name: &str) -> String {
    if name == "normal" { BENIGN.to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_cost_by_the_share_they_are_expected_in() {
        let names = ["benign", "dos", "probe"].map(str::to_owned).to_vec();
        let costs =
            CostMatrix::new(names, vec![vec![0.0, 2.0, 1.0], vec![2.0, 0.0, 1.0], vec![1.0, 2.0, 0.0]])
                .unwrap();
        let (truth, decided) = ([0, 0, 0, 1], [0, 0, 1, 0]);
        assert_eq!(costs.mean_cost(&truth, &decided).unwrap(), Some(1.0));
        // Benign rows cost 2/3 each, dos 2; nothing is known of probes.
        let expected = costs.expected_cost(&truth, &decided, &[0.6, 0.2, 0.2]).unwrap().unwrap();
        assert!((expected - (0.6 * 2.0 / 3.0 + 0.2 * 2.0) / 0.8).abs() < 1e-15);
    }

    #[test]
    fn the_cheapest_decision_need_not_be_the_likeliest() {
        let costs = CostMatrix::kdd99();
        // benign 0.6 and r2l 0.4: calling it benign costs 1.6, r2l 1.2
        assert_eq!(costs.decide(&[0.6, 0.0, 0.0, 0.0, 0.4]), 4);
        assert_eq!(costs.decide(&[0.9, 0.0, 0.0, 0.0, 0.1]), 0);
        // dos 0.5, benign 0.5: 1.0 either way, probe 0.5 + 0.5
        assert_eq!(costs.decide(&[0.5, 0.0, 0.5, 0.0, 0.0]), 0);
        assert_eq!(costs.mean_cost(&[0, 3, 4, 2], &[1, 0, 0, 2]).unwrap(), Some(2.0));
        assert_eq!(costs.mean_cost(&[], &[]).unwrap(), None);
        assert!(costs.mean_cost(&[0], &[5]).is_err());
    }

    #[test]
    fn the_text_form_is_read_back_in_any_order() {
        let costs = CostMatrix::kdd99();
        assert_eq!(CostMatrix::from_csv(&costs.to_csv()).unwrap(), costs);
        let small = CostMatrix::from_csv("true,scan,normal\nnormal,5,0\n\nscan,0,7\n").unwrap();
        let ours = small.of_classes(&[BENIGN.to_owned(), "scan".to_owned()]).unwrap();
        assert_eq!(ours.costs(), [[0.0, 5.0], [7.0, 0.0]]);
        assert!(small.of_classes(&["worm".to_owned()]).unwrap_err().to_string().contains("worm"));
        for (bad, message) in [
            ("", "line 1"),
            ("x,a", "2 to 1000"),
            ("x,a,b\na,0,1", "2 × 2"),
            ("x,a,b\na,0,1\nb,1,x", "line 3"),
            ("x,a,b\na,0,1\na,0,1", "twice"),
            ("x,a,b\na,0,1\nc,0,1", "not in the head"),
            ("x,a,b\na,0,-1\nb,1,0", "from 0"),
        ] {
            let error = CostMatrix::from_csv(bad).unwrap_err().to_string();
            assert!(error.contains(message), "{bad}: {error}");
        }
    }
}

//! How much one column says about the classes: scikit-learn's `chi2`, `f_classif` and `mutual_info_classif`.
//!
//! All take as many finite numbers as there are labels. Where nothing can be said, the score is NaN, as there.

use super::neighbours::radii_and_counts;
use crate::prep::Labels;

/// Sums of a column over the rows of each class, and how many these are.
fn by_class(numbers: &[f64], labels: Labels<'_>) -> Vec<(f64, f64)> {
    let mut sums = vec![(0.0, 0.0); labels.classes];
    for (number, &class) in numbers.iter().zip(labels.y) {
        let (sum, count) = &mut sums[class as usize];
        (*sum, *count) = (*sum + number, *count + 1.0);
    }
    sums
}

fn largest(numbers: &[f64]) -> f64 {
    numbers.iter().fold(0.0, |most, number| number.abs().max(most))
}

/// Chi-squared between the sums per class of a column of numbers >= 0 and those expected by the share of rows.
#[must_use]
pub fn chi2(numbers: &[f64], labels: Labels<'_>) -> f64 {
    // the statistic is as large as the column's unit: divide by it first, so that 1e300 adds up
    let unit = largest(numbers);
    let scaled: Vec<f64> = numbers.iter().map(|number| number / unit).collect();
    let observed = by_class(&scaled, labels);
    let total: f64 = observed.iter().map(|(sum, _)| sum).sum();
    let rows = numbers.len() as f64;
    let term = |&(sum, count): &(f64, f64)| {
        let expected = count / rows * total;
        (sum - expected).powi(2) / expected
    };
    let sum = observed.iter().filter(|(_, count)| *count > 0.0).map(term).sum::<f64>() * unit;
    if sum.is_infinite() { f64::MAX } else { sum }
}

/// The F statistic of a one-way analysis of variance: variance between the classes over that within; infinite where no class
/// varies but they differ.
#[must_use]
pub fn f(numbers: &[f64], labels: Labels<'_>) -> f64 {
    let unit = largest(numbers);
    let scaled: Vec<f64> = numbers.iter().map(|number| number / unit).collect();
    let rows = numbers.len() as f64;
    let mean = scaled.iter().sum::<f64>() / rows;
    let sums = by_class(&scaled, labels);
    let present = sums.iter().filter(|(_, count)| *count > 0.0);
    let between: f64 = present.clone().map(|(sum, count)| count * (sum / count - mean).powi(2)).sum();
    let within: f64 = scaled
        .iter()
        .zip(labels.y)
        .map(|(number, &class)| {
            let (sum, count) = sums[class as usize];
            (number - sum / count).powi(2)
        })
        .sum();
    let classes = present.count() as f64;
    // what rounding leaves of a constant column is nothing
    let rounding = rows * f64::EPSILON * f64::EPSILON;
    let clean = |squares: f64| if squares <= rounding { 0.0 } else { squares };
    (clean(between) / (classes - 1.0)) / (clean(within) / (rows - classes))
}

/// Mutual information in nats between a continuous column and the classes by nearest neighbours (B. C. Ross, *Mutual Information
/// between Discrete and Continuous Data Sets*, 2014, equation 2; never below 0). `neighbours` = k.
///
/// scikit-learn tells equal numbers apart by noise. Here they stay equal: a row whose k neighbours all equal it counts all
/// equals of its class as neighbours (Gao, Kannan, Oh, Viswanath, *Estimating Mutual Information for Discrete-Continuous
/// Mixtures*, 2017), so that a column of few values gets the mutual information of a discrete one, but for a small bias.
#[must_use]
pub fn mutual_information(numbers: &[f64], labels: Labels<'_>, neighbours: usize) -> f64 {
    let mut counts = vec![0usize; labels.classes];
    labels.y.iter().for_each(|&class| counts[class as usize] += 1);
    // a row alone in its class has no neighbour
    let mut rows: Vec<(f64, u32)> = numbers.iter().copied().zip(labels.y.iter().copied()).collect();
    rows.retain(|&(_, class)| counts[class as usize] > 1);
    if rows.is_empty() {
        return f64::NAN;
    }
    let total = rows.len() as f64;
    let term = |point: super::neighbours::Around| {
        digamma(point.own) - digamma(point.all) - digamma(counts[point.class as usize])
    };
    let sum: f64 = radii_and_counts(rows, labels.classes, neighbours).map(term).sum();
    (digamma(total as usize) + sum / total).max(0.0)
}

/// The derivative of ln Γ at a whole number above 0.
fn digamma(n: usize) -> f64 {
    const EULER: f64 = 0.577_215_664_901_532_9;
    if n < 20 {
        return (1..n).map(|k| 1.0 / k as f64).sum::<f64>() - EULER;
    }
    let x = n as f64;
    let square = 1.0 / (x * x);
    let series = square * (1.0 / 12.0 - square * (1.0 / 120.0 - square * (1.0 / 252.0 - square / 240.0)));
    x.ln() - 0.5 / x - series
}

#[cfg(test)]
mod tests {
    use super::*;

    const Y: Labels<'static> = Labels { y: &[0, 0, 0, 1, 1, 1], classes: 2 };

    #[test]
    fn chi2_by_hand() {
        // sums 3 and 9 of 12, expected 6 and 6: 9/6 + 9/6
        assert!((chi2(&[0.0, 1.0, 2.0, 2.0, 3.0, 4.0], Y) - 3.0).abs() < 1e-14);
        assert!(chi2(&[0.0; 6], Y).is_nan());
        assert!(chi2(&[f64::MAX; 6], Y).is_finite());
    }

    #[test]
    fn f_by_hand() {
        // means 1 and 3 about 2: between 6 with 1 degree of freedom; within 2 + 2 with 4
        assert!((f(&[0.0, 1.0, 2.0, 2.0, 3.0, 4.0], Y) - 6.0).abs() < 1e-13);
        assert!((f(&[0.0, 1e300, 2e300, 2e300, 3e300, 4e300], Y) - 6.0).abs() < 1e-13);
        assert_eq!(f(&[1.0, 1.0, 1.0, 2.0, 2.0, 2.0], Y), f64::INFINITY);
        assert!(f(&[0.1; 6], Y).is_nan() && f(&[0.0; 6], Y).is_nan());
    }

    #[test]
    fn digamma_grows_by_one_over_n() {
        for n in 1..200 {
            let step = digamma(n + 1) - digamma(n);
            assert!((step - 1.0 / n as f64).abs() < 1e-14, "{n}");
        }
    }

    #[test]
    fn mutual_information_of_a_column_that_tells_all_and_of_one_that_tells_nothing() {
        let labels: Vec<u32> = (0..400).map(|row| row % 2).collect();
        let labels = Labels { y: &labels, classes: 2 };
        let column = |value: fn(u32) -> f64| (0..400).map(value).collect::<Vec<f64>>();
        let all = mutual_information(&column(|row| f64::from(row % 2)), labels, 3);
        assert!((all - 2f64.ln()).abs() < 0.01, "{all}");
        let nothing = mutual_information(&column(|row| f64::from(row / 2 % 2)), labels, 3);
        assert!(nothing < 0.01, "{nothing}");
        assert!(mutual_information(&column(|_| 5.0), labels, 3) < 1e-2);
        // apart by far: every neighbour within the radius is of the class, so psi(N) - psi(N/2)
        let apart = mutual_information(&column(|row| f64::from(row % 2) * 1e6 + f64::from(row)), labels, 3);
        assert!((apart - (digamma(400) - digamma(200))).abs() < 1e-12, "{apart}");
    }
}

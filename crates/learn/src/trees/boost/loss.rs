//! Log loss of two classes (one margin, its log-odds) or more (a margin each, their softmax), with its derivatives.

use rayon::prelude::*;

use super::histogram::CHUNK;

/// Margins of all rows, class after class: one for two classes, else one per class.
pub(super) struct Margins {
    pub(super) values: Vec<f64>,
    pub(super) rows: usize,
}

impl Margins {
    pub(super) fn new(start: &[f64], rows: usize) -> Self {
        Self { values: start.iter().flat_map(|&start| std::iter::repeat_n(start, rows)).collect(), rows }
    }

    pub(super) fn of_mut(&mut self, output: usize) -> &mut [f64] {
        &mut self.values[output * self.rows..][..self.rows]
    }

    fn outputs(&self) -> usize {
        self.values.len() / self.rows
    }

    /// Mean weighted loss.
    pub(super) fn loss(&self, y: &[u32], weights: &[f64]) -> f64 {
        let of_chunk = |start: usize| -> [f64; 2] {
            let mut margins = vec![0.0; self.outputs()];
            (start..self.rows.min(start + CHUNK)).fold([0.0; 2], |[loss, weight], row| {
                margins
                    .iter_mut()
                    .enumerate()
                    .for_each(|(k, margin)| *margin = self.values[k * self.rows + row]);
                [loss + weights[row] * loss_of(&margins, y[row] as usize), weight + weights[row]]
            })
        };
        let chunks: Vec<[f64; 2]> =
            (0..self.rows.div_ceil(CHUNK)).into_par_iter().map(|chunk| of_chunk(chunk * CHUNK)).collect();
        let [loss, weight] =
            chunks.iter().fold([0.0; 2], |sum, chunk| [sum[0] + chunk[0], sum[1] + chunk[1]]);
        loss / weight
    }

    /// The probability of each class, row after row; not needed for two classes.
    pub(super) fn probabilities(&self) -> Vec<f64> {
        let outputs = self.outputs();
        if outputs == 1 {
            return Vec::new();
        }
        let mut probabilities = vec![0.0; self.values.len()];
        probabilities.par_chunks_mut(CHUNK * outputs).enumerate().for_each(|(chunk, lines)| {
            for (row, line) in lines.chunks_exact_mut(outputs).enumerate() {
                let margin = |k: usize| self.values[k * self.rows + chunk * CHUNK + row];
                line.iter_mut().enumerate().for_each(|(k, value)| *value = margin(k));
                softmax(line);
            }
        });
        probabilities
    }

    /// First and second derivative of each row's loss by the margin of `output`.
    pub(super) fn derivatives(
        &self,
        output: usize,
        probabilities: &[f64],
        y: &[u32],
        weights: &[f64],
        out: &mut [[f64; 2]],
    ) {
        let outputs = self.outputs();
        // The second derivative of a softmax is scaled up as the other margins move along (Friedman 2001, equation 31).
        let (class, factor) =
            if outputs == 1 { (1, 1.0) } else { (output as u32, outputs as f64 / (outputs as f64 - 1.0)) };
        let rows = y.par_chunks(CHUNK).zip(weights.par_chunks(CHUNK)).enumerate();
        out.par_chunks_mut(CHUNK).zip(rows).for_each(|(out, (chunk, (y, weights)))| {
            let first = chunk * CHUNK;
            for (row, (((out, &y), &weight), &margin)) in
                out.iter_mut().zip(y).zip(weights).zip(&self.values[first..]).enumerate()
            {
                let p = if outputs == 1 {
                    sigmoid(margin)
                } else {
                    probabilities[(first + row) * outputs + output]
                };
                let truth = f64::from(u8::from(y == class));
                *out = [weight * (p - truth), factor * weight * p * (1.0 - p)];
            }
        });
    }
}

/// Margins that score every row with the shares of the classes.
pub(super) fn start(y: &[u32], weights: &[f64], classes: usize) -> Vec<f64> {
    const LEAST: f64 = 1e-15;
    let mut totals = vec![0.0; classes];
    y.iter().zip(weights).for_each(|(&class, weight)| totals[class as usize] += weight);
    let all: f64 = totals.iter().sum();
    let logs: Vec<f64> = totals.iter().map(|total| (total / all).max(LEAST).ln()).collect();
    if classes == 2 { vec![logs[1] - logs[0]] } else { logs }
}

fn loss_of(margins: &[f64], class: usize) -> f64 {
    if let [margin] = *margins {
        let against = if class == 1 { -margin } else { margin };
        return against.max(0.0) + (-against.abs()).exp().ln_1p();
    }
    let largest = margins.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest - margins[class] + margins.iter().map(|margin| (margin - largest).exp()).sum::<f64>().ln()
}

/// Margins to probabilities.
pub(super) fn softmax(margins: &mut [f64]) {
    let largest = margins.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    margins.iter_mut().for_each(|margin| *margin = (*margin - largest).exp());
    let sum: f64 = margins.iter().sum();
    margins.iter_mut().for_each(|margin| *margin /= sum);
}

#[inline]
pub(super) fn sigmoid(margin: f64) -> f64 {
    1.0 / (1.0 + (-margin).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_are_those_of_the_loss() {
        let y = [0, 1, 2, 1];
        let weights = [1.0, 2.0, 0.5, 1.0];
        for classes in [2usize, 3] {
            let y: Vec<u32> = y.iter().map(|&y| y.min(classes as u32 - 1)).collect();
            let outputs = if classes == 2 { 1 } else { 3 };
            let values: Vec<f64> =
                (0..outputs * 4).map(|place| f64::from(place as u32 * 7 % 5) - 2.0).collect();
            let margins = Margins { values, rows: 4 };
            for output in 0..outputs {
                let mut found = [[0.0; 2]; 4];
                margins.derivatives(output, &margins.probabilities(), &y, &weights, &mut found);
                for (row, [first, second]) in found.into_iter().enumerate() {
                    let loss = |nudge: f64| {
                        let mut margins: Vec<f64> =
                            (0..outputs).map(|k| margins.values[k * 4 + row]).collect();
                        margins[output] += nudge;
                        weights[row] * loss_of(&margins, y[row] as usize)
                    };
                    let step = 1e-4;
                    let slope = (loss(step) - loss(-step)) / (2.0 * step);
                    let bend = (loss(step) - 2.0 * loss(0.0) + loss(-step)) / (step * step);
                    assert!((slope - first).abs() < 1e-6, "{classes} classes: {first} is not {slope}");
                    let factor = if outputs == 1 { 1.0 } else { 1.5 };
                    assert!(
                        (factor * bend - second).abs() < 1e-5,
                        "{classes} classes: {second} is not {bend}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_start_scores_class_shares() {
        let found = start(&[0, 1, 1, 1], &[1.0, 1.0, 1.0, 2.0], 2);
        assert!((sigmoid(found[0]) - 0.8).abs() < 1e-12);
        let mut found = start(&[0, 1, 1], &[2.0, 1.0, 1.0], 3);
        softmax(&mut found);
        assert!(
            (found[0] - 0.5).abs() < 1e-9 && (found[1] - 0.5).abs() < 1e-9 && found[2] < 1e-12,
            "{found:?}"
        );
    }

    #[test]
    fn huge_margins_have_finite_losses() {
        for margins in [&[1e18][..], &[-1e18], &[1e18, -1e18, 0.0]] {
            for class in 0..2 {
                assert!(loss_of(margins, class).is_finite(), "{margins:?}");
            }
        }
    }
}

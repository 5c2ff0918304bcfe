//! The real part of the discrete Fourier transform at any length: Bluestein's algorithm (IEEE Transactions on Audio and
//! Electroacoustics 18, 1970), a convolution by a transform whose length is a power of two.

use std::f64::consts::PI;

/// A complex number: real and imaginary part.
type Complex = (f64, f64);

/// What the transforms of one length share.
#[derive(Debug)]
pub(super) struct Fourier {
    /// `exp(-i pi k^2 / length)` for every place `k`.
    chirp: Vec<Complex>,
    /// The transform of the conjugate chirp, wrapped around.
    filter: Vec<Complex>,
    /// The first half of the roots of unity of the power of two.
    roots: Vec<Complex>,
}

impl Fourier {
    /// Prepares transforms of this length.
    pub(super) fn new(length: usize) -> Fourier {
        let size = (2 * length).next_power_of_two();
        let turn = |part: usize, of: usize| {
            let (sine, cosine) = (-2.0 * PI * part as f64 / of as f64).sin_cos();
            (cosine, sine)
        };
        // k^2 is reduced first: of a large angle, only the rounding error would be left.
        let square = |k: usize| (k as u128 * k as u128 % (2 * length.max(1)) as u128) as usize;
        let chirp: Vec<Complex> = (0..length).map(|k| turn(square(k), 2 * length)).collect();
        let roots: Vec<Complex> = (0..size / 2).map(|k| turn(k, size)).collect();
        let mut filter = vec![(0.0, 0.0); size];
        for (k, &(cosine, sine)) in chirp.iter().enumerate() {
            for place in [k, (size - k) % size] {
                if let Some(value) = filter.get_mut(place) {
                    *value = (cosine, -sine);
                }
            }
        }
        transform(&mut filter, &roots);
        Fourier { chirp, filter, roots }
    }

    /// The real part of the transform of `values`, which are cut or padded with zeros to the length.
    pub(super) fn real(&self, values: &[f64]) -> Vec<f64> {
        let mut signal: Vec<Complex> = self
            .chirp
            .iter()
            .zip(values)
            .map(|(&(cosine, sine), value)| (cosine * value, sine * value))
            .collect();
        signal.resize(self.filter.len(), (0.0, 0.0));
        transform(&mut signal, &self.roots);
        for (value, &filter) in signal.iter_mut().zip(&self.filter) {
            let (real, imaginary) = times(*value, filter);
            // Conjugated, so that the next transform goes back.
            *value = (real, -imaginary);
        }
        transform(&mut signal, &self.roots);
        let scale = 1.0 / self.filter.len().max(1) as f64;
        let back = |(value, chirp): (&Complex, &Complex)| times((value.0, -value.1), *chirp).0 * scale;
        signal.iter().zip(&self.chirp).map(back).collect()
    }
}

fn times((a, b): Complex, (c, d): Complex) -> Complex {
    (a * c - b * d, a * d + b * c)
}

/// Cooley and Tukey's transform in place; the length is a power of two, twice that of `roots`.
fn transform(values: &mut [Complex], roots: &[Complex]) {
    let length = values.len();
    if length < 2 {
        return;
    }
    let shift = usize::BITS - length.trailing_zeros();
    for place in 0..length {
        let mirrored = place.reverse_bits() >> shift;
        if place < mirrored {
            values.swap(place, mirrored);
        }
    }
    let mut half = 1;
    while half < length {
        for block in values.chunks_exact_mut(2 * half) {
            butterflies(block, half, roots.iter().step_by(length / 2 / half));
        }
        half *= 2;
    }
}

fn butterflies<'a>(block: &mut [Complex], half: usize, roots: impl Iterator<Item = &'a Complex>) {
    let (low, high) = block.split_at_mut(half);
    for ((a, b), &root) in low.iter_mut().zip(high).zip(roots) {
        let turned = times(*b, root);
        (*a, *b) = ((a.0 + turned.0, a.1 + turned.1), (a.0 - turned.0, a.1 - turned.1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_the_definition_at_every_length() {
        for length in (1..70).chain([127, 128, 1000]) {
            let values: Vec<f64> = (0..length).map(|k| f64::from((k * k * 7 + 3 * k) % 101)).collect();
            let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
            let found = Fourier::new(values.len()).real(&values);
            assert_eq!(found.len(), values.len());
            for (bin, found) in found.iter().enumerate() {
                let term = |(k, value): (usize, &f64)| {
                    value * (2.0 * PI * (k * bin % values.len()) as f64 / f64::from(length)).cos()
                };
                let sum: f64 = values.iter().enumerate().map(term).sum();
                assert!((found - sum).abs() < 1e-11 * norm.max(1.0), "{length} {bin}: {found} for {sum}");
            }
        }
    }

    #[test]
    fn values_are_cut_and_padded_first() {
        let fourier = Fourier::new(2);
        let near = |found: Vec<f64>, expected: [f64; 2]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        };
        near(fourier.real(&[3.0]), [3.0, 3.0]);
        near(fourier.real(&[3.0, 1.0, 9.0]), [4.0, 2.0]);
    }
}

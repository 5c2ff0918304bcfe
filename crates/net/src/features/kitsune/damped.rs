//! Damped statistics: what a stream of values was like lately, in constant memory (AfterImage, Mirsky et al., NDSS
//! 2018, section IV). A value that is `t` seconds old counts `2^(-lambda t)`.
//!
//! The paper keeps a sum and a sum of squares and takes the variance as their difference, which loses all digits when
//! values hardly differ. Here mean and sum of squared deviations are kept instead (West, CACM 1979): the same numbers,
//! and the variance of equal values is 0.

/// Decay per second of each window, in the order of the columns.
pub(super) const LAMBDAS: [f64; 5] = [5.0, 3.0, 1.0, 0.1, 0.01];
/// One number for each of [`LAMBDAS`].
pub(super) type Windows = [f64; LAMBDAS.len()];

/// What begins empty at a time.
pub(super) trait Begin {
    /// Without values yet.
    fn begin(ts_ns: i64) -> Self;
}

/// The time up to which something has decayed. It never goes back.
#[derive(Clone, Copy, Debug)]
struct Decayed {
    ts_ns: i64,
}

impl Decayed {
    /// Seconds from the last time to this one; 0 when time goes back.
    fn gap_s(self, ts_ns: i64) -> f64 {
        ts_ns.saturating_sub(self.ts_ns).max(0) as f64 / 1e9
    }

    /// Goes on to this time: what is left of each window's weight, `None` when time stands still or goes back.
    fn advance(&mut self, ts_ns: i64) -> Option<Windows> {
        let gap_s = self.gap_s(ts_ns);
        if gap_s <= 0.0 {
            return None;
        }
        self.ts_ns = ts_ns;
        Some(LAMBDAS.map(|lambda| (-lambda * gap_s).exp2()))
    }
}

/// Weight, mean and variance of one stream in each window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Damped {
    decayed: Decayed,
    weights: Windows,
    means: Windows,
    /// Weighted squared deviations from the mean.
    squares: Windows,
}

impl Begin for Damped {
    fn begin(ts_ns: i64) -> Damped {
        let zeros = Windows::default();
        Damped { decayed: Decayed { ts_ns }, weights: zeros, means: zeros, squares: zeros }
    }
}

impl Damped {
    /// Seconds since the stream was last decayed; 0 when time goes back.
    pub(super) fn gap_s(&self, ts_ns: i64) -> f64 {
        self.decayed.gap_s(ts_ns)
    }

    /// Lets what is there age. What has aged to nothing is as if it had never been.
    pub(super) fn decay(&mut self, ts_ns: i64) {
        let Some(factors) = self.decayed.advance(ts_ns) else { return };
        let windows = self.weights.iter_mut().zip(&mut self.means).zip(&mut self.squares);
        for (((weight, mean), square), factor) in windows.zip(factors) {
            *weight *= factor;
            *square *= factor;
            if *weight < f64::MIN_POSITIVE {
                (*weight, *mean, *square) = (0.0, 0.0, 0.0);
            }
        }
    }

    /// Adds a value.
    pub(super) fn add(&mut self, value: f64, ts_ns: i64) {
        self.decay(ts_ns);
        let windows = self.weights.iter_mut().zip(&mut self.means).zip(&mut self.squares);
        for ((weight, mean), square) in windows {
            let (before, deviation) = (*weight, value - *mean);
            *weight += 1.0;
            *mean += deviation / *weight;
            // As `deviation * (value - mean)`, whose second factor is all rounding when what was before weighs little.
            *square += deviation * deviation * (before / *weight);
        }
    }

    /// What the stream is like now.
    pub(super) fn moments(&self) -> Moments {
        let mut variances = self.squares;
        for (variance, weight) in variances.iter_mut().zip(self.weights) {
            *variance = if weight > 0.0 { *variance / weight } else { 0.0 };
        }
        Moments { weights: self.weights, means: self.means, variances }
    }
}

/// Statistics of a stream at one moment; all 0 when it is empty.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moments {
    pub(super) weights: Windows,
    pub(super) means: Windows,
    pub(super) variances: Windows,
}

/// How two streams go together: the products of a value's residual with the last residual of the other side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Residuals {
    decayed: Decayed,
    weights: Windows,
    products: Windows,
    /// The last residual of each side.
    last: [Windows; 2],
}

impl Begin for Residuals {
    fn begin(ts_ns: i64) -> Residuals {
        let zeros = Windows::default();
        Residuals { decayed: Decayed { ts_ns }, weights: zeros, products: zeros, last: [zeros; 2] }
    }
}

impl Residuals {
    /// Adds a value that one side has sent, whose stream then had these means; gives the covariance.
    pub(super) fn add(&mut self, second: bool, value: f64, means: &Windows, ts_ns: i64) -> Windows {
        let factors = self.decayed.advance(ts_ns).unwrap_or([1.0; LAMBDAS.len()]);
        let [first_last, second_last] = &mut self.last;
        let (own, other) = if second { (second_last, first_last) } else { (first_last, second_last) };
        let sides = own.iter_mut().zip(other).zip(means).zip(factors);
        let sums = self.weights.iter_mut().zip(&mut self.products);
        for ((weight, product), (((own, other), mean), factor)) in sums.zip(sides) {
            *own = value - mean;
            *weight = *weight * factor + 1.0;
            *product = *product * factor + *own * *other;
        }
        let mut covariances = self.products;
        covariances.iter_mut().zip(self.weights).for_each(|(covariance, weight)| *covariance /= weight);
        covariances
    }
}

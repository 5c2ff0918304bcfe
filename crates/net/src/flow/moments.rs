//! Exact moments: integer sums, so that neither order nor grouping of the values changes the result.

/// Smallest, largest, sum and sum of squares of non-negative integers. Sums saturate, they never wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moments {
    squares: u128,
    sum: u64,
    count: u64,
    min: u64,
    max: u64,
}

impl Moments {
    /// No value yet.
    pub const EMPTY: Moments = Moments { squares: 0, sum: 0, count: 0, min: u64::MAX, max: 0 };

    /// Adds a value.
    #[inline]
    pub fn add(&mut self, value: u64) {
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.squares = self.squares.saturating_add(u128::from(value) * u128::from(value));
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// The moments of the values of both.
    #[must_use]
    pub fn merge(&self, other: &Moments) -> Moments {
        Moments {
            squares: self.squares.saturating_add(other.squares),
            sum: self.sum.saturating_add(other.sum),
            count: self.count + other.count,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    /// These moments with as many zeros among the values as make them `count`.
    #[must_use]
    pub fn with_zeros(&self, count: u64) -> Moments {
        let min = if count > self.count { 0 } else { self.min };
        Moments { count: count.max(self.count), min, ..*self }
    }

    /// Values added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Sum of the values.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Smallest value; 0 without values.
    pub fn min(&self) -> u64 {
        if self.count == 0 { 0 } else { self.min }
    }

    /// Largest value; 0 without values.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// Mean; 0 without values.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// Sample standard deviation (divisor `count - 1`); 0 with fewer than two values.
    ///
    /// `count Σx² - (Σx)²` is exact in 128 bits whenever it fits, so nothing cancels: equal values give exactly 0.
    pub fn std(&self) -> f64 {
        if self.count < 2 {
            return 0.0;
        }
        if let Some(spread) = self.narrow_spread() {
            return (spread as f64 / (self.count * (self.count - 1)) as f64).sqrt();
        }
        let count = u128::from(self.count);
        let square = u128::from(self.sum) * u128::from(self.sum);
        let spread = match self.squares.checked_mul(count) {
            Some(scaled) => scaled.saturating_sub(square) as f64,
            None => (self.squares as f64 * count as f64 - square as f64).max(0.0),
        };
        (spread / (count * (count - 1)) as f64).sqrt()
    }
    /// `count Σx² - (Σx)²` when it fits 64 bits, as it does for the sizes in all but the longest flows: the same
    /// number, but a division and a conversion that the processor has instructions for.
    fn narrow_spread(&self) -> Option<u64> {
        let count = u32::try_from(self.count).ok()?;
        let scaled = u64::try_from(self.squares).ok()?.checked_mul(u64::from(count))?;
        Some(scaled.saturating_sub(self.sum.checked_mul(self.sum)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[u64]) -> Moments {
        values.iter().fold(Moments::EMPTY, |mut moments, &value| {
            moments.add(value);
            moments
        })
    }

    #[test]
    fn textbook_values() {
        let moments = of(&[2, 4, 4, 4, 5, 5, 7, 9]);
        assert_eq!((moments.min(), moments.max(), moments.sum(), moments.count()), (2, 9, 40, 8));
        assert_eq!(moments.mean(), 5.0);
        assert!((moments.std() - (32.0f64 / 7.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn equal_large_values_have_no_spread() {
        assert_eq!(of(&[1_732_000_000_123_456_789; 5]).std(), 0.0);
    }

    #[test]
    fn absurd_values_saturate() {
        let moments = of(&[u64::MAX; 4]);
        assert_eq!(moments.sum(), u64::MAX);
        assert!(moments.std().is_finite());
    }

    #[test]
    fn zeros_count() {
        assert_eq!(of(&[3, 5]).with_zeros(4), of(&[0, 3, 5, 0]));
        assert_eq!(of(&[3, 5]).with_zeros(2), of(&[3, 5]));
        assert_eq!(Moments::EMPTY.with_zeros(1), of(&[0]));
    }

    #[test]
    fn empty_is_zero() {
        let empty = Moments::EMPTY;
        assert_eq!((empty.min(), empty.max(), empty.mean(), empty.std()), (0, 0, 0.0, 0.0));
        assert_eq!(of(&[7]).merge(&empty), of(&[7]));
    }
}

//! The arithmetic of numpy and Python where its last bit matters: it decides where flows are cut.

/// The quantile `q` between 0 and 1 by linear interpolation, as `numpy.quantile` computes it (numpy 2.0,
/// `_function_base_impl.py`, `_lerp`); 0 of no values.
pub(super) fn quantile(mut values: Vec<f64>, q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    interpolated(values.len() as u64, q, |place| values.get(place as usize).copied())
}

/// The same of `count` values of which `at` gives the one at a place of their order.
pub(super) fn interpolated(count: u64, q: f64, at: impl Fn(u64) -> Option<f64>) -> f64 {
    let position = q * count.saturating_sub(1) as f64;
    let place = position.floor() as u64;
    let Some(low) = at(place) else { return 0.0 };
    let high = at(place + 1).unwrap_or(low);
    let (step, part) = (high - low, position - position.floor());
    if part >= 0.5 { high - step * (1.0 - part) } else { low + step * part }
}

/// `a // b` of Python for `a >= 0` and `b > 0` (`_float_div_mod` in CPython's floatobject.c): by the exact remainder,
/// so that it can differ from the floor of the rounded quotient.
pub(super) fn floor_quotient(a: f64, b: f64) -> f64 {
    let quotient = (a - a % b) / b;
    let floor = quotient.floor();
    if quotient - floor > 0.5 { floor + 1.0 } else { floor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_order_statistics() {
        assert_eq!(quantile(vec![4.0, 1.0, 3.0, 2.0], 0.5), 2.5);
        assert_eq!(quantile(vec![10.0, 20.0], 0.25), 12.5);
        assert_eq!(quantile(vec![7.0], 0.9), 7.0);
        assert_eq!(quantile(vec![7.0, 9.0], 1.0), 9.0);
        assert_eq!(quantile(Vec::new(), 0.9), 0.0);
    }

    #[test]
    fn the_quotient_is_by_the_exact_remainder() {
        // 0.1 is a little more than a tenth: ten of them do not fit into 1, whatever the rounded quotient says.
        assert_eq!((floor_quotient(1.0, 0.1), (1.0_f64 / 0.1).floor()), (9.0, 10.0));
        assert_eq!(floor_quotient(7.5, 2.0), 3.0);
    }
}

//! How weights follow their gradients: Adam, or gradient descent with momentum.

/// How weights follow their gradients.
#[derive(Clone, Copy, Debug)]
pub(super) enum Solver {
    /// Kingma and Ba 2015, with β₁ = 0.9, β₂ = 0.999, ε = 1e-8.
    Adam,
    /// Steps keep a share `momentum` of the step before; `nesterov` looks ahead by it.
    Sgd { momentum: f64, nesterov: bool },
}

/// What a solver remembers.
pub(super) struct Steps {
    solver: Solver,
    rate: f64,
    count: i32,
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Steps {
    pub(super) fn new(solver: Solver, rate: f64, weights: usize) -> Self {
        let second = if matches!(solver, Solver::Adam) { weights } else { 0 };
        Self { solver, rate, count: 0, first: vec![0.0; weights], second: vec![0.0; second] }
    }

    /// Moves `weights` down the gradient.
    pub(super) fn follow(&mut self, gradient: &[f64], weights: &mut [f64]) {
        match self.solver {
            Solver::Adam => self.adam(gradient, weights),
            Solver::Sgd { momentum, nesterov } => {
                for ((velocity, slope), weight) in self.first.iter_mut().zip(gradient).zip(weights) {
                    *velocity = momentum * *velocity - self.rate * slope;
                    *weight += if nesterov { momentum * *velocity - self.rate * slope } else { *velocity };
                }
            }
        }
    }

    fn adam(&mut self, gradient: &[f64], weights: &mut [f64]) {
        const FIRST: f64 = 0.9;
        const SECOND: f64 = 0.999;
        const LEAST: f64 = 1e-8;
        self.count = self.count.saturating_add(1);
        let rate = self.rate * (1.0 - SECOND.powi(self.count)).sqrt() / (1.0 - FIRST.powi(self.count));
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((slope, weight), (first, second)) in gradient.iter().zip(weights).zip(moments) {
            *first = FIRST * *first + (1.0 - FIRST) * slope;
            *second = SECOND * *second + (1.0 - SECOND) * (slope * slope);
            *weight -= rate * *first / (second.sqrt() + LEAST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_those_by_hand() {
        let two = |solver, rate| {
            let (mut steps, mut weights) = (Steps::new(solver, rate, 1), [1.0]);
            steps.follow(&[2.0], &mut weights);
            let one = weights[0];
            steps.follow(&[1.0], &mut weights);
            (one, weights[0])
        };
        assert_eq!(two(Solver::Sgd { momentum: 0.5, nesterov: false }, 0.25), (0.5, 0.0));
        assert_eq!(two(Solver::Sgd { momentum: 0.5, nesterov: true }, 0.25), (0.25, -0.25));
        let (one, two) = two(Solver::Adam, 0.1);
        assert!((one - 0.9).abs() < 1e-7, "the first step is the rate: {one}");
        let (m, v) = (0.9 * 0.2 + 0.1, 0.999 * 0.004 + 0.001);
        let expected = one - 0.1 * (m / (1.0 - 0.81)) / (v / (1.0 - 0.998_001f64)).sqrt();
        assert!((two - expected).abs() < 1e-7, "{two} {expected}");
    }
}

//! Conditions over a packet, as the code generator builds them: the order of tests is the order in which they are made.

use super::expression::Junction;
use super::program::Instruction;

/// A condition, still without addresses to jump to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Known without a look at the packet.
    Always(bool),
    Test(Test),
    /// Instructions that only compute something; holds always.
    Do(Vec<Instruction>),
    Not(Box<Condition>),
    /// Joined from left to right with equal precedence; what is decided already is not tested.
    Chain(Box<Condition>, Vec<(Junction, Condition)>),
}

/// Instructions that leave a value in the accumulator, and the jump that tests it.
///
/// Jumps among the instructions stay among them, or go to just behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) load: Vec<Instruction>,
    /// Code of the conditional jump, and its constant.
    pub(super) jump: u16,
    pub(super) k: u32,
}

impl Condition {
    pub(super) fn test(load: Vec<Instruction>, jump: u16, k: u32) -> Self {
        Self::Test(Test { load, jump, k })
    }

    pub(super) fn and(self, next: Self) -> Self {
        self.joined(Junction::And, next)
    }

    pub(super) fn or(self, next: Self) -> Self {
        self.joined(Junction::Or, next)
    }

    pub(super) fn negated(self) -> Self {
        match self {
            Self::Always(holds) => Self::Always(!holds),
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// All of them in this order.
    pub(super) fn all(conditions: impl IntoIterator<Item = Self>) -> Self {
        conditions.into_iter().reduce(Self::and).unwrap_or(Self::Always(true))
    }

    /// One of them, tried in this order.
    pub(super) fn any(conditions: impl IntoIterator<Item = Self>) -> Self {
        conditions.into_iter().reduce(Self::or).unwrap_or(Self::Always(false))
    }

    pub(super) fn joined(self, junction: Junction, next: Self) -> Self {
        match self {
            Self::Chain(first, mut further) => {
                further.push((junction, next));
                Self::Chain(first, further)
            }
            first => Self::Chain(Box::new(first), vec![(junction, next)]),
        }
    }
}

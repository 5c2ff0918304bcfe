//! Comparisons of numbers computed from the packet: `ip[2:2] - 20 > len / 2`.

use super::kinds;
use super::{Generator, Link, Place, Refusal};
use crate::filter::condition::Condition;
use crate::filter::expression::{Arithmetic, FieldSize, Operator, Protocol, Relation};
use crate::filter::headers::{Size, add_to_index};
use crate::filter::program::code::{
    ADD_K, ADD_X, AND_K, AND_X, DIV_K, DIV_X, JEQ_K, JEQ_X, JGE_K, JGE_X, JGT_K, JGT_X, LD_IMM, LD_LEN,
    LD_MEM, LDX_MEM, LSH_K, LSH_X, MOD_K, MOD_X, MUL_K, MUL_X, NEG, OR_K, OR_X, RSH_K, RSH_X, ST, SUB_K,
    SUB_X, TAX, XOR_K, XOR_X,
};
use crate::filter::program::{Instruction, MEMORY_WORDS};

/// Length of an IPv6 header without extensions.
const IP6_BYTES: u32 = 40;
const ICMP6: u32 = 58;

/// A number, or the instructions that leave it in the accumulator.
enum Value {
    Constant(u32),
    Code(Vec<Instruction>),
}

/// What the parts of a computation have in common.
struct Computation {
    /// What must hold of the packet for its fields to exist, in this order.
    checks: Vec<Condition>,
    /// The first memory word that holds no intermediate value.
    free_word: u32,
}

impl Generator {
    pub(super) fn relation(
        &mut self,
        left: &Arithmetic,
        relation: Relation,
        right: &Arithmetic,
    ) -> Result<Condition, Refusal> {
        let mut computation = Computation { checks: Vec::new(), free_word: self.free_word };
        let left = self.value(left, &mut computation)?;
        let word = computation.free_word;
        computation.free_word += 1;
        let right = self.value(right, &mut computation)?;
        let comparison = match (left, right) {
            (Value::Constant(left), Value::Constant(right)) => {
                Condition::Always(holds(left, relation, right))
            }
            (Value::Code(load), Value::Constant(right)) => compared(load, relation, Some(right)),
            (Value::Constant(left), Value::Code(load)) => compared(load, swapped(relation), Some(left)),
            (Value::Code(mut code), Value::Code(right)) => {
                let word = usable(word)?;
                code.push(Instruction::new(ST, word));
                code.extend(right);
                code.extend([Instruction::new(TAX, 0), Instruction::new(LD_MEM, word)]);
                compared(code, relation, None)
            }
        };
        computation.checks.push(comparison);
        Ok(Condition::all(computation.checks))
    }

    fn value(&mut self, arithmetic: &Arithmetic, computation: &mut Computation) -> Result<Value, Refusal> {
        match arithmetic {
            Arithmetic::Number(number) => Ok(Value::Constant(*number)),
            Arithmetic::Length => Ok(Value::Code(vec![Instruction::new(LD_LEN, 0)])),
            Arithmetic::Negative(inner) => Ok(match self.value(inner, computation)? {
                Value::Constant(number) => Value::Constant(number.wrapping_neg()),
                Value::Code(mut code) => {
                    code.push(Instruction::new(NEG, 0));
                    Value::Code(code)
                }
            }),
            Arithmetic::Field { protocol, index, size } => {
                let outer = std::mem::take(&mut computation.checks);
                let index = self.value(index, computation)?;
                let field = self.field(*protocol, index, size_of(*size), computation)?;
                computation.checks.splice(0..0, outer);
                Ok(Value::Code(field))
            }
            Arithmetic::Operation { operator, left, right } => {
                let left = self.value(left, computation)?;
                let word = computation.free_word;
                computation.free_word += 1;
                let right = self.value(right, computation)?;
                computation.free_word = word;
                operation(*operator, left, right, word)
            }
        }
    }

    /// Loads `size` bytes at `index` of a protocol's header, and adds the checks that there is such a header.
    fn field(
        &mut self,
        protocol: Protocol,
        index: Value,
        size: Size,
        computation: &mut Computation,
    ) -> Result<Vec<Instruction>, Refusal> {
        let network = self.headers.network();
        match protocol {
            Protocol::Radio if self.headers.link == Link::WlanWithRadio => {
                Ok(self.indexed(Place::at(0), index, size))
            }
            Protocol::Radio => Err("they have no radio header".to_owned()),
            Protocol::Link => Ok(self.indexed(self.headers.header, index, size)),
            Protocol::Icmp6 => {
                computation.checks.push(self.kind(kinds::IP6)?);
                computation.checks.push(self.equal(network.plus(6), Size::Byte, ICMP6));
                Ok(self.indexed(network.plus(IP6_BYTES), index, size))
            }
            Protocol::Sctp
            | Protocol::Tcp
            | Protocol::Udp
            | Protocol::Icmp
            | Protocol::Igmp
            | Protocol::Igrp
            | Protocol::Pim
            | Protocol::Vrrp
            | Protocol::Carp => {
                // The checks of the index come between: libpcap looks at the EtherType before anything else.
                computation.checks.insert(0, self.kind(kinds::IP)?);
                computation.checks.push(self.protocol(protocol)?);
                computation.checks.push(self.is_first_fragment());
                self.indexed_transport(index, size, computation.free_word)
            }
            _ => {
                computation.checks.push(self.protocol(protocol)?);
                Ok(self.indexed(network, index, size))
            }
        }
    }

    fn indexed(&mut self, place: Place, index: Value, size: Size) -> Vec<Instruction> {
        let place = self.used(place);
        match (index, place.word) {
            (Value::Constant(index), _) => place.plus(index).load(size),
            (Value::Code(mut code), word) => {
                match word {
                    None => code.push(Instruction::new(TAX, 0)),
                    Some(word) => {
                        code.push(Instruction::new(LDX_MEM, word));
                        code.extend(add_to_index());
                    }
                }
                code.push(Instruction::new(size.indirect(), place.constant));
                code
            }
        }
    }

    fn indexed_transport(
        &mut self,
        index: Value,
        size: Size,
        word: u32,
    ) -> Result<Vec<Instruction>, Refusal> {
        match index {
            Value::Constant(index) => Ok(self.load_transport(index, size)),
            Value::Code(mut code) => {
                let word = usable(word)?;
                let (place, constant) = self.index_transport();
                code.push(Instruction::new(ST, word));
                code.extend(place);
                code.push(Instruction::new(LD_MEM, word));
                code.extend(add_to_index());
                code.push(Instruction::new(size.indirect(), constant));
                Ok(code)
            }
        }
    }
}

fn size_of(size: FieldSize) -> Size {
    match size {
        FieldSize::One => Size::Byte,
        FieldSize::Two => Size::Half,
        FieldSize::Four => Size::Word,
    }
}

fn usable(word: u32) -> Result<u32, Refusal> {
    let fits = (word as usize) < MEMORY_WORDS;
    fits.then_some(word).ok_or_else(|| "a program has not the memory for so nested a computation".to_owned())
}

/// The comparison of the accumulator with a constant, or with the index register.
fn compared(load: Vec<Instruction>, relation: Relation, constant: Option<u32>) -> Condition {
    let ((with_constant, with_index), negated) = match relation {
        Relation::Equal => ((JEQ_K, JEQ_X), false),
        Relation::NotEqual => ((JEQ_K, JEQ_X), true),
        Relation::Greater => ((JGT_K, JGT_X), false),
        Relation::LessOrEqual => ((JGT_K, JGT_X), true),
        Relation::GreaterOrEqual => ((JGE_K, JGE_X), false),
        Relation::Less => ((JGE_K, JGE_X), true),
    };
    let test = match constant {
        Some(constant) => Condition::test(load, with_constant, constant),
        None => Condition::test(load, with_index, 0),
    };
    if negated { test.negated() } else { test }
}

fn holds(left: u32, relation: Relation, right: u32) -> bool {
    match relation {
        Relation::Equal => left == right,
        Relation::NotEqual => left != right,
        Relation::Greater => left > right,
        Relation::GreaterOrEqual => left >= right,
        Relation::Less => left < right,
        Relation::LessOrEqual => left <= right,
    }
}

/// The relation of the right side to the left one.
fn swapped(relation: Relation) -> Relation {
    match relation {
        Relation::Greater => Relation::Less,
        Relation::GreaterOrEqual => Relation::LessOrEqual,
        Relation::Less => Relation::Greater,
        Relation::LessOrEqual => Relation::GreaterOrEqual,
        same => same,
    }
}

/// Codes of an operator: with a constant, and with the index register.
fn codes(operator: Operator) -> (u16, u16) {
    match operator {
        Operator::Add => (ADD_K, ADD_X),
        Operator::Subtract => (SUB_K, SUB_X),
        Operator::Multiply => (MUL_K, MUL_X),
        Operator::Divide => (DIV_K, DIV_X),
        Operator::Remainder => (MOD_K, MOD_X),
        Operator::And => (AND_K, AND_X),
        Operator::Or => (OR_K, OR_X),
        Operator::Xor => (XOR_K, XOR_X),
        Operator::ShiftLeft => (LSH_K, LSH_X),
        Operator::ShiftRight => (RSH_K, RSH_X),
    }
}

fn operation(operator: Operator, left: Value, right: Value, word: u32) -> Result<Value, Refusal> {
    let (with_constant, with_index) = codes(operator);
    match (left, right) {
        (Value::Constant(left), Value::Constant(right)) => {
            check_operand(operator, right)?;
            Ok(Value::Constant(computed(operator, left, right)))
        }
        (Value::Code(mut code), Value::Constant(right)) => {
            check_operand(operator, right)?;
            match (operator, right) {
                // As libpcap's optimiser does: what is computed for nothing is not loaded either.
                (Operator::And | Operator::Multiply, 0) => return Ok(Value::Constant(0)),
                (_, 0) => {}
                _ => code.push(Instruction::new(with_constant, right)),
            }
            Ok(Value::Code(code))
        }
        (Value::Constant(0), Value::Code(code)) => Ok(match operator {
            Operator::Add | Operator::Or | Operator::Xor => Value::Code(code),
            Operator::Subtract => Value::Code([code, vec![Instruction::new(NEG, 0)]].concat()),
            _ => Value::Constant(0),
        }),
        (Value::Constant(left), Value::Code(mut code)) => {
            match operator {
                Operator::Add | Operator::Multiply | Operator::And | Operator::Or | Operator::Xor => {
                    code.push(Instruction::new(with_constant, left));
                }
                _ => code.extend([
                    Instruction::new(TAX, 0),
                    Instruction::new(LD_IMM, left),
                    Instruction::new(with_index, 0),
                ]),
            }
            Ok(Value::Code(code))
        }
        (Value::Code(mut code), Value::Code(right)) => {
            let word = usable(word)?;
            code.push(Instruction::new(ST, word));
            code.extend(right);
            code.extend([
                Instruction::new(TAX, 0),
                Instruction::new(LD_MEM, word),
                Instruction::new(with_index, 0),
            ]);
            Ok(Value::Code(code))
        }
    }
}

fn check_operand(operator: Operator, right: u32) -> Result<(), Refusal> {
    match operator {
        Operator::Divide | Operator::Remainder if right == 0 => Err("it divides by zero".to_owned()),
        Operator::ShiftLeft | Operator::ShiftRight if right > 31 => {
            Err("it shifts by more than 31 bits".to_owned())
        }
        _ => Ok(()),
    }
}

fn computed(operator: Operator, left: u32, right: u32) -> u32 {
    match operator {
        Operator::Add => left.wrapping_add(right),
        Operator::Subtract => left.wrapping_sub(right),
        Operator::Multiply => left.wrapping_mul(right),
        Operator::Divide => left.checked_div(right).unwrap_or(0),
        Operator::Remainder => left.checked_rem(right).unwrap_or(0),
        Operator::And => left & right,
        Operator::Or => left | right,
        Operator::Xor => left ^ right,
        Operator::ShiftLeft => left.checked_shl(right).unwrap_or(0),
        Operator::ShiftRight => left.checked_shr(right).unwrap_or(0),
    }
}

//! Lays a condition out as a program: tests become blocks, blocks get an order, jumps get distances.
//!
//! On the way, what is known already is not asked again: a test whose outcome follows from the tests before it is
//! jumped over, and a value that is still in the accumulator is not loaded again. Neither changes a verdict, because
//! the loads that are left out have succeeded before.

use super::condition::{Condition, Test};
use super::expression::Junction;
use super::program::code::{
    ADD_X, AND_K, JA, JEQ_K, JGE_K, JGT_K, JSET_K, LD_B, LD_H, LD_IND_B, LD_IND_H, LD_IND_W, LD_LEN, LD_W,
    LDX_MEM, LDX_MSH, LSH_K, RET_K, TAX,
};
use super::program::{ACCEPT, Instruction};

/// Outcomes remembered along a way; older ones are forgotten.
const MOST_FACTS: usize = 64;

/// Where a test leads: to the verdicts or to another block.
type Target = usize;
const MATCH: Target = 0;
const REJECT: Target = 1;
/// Target of the first block.
const BLOCKS: Target = 2;

/// A test and where it leads. A block leads only to blocks made before it, so that every jump can go forward.
struct Block {
    test: Test,
    /// Which value the test's instructions leave in the accumulator, if it depends on the packet alone.
    value: Option<usize>,
    on_true: Target,
    on_false: Target,
}

/// What is known of a packet at a place of the program: the outcome of a test of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Fact {
    value: usize,
    jump: u16,
    k: u32,
    outcome: bool,
}

/// The program for a condition. `fixed_words` are the memory words that are written once, before everything else.
pub(super) fn assemble(condition: &Condition, fixed_words: &[u32]) -> Vec<Instruction> {
    let mut blocks = Blocks { blocks: Vec::new(), values: Vec::new(), fixed_words };
    let entry = blocks.lower(condition, MATCH, REJECT);
    if entry < BLOCKS {
        return vec![Instruction::new(RET_K, if entry == MATCH { ACCEPT } else { 0 })];
    }
    let order = blocks.simplify(entry);
    let layout = Layout::new(&blocks.blocks, &order);
    layout.emit()
}

struct Blocks<'a> {
    blocks: Vec<Block>,
    /// Distinct sequences of instructions that load a value.
    values: Vec<Vec<Instruction>>,
    fixed_words: &'a [u32],
}

impl Blocks<'_> {
    /// Makes the blocks of a condition from its end to its start; returns where it starts.
    fn lower(&mut self, condition: &Condition, on_true: Target, on_false: Target) -> Target {
        match condition {
            Condition::Always(true) => on_true,
            Condition::Always(false) => on_false,
            Condition::Not(inner) => self.lower(inner, on_false, on_true),
            Condition::Test(test) => self.push(test.clone(), on_true, on_false),
            Condition::Do(instructions) => {
                self.push(Test { load: instructions.clone(), jump: JA, k: 0 }, on_true, on_true)
            }
            Condition::Chain(first, further) => {
                let (mut on_true, mut on_false) = (on_true, on_false);
                for (junction, operand) in further.iter().rev() {
                    let entry = self.lower(operand, on_true, on_false);
                    match junction {
                        Junction::And => on_true = entry,
                        Junction::Or => on_false = entry,
                    }
                }
                self.lower(first, on_true, on_false)
            }
        }
    }

    fn push(&mut self, test: Test, on_true: Target, on_false: Target) -> Target {
        let value = self.depends_on_the_packet_alone(&test.load).then(|| self.value_of(&test.load));
        self.blocks.push(Block { test, value, on_true, on_false });
        BLOCKS + self.blocks.len() - 1
    }

    fn value_of(&mut self, load: &[Instruction]) -> usize {
        self.values.iter().position(|known| known == load).unwrap_or_else(|| {
            self.values.push(load.to_vec());
            self.values.len() - 1
        })
    }

    /// Whether these instructions read nothing that earlier ones have computed, but for the fixed words.
    fn depends_on_the_packet_alone(&self, load: &[Instruction]) -> bool {
        let (mut has_a, mut has_x) = (false, false);
        for instruction in load {
            match instruction.code {
                LD_W | LD_H | LD_B | LD_LEN => has_a = true,
                LDX_MSH => has_x = true,
                LDX_MEM if self.fixed_words.contains(&instruction.k) => has_x = true,
                LD_IND_W | LD_IND_H | LD_IND_B if has_x => has_a = true,
                AND_K | LSH_K if has_a => {}
                ADD_X if has_a && has_x => {}
                TAX if has_a => has_x = true,
                _ => return false,
            }
        }
        has_a
    }

    /// Leads every way past the tests that it has decided, and leaves out loads of what is loaded already.
    /// Returns the blocks that are left, in the order in which they are laid out.
    fn simplify(&mut self, entry: Target) -> Vec<usize> {
        let mut known: Vec<Option<Vec<Fact>>> = (0..self.blocks.len()).map(|_| None).collect();
        // The values in the accumulator where a block starts: `Some(None)` when they differ or are not known.
        let mut held: Vec<Option<Option<usize>>> = vec![None; self.blocks.len()];
        if let Some(at) = entry.checked_sub(BLOCKS) {
            arrive(&mut known, &mut held, at, &[], None);
        }
        let mut order = Vec::new();
        for at in (0..self.blocks.len()).rev() {
            let Some(facts) = known.get_mut(at).and_then(Option::take) else { continue };
            order.push(at);
            let in_accumulator = held.get(at).copied().flatten().flatten();
            let Some(block) = self.blocks.get_mut(at) else { continue };
            let (value, jump, k) = (block.value, block.test.jump, block.test.k);
            if value.is_some() && value == in_accumulator {
                block.test.load.clear();
            }
            let ways = [(true, block.on_true), (false, block.on_false)].map(|(outcome, target)| {
                let mut facts = facts.clone();
                if let Some(value) = value {
                    remember(&mut facts, Fact { value, jump, k, outcome });
                }
                let target = self.past_the_decided(target, &facts);
                if let Some(at) = target.checked_sub(BLOCKS) {
                    arrive(&mut known, &mut held, at, &facts, value);
                }
                target
            });
            if let Some(block) = self.blocks.get_mut(at) {
                [block.on_true, block.on_false] = ways;
            }
        }
        order
    }

    fn past_the_decided(&self, mut target: Target, facts: &[Fact]) -> Target {
        while let Some(block) = target.checked_sub(BLOCKS).and_then(|at| self.blocks.get(at)) {
            match block.value.and_then(|value| decided(facts, value, block.test.jump, block.test.k)) {
                Some(true) => target = block.on_true,
                Some(false) => target = block.on_false,
                None => break,
            }
        }
        target
    }
}

/// Adds one more way to a block: what is known there is what is known on every way.
fn arrive(
    known: &mut [Option<Vec<Fact>>],
    held: &mut [Option<Option<usize>>],
    at: usize,
    facts: &[Fact],
    value: Option<usize>,
) {
    if let Some(slot) = known.get_mut(at) {
        match slot {
            Some(common) => common.retain(|fact| facts.contains(fact)),
            None => *slot = Some(facts.to_vec()),
        }
    }
    if let Some(slot) = held.get_mut(at) {
        *slot = match *slot {
            None => Some(value),
            Some(before) => Some(before.filter(|before| Some(*before) == value)),
        };
    }
}

fn remember(facts: &mut Vec<Fact>, fact: Fact) {
    if facts.len() >= MOST_FACTS {
        facts.remove(0);
    }
    facts.push(fact);
}

/// The outcome of a test of `value`, if it follows from the facts.
fn decided(facts: &[Fact], value: usize, jump: u16, k: u32) -> Option<bool> {
    facts.iter().filter(|fact| fact.value == value).find_map(|fact| {
        if (fact.jump, fact.k) == (jump, k) {
            return Some(fact.outcome);
        }
        (fact.jump == JEQ_K && fact.outcome).then(|| holds(jump, fact.k, k)).flatten()
    })
}

fn holds(jump: u16, value: u32, k: u32) -> Option<bool> {
    match jump {
        JEQ_K => Some(value == k),
        JGT_K => Some(value > k),
        JGE_K => Some(value >= k),
        JSET_K => Some(value & k != 0),
        _ => None,
    }
}

/// Blocks in their final order, with the detours of jumps that reach further than a conditional jump can.
struct Layout<'a> {
    blocks: Vec<&'a Block>,
    /// Place in the order by target.
    rank: Vec<usize>,
    /// Whether the true and the false way of a block lead over an unconditional jump.
    detours: Vec<[bool; 2]>,
    /// Address of each block and, behind them, of the two verdicts.
    address: Vec<usize>,
}

impl<'a> Layout<'a> {
    fn new(blocks: &'a [Block], order: &[usize]) -> Self {
        let mut rank = vec![0; BLOCKS + blocks.len()];
        for (place, at) in order.iter().map(|at| BLOCKS + at).chain([MATCH, REJECT]).enumerate() {
            if let Some(slot) = rank.get_mut(at) {
                *slot = place;
            }
        }
        let blocks: Vec<_> = order.iter().filter_map(|at| blocks.get(*at)).collect();
        let detours = vec![[false; 2]; blocks.len()];
        let mut layout = Layout { blocks, rank, detours, address: Vec::new() };
        layout.place();
        while layout.lengthen() {
            layout.place();
        }
        layout
    }

    /// Gives every block its address.
    fn place(&mut self) {
        let mut at = 0;
        let sizes = (0..self.blocks.len()).map(|place| self.size(place)).collect::<Vec<_>>();
        self.address.clear();
        for size in sizes {
            self.address.push(at);
            at += size;
        }
        self.address.extend([at, at + 1]);
    }

    fn size(&self, place: usize) -> usize {
        let Some(block) = self.blocks.get(place) else { return 0 };
        let detours = self.detours.get(place).copied().unwrap_or_default();
        match block.test.jump {
            JA => block.test.load.len() + usize::from(self.rank_of(block.on_true) != place + 1),
            _ => block.test.load.len() + 1 + detours.into_iter().map(usize::from).sum::<usize>(),
        }
    }

    /// Marks the conditional jumps that reach too far; whether there was a new one.
    fn lengthen(&mut self) -> bool {
        let mut changed = false;
        for place in 0..self.blocks.len() {
            let Some(block) = self.blocks.get(place).filter(|block| block.test.jump != JA) else { continue };
            let behind = self.address_of(place) + block.test.load.len() + 1;
            let far = [block.on_true, block.on_false].map(|target| {
                self.address_of(self.rank_of(target)).saturating_sub(behind) > usize::from(u8::MAX)
            });
            let Some(detours) = self.detours.get_mut(place) else { continue };
            for (detour, far) in detours.iter_mut().zip(far) {
                changed |= far && !*detour;
                *detour |= far;
            }
        }
        changed
    }

    fn emit(&self) -> Vec<Instruction> {
        let mut program = Vec::new();
        for (place, block) in self.blocks.iter().enumerate() {
            program.extend_from_slice(&block.test.load);
            let [on_true, on_false] =
                [block.on_true, block.on_false].map(|target| self.address_of(self.rank_of(target)));
            if block.test.jump == JA {
                if self.rank_of(block.on_true) != place + 1 {
                    program.push(ja(on_true, program.len()));
                }
                continue;
            }
            let behind = program.len() + 1;
            let [detour_true, detour_false] = self.detours.get(place).copied().unwrap_or_default();
            let near = |address: usize| u8::try_from(address.saturating_sub(behind)).unwrap_or(u8::MAX);
            let jt = if detour_true { 0 } else { near(on_true) };
            let jf = if detour_false { u8::from(detour_true) } else { near(on_false) };
            program.push(Instruction { code: block.test.jump, jt, jf, k: block.test.k });
            if detour_true {
                program.push(ja(on_true, program.len()));
            }
            if detour_false {
                program.push(ja(on_false, program.len()));
            }
        }
        program.extend([Instruction::new(RET_K, ACCEPT), Instruction::new(RET_K, 0)]);
        program
    }

    fn rank_of(&self, target: Target) -> usize {
        self.rank.get(target).copied().unwrap_or_default()
    }

    fn address_of(&self, place: usize) -> usize {
        self.address.get(place).copied().unwrap_or_default()
    }
}

/// The unconditional jump that stands at `at` and leads to `address`.
fn ja(address: usize, at: usize) -> Instruction {
    Instruction::new(JA, u32::try_from(address.saturating_sub(at + 1)).unwrap_or(u32::MAX))
}

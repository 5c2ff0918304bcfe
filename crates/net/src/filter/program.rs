//! A compiled filter: classic BPF instructions, their interpreter, and the rules by which a kernel accepts them.
//!
//! Source: S. McCanne and V. Jacobson, "The BSD Packet Filter", USENIX Winter 1993, section 3; where that leaves
//! room (a load beyond the packet, a division by zero), what libpcap's `bpf_filter` does.

use std::fmt;

/// Most instructions of a program, the limit of Linux (`BPF_MAXINSNS`).
pub const MAX_INSTRUCTIONS: usize = 4096;
/// Words of scratch memory.
pub(super) const MEMORY_WORDS: usize = 16;
/// What an accepting program returns: the bytes to keep of the packet, libpcap's largest snapshot length.
pub(super) const ACCEPT: u32 = 262_144;

/// One instruction of classic BPF, laid out like the kernel's `struct sock_filter`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Instruction {
    /// What to do: class, size or operation, mode or source.
    pub code: u16,
    /// Instructions to skip when a conditional jump's test holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    /// Constant, offset into the packet, memory word or distance, by `code`.
    pub k: u32,
}

/// The operation codes, named as in McCanne and Jacobson's assembler.
pub(super) mod code {
    pub(crate) const LD_W: u16 = 0x20;
    pub(crate) const LD_H: u16 = 0x28;
    pub(crate) const LD_B: u16 = 0x30;
    pub(crate) const LD_IND_W: u16 = 0x40;
    pub(crate) const LD_IND_H: u16 = 0x48;
    pub(crate) const LD_IND_B: u16 = 0x50;
    pub(crate) const LD_IMM: u16 = 0x00;
    pub(crate) const LD_MEM: u16 = 0x60;
    pub(crate) const LD_LEN: u16 = 0x80;
    pub(crate) const LDX_IMM: u16 = 0x01;
    pub(crate) const LDX_MEM: u16 = 0x61;
    pub(crate) const LDX_LEN: u16 = 0x81;
    pub(crate) const LDX_MSH: u16 = 0xb1;
    pub(crate) const ST: u16 = 0x02;
    pub(crate) const STX: u16 = 0x03;
    pub(crate) const ADD_K: u16 = 0x04;
    pub(crate) const ADD_X: u16 = 0x0c;
    pub(crate) const SUB_K: u16 = 0x14;
    pub(crate) const SUB_X: u16 = 0x1c;
    pub(crate) const MUL_K: u16 = 0x24;
    pub(crate) const MUL_X: u16 = 0x2c;
    pub(crate) const DIV_K: u16 = 0x34;
    pub(crate) const DIV_X: u16 = 0x3c;
    pub(crate) const OR_K: u16 = 0x44;
    pub(crate) const OR_X: u16 = 0x4c;
    pub(crate) const AND_K: u16 = 0x54;
    pub(crate) const AND_X: u16 = 0x5c;
    pub(crate) const LSH_K: u16 = 0x64;
    pub(crate) const LSH_X: u16 = 0x6c;
    pub(crate) const RSH_K: u16 = 0x74;
    pub(crate) const RSH_X: u16 = 0x7c;
    pub(crate) const NEG: u16 = 0x84;
    pub(crate) const MOD_K: u16 = 0x94;
    pub(crate) const MOD_X: u16 = 0x9c;
    pub(crate) const XOR_K: u16 = 0xa4;
    pub(crate) const XOR_X: u16 = 0xac;
    pub(crate) const JA: u16 = 0x05;
    pub(crate) const JEQ_K: u16 = 0x15;
    pub(crate) const JEQ_X: u16 = 0x1d;
    pub(crate) const JGT_K: u16 = 0x25;
    pub(crate) const JGT_X: u16 = 0x2d;
    pub(crate) const JGE_K: u16 = 0x35;
    pub(crate) const JGE_X: u16 = 0x3d;
    pub(crate) const JSET_K: u16 = 0x45;
    pub(crate) const JSET_X: u16 = 0x4d;
    pub(crate) const RET_K: u16 = 0x06;
    pub(crate) const RET_A: u16 = 0x16;
    pub(crate) const TAX: u16 = 0x07;
    pub(crate) const TXA: u16 = 0x87;
}
use code::{
    ADD_K, ADD_X, AND_K, AND_X, DIV_K, DIV_X, JA, JEQ_K, JEQ_X, JGE_K, JGE_X, JGT_K, JGT_X, JSET_K, JSET_X,
    LD_B, LD_H, LD_IMM, LD_IND_B, LD_IND_H, LD_IND_W, LD_LEN, LD_MEM, LD_W, LDX_IMM, LDX_LEN, LDX_MEM,
    LDX_MSH, LSH_K, LSH_X, MOD_K, MOD_X, MUL_K, MUL_X, NEG, OR_K, OR_X, RET_A, RET_K, RSH_K, RSH_X, ST, STX,
    SUB_K, SUB_X, TAX, TXA, XOR_K, XOR_X,
};

impl Instruction {
    /// An instruction that is no conditional jump.
    pub(super) const fn new(code: u16, k: u32) -> Self {
        Self { code, jt: 0, jf: 0, k }
    }
}

/// A filter compiled for one link type. A packet matches when the program returns anything but 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    instructions: Vec<Instruction>,
}

/// Why a kernel would refuse a program, with the number of the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It has no instruction, or more than [`MAX_INSTRUCTIONS`].
    #[error("the program has {0} instructions; a kernel takes 1 to {MAX_INSTRUCTIONS}")]
    Length(usize),
    /// Its code is no operation.
    #[error("instruction {0} has an unknown code")]
    Code(usize),
    /// It jumps to behind the end.
    #[error("instruction {0} jumps out of the program")]
    Jump(usize),
    /// It uses a memory word that there is not.
    #[error("instruction {0} names a memory word above 15")]
    Memory(usize),
    /// It reads a memory word that was not written on every way there.
    #[error("instruction {0} reads memory before it is written")]
    Unwritten(usize),
    /// It divides by a constant 0 or shifts by 32 or more.
    #[error("instruction {0} has a constant that is not defined for it")]
    Constant(usize),
    /// The last instruction is no return.
    #[error("the program does not end with a return")]
    End,
}

impl Program {
    /// A program of these instructions, whatever they are: what is wrong with them only rejects packets.
    pub fn new(instructions: Vec<Instruction>) -> Self {
        Self { instructions }
    }

    /// The instructions, as a socket takes them.
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// Whether a packet matches: `data` is what was captured of it, `wire_bytes` what `len` is.
    ///
    /// A load beyond `data` and a division by zero reject the packet, whatever a negation around them says.
    #[inline]
    pub fn matches(&self, data: &[u8], wire_bytes: u32) -> bool {
        run(&self.instructions, data, wire_bytes) != 0
    }

    /// Whether a kernel would accept the program: the rules of Linux (`bpf_check_classic`, `check_load_and_stores`).
    ///
    /// # Errors
    /// The first flaw.
    pub fn check(&self) -> Result<(), Flaw> {
        let program = &self.instructions;
        if !(1..=MAX_INSTRUCTIONS).contains(&program.len()) {
            return Err(Flaw::Length(program.len()));
        }
        for (at, instruction) in program.iter().enumerate() {
            check_instruction(at, instruction, program.len())?;
        }
        match program.last() {
            Some(Instruction { code: RET_K | RET_A, .. }) => check_memory(program),
            _ => Err(Flaw::End),
        }
    }
}

fn check_instruction(at: usize, instruction: &Instruction, length: usize) -> Result<(), Flaw> {
    let left = length - at - 1;
    let Instruction { code, jt, jf, k } = *instruction;
    match code {
        LD_MEM | LDX_MEM | ST | STX if k as usize >= MEMORY_WORDS => Err(Flaw::Memory(at)),
        DIV_K | MOD_K if k == 0 => Err(Flaw::Constant(at)),
        LSH_K | RSH_K if k >= 32 => Err(Flaw::Constant(at)),
        JA if k as usize >= left => Err(Flaw::Jump(at)),
        JEQ_K | JEQ_X | JGT_K | JGT_X | JGE_K | JGE_X | JSET_K | JSET_X
            if usize::from(jt.max(jf)) >= left =>
        {
            Err(Flaw::Jump(at))
        }
        _ if MNEMONICS.iter().any(|known| known.0 == code) => Ok(()),
        _ => Err(Flaw::Code(at)),
    }
}

/// Every way to a read of memory leads through a write of it. Jumps go forward only, so one pass is enough.
fn check_memory(program: &[Instruction]) -> Result<(), Flaw> {
    let mut written_at = vec![u16::MAX; program.len() + 1];
    if let Some(entry) = written_at.first_mut() {
        *entry = 0;
    }
    let meet = |at: usize, written: u16, written_at: &mut Vec<u16>| {
        if let Some(target) = written_at.get_mut(at) {
            *target &= written;
        }
    };
    for (at, instruction) in program.iter().enumerate() {
        let written = written_at.get(at).copied().unwrap_or_default();
        let Instruction { code, jt, jf, k } = *instruction;
        match code {
            ST | STX => meet(at + 1, written | 1 << k, &mut written_at),
            LD_MEM | LDX_MEM if written & 1 << k == 0 => return Err(Flaw::Unwritten(at)),
            JA => meet(at + 1 + k as usize, written, &mut written_at),
            JEQ_K | JEQ_X | JGT_K | JGT_X | JGE_K | JGE_X | JSET_K | JSET_X => {
                meet(at + 1 + usize::from(jt), written, &mut written_at);
                meet(at + 1 + usize::from(jf), written, &mut written_at);
            }
            RET_K | RET_A => {}
            _ => meet(at + 1, written, &mut written_at),
        }
    }
    Ok(())
}

/// What the program returns. Every jump goes forward, so the loop ends after as many steps as there are instructions.
#[inline]
fn run(program: &[Instruction], data: &[u8], wire_bytes: u32) -> u32 {
    let (mut a, mut x) = (0u32, 0u32);
    let mut memory = [0u32; MEMORY_WORDS];
    let mut at = 0usize;
    while let Some(&Instruction { code, jt, jf, k }) = program.get(at) {
        at += 1;
        let jump = |holds: bool| usize::from(if holds { jt } else { jf });
        let loaded = match code {
            LD_W => word(data, k),
            LD_H => half(data, k),
            LD_B => byte(data, k),
            LD_IND_W => x.checked_add(k).and_then(|offset| word(data, offset)),
            LD_IND_H => x.checked_add(k).and_then(|offset| half(data, offset)),
            LD_IND_B => x.checked_add(k).and_then(|offset| byte(data, offset)),
            LD_IMM => Some(k),
            LD_LEN => Some(wire_bytes),
            LD_MEM => memory.get(k as usize).copied(),
            TXA => Some(x),
            ADD_K => Some(a.wrapping_add(k)),
            ADD_X => Some(a.wrapping_add(x)),
            SUB_K => Some(a.wrapping_sub(k)),
            SUB_X => Some(a.wrapping_sub(x)),
            MUL_K => Some(a.wrapping_mul(k)),
            MUL_X => Some(a.wrapping_mul(x)),
            DIV_K => a.checked_div(k),
            DIV_X => a.checked_div(x),
            MOD_K => a.checked_rem(k),
            MOD_X => a.checked_rem(x),
            AND_K => Some(a & k),
            AND_X => Some(a & x),
            OR_K => Some(a | k),
            OR_X => Some(a | x),
            XOR_K => Some(a ^ k),
            XOR_X => Some(a ^ x),
            LSH_K => Some(a.checked_shl(k).unwrap_or(0)),
            LSH_X => Some(a.checked_shl(x).unwrap_or(0)),
            RSH_K => Some(a.checked_shr(k).unwrap_or(0)),
            RSH_X => Some(a.checked_shr(x).unwrap_or(0)),
            NEG => Some(a.wrapping_neg()),
            RET_K => return k,
            RET_A => return a,
            _ => {
                match code {
                    JA => at += k as usize,
                    JEQ_K => at += jump(a == k),
                    JEQ_X => at += jump(a == x),
                    JGT_K => at += jump(a > k),
                    JGT_X => at += jump(a > x),
                    JGE_K => at += jump(a >= k),
                    JGE_X => at += jump(a >= x),
                    JSET_K => at += jump(a & k != 0),
                    JSET_X => at += jump(a & x != 0),
                    TAX => x = a,
                    LDX_IMM => x = k,
                    LDX_LEN => x = wire_bytes,
                    LDX_MEM => x = memory.get(k as usize).copied().unwrap_or(0),
                    LDX_MSH => match byte(data, k) {
                        Some(first) => x = (first & 0xf) << 2,
                        None => return 0,
                    },
                    ST | STX => {
                        if let Some(place) = memory.get_mut(k as usize) {
                            *place = if code == ST { a } else { x };
                        }
                    }
                    _ => return 0,
                }
                continue;
            }
        };
        match loaded {
            Some(value) => a = value,
            None => return 0,
        }
    }
    0
}

#[inline]
fn word(data: &[u8], offset: u32) -> Option<u32> {
    data.get(offset as usize..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

#[inline]
fn half(data: &[u8], offset: u32) -> Option<u32> {
    data.get(offset as usize..)?.first_chunk().map(|bytes| u32::from(u16::from_be_bytes(*bytes)))
}

#[inline]
fn byte(data: &[u8], offset: u32) -> Option<u32> {
    data.get(offset as usize).copied().map(u32::from)
}

/// How an instruction's operand is written.
#[derive(Clone, Copy)]
enum Operand {
    None,
    /// Hexadecimal.
    Bits,
    /// Decimal.
    Number,
    X,
    Packet,
    Indirect,
    Length,
    Memory,
    HeaderLength,
    Distance,
    Jump,
    JumpX,
}

/// Every operation there is, with its mnemonic.
const MNEMONICS: &[(u16, &str, Operand)] = &[
    (LD_W, "ld", Operand::Packet),
    (LD_H, "ldh", Operand::Packet),
    (LD_B, "ldb", Operand::Packet),
    (LD_IND_W, "ld", Operand::Indirect),
    (LD_IND_H, "ldh", Operand::Indirect),
    (LD_IND_B, "ldb", Operand::Indirect),
    (LD_IMM, "ld", Operand::Bits),
    (LD_LEN, "ld", Operand::Length),
    (LD_MEM, "ld", Operand::Memory),
    (LDX_IMM, "ldx", Operand::Bits),
    (LDX_LEN, "ldx", Operand::Length),
    (LDX_MEM, "ldx", Operand::Memory),
    (LDX_MSH, "ldxb", Operand::HeaderLength),
    (ST, "st", Operand::Memory),
    (STX, "stx", Operand::Memory),
    (ADD_K, "add", Operand::Number),
    (ADD_X, "add", Operand::X),
    (SUB_K, "sub", Operand::Number),
    (SUB_X, "sub", Operand::X),
    (MUL_K, "mul", Operand::Number),
    (MUL_X, "mul", Operand::X),
    (DIV_K, "div", Operand::Number),
    (DIV_X, "div", Operand::X),
    (MOD_K, "mod", Operand::Number),
    (MOD_X, "mod", Operand::X),
    (OR_K, "or", Operand::Bits),
    (OR_X, "or", Operand::X),
    (AND_K, "and", Operand::Bits),
    (AND_X, "and", Operand::X),
    (XOR_K, "xor", Operand::Bits),
    (XOR_X, "xor", Operand::X),
    (LSH_K, "lsh", Operand::Number),
    (LSH_X, "lsh", Operand::X),
    (RSH_K, "rsh", Operand::Number),
    (RSH_X, "rsh", Operand::X),
    (NEG, "neg", Operand::None),
    (JA, "ja", Operand::Distance),
    (JEQ_K, "jeq", Operand::Jump),
    (JEQ_X, "jeq", Operand::JumpX),
    (JGT_K, "jgt", Operand::Jump),
    (JGT_X, "jgt", Operand::JumpX),
    (JGE_K, "jge", Operand::Jump),
    (JGE_X, "jge", Operand::JumpX),
    (JSET_K, "jset", Operand::Jump),
    (JSET_X, "jset", Operand::JumpX),
    (RET_K, "ret", Operand::Number),
    (RET_A, "ret", Operand::None),
    (TAX, "tax", Operand::None),
    (TXA, "txa", Operand::None),
];

/// One line an instruction, in the format of `tcpdump -d`.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, instruction) in self.instructions.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write_line(f, at, instruction)?;
        }
        Ok(())
    }
}

fn write_line(f: &mut fmt::Formatter<'_>, at: usize, instruction: &Instruction) -> fmt::Result {
    let Instruction { code, jt, jf, k } = *instruction;
    let Some((_, name, operand)) = MNEMONICS.iter().find(|known| known.0 == code) else {
        return write!(f, "({at:03}) unimp    {code:#x}");
    };
    write!(f, "({at:03}) {name}")?;
    let (constant, jumps) = match operand {
        Operand::None => (String::new(), false),
        Operand::Bits => (format!("#{k:#x}"), false),
        Operand::Number => (format!("#{k}"), false),
        Operand::X => ("x".to_owned(), false),
        Operand::Packet => (format!("[{k}]"), false),
        Operand::Indirect => (format!("[x + {k}]"), false),
        Operand::Length => ("#pktlen".to_owned(), false),
        Operand::Memory => (format!("M[{k}]"), false),
        Operand::HeaderLength => (format!("4*([{k}]&0xf)"), false),
        Operand::Distance => (format!("{}", at + 1 + k as usize), false),
        Operand::Jump => (format!("#{k:#x}"), true),
        Operand::JumpX => ("x".to_owned(), true),
    };
    write!(f, "{:pad$} {constant}", "", pad = 8usize.saturating_sub(name.len()))?;
    if jumps {
        let pad = 16usize.saturating_sub(constant.len());
        write!(f, "{:pad$} jt {}\tjf {}", "", at + 1 + usize::from(jt), at + 1 + usize::from(jf))?;
    }
    Ok(())
}

//! Selects packets by an expression in libpcap's filter language, the same from a file and from an interface.
//!
//! The way of a filter: [`lexer`] and [`parser`] turn the text into an [`expression`], which knows no link type;
//! [`generate`] says for one link type which tests it means and in which order they are made, and [`assemble`]
//! lays these out as a [`Program`] of classic BPF, which a kernel can run as well as [`Program::matches`] does.
//!
//! The language is that of pcap-filter(7), libpcap 1.10, and so are its verdicts: a port belongs to the first
//! fragment only, IPv6 extension headers are not followed, `vlan`, `mpls`, `pppoes` and `geneve` move where
//! everything after them looks, and a look beyond the captured bytes rejects the packet. What differs is what
//! would make a verdict depend on the machine it is given on: names of hosts and networks are refused, and names
//! of ports and protocols come from a table of our own ([`names`]).

mod assemble;
mod condition;
mod expression;
mod generate;
mod headers;
mod lexer;
mod names;
mod parser;
mod program;
mod qualified;

use std::sync::Arc;

use crate::capture::LinkType;
use condition::Condition;
use expression::{Expression, Part};

pub use program::{Flaw, Instruction, MAX_INSTRUCTIONS, Program};

/// A filter expression, understood but not yet compiled for a link type. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    text: Arc<str>,
    /// `None` when the text is empty.
    expression: Option<Arc<Expression>>,
}

/// Why an expression cannot be used. Columns count characters from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The text is not in the language.
    #[error("the filter {text:?} cannot be read at column {column}: expected {expected}, found {found}")]
    Syntax {
        /// The whole expression.
        text: String,
        /// Where it went wrong.
        column: usize,
        /// What could stand there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// A part of it is in the language, but means nothing, or nothing that could be found out here.
    #[error("the filter's {part:?} at column {column} cannot be used: {why}")]
    Unusable {
        /// The part in question.
        part: String,
        /// Where it starts.
        column: usize,
        /// Why, and what to do instead.
        why: String,
    },
    /// A part of it means nothing in frames of this link type.
    #[error("the filter's {part:?} at column {column} cannot be used on frames of link type {link}: {why}")]
    Link {
        /// The part in question.
        part: String,
        /// Where it starts.
        column: usize,
        /// The link type.
        link: LinkType,
        /// Why, and what to do instead.
        why: String,
    },
    /// The program would be longer than a kernel takes.
    #[error(
        "the filter needs {instructions} instructions on frames of link type {link}, {MAX_INSTRUCTIONS} are allowed: split it"
    )]
    TooLong {
        /// What it would need.
        instructions: usize,
        /// The link type.
        link: LinkType,
    },
}

impl Filter {
    /// Reads an expression. An empty one matches every packet.
    ///
    /// # Errors
    /// The first place where the text leaves the language, or asks for what cannot be known here.
    pub fn compile(text: &str) -> Result<Self, FilterError> {
        let expression = parser::parse(text)?.map(Arc::new);
        Ok(Self { text: text.into(), expression })
    }

    /// The expression as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it matches every packet because it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.expression.is_none()
    }

    /// Compiles the expression for frames of one link type.
    ///
    /// # Errors
    /// The first part that means nothing on this link type; a program beyond [`MAX_INSTRUCTIONS`].
    pub fn program(&self, link: LinkType) -> Result<Program, FilterError> {
        let condition = match &self.expression {
            Some(expression) => generate::condition(expression, link),
            None => Ok(Condition::Always(true)),
        };
        let condition = condition.map_err(|(part, why)| self.refused(part, link, why))?;
        let instructions = assemble::assemble(&condition, generate::FIXED_WORDS);
        if instructions.len() > MAX_INSTRUCTIONS {
            return Err(FilterError::TooLong { instructions: instructions.len(), link });
        }
        Ok(Program::new(instructions))
    }

    fn refused(&self, part: Part, link: LinkType, why: String) -> FilterError {
        let (column, part) = (column(&self.text, part.start), excerpt(&self.text, part));
        FilterError::Link { part, column, link, why }
    }
}

fn unusable(text: &str, part: Part, why: String) -> FilterError {
    FilterError::Unusable { part: excerpt(text, part), column: column(text, part.start), why }
}

fn excerpt(text: &str, part: Part) -> String {
    text.get(part.start..part.end).unwrap_or_default().to_owned()
}

/// The number of the character at a byte of the text, from 1.
fn column(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).chars().count() + 1
}

/// A filter over a capture of any link types: compiled for each when its first frame comes.
#[derive(Clone, Debug)]
pub struct LinkPrograms {
    filter: Filter,
    programs: Vec<(LinkType, Program)>,
}

impl LinkPrograms {
    /// Nothing is compiled yet.
    pub fn new(filter: Filter) -> Self {
        Self { filter, programs: Vec::new() }
    }

    /// Whether a frame matches: see [`Program::matches`].
    ///
    /// # Errors
    /// As [`Filter::program`], at the first frame of a link type.
    #[inline]
    pub fn matches(&mut self, link: LinkType, data: &[u8], wire_bytes: u32) -> Result<bool, FilterError> {
        match self.programs.iter().find(|(known, _)| *known == link) {
            Some((_, program)) => Ok(program.matches(data, wire_bytes)),
            None => self.compile_for(link).map(|program| program.matches(data, wire_bytes)),
        }
    }

    #[cold]
    fn compile_for(&mut self, link: LinkType) -> Result<Program, FilterError> {
        let program = self.filter.program(link)?;
        self.programs.push((link, program.clone()));
        Ok(program)
    }
}

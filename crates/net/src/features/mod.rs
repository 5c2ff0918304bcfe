//! Turns an ended flow into a row: the table of feature sets, and what a column is.
//!
//! A feature set is a constant: a name, what it needs the flow table to remember, and its columns. Adding one touches
//! its own file and one line of [`FEATURE_SETS`]. Addresses, ports, times and ids are identity columns
//! ([`identity`]), the same for every set; they say which flow a row is and are no features. In particular
//! `destination_port` is identity: a model that may see it learns the port list of its training network.

/// A column of flows, given as its value for one flow, and for one index when it is a wide one. Each column becomes a
/// loop of its own over the flows, with the expression inside it: a call per value would cost more than most values.
macro_rules! column {
    ($kind:ident, $name:literal, $unit:literal, $doc:literal, |$flow:ident| $value:expr $(,)?) => {
        column!($kind * 1, $name, $unit, $doc, |$flow, _index| $value)
    };
    ($kind:ident * $width:expr, $name:literal, $unit:literal, $doc:literal, |$flow:ident, $index:ident| $value:expr $(,)?) => {
        $crate::features::Column {
            name: $name,
            unit: $unit,
            doc: $doc,
            kind: $crate::features::ColumnKind::$kind,
            width: $width,
            get: $crate::features::Get::Flows(|flows, $index, column| match column {
                $crate::features::RowColumn::$kind(values) => {
                    values.extend(flows.iter().map(|$flow| $value));
                }
                _ => debug_assert!(false, "{} in a column of another type", $name),
            }),
        }
    };
}

pub mod cic;
pub mod context;
pub mod core;
pub mod flow;
pub mod frames;
pub mod identity;
pub mod kitsune;
pub mod netml;
pub mod networkml;
pub mod nfstream;
pub mod nprint;
mod packet_identity;
mod range;
mod rows;
mod spec;
pub mod splt;

use std::collections::HashSet;
use std::sync::Arc;

use crate::NetError;
pub use crate::flow::Flow;
use crate::flow::FlowRules;
use crate::packet::Tunnels;
use context::Context;
pub use range::{Range, range};
pub use rows::{
    ColumnKind, ListColumn, RowColumn, RowField, RowKind, RowSchema, RowWriter, Rows, TextColumn,
};
pub use spec::SetSpec;
pub(crate) use spec::{Selection, select};

/// Every feature set by name. One set, one file, one line.
pub static FEATURE_SETS: &[&FeatureSet] = &[&flow::SET, &splt::SET, &context::SET, &nfstream::SET, &cic::SET];

/// A named group of columns that are computed together.
#[derive(Debug)]
pub struct FeatureSet {
    /// As given to `--features`.
    pub name: &'static str,
    /// One paragraph: what it is good for and where it comes from.
    pub doc: &'static str,
    /// What the flow table must keep for it.
    pub needs: Needs,
    /// What must end flows for its columns to mean what they say; `None` when any rules will do: such a set goes along
    /// with what another one asks for.
    pub rules: Option<FlowRules>,
    /// Its columns in their order.
    pub columns: &'static [Column],
}

/// One feature: its name, unit, definition and value.
#[derive(Debug)]
pub struct Column {
    /// `snake_case`, unit as suffix.
    pub name: &'static str,
    /// Unit of the value; `1` for ratios and indicators.
    pub unit: &'static str,
    /// Exact definition, value in the empty case, and source.
    pub doc: &'static str,
    /// Type of the value.
    pub kind: ColumnKind,
    /// 1 for a plain column; `N` for one that is written as `name_1` to `name_N`.
    pub width: usize,
    /// Where its values come from.
    pub get: Get,
}

/// What a column is computed from, and how. The values' type matches the column's `kind`.
#[derive(Clone, Copy, Debug)]
pub enum Get {
    /// Each flow alone: appends one value per flow, those at an index below the column's `width`.
    Flows(fn(&[Flow<'_>], usize, &mut RowColumn)),
    /// The rows before it, where rows are in their order.
    Context(fn(&Context) -> Value),
}

/// The value of one feature of one context.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// For [`ColumnKind::F64`].
    F64(f64),
    /// For [`ColumnKind::I64`].
    I64(i64),
    /// For [`ColumnKind::U64`].
    U64(u64),
}

/// What the flow table must remember beyond identity and plain counters. What no set needs is not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs(u8);

impl Needs {
    /// Identity, packets and bytes: always kept.
    pub const CORE: Needs = Needs(0);
    /// Sizes, times, flags and bursts of both directions ([`crate::flow::Stats`]).
    pub const STATS: Needs = Needs(1);
    /// The first packets with payload ([`crate::flow::Splt`]).
    pub const SPLT: Needs = Needs(2);
    /// Transport headers and bulks ([`crate::flow::Cic`]).
    pub const CIC: Needs = Needs(16);
    /// The flows of the same hosts that left before ([`Context`]); kept beside the flow table, not in it.
    pub const CONTEXT: Needs = Needs(4);
    /// Frames and milliseconds of both directions ([`crate::flow::Wire`]).
    pub const WIRE: Needs = Needs(8);

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Needs) -> Needs {
        Needs(self.0 | other.0)
    }

    /// Whether everything in `other` is kept.
    pub const fn has(self, other: Needs) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What ends flows when these sets are asked for: what the first that cares says, else what is configured. So far no two
/// sets care for different rules.
pub(crate) fn rules(sets: &[&'static FeatureSet], configured: FlowRules) -> FlowRules {
    sets.iter().find_map(|set| set.rules).unwrap_or(configured)
}

/// The columns of flow rows with these sets: identity first, then the sets in their order. Where two sets have a column
/// of one name, that of the later bears its set's name as well: `nfstream_splt_direction_1` behind `splt`.
///
/// # Errors
/// A set that is named twice.
pub fn row_schema(sets: &[&'static FeatureSet]) -> Result<Arc<RowSchema>, NetError> {
    let mut fields: Vec<RowField> = identity::fields();
    let mut names: HashSet<String> = fields.iter().map(|field| field.name.clone()).collect();
    for (place, set) in sets.iter().enumerate() {
        if sets.iter().take(place).any(|earlier| earlier.name == set.name) {
            return Err(NetError::DuplicateSet { name: set.name });
        }
        for mut field in set.columns.iter().flat_map(column_fields) {
            if names.contains(&field.name) {
                field.name = format!("{}_{}", set.name, field.name);
            }
            if !names.insert(field.name.clone()) {
                return Err(NetError::DuplicateColumn { name: field.name });
            }
            fields.push(field);
        }
    }
    Ok(Arc::new(RowSchema { kind: RowKind::Flow, fields }))
}

fn column_fields(column: &'static Column) -> impl Iterator<Item = RowField> {
    (1..=column.width).map(move |index| RowField {
        name: if column.width == 1 { column.name.to_owned() } else { format!("{}_{index}", column.name) },
        unit: column.unit,
        doc: column.doc,
        identity: false,
        kind: column.kind,
    })
}

/// Appends flows to `rows`, column by column: identity but for the tunnel, then the columns of `sets` but for those
/// that need the context.
pub(crate) fn push_rows(rows: &mut Rows, sets: &[&'static FeatureSet], flows: &[Flow<'_>]) {
    let mut columns = rows.columns.iter_mut();
    identity::push(&mut columns, flows);
    for column in sets.iter().flat_map(|set| set.columns) {
        for index in 0..column.width {
            if let (Some(target), Get::Flows(get)) = (columns.next(), column.get) {
                get(flows, index, target);
            }
        }
    }
    rows.len += flows.len();
}

/// Appends the tunnel of a row that [`push_rows`] left out.
pub(crate) fn push_tunnel(rows: &mut Rows, tunnel: u32, tunnels: &Tunnels) {
    identity::push_tunnel(&mut rows.columns, tunnel, tunnels);
}

/// Appends the context of a row: the other columns that [`push_rows`] left out.
pub(crate) fn push_context(rows: &mut Rows, sets: &[&'static FeatureSet], context: &Context) {
    let columns =
        sets.iter().flat_map(|set| set.columns).flat_map(|column| std::iter::repeat_n(column, column.width));
    for (target, column) in rows.columns.iter_mut().skip(identity::COLUMNS).zip(columns) {
        if let Get::Context(get) = column.get {
            push_value(target, get(context));
        }
    }
}

fn push_value(target: &mut RowColumn, value: Value) {
    match (target, value) {
        (RowColumn::F64(column), Value::F64(value)) => column.push(value),
        (RowColumn::I64(column), Value::I64(value)) => column.push(value),
        (RowColumn::U64(column), Value::U64(value)) => column.push(value),
        (target, value) => debug_assert!(false, "{value:?} in a column of {:?}", target.kind()),
    }
}

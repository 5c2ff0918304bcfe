//! Column names as neighbouring tools have them, for tables that go on into scripts written for those tools. Only columns
//! that mean the same, in the same unit, have another name; the others keep theirs.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

/// Whose names columns have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Naming {
    /// This program's.
    #[default]
    Cormorant,
    /// Those of Zeek's `conn.log`.
    Zeek,
    /// Those of NFStream's flows.
    Nfstream,
}

/// Ours, Zeek's, NFStream's; empty where there is none of the same meaning and unit. Zeek's `orig_bytes` follows sequence
/// numbers and NFStream's byte counters include the link layer, so neither is here.
const ALIASES: &[(&str, &str, &str)] = &[
    ("source", "id.orig_h", "src_ip"),
    ("source_port", "id.orig_p", "src_port"),
    ("destination", "id.resp_h", "dst_ip"),
    ("destination_port", "id.resp_p", "dst_port"),
    ("vlan", "vlan", "vlan_id"),
    ("duration_s", "duration", ""),
    ("packets", "", "bidirectional_packets"),
    ("fwd_packets", "orig_pkts", "src2dst_packets"),
    ("bwd_packets", "resp_pkts", "dst2src_packets"),
    ("fwd_bytes", "orig_ip_bytes", ""),
    ("bwd_bytes", "resp_ip_bytes", ""),
];

impl Naming {
    /// Every naming.
    pub const ALL: [Naming; 3] = [Naming::Cormorant, Naming::Zeek, Naming::Nfstream];

    /// As typed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Naming::Cormorant => "cormorant",
            Naming::Zeek => "zeek",
            Naming::Nfstream => "nfstream",
        }
    }

    fn of(self, name: &str) -> &str {
        let Some((_, zeek, nfstream)) = ALIASES.iter().find(|(ours, ..)| *ours == name) else { return name };
        let alias = match self {
            Naming::Cormorant => "",
            Naming::Zeek => zeek,
            Naming::Nfstream => nfstream,
        };
        if alias.is_empty() { name } else { alias }
    }

    /// The schema with these names. A name that another column has already is not given.
    pub(crate) fn rename(self, schema: &SchemaRef) -> SchemaRef {
        if self == Naming::Cormorant {
            return Arc::clone(schema);
        }
        let one = |field: &Arc<Field>| {
            let alias = self.of(field.name());
            match schema.column_with_name(alias) {
                Some(_) => field.as_ref().clone(),
                None => field.as_ref().clone().with_name(alias),
            }
        };
        let fields: Vec<Field> = schema.fields().iter().map(one).collect();
        Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::*;

    fn names(naming: Naming, names: &[&str]) -> Vec<String> {
        let fields: Vec<_> = names.iter().map(|name| Field::new(*name, DataType::UInt64, true)).collect();
        let renamed = naming.rename(&Arc::new(Schema::new(fields)));
        renamed.fields().iter().map(|field| field.name().clone()).collect()
    }

    #[test]
    fn only_columns_of_the_same_meaning_are_renamed() {
        let ours = ["source", "packets", "fwd_packets", "bytes"];
        assert_eq!(names(Naming::Cormorant, &ours), ours);
        assert_eq!(names(Naming::Zeek, &ours), ["id.orig_h", "packets", "orig_pkts", "bytes"]);
        assert_eq!(
            names(Naming::Nfstream, &ours),
            ["src_ip", "bidirectional_packets", "src2dst_packets", "bytes"]
        );
    }

    #[test]
    fn no_name_is_given_twice() {
        assert_eq!(
            names(Naming::Nfstream, &["packets", "bidirectional_packets"]),
            ["packets", "bidirectional_packets"]
        );
    }
}

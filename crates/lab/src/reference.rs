//! The reference page of feature sets (`docs/features.md`), made from the tables that the program itself works with, so
//! that it cannot say anything else than the code does.

use std::fmt::Write;

use crate::catalogue::{Catalogue, Column, FeatureSet};

/// Every feature set with its options and the definition of every column, as Markdown.
#[must_use]
pub fn features_page(catalogue: &Catalogue) -> String {
    let mut page = String::from(OPENING);
    for set in &catalogue.features {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| [`{0}`](#{0}) | {1} | {2} |", set.name, set.row, columns_of(set));
    }
    let mut shown: Vec<&[Column]> = Vec::new();
    for set in &catalogue.features {
        let first = !shown.contains(&set.identity.as_slice());
        shown.push(&set.identity);
        set_section(&mut page, set, first);
    }
    page
}

const OPENING: &str = "\
# Feature sets

Made by `cormorant list features --markdown`; a test compares it with the code. Every table begins with identity columns, which
say what a row is and are never features. Undefined values are null (NaN).

| set | a row is a | feature columns |
|---|---|--:|
";

fn columns_of(set: &FeatureSet) -> String {
    match set.columns.is_empty() {
        true => "by capture".to_owned(),
        false => set.features.to_string(),
    }
}

fn set_section(page: &mut String, set: &FeatureSet, with_identity: bool) {
    let _ = writeln!(page, "\n## {}\n\n{}", set.name, escaped(set.doc));
    if !set.options.is_empty() {
        let _ = writeln!(page, "\n| option | what it does |\n|---|---|");
    }
    for option in &set.options {
        let _ = writeln!(page, "| `{}` | {} |", option.example, escaped(option.doc));
    }
    table(page, "column", &set.columns);
    if with_identity {
        table(page, "identity column", &set.identity);
    }
}

fn table(page: &mut String, title: &str, columns: &[Column]) {
    if columns.is_empty() {
        return;
    }
    let _ = writeln!(page, "\n| {title} | type | unit | definition |\n|---|---|---|---|");
    for column in columns {
        let definition = escaped(column.doc);
        let _ = writeln!(page, "| `{}` | {} | {} | {definition} |", column.name, column.kind, column.unit);
    }
}

/// Text that cannot end a table's cell or begin markup.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('*', "\\*").replace('_', "\\_").replace('\n', " ")
}

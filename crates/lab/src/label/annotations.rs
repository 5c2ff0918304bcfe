//! Annotations in SecuML's form: `instance_id,label,family`, with label 0 for benign and 1 for malicious, or the words.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use cormorant_learn::query::Annotation;

use crate::LabError;
use crate::output::write_whole;
use crate::tables::read::cannot_read;

const HEADER: [&str; 3] = ["instance_id", "label", "family"];

/// Reads annotations; `rows` says which row has which id.
///
/// # Errors
/// [`LabError::Table`] naming the line of a label that is none, or of an id that no row has.
pub(crate) fn read(path: &Path, rows: &HashMap<String, u32>) -> Result<BTreeMap<u32, Annotation>, LabError> {
    let text = std::fs::read_to_string(path).map_err(|source| cannot_read(path, source))?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let wrong = |line: usize, expected: &str, found: &str| LabError::Table {
        place: format!("{}, line {line}", path.display()),
        expected: expected.to_owned(),
        found: format!("`{}`", crate::plain::plain(found)),
        advice: "SecuML's form is instance_id,label,family".to_owned(),
    };
    let header: Vec<String> = reader
        .headers()
        .map(|header| header.iter().map(|name| name.trim().to_owned()).collect())
        .unwrap_or_default();
    if header.len() < 2 || header.iter().zip(HEADER).any(|(found, expected)| found != expected) {
        return Err(wrong(1, "the header instance_id,label or instance_id,label,family", &header.join(",")));
    }
    let mut annotations = BTreeMap::new();
    for (place, record) in reader.records().enumerate() {
        let line = place + 2;
        let record = record.map_err(|error| wrong(line, "a line of CSV", &error.to_string()))?;
        let cell = |place: usize| record.get(place).unwrap_or("").trim();
        let malicious = match cell(1) {
            "1" | "malicious" => true,
            "0" | "benign" => false,
            other => return Err(wrong(line, "a label: 0, 1, benign or malicious", other)),
        };
        let row = rows.get(cell(0)).ok_or_else(|| wrong(line, "the id of a row of the table", cell(0)))?;
        annotations.insert(*row, Annotation::new(malicious, cell(2)));
    }
    Ok(annotations)
}

/// Writes annotations; `ids` has the id of each row.
///
/// # Errors
/// [`LabError::Write`].
pub(crate) fn write(path: &Path, labels: &BTreeMap<u32, Annotation>, ids: &[String]) -> Result<(), LabError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut lines = vec![HEADER.map(str::to_owned)];
    lines.extend(labels.iter().map(|(&row, one)| {
        [ids[row as usize].clone(), u8::from(one.malicious).to_string(), one.family.clone()]
    }));
    for line in lines {
        writer.write_record(&line).map_err(|error| LabError::Internal(error.to_string()))?;
    }
    let bytes = writer.into_inner().map_err(|error| LabError::Internal(error.to_string()))?;
    write_whole(path, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_read_as_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("annotations.csv");
        let ids: Vec<String> = ["7", "x,y", "9"].map(str::to_owned).to_vec();
        let rows: HashMap<String, u32> = ids.iter().cloned().zip(0..).collect();
        let labels = BTreeMap::from([(0, Annotation::new(true, "scan")), (1, Annotation::new(false, ""))]);
        write(&path, &labels, &ids).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "instance_id,label,family\n7,1,scan\n\"x,y\",0,other\n"
        );
        assert_eq!(read(&path, &rows).unwrap(), labels);
        std::fs::write(&path, "instance_id,label\n9,malicious\n").unwrap();
        assert_eq!(read(&path, &rows).unwrap()[&2], Annotation::new(true, "other"));
        for (text, what) in [
            ("instance_id,label\n9,2\n", "line 2"),
            ("instance_id,label\n5,1\n", "the id"),
            ("a,b\n", "header"),
        ] {
            std::fs::write(&path, text).unwrap();
            let message = read(&path, &rows).unwrap_err().to_string();
            assert!(message.contains(what), "{message}");
        }
    }
}

//! The container of a `.corm` model file: magic, version, a table of checksummed sections. `docs/corm.md` draws it byte by byte.
//!
//! It holds data, never code. Every length is checked against the bytes at hand before anything is read or allocated.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::LearnError;

/// The first four bytes.
pub const MAGIC: [u8; 4] = *b"CORM";
/// The version written; every version up to it opens.
pub const VERSION: u16 = 1;
/// No file has more sections.
pub const MOST_SECTIONS: usize = 16;
/// No section is longer than this, in bytes.
pub const LONGEST_SECTION_BYTES: u64 = 1 << 30;

const PREFIX: usize = 8;
const ENTRY: usize = 16;
const CHECKSUM: usize = 4;

/// Four ASCII letters that name a section.
pub type Tag = [u8; 4];

/// Writes sections in the order given.
///
/// # Errors
/// [`LearnError::File`] when there are too many or one is too long.
pub fn write(sections: &[(Tag, Vec<u8>)]) -> Result<Vec<u8>, LearnError> {
    if sections.len() > MOST_SECTIONS {
        return Err(refusal(format!("{} sections, at most {MOST_SECTIONS} fit", sections.len())));
    }
    let mut file = Vec::new();
    file.extend_from_slice(&MAGIC);
    file.extend_from_slice(&VERSION.to_le_bytes());
    file.extend_from_slice(&(sections.len() as u16).to_le_bytes());
    for (tag, body) in sections {
        if body.len() as u64 > LONGEST_SECTION_BYTES {
            return Err(refusal(format!(
                "section {} has {} bytes, at most {LONGEST_SECTION_BYTES} fit",
                name(*tag),
                body.len()
            )));
        }
        file.extend_from_slice(tag);
        file.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
        file.extend_from_slice(&(body.len() as u64).to_le_bytes());
    }
    let checksum = crc32fast::hash(&file);
    file.extend_from_slice(&checksum.to_le_bytes());
    sections.iter().for_each(|(_, body)| file.extend_from_slice(body));
    Ok(file)
}

/// The sections of a file, checked; nothing is copied.
///
/// # Errors
/// [`LearnError::File`] saying what was expected, what was found and at which offset.
pub fn read(file: &[u8]) -> Result<Vec<(Tag, &[u8])>, LearnError> {
    let count = read_prefix(file)?;
    let table_end = PREFIX + count * ENTRY;
    let stored =
        array(file, table_end).map(u32::from_le_bytes).ok_or_else(|| cut(file, table_end + CHECKSUM))?;
    let table = file.get(..table_end).ok_or_else(|| cut(file, table_end))?;
    let found = crc32fast::hash(table);
    if stored != found {
        return Err(refusal(format!(
            "the section table is damaged: checksum {stored:08x} stored, {found:08x} found"
        )));
    }
    let mut sections = Vec::with_capacity(count);
    let mut start = table_end + CHECKSUM;
    for place in 0..count {
        let (tag, body) = read_section(file, PREFIX + place * ENTRY, start)?;
        start += body.len();
        sections.push((tag, body));
    }
    if start != file.len() {
        return Err(refusal(format!(
            "{} bytes after the last section, which ends at offset {start}",
            file.len() - start
        )));
    }
    Ok(sections)
}

/// The number of sections.
fn read_prefix(file: &[u8]) -> Result<usize, LearnError> {
    let magic: [u8; 4] = array(file, 0).ok_or_else(|| cut(file, PREFIX))?;
    if magic != MAGIC {
        return Err(refusal(format!(
            "expected `CORM` at offset 0, found `{}`; is this a file of `cormorant train`?",
            name(magic)
        )));
    }
    let version = array(file, 4).map(u16::from_le_bytes).ok_or_else(|| cut(file, PREFIX))?;
    if version == 0 || version > VERSION {
        return Err(refusal(format!(
            "format version {version}, this program reads 1 to {VERSION}; use a newer program or train the model again"
        )));
    }
    let count = array(file, 6).map(u16::from_le_bytes).ok_or_else(|| cut(file, PREFIX))?;
    if usize::from(count) > MOST_SECTIONS {
        return Err(refusal(format!("{count} sections at offset 6, at most {MOST_SECTIONS} are allowed")));
    }
    Ok(count.into())
}

fn read_section(file: &[u8], entry: usize, start: usize) -> Result<(Tag, &[u8]), LearnError> {
    let tag: Tag = array(file, entry).ok_or_else(|| cut(file, entry + ENTRY))?;
    let stored = array(file, entry + 4).map(u32::from_le_bytes).ok_or_else(|| cut(file, entry + ENTRY))?;
    let length = array(file, entry + 8).map(u64::from_le_bytes).ok_or_else(|| cut(file, entry + ENTRY))?;
    if length > LONGEST_SECTION_BYTES {
        return Err(refusal(format!(
            "section {} claims {length} bytes, at most {LONGEST_SECTION_BYTES} are allowed",
            name(tag)
        )));
    }
    let end = start + length as usize;
    let body = file.get(start..end).ok_or_else(|| cut(file, end))?;
    let found = crc32fast::hash(body);
    if stored != found {
        return Err(refusal(format!(
            "section {} at offset {start} is damaged: checksum {stored:08x} stored, {found:08x} found",
            name(tag)
        )));
    }
    Ok((tag, body))
}

fn array<const N: usize>(file: &[u8], offset: usize) -> Option<[u8; N]> {
    file.get(offset..offset + N)?.try_into().ok()
}

fn cut(file: &[u8], needed: usize) -> LearnError {
    refusal(format!("cut short: {} bytes, at least {needed} expected", file.len()))
}

fn refusal(message: String) -> LearnError {
    LearnError::File(message)
}

/// A tag as text, whatever its bytes.
pub(crate) fn name(tag: Tag) -> String {
    tag.escape_ascii().to_string()
}

/// A value as named MessagePack maps.
///
/// # Errors
/// [`LearnError::File`] naming `what`.
pub fn pack<T: Serialize>(what: &str, value: &T) -> Result<Vec<u8>, LearnError> {
    rmp_serde::to_vec_named(value).map_err(|error| refusal(format!("{what} cannot be written: {error}")))
}

/// A value from named MessagePack maps, with nothing after it. Lengths in the bytes are never trusted for allocation.
///
/// # Errors
/// [`LearnError::File`] naming `what`.
pub fn unpack<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, LearnError> {
    let mut reader = rmp_serde::Deserializer::new(bytes);
    let value =
        T::deserialize(&mut reader).map_err(|error| refusal(format!("{what} cannot be read: {error}")))?;
    let rest = reader.into_inner().len();
    if rest > 0 { Err(refusal(format!("{what} has {rest} bytes too many"))) } else { Ok(value) }
}

/// Serde form of a byte string (MessagePack `bin` rather than an array of numbers).
pub(crate) mod bytes {
    use serde::de::{Deserializer, Error, Visitor};
    use serde::ser::Serializer;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a byte string")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        write(&[(*b"HEAD", b"{}".to_vec()), (*b"MODL", vec![1, 2, 3])]).unwrap()
    }

    #[test]
    fn what_was_written_is_read() {
        let file = file();
        assert_eq!(read(&file).unwrap(), vec![(*b"HEAD", &b"{}"[..]), (*b"MODL", &[1, 2, 3][..])]);
        assert_eq!(file.len(), 8 + 2 * 16 + 4 + 5);
    }

    #[test]
    fn every_single_byte_change_and_every_cut_is_refused() {
        let file = file();
        for offset in 0..file.len() {
            for bit in 0..8 {
                let mut changed = file.clone();
                changed[offset] ^= 1 << bit;
                assert!(read(&changed).is_err(), "bit {bit} of byte {offset}");
            }
            assert!(read(&file[..offset]).is_err(), "cut at {offset}");
        }
        let longer = [file, vec![0]].concat();
        assert!(read(&longer).unwrap_err().to_string().contains("1 bytes after the last section"));
    }

    #[test]
    fn lying_lengths_are_refused_before_anything_is_read() {
        let mut file = file();
        file[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
        let table_end = 8 + 2 * 16;
        let checksum = crc32fast::hash(&file[..table_end]);
        file[table_end..table_end + 4].copy_from_slice(&checksum.to_le_bytes());
        assert!(read(&file).unwrap_err().to_string().contains("claims 18446744073709551615 bytes"));
    }

    #[test]
    fn other_files_and_later_versions_are_refused_with_advice() {
        assert!(read(b"PK\x03\x04 a zip file").unwrap_err().to_string().contains("cormorant train"));
        let mut later = file();
        later[4] = 9;
        assert!(read(&later).unwrap_err().to_string().contains("format version 9"));
    }
}

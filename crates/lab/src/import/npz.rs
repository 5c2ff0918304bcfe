//! Sparse matrices as `scipy.sparse.save_npz` writes them: a zip of NumPy arrays, in compressed rows (csr), compressed columns (csc)
//! or coordinates (coo). Read whole, checked, and shown to the rest of the import as lines of text with every zero in place.

use std::io::{self, Cursor, Read, Seek};
use std::sync::Arc;

use zip::ZipArchive;

use super::Input;
use super::columns::Fault;
use crate::LabError;

/// A NumPy array's header is short; a longer one is not believed.
const LONGEST_HEADER_BYTES: usize = 64 << 10;

/// A sparse matrix in compressed rows; equal places were added up, as scipy has it.
pub(super) struct Sparse {
    /// Number of columns.
    pub(super) columns: usize,
    /// Per row its columns, ascending, and their values.
    rows: Vec<Vec<(u32, f64)>>,
}

/// Whether these are the first bytes of a zip archive.
pub(super) fn is_zip(start: &[u8]) -> bool {
    start.starts_with(b"PK\x03\x04")
}

impl Sparse {
    /// Reads an archive that takes at most `most_bytes` when it is unpacked.
    ///
    /// # Errors
    /// [`LabError::Table`] saying what is wrong with it.
    pub(super) fn read(input: &Input, most_bytes: u64) -> Result<Self, LabError> {
        let mut bytes = Vec::new();
        let name = &input.name;
        let broken = |error: io::Error| {
            Fault::new("a matrix of scipy", &error.to_string()).advise(ADVICE).at(name.clone())
        };
        input.open()?.take(most_bytes + 1).read_to_end(&mut bytes).map_err(broken)?;
        if bytes.len() as u64 > most_bytes {
            let fault = Fault::new(format!("at most {most_bytes} bytes"), "more").advise("raise --mem");
            return Err(fault.at(name.clone()));
        }
        Self::parse(&bytes, most_bytes).map_err(|fault| fault.at(name.clone()))
    }

    fn parse(bytes: &[u8], most_bytes: u64) -> Result<Self, Fault> {
        let mut archive = Archive::open(Cursor::new(bytes), most_bytes)?;
        let format = archive.text("format")?;
        let shape = archive.whole("shape")?;
        let [rows, columns] = shape[..] else {
            return Err(wrong("a shape of two numbers", &format!("{shape:?}")));
        };
        let data = archive.numbers("data")?;
        let places = match format.as_str() {
            "csr" => archive.compressed(rows, data.len())?,
            "csc" => archive
                .compressed(columns, data.len())?
                .into_iter()
                .map(|(major, minor)| (minor, major))
                .collect(),
            "coo" => archive.whole("row")?.into_iter().zip(archive.whole("col")?).collect::<Vec<_>>(),
            other => return Err(wrong("the format csr, csc or coo", other)),
        };
        if places.len() != data.len() {
            return Err(wrong("a place for each value", &format!("{} for {}", places.len(), data.len())));
        }
        // An empty row costs memory too, and the shape is only a claim.
        if rows > most_bytes / size_of::<Vec<(u32, f64)>>() as u64 || columns > u64::from(u32::MAX) {
            return Err(wrong("a shape that fits into memory", &format!("{rows} x {columns}")));
        }
        let mut matrix = Self { columns: columns as usize, rows: vec![Vec::new(); rows as usize] };
        for ((row, column), value) in places.into_iter().zip(data) {
            let cells = matrix.rows.get_mut(row as usize).filter(|_| column < columns);
            cells
                .ok_or_else(|| wrong("places within the shape", &format!("{row}, {column}")))?
                .push((column as u32, value));
        }
        matrix.rows.iter_mut().for_each(add_up);
        Ok(matrix)
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
}

/// Sorts the cells of a row and adds up those of one place.
fn add_up(cells: &mut Vec<(u32, f64)>) {
    cells.sort_by_key(|(column, _)| *column);
    cells.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        kept.1 += if same { next.1 } else { 0.0 };
        same
    });
}

/// The arrays of an archive.
struct Archive<R> {
    zip: ZipArchive<R>,
    /// Bytes that may still be unpacked.
    left: u64,
}

/// An array as it lies in the file.
struct Array {
    kind: String,
    items: u64,
    bytes: Vec<u8>,
}

impl<R: Read + Seek> Archive<R> {
    fn open(file: R, most_bytes: u64) -> Result<Self, Fault> {
        let zip = ZipArchive::new(file).map_err(|error| wrong("a zip archive", &error.to_string()))?;
        Ok(Self { zip, left: most_bytes })
    }

    fn array(&mut self, name: &str) -> Result<Array, Fault> {
        let broken = |error: String| wrong(&format!("an array called {name}"), &error);
        let member = self.zip.by_name(&format!("{name}.npy")).map_err(|error| broken(error.to_string()))?;
        let mut bytes = Vec::new();
        member.take(self.left + 1).read_to_end(&mut bytes).map_err(|error| broken(error.to_string()))?;
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| broken("more than fits into memory".to_owned()))?;
        array(bytes).ok_or_else(|| broken("something else".to_owned()))
    }

    /// An array of numbers of any type.
    fn numbers(&mut self, name: &str) -> Result<Vec<f64>, Fault> {
        let array = self.array(name)?;
        let found = array.numbers().ok_or_else(|| wrong(&format!("numbers in {name}"), &array.kind))?;
        if let Some(value) = found.iter().find(|value| !value.is_finite()) {
            return Err(wrong(&format!("finite numbers in {name}"), &value.to_string()));
        }
        Ok(found)
    }

    /// An array of whole numbers from 0.
    fn whole(&mut self, name: &str) -> Result<Vec<u64>, Fault> {
        let whole =
            |value: f64| (value >= 0.0 && value.fract() == 0.0 && value < 9e15).then_some(value as u64);
        let refuse = |value: f64| wrong(&format!("whole numbers from 0 in {name}"), &value.to_string());
        self.numbers(name)?.into_iter().map(|value| whole(value).ok_or_else(|| refuse(value))).collect()
    }

    /// A word: bytes or UTF-32 of any length.
    fn text(&mut self, name: &str) -> Result<String, Fault> {
        let array = self.array(name)?;
        let wide = array.kind.contains('U');
        let letters = array.bytes.iter().filter(|byte| **byte != 0).map(|byte| char::from(*byte));
        let text: String = letters.take(16).collect();
        if !wide && !array.kind.contains('S') {
            Err(wrong(&format!("text in {name}"), &array.kind))
        } else {
            Ok(text)
        }
    }

    /// The places of compressed rows or columns: for each value the number of its row, and its own.
    fn compressed(&mut self, majors: u64, values: usize) -> Result<Vec<(u64, u64)>, Fault> {
        let (starts, minors) = (self.whole("indptr")?, self.whole("indices")?);
        let sound = starts.len() as u64 == majors.saturating_add(1)
            && starts.first() == Some(&0)
            && starts.is_sorted()
            && starts.last() == Some(&(values as u64))
            && minors.len() == values;
        if !sound {
            return Err(wrong(
                "indptr that rises from 0 to the number of values",
                &format!("{} entries", starts.len()),
            ));
        }
        let of = |(major, ends): (usize, &[u64])| {
            let minors = &minors[ends[0] as usize..ends[1] as usize];
            minors.iter().map(move |&minor| (major as u64, minor)).collect::<Vec<_>>()
        };
        Ok(starts.windows(2).enumerate().flat_map(of).collect())
    }
}

impl Array {
    fn numbers(&self) -> Option<Vec<f64>> {
        fn each<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
            bytes.as_chunks::<N>().0.iter().map(|item| read(*item)).collect()
        }
        let bytes = &self.bytes;
        let found = match self.kind.as_str() {
            "|b1" | "|u1" => each::<1>(bytes, |item| f64::from(item[0])),
            "|i1" => each::<1>(bytes, |item| f64::from(item[0].cast_signed())),
            "<u2" => each(bytes, |item| f64::from(u16::from_le_bytes(item))),
            "<i2" => each(bytes, |item| f64::from(i16::from_le_bytes(item))),
            "<u4" => each(bytes, |item| f64::from(u32::from_le_bytes(item))),
            "<i4" => each(bytes, |item| f64::from(i32::from_le_bytes(item))),
            "<u8" => each(bytes, |item| u64::from_le_bytes(item) as f64),
            "<i8" => each(bytes, |item| i64::from_le_bytes(item) as f64),
            "<f4" => each(bytes, |item| f64::from(f32::from_le_bytes(item))),
            "<f8" => each(bytes, f64::from_le_bytes),
            _ => return None,
        };
        (found.len() as u64 == self.items).then_some(found)
    }
}

/// The form of NumPy's files, version 1 to 3: magic, version, length of a header that is a Python dictionary, the items.
fn array(bytes: Vec<u8>) -> Option<Array> {
    let (start, rest) = bytes.split_at_checked(8)?;
    let (length, rest) = match start {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _] => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        }
        [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _] => {
            let (length, rest) = rest.split_first_chunk::<4>()?;
            (u32::from_le_bytes(*length) as usize, rest)
        }
        _ => return None,
    };
    let (header, items) = rest.split_at_checked(length).filter(|_| length <= LONGEST_HEADER_BYTES)?;
    let header = str::from_utf8(header).ok()?;
    let value = |name: &str| header.split_once(&format!("'{name}':")).map(|(_, rest)| rest.trim_start());
    let kind = value("descr")?.strip_prefix('\'')?.split('\'').next()?.to_owned();
    let shape = value("shape")?.strip_prefix('(')?.split(')').next()?;
    let lengths = shape.split(',').map(str::trim).filter(|length| !length.is_empty());
    let items_claimed = lengths
        .map(|length| length.parse::<u64>().ok())
        .try_fold(1u64, |all, length| all.checked_mul(length?))?;
    Some(Array { kind, items: items_claimed, bytes: items.to_vec() })
}

const ADVICE: &str = "save it with scipy.sparse.save_npz, or as CSV";

fn wrong(expected: &str, found: &str) -> Fault {
    Fault::new(expected.to_owned(), found).advise(ADVICE)
}

/// A sparse matrix as lines of text: a header, then each row behind its id.
pub(super) struct Lines {
    matrix: Arc<Sparse>,
    ids: Arc<Vec<String>>,
    /// The next row.
    row: usize,
    line: Cursor<Vec<u8>>,
}

impl Lines {
    /// The header comes first; there is an id for each row.
    pub(super) fn new(header: &str, ids: Arc<Vec<String>>, matrix: Arc<Sparse>) -> Self {
        Self { matrix, ids, row: 0, line: Cursor::new(header.as_bytes().to_vec()) }
    }
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use io::Write;
        let taken = self.line.read(buffer)?;
        let Some((id, cells)) = self.ids.get(self.row).zip(self.matrix.rows.get(self.row)) else {
            return Ok(taken);
        };
        if taken > 0 || buffer.is_empty() {
            return Ok(taken);
        }
        let line = self.line.get_mut();
        line.clear();
        line.extend_from_slice(id.as_bytes());
        let mut next = 0;
        for &(column, value) in cells {
            (next..column).for_each(|_| line.extend_from_slice(b",0"));
            write!(line, ",{value}")?;
            next = column + 1;
        }
        (next..self.matrix.columns as u32).for_each(|_| line.extend_from_slice(b",0"));
        line.push(b'\n');
        self.line.set_position(0);
        self.row += 1;
        self.line.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn npy(kind: &str, shape: &str, items: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}\n");
        [b"\x93NUMPY\x01\x00".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes(), items]
            .concat()
    }

    fn ints(values: &[i32]) -> Vec<u8> {
        npy(
            "<i4",
            &format!("{},", values.len()),
            &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>(),
        )
    }

    fn archive(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in members {
            writer.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    /// 0 1 0 / 2 0 3 in each of the forms.
    fn forms() -> [Vec<u8>; 3] {
        let shape = ("shape", ints(&[2, 3]));
        [
            archive(&[
                ("format", npy("|S3", "", b"csr")),
                shape.clone(),
                ("data", ints(&[1, 2, 3])),
                ("indices", ints(&[1, 0, 2])),
                ("indptr", ints(&[0, 1, 3])),
            ]),
            archive(&[
                ("format", npy("<U3", "", b"c\0\0\0s\0\0\0c\0\0\0")),
                shape.clone(),
                ("data", ints(&[2, 1, 3])),
                ("indices", ints(&[1, 0, 1])),
                ("indptr", ints(&[0, 1, 2, 3])),
            ]),
            archive(&[
                ("format", npy("|S3", "", b"coo")),
                shape,
                ("data", ints(&[1, 1, 1, 3])),
                ("row", ints(&[1, 0, 1, 1])),
                ("col", ints(&[0, 1, 0, 2])),
            ]),
        ]
    }

    #[test]
    fn every_form_gives_the_same_lines() {
        for bytes in forms() {
            let matrix =
                Arc::new(Sparse::parse(&bytes, 1 << 20).unwrap_or_else(|_| panic!("a sound matrix")));
            assert_eq!((matrix.len(), matrix.columns), (2, 3));
            let mut text = String::new();
            let ids = Arc::new(vec!["7".to_owned(), "8".to_owned()]);
            Lines::new("id,a,b,c\n", ids, matrix).read_to_string(&mut text).unwrap();
            assert_eq!(text, "id,a,b,c\n7,0,1,0\n8,2,0,3\n");
        }
    }

    #[test]
    fn lies_are_refused() {
        let [csr, ..] = forms();
        assert!(Sparse::parse(&csr, 100).is_err(), "more than the memory budget");
        let lie = |name: &str, bytes: Vec<u8>| {
            let sound = [
                ("format", npy("|S3", "", b"csr")),
                ("shape", ints(&[2, 3])),
                ("data", ints(&[1, 2, 3])),
                ("indices", ints(&[1, 0, 2])),
                ("indptr", ints(&[0, 1, 3])),
            ];
            let members =
                sound.map(|(other, sound)| (other, if other == name { bytes.clone() } else { sound }));
            Sparse::parse(&archive(&members), 1 << 20).err().is_some()
        };
        assert!(!lie("none", Vec::new()));
        assert!(
            lie("indptr", ints(&[0, 2, 1]))
                && lie("indptr", ints(&[0, 1, 4]))
                && lie("indices", ints(&[1, 0, 3]))
        );
        assert!(lie("shape", npy("<i8", "2,", &[i64::MAX.to_le_bytes(), 3i64.to_le_bytes()].concat())));
        assert!(lie("data", npy("<f8", "3,", &[f64::NAN, 0.0, 0.0].map(f64::to_le_bytes).concat())));
        assert!(lie("data", npy("<i4", "99999999999,", &[0; 12])) && lie("format", npy("|S3", "", b"bsr")));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(flips in proptest::collection::vec((0usize..2000, any::<u8>()), 1..6), form in 0usize..3) {
            let mut bytes = forms()[form].clone();
            for (place, value) in flips {
                let place = place % bytes.len();
                bytes[place] = value;
            }
            drop(Sparse::parse(&bytes, 1 << 20));
        }
    }
}

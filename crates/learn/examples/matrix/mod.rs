//! What the examples that measure have in common: the matrix files of `benches/nslkdd.py`, and stages that are timed from outside.
//!
//! The matrix file, all little-endian: `CORMMTX1`, u64 rows, u64 columns, f64 values row by row, then one u8 label per row.

use std::error::Error;
use std::io::{BufRead, Write};
use std::{fs, io};

use cormorant_learn::matrix::Matrix;

/// The values and labels of a matrix file.
pub(crate) fn read_matrix(path: &str) -> Result<(Matrix, Vec<u32>), Box<dyn Error>> {
    let bytes = fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let (head, body) =
        bytes.split_at_checked(24).ok_or_else(|| format!("{path}: too short for a matrix file"))?;
    let (magic, shape) = head.split_at(8);
    let shape: Vec<usize> = shape
        .chunks_exact(8)
        .map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()) as usize)
        .collect();
    let (rows, columns) = (shape[0], shape[1]);
    if magic != b"CORMMTX1" || body.len() != rows * columns * 8 + rows {
        return Err(format!(
            "{path}: {rows} x {columns} with {} bytes behind the header is not a matrix file",
            body.len()
        )
        .into());
    }
    let (values, labels) = body.split_at(rows * columns * 8);
    let values =
        values.chunks_exact(8).map(|word| f64::from_le_bytes(word.try_into().unwrap_or_default())).collect();
    Ok((Matrix::from_values(rows, columns, values), labels.iter().map(|&label| u32::from(label)).collect()))
}

/// Says that a stage is over and waits until the reader of the clocks has done so.
pub(crate) fn stage_over(name: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{name}")?;
    io::stdout().flush()?;
    io::stdin().lock().read_line(&mut String::new()).map(|_| ())
}

//! Tables open in pandas, polars and DuckDB without options: same rows, same columns, same sums in every format.

use std::path::PathBuf;
use std::process::Command;

use crate::bench::{Bench, skip};

/// Reads every table by every library and prints one line each: rows, columns, sum of packets, sum of an average.
const READ: &str = r#"
import sys, warnings
warnings.simplefilter("error")
import duckdb, pandas, polars

def show(name, rows, columns, packets, mean):
    print(name, rows, columns, int(packets), f"{mean:.9g}")

def frame(name, table):
    show(name, len(table), len(table.columns), table["packets"].sum(), table["size_mean_bytes"].sum())

def duck(name, path):
    query = duckdb.sql(f"select * from '{path}'")
    total = duckdb.sql(f"select count(*), sum(packets), sum(size_mean_bytes) from '{path}'").fetchall()[0]
    show(name, total[0], len(query.columns), total[1], total[2])

frame("pandas parquet", pandas.read_parquet("t.parquet"))
frame("pandas csv", pandas.read_csv("t.csv"))
frame("pandas arrow", pandas.read_feather("t.arrow"))
frame("pandas ndjson", pandas.read_json("t.ndjson", lines=True))
frame("polars parquet", polars.read_parquet("t.parquet"))
frame("polars csv", polars.read_csv("t.csv"))
frame("polars arrow", polars.read_ipc("t.arrow"))
frame("polars ndjson", polars.read_ndjson("t.ndjson"))
for kind in ("parquet", "csv", "ndjson"):
    duck(f"duckdb {kind}", f"t.{kind}")
"#;

#[test]
fn tables_open_in_pandas_polars_and_duckdb_without_options() {
    let python = std::env::var_os("CORMORANT_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let found = Command::new(&python).args(["-c", "import duckdb, pandas, polars, pyarrow"]).output();
    if !found.is_ok_and(|output| output.status.success()) {
        return skip(
            "pandas, pyarrow, polars and duckdb are not installed (pip install them, or CORMORANT_PYTHON)",
        );
    }
    let bench = Bench::new();
    for format in ["parquet", "csv", "arrow", "ndjson"] {
        bench.fine(&format!("extract samples/learn.pcapng --labels samples/learn.labels.csv -o t.{format}"));
    }
    let read = Command::new(&python).args(["-c", READ]).current_dir(bench.path("")).output().expect("python");
    let (text, errors) = (String::from_utf8_lossy(&read.stdout), String::from_utf8_lossy(&read.stderr));
    assert!(read.status.success(), "{text}{errors}");
    let said: Vec<&str> = text.lines().filter_map(|line| line.splitn(3, ' ').nth(2)).collect();
    assert!(said.len() == 11 && said[0].split(' ').nth(2) != Some("0"), "{text}");
    assert!(said.iter().all(|line| line == &said[0]), "{text}");
}

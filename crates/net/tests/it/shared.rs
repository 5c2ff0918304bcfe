//! Finds the shared captures that some tests read; without them those tests say so and pass.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder of unpacked captures. `None`, after a line that starts with `skipped:`, when there is none;
/// with `CORMORANT_NO_SKIP=1` a failure instead.
pub(crate) fn folder(test: &str) -> Option<PathBuf> {
    unpack().map_err(|why| skip(test, &why)).ok()
}

/// Says that a test is skipped and why; with `CORMORANT_NO_SKIP=1` fails instead.
pub(crate) fn skip(test: &str, why: &str) {
    assert!(std::env::var("CORMORANT_NO_SKIP").as_deref() != Ok("1"), "{test}: {why}");
    // Past the test harness, which keeps what passing tests print to itself.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}

/// What another program writes when it is fed `input`; `None`, said aloud, when it is not installed.
pub(crate) fn tool(program: &str, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            skip(program, &error.to_string());
            return None;
        }
    };
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("a running program");
    // A program that has seen enough closes its input: that is no failure of the test.
    let _ = writer.join();
    Some(output.stdout)
}

fn unpack() -> Result<PathBuf, String> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("CORMORANT_SHARED").map_or_else(beside, PathBuf::from);
    let script = shared.join("data/unpack.sh");
    if !script.exists() {
        return Err(format!("no shared data at {}", shared.display()));
    }
    let output = Command::new(&script).output().map_err(|e| format!("{}: {e}", script.display()))?;
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if output.status.success() && folder.is_dir() { Ok(folder) } else { Err("unpacking failed".to_owned()) }
}

/// What another program prints, also when it complains; `None`, said aloud, when it is not installed.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    match command.stdin(Stdio::null()).output() {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(error) => {
            skip(&command.get_program().to_string_lossy(), &error.to_string());
            None
        }
    }
}

/// One row of the list of captures.
pub(crate) struct Listed {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) packets: u64,
    pub(crate) status: String,
    pub(crate) kind: String,
    pub(crate) protocols: String,
}

/// The list of captures.
pub(crate) fn captures(folder: &Path) -> Vec<Listed> {
    let text = std::fs::read_to_string(folder.join("captures.csv")).expect("captures.csv");
    let mut lines = text.lines();
    let header = fields(lines.next().unwrap_or_default());
    let at = |name: &str| header.iter().position(|field| field == name).expect("a column of captures.csv");
    let columns = [at("path"), at("packets"), at("status"), at("kind"), at("protocols")];
    lines
        .map(|line| {
            let row = fields(line);
            let [name, packets, status, kind, protocols] = columns.map(|column| row[column].clone());
            let packets = packets.parse().unwrap_or_default();
            Listed { path: folder.join("pcaps").join(&name), name, packets, status, kind, protocols }
        })
        .collect()
}

/// Splits a line of comma-separated values with quotes.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => fields.last_mut().expect("one field at least").push(other),
        }
    }
    fields
}

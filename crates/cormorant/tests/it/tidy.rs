//! The rules of ARCHITECTURE.md that a program can check, so that the page cannot drift from the code.
//!
//! Clippy checks two more over the whole workspace: function length (`too_many_lines`) and clocks (`disallowed_methods`).

use std::fs;
use std::path::{Path, PathBuf};

/// Which of our crates each crate may depend on. An edge that is not here does not exist.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("afpacket", &[]),
    ("net", &["afpacket"]),
    ("learn", &[]),
    ("lab", &["net", "learn"]),
    ("cormorant", &["lab"]),
];

/// Which more of our crates its tests may use.
const TESTS_MAY_USE: &[(&str, &[&str])] = &[("cormorant", &["afpacket", "net"])];

/// Only these may name a library of this kind: async runtimes, HTTP, terminals and argument parsers live at the edge.
const ONLY_AT_THE_EDGE: &[&str] = &["tokio", "axum", "hyper", "clap", "indicatif", "comfy-table", "anyhow"];

/// The one file below the edge that drives something asynchronous, and what it may name for it.
const DRIVER: &str = "crates/lab/src/store/driver.rs";
const ONLY_IN_THE_DRIVER: &[&str] = &["tokio", "sqlx"];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "manager", "misc"];

const LONGEST_FILE_LINES: usize = 800;
const LARGEST_FILE_BYTES: u64 = 4 << 20;

/// Calls that can panic; parsers of hostile bytes have none of them outside their tests.
const PANICKING: &[&str] =
    &[".unwrap()", ".expect(", "panic!(", "unreachable!(", "todo!(", "unimplemented!(", "assert!("];
const PARSERS: &[&str] = &["crates/net/src/capture", "crates/net/src/packet"];

/// Lints that `crates/net` turns on for itself, so that indexing in a parser does not compile without a stated reason.
const PARSER_LINTS: &[&str] =
    &["clippy::unwrap_used", "clippy::expect_used", "clippy::indexing_slicing", "clippy::panic"];

/// The one crate that shares memory with the kernel, and the files in which it may do what the compiler cannot check.
const SHARES_MEMORY: &str = "afpacket";
const UNCHECKED: &[&str] = &[
    "crates/afpacket/src/linux/memory.rs",
    "crates/afpacket/src/linux/privileges.rs",
    "crates/afpacket/src/linux/socket.rs",
];

#[test]
fn crates_depend_in_one_direction() {
    let mut wrong = Vec::new();
    for &(name, allowed) in MAY_DEPEND_ON {
        let manifest = read(&root().join("crates").join(name).join("Cargo.toml"));
        let (built, tested) = manifest.split_once("[dev-dependencies]").unwrap_or((&manifest, ""));
        for dependency in built.lines().filter_map(our_crate) {
            if !allowed.contains(&dependency) && dependency != name {
                wrong.push(format!("crates/{name} depends on {dependency}"));
            }
        }
        for dependency in tested.lines().filter_map(our_crate) {
            if !allowed.contains(&dependency) && !tests_may_use(name).contains(&dependency) {
                wrong.push(format!("tests of crates/{name} use {dependency}"));
            }
        }
        wrong.extend(
            ONLY_AT_THE_EDGE
                .iter()
                .filter(|edge| {
                    let driven = name == "lab" && ONLY_IN_THE_DRIVER.contains(*edge);
                    name != "cormorant"
                        && !driven
                        && manifest.lines().any(|line| line.starts_with(&format!("{edge}.")))
                })
                .map(|edge| format!("crates/{name} uses {edge}, which belongs to crates/cormorant")),
        );
    }
    report(&wrong);
}

#[test]
fn one_file_of_the_lab_knows_the_database_driver() {
    let mut wrong = Vec::new();
    for path in rust_files().iter().filter(|path| shown(path).starts_with("crates/lab/src")) {
        let text = read(path);
        let names = |library: &&&str| {
            let code = text.lines().map(|line| line.split("//").next().unwrap_or(""));
            code.into_iter().any(|code| code.contains(&format!("{library}::")))
        };
        if shown(path) != DRIVER {
            wrong.extend(
                ONLY_IN_THE_DRIVER
                    .iter()
                    .filter(names)
                    .map(|library| format!("{} names {library}, which belongs to {DRIVER}", shown(path))),
            );
        }
    }
    report(&wrong);
}

#[test]
fn every_crate_is_in_the_direction_table() {
    let mut crates: Vec<_> = entries(&root().join("crates")).iter().map(|path| name_of(path)).collect();
    crates.sort();
    let mut listed: Vec<_> = MAY_DEPEND_ON.iter().map(|(name, _)| (*name).to_owned()).collect();
    listed.sort();
    assert_eq!(crates, listed);
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = |path: &PathBuf| !read(path).starts_with("//! ");
    report(
        &rust_files()
            .iter()
            .filter(|path| silent(path))
            .map(|path| format!("{} does not open with //!", shown(path)))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn files_stay_short_enough_to_read() {
    let long = rust_files()
        .into_iter()
        .map(|path| (read(&path).lines().count(), path))
        .filter(|(lines, _)| *lines > LONGEST_FILE_LINES);
    report(
        &long
            .map(|(lines, path)| {
                format!("{} has {lines} lines, more than {LONGEST_FILE_LINES}", shown(&path))
            })
            .collect::<Vec<_>>(),
    );
}

#[test]
fn names_say_what_is_inside() {
    let empty = |path: &PathBuf| {
        path.file_stem().is_some_and(|stem| EMPTY_NAMES.contains(&stem.to_string_lossy().as_ref()))
    };
    let mut wrong = Vec::new();
    walk(&root(), &mut |path| {
        if empty(&path.to_path_buf()) {
            wrong.push(format!("{} has a name that says nothing", shown(path)));
        }
    });
    report(&wrong);
}

#[test]
fn parsers_hold_no_panicking_call() {
    let mut wrong = Vec::new();
    for path in
        rust_files().iter().filter(|path| PARSERS.iter().any(|parser| shown(path).starts_with(parser)))
    {
        let text = read(path);
        for (number, line) in text.lines().enumerate().take_while(|(_, line)| !line.contains("#[cfg(test)]"))
        {
            let code = line.split("//").next().unwrap_or("");
            if let Some(call) =
                PANICKING.iter().find(|call| code.contains(*call) && !code.contains("debug_assert"))
            {
                wrong.push(format!("{}:{}: {call}", shown(path), number + 1));
            }
        }
    }
    report(&wrong);
}

#[test]
fn the_network_crate_denies_panics_to_itself() {
    let lib = read(&root().join("crates/net/src/lib.rs"));
    report(
        &PARSER_LINTS
            .iter()
            .filter(|lint| !lib.contains(**lint))
            .map(|lint| format!("crates/net/src/lib.rs does not deny {lint}"))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    let without = |name: &&str| {
        !read(&root().join("crates").join(name).join("Cargo.toml")).contains("[lints]\nworkspace = true")
    };
    let names = MAY_DEPEND_ON.iter().map(|(name, _)| *name);
    report(
        &names
            .filter(|name| *name != SHARES_MEMORY)
            .filter(without)
            .map(|name| format!("crates/{name} does not take the workspace's lints"))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn unchecked_code_stays_in_the_files_that_talk_to_the_kernel() {
    let forms = ["{", "fn ", "impl", "trait", "extern"].map(|after| ["unsafe", after].join(" "));
    let mut wrong = Vec::new();
    for path in rust_files().iter().filter(|path| !UNCHECKED.contains(&shown(path).as_str())) {
        for (number, line) in read(path).lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            if forms.iter().any(|form| code.contains(form.as_str())) {
                wrong.push(format!("{}:{}: unchecked code", shown(path), number + 1));
            }
        }
    }
    let manifest = read(&root().join("Cargo.toml"));
    if !manifest.contains("unsafe_code = \"forbid\"") {
        wrong.push("Cargo.toml does not forbid it".to_owned());
    }
    report(&wrong);
}

#[test]
fn no_large_file_slips_in() {
    let mut wrong = Vec::new();
    walk(&root(), &mut |path| {
        let bytes = fs::metadata(path).map_or(0, |meta| meta.len());
        if bytes > LARGEST_FILE_BYTES {
            wrong.push(format!("{} is {bytes} bytes, more than {LARGEST_FILE_BYTES}", shown(path)));
        }
    });
    report(&wrong);
}

/// `cormorant-net.workspace = true` or `cormorant-net = {..}` → `net`; lines of other crates → `None`.
fn our_crate(line: &str) -> Option<&str> {
    line.strip_prefix("cormorant-")?.split(['.', ' ', '=']).next()
}

fn tests_may_use(name: &str) -> &'static [&'static str] {
    TESTS_MAY_USE.iter().find(|(tested, _)| *tested == name).map_or(&[], |(_, used)| used)
}

fn report(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace's root")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn rust_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(&root(), &mut |path| {
        if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path.to_path_buf());
        }
    });
    files
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("a folder of the project")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths
}

/// Calls `visit` on every file of the project, leaving out build output, fuzzing corpora and the version history.
fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    for path in entries(folder) {
        let name = name_of(&path);
        let left_out = name.starts_with('.')
            || matches!(name.as_str(), "target" | "corpus" | "artifacts" | "node_modules" | "__pycache__");
        if left_out {
            continue;
        }
        if path.is_dir() { walk(&path, visit) } else { visit(&path) }
    }
}

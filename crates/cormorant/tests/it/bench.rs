//! The workbench: a directory with the samples in it, and the program to run there.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

/// What a run left behind.
pub(crate) struct Outcome {
    /// Exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Outcome {
    /// Of a program that has ended.
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let code = output.status.code().unwrap_or(-1);
        Self { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// A directory of its own with `samples/` in it.
pub(crate) struct Bench {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Bench {
    /// An empty directory but for the samples.
    pub(crate) fn new() -> Self {
        let bench =
            Self { folder: tempfile::tempdir().expect("a temporary directory"), variables: Vec::new() };
        let samples = bench.path("samples");
        fs::create_dir(&samples).expect("a directory");
        for entry in fs::read_dir(root().join("samples")).expect("the project's samples") {
            let path = entry.expect("an entry").path();
            fs::copy(&path, samples.join(path.file_name().expect("a name"))).expect("a copy");
        }
        bench
    }

    /// One with `learn.parquet`, `hunt.parquet` and `hunter.corm` in it, made once.
    pub(crate) fn trained() -> &'static Self {
        static TRAINED: OnceLock<Bench> = OnceLock::new();
        TRAINED.get_or_init(|| {
            let bench = Self::new();
            for name in ["learn", "hunt"] {
                bench.fine(&format!(
                    "extract samples/{name}.pcapng --labels samples/{name}.labels.csv -o {name}.parquet"
                ));
            }
            bench.fine("train learn.parquet -m random-forest -p trees=30 -o hunter.corm");
            bench
        })
    }

    /// The same with an environment variable for the program.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A path in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the directory.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        fs::write(self.path(name), bytes).expect("a file");
        self
    }

    /// Runs the program with words divided at spaces.
    pub(crate) fn run(&self, words: &str) -> Outcome {
        self.run_with_input(words, &[])
    }

    /// Runs it with something on standard input.
    pub(crate) fn run_with_input(&self, words: &str, input: &[u8]) -> Outcome {
        let mut command = self.command(env!("CARGO_BIN_EXE_cormorant"));
        outcome(command.args(words.split_whitespace()), input)
    }

    /// Runs a line of shell in which `cormorant` is the program.
    pub(crate) fn shell(&self, line: &str) -> Outcome {
        outcome(self.command("sh").args(["-c", line]), &[])
    }

    /// Starts the program with words divided at spaces, and does not wait for it.
    pub(crate) fn spawn(&self, words: &str) -> Child {
        let mut command = self.command(env!("CARGO_BIN_EXE_cormorant"));
        command
            .args(words.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
    }

    /// Runs the program, which must succeed.
    pub(crate) fn fine(&self, words: &str) -> Outcome {
        let outcome = self.run(words);
        assert_eq!(outcome.code, 0, "cormorant {words}\n{}{}", outcome.stdout, outcome.stderr);
        outcome
    }

    /// Runs it with `--json` and reads the one document that standard output must be.
    pub(crate) fn json(&self, words: &str) -> serde_json::Value {
        let outcome = self.run(&format!("{words} --json"));
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| {
            panic!("cormorant {words} --json: {error}\n{}{}", outcome.stdout, outcome.stderr)
        })
    }

    fn command(&self, program: &str) -> Command {
        let own = Path::new(env!("CARGO_BIN_EXE_cormorant")).parent().expect("a directory");
        let path = format!("{}:{}", own.display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env("PATH", path)
            .env("LC_ALL", "C.UTF-8")
            .env("TERM", "xterm-256color")
            // Labs of tests lie with the test.
            .env("XDG_DATA_HOME", self.folder.path());
        let ours = std::env::vars_os().map(|(name, _)| name);
        ours.filter(|name| name.to_string_lossy().starts_with("CORMORANT_")).for_each(|name| {
            command.env_remove(name);
        });
        command.env_remove("NO_COLOR").envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// The project's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares with the golden of this name in `snapshots/`; `INSTA_UPDATE=always` renews it.
pub(crate) fn golden(name: &str, text: &str) {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, text);
    });
}

/// Says why a test did not run; a failure where skipping is forbidden.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("CORMORANT_NO_SKIP").is_none(), "skipping is forbidden: {why}");
    // Past the test harness, which keeps what passing tests print to itself.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

fn outcome(command: &mut Command, input: &[u8]) -> Outcome {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("a pipe");
    // Beside reading: the program writes rows before it has read everything.
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().expect("the program's output")
    });
    Outcome::of(output)
}

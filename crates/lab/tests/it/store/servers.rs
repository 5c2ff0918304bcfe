//! The databases that the store's tests run on: a SQLite file, a PostgreSQL server and a MariaDB server.
//!
//! The servers are the installed ones, started once for the whole test program in a directory of their own, reachable by a
//! socket in that directory alone, as a user without rights. A shepherd (a shell that reads a pipe from this
//! process) ends them and removes their directory when this process ends, however it ends. Each test gets a fresh database.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use cormorant_lab::store::{Engine, Store};
use tempfile::TempDir;

use super::processes::say;

/// How long a server may take to answer, in steps of 50 ms: initialising one on a busy machine takes a while.
const STEPS: usize = 2400;

/// Ends the server when its standard input ends, and takes its directory away. Arguments: signal, directory, command.
const SHEPHERD: &str = r#"signal=$1; folder=$2; shift 2
"$@" </dev/null & server=$!
cat >/dev/null; kill -s "$signal" "$server"; wait "$server"; rm -rf "$folder""#;

static SERVERS: [OnceLock<Result<Server, String>>; 2] = [OnceLock::new(), OnceLock::new()];
static DATABASES: AtomicUsize = AtomicUsize::new(0);

/// A server of this test program.
struct Server {
    engine: Engine,
    folder: PathBuf,
    programs: PathBuf,
}

/// A fresh database for one test.
pub(crate) struct TestDatabase {
    pub(crate) engine: Engine,
    pub(crate) url: String,
    name: String,
    folder: TempDir,
}

impl TestDatabase {
    /// `None` after saying aloud that the server is not installed.
    pub(crate) fn new(engine: Engine) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let name = format!("lab{number}");
        let url = match engine {
            Engine::Sqlite => format!("sqlite:{}", folder.path().join("lab.db").display()),
            Engine::Postgres | Engine::MySql => server(engine)?.create(&name),
        };
        Some(Self { engine, url, name, folder })
    }

    /// Opens the store in it.
    pub(crate) fn open(&self) -> Store {
        Store::open(&self.url, 1).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Where a SQLite store has its file.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("lab.db")
    }

    /// Runs SQL with the server's own client; what it printed.
    pub(crate) fn client(&self, sql: &str) -> String {
        let output = server(self.engine).expect("a running server").client(Some(&self.name), sql);
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Saves it as a file: SQLite's own, or what the server's own program dumps.
    pub(crate) fn save(&self, file: &Path) {
        if self.engine == Engine::Sqlite {
            fs::copy(self.path(), file).unwrap();
            return;
        }
        let server = server(self.engine).expect("a running server");
        let mut command = if self.engine == Engine::Postgres {
            let mut command = Command::new(server.programs.join("pg_dump"));
            command.args(["--no-owner", "--inserts", "-U", "lab", "-h"]).arg(&server.folder);
            command
        } else {
            let mut command = Command::new("mariadb-dump");
            command.args(["--no-defaults", "--skip-dump-date", "-u", "root", "-S"]);
            command.arg(server.folder.join("socket"));
            command
        };
        let output = command.arg(&self.name).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let dump = String::from_utf8(output.stdout).unwrap();
        // Comments name the program's version; commands to a client are not known to every other version of it.
        let told = |line: &&str| !["--", "\\", "/*M!"].iter().any(|start| line.starts_with(start));
        let lines: Vec<_> = dump.lines().filter(told).filter(|line| !line.is_empty()).collect();
        fs::write(file, lines.join("\n") + "\n").unwrap();
    }

    /// Loads such a file into it.
    pub(crate) fn load(&self, file: &Path) {
        if self.engine == Engine::Sqlite {
            fs::copy(file, self.path()).unwrap();
        } else {
            self.client(&fs::read_to_string(file).unwrap());
        }
    }
}

/// The running server, started at the first call.
fn server(engine: Engine) -> Option<&'static Server> {
    let (slot, start): (_, fn() -> Result<Server, String>) = match engine {
        Engine::Postgres => (&SERVERS[0], postgres),
        _ => (&SERVERS[1], mariadb),
    };
    match slot.get_or_init(start) {
        Ok(server) => Some(server),
        Err(why) => {
            assert!(std::env::var_os("CORMORANT_NO_SKIP").is_none(), "skipping is forbidden: {why}");
            say(&format!("skipped: {why}\n"));
            None
        }
    }
}

impl Server {
    /// Creates a database; its address.
    fn create(&self, name: &str) -> String {
        let output = self.client(None, &format!("CREATE DATABASE {name}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let folder = self.folder.display();
        match self.engine {
            Engine::Postgres => format!("postgres://lab@localhost/{name}?host={folder}"),
            _ => format!("mysql://root@localhost/{name}?socket={folder}/socket"),
        }
    }

    fn client(&self, database: Option<&str>, sql: &str) -> Output {
        let mut command = if self.engine == Engine::Postgres {
            let mut command = Command::new(self.programs.join("psql"));
            command
                .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "lab", "-h"])
                .arg(&self.folder);
            command.arg("-d").arg(database.unwrap_or("postgres"));
            command
        } else {
            let mut command = Command::new("mariadb");
            command.args(["--no-defaults", "-N", "-B", "-u", "root", "-S"]).arg(self.folder.join("socket"));
            command.args(database);
            command
        };
        let mut client =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut input = client.stdin.take().unwrap();
        input.write_all(sql.as_bytes()).unwrap();
        drop(input);
        client.wait_with_output().unwrap()
    }

    /// Starts `command` under the shepherd and waits until the server answers.
    #[expect(clippy::zombie_processes, reason = "the shepherd outlives this process")]
    fn start(self, signal: &str, command: &[String]) -> Result<Self, String> {
        let log = fs::File::create(self.folder.join("log")).unwrap();
        let mut shepherd = Command::new("sh")
            .args(["-c", SHEPHERD, "shepherd", signal])
            .arg(&self.folder)
            .args(as_nobody(command))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        // The pipe ends with this process.
        std::mem::forget(shepherd.stdin.take());
        for _ in 0..STEPS {
            if self.client(None, "SELECT 1").status.success() {
                return Ok(self);
            }
            thread::sleep(Duration::from_millis(50));
        }
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        panic!("the {:?} server does not answer: {log}", self.engine);
    }
}

/// Names sort by a language's rules there, so that a store that compared by them would be seen to.
fn postgres() -> Result<Server, String> {
    let programs = newest_postgres().ok_or("PostgreSQL's server is not installed (Debian: postgresql)")?;
    let folder = folder_of_nobody();
    let program = |name: &str| programs.join(name).display().to_string();
    let data = folder.join("data").display().to_string();
    run(&[
        program("initdb"),
        "-D".into(),
        data.clone(),
        "-U".into(),
        "lab".into(),
        "-A".into(),
        "trust".into(),
        "--no-sync".into(),
        "-E".into(),
        "UTF8".into(),
        "--locale=C".into(),
        "--locale-provider=icu".into(),
        "--icu-locale=en-US".into(),
    ]);
    let command = [
        program("postgres"),
        "-D".into(),
        data,
        "-k".into(),
        folder.display().to_string(),
        "-c".into(),
        "listen_addresses=".into(),
        "-c".into(),
        "fsync=off".into(),
        "-c".into(),
        "max_connections=300".into(),
    ];
    Server { engine: Engine::Postgres, folder, programs }.start("QUIT", &command)
}

/// Text is Latin and compared without case there, so that a store that relied on the server's defaults would be seen to.
fn mariadb() -> Result<Server, String> {
    for program in ["mariadbd", "mariadb-install-db", "mariadb"] {
        if !installed(program) {
            return Err(format!("{program} is not installed (Debian: mariadb-server)"));
        }
    }
    let folder = folder_of_nobody();
    let data = format!("--datadir={}", folder.join("data").display());
    run(&[
        "mariadb-install-db".into(),
        "--no-defaults".into(),
        data.clone(),
        "--skip-test-db".into(),
        "--auth-root-authentication-method=normal".into(),
    ]);
    let command = [
        program_path("mariadbd"),
        "--no-defaults".into(),
        data,
        format!("--socket={}", folder.join("socket").display()),
        format!("--pid-file={}", folder.join("pid").display()),
        "--skip-networking".into(),
        "--character-set-server=latin1".into(),
        "--collation-server=latin1_swedish_ci".into(),
        "--innodb-flush-log-at-trx-commit=0".into(),
        "--innodb-buffer-pool-size=64M".into(),
        "--max-connections=300".into(),
    ];
    Server { engine: Engine::MySql, folder, programs: PathBuf::new() }.start("KILL", &command)
}

/// Debian keeps each version's programs in a directory of its own, outside `PATH`.
fn newest_postgres() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.filter_map(|entry| Some(entry.ok()?.path())).max_by_key(|path| number(path))?;
    let programs = newest.join("bin");
    programs.join("initdb").exists().then_some(programs)
}

fn installed(program: &str) -> bool {
    Path::new(&program_path(program)).exists()
}

/// Servers are kept where only root's `PATH` looks.
fn program_path(program: &str) -> String {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    let paths = folders.map(|folder| format!("{folder}/{program}"));
    paths.iter().find(|path| Path::new(path).exists()).cloned().unwrap_or_else(|| program.to_owned())
}

fn folder_of_nobody() -> PathBuf {
    let folder = tempfile::Builder::new().prefix("cormorant-server-").tempdir().unwrap().keep();
    if is_root() {
        chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    folder
}

/// The user without rights, by number on every Linux.
const NOBODY: u32 = 65534;

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Both servers refuse to run as root.
fn as_nobody(command: &[String]) -> Vec<String> {
    let lowered =
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"].map(ToOwned::to_owned);
    let prefix = if is_root() { &lowered[..] } else { &[] };
    [prefix, command].concat()
}

fn run(command: &[String]) {
    let command = as_nobody(command);
    let output = Command::new(&command[0]).args(&command[1..]).current_dir("/").output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}: {}", command.join(" "), String::from_utf8_lossy(&said));
}

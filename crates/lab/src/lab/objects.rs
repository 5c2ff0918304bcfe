//! Files by digest: `objects/<2 hex>/<digest>`. An object is whole or not there, is stored once however often it is
//! put, and is found out when a bit of it has changed.
//!
//! A put writes to `objects/incoming/`, syncs the file, renames it to its digest and syncs the folder, in this order: a
//! process that is killed leaves a file in `incoming` (removed when a lab is opened), never a part of an object under
//! its name. Names that people give are never paths: the only names here are digests.
//!
//! What no row refers to is swept once it is older than a grace: its time of change says when it was last put or
//! [renewed](Objects::renew). Whoever is about to refer to an object puts or renews it first.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::claims;
use super::digest::{CHUNK_BYTES, Digest, Hasher};
use crate::output::{Sink, write_error};
use crate::tables::read::cannot_read;
use crate::{Ctx, LabError};

/// The files of a lab.
#[derive(Clone, Debug)]
pub struct Objects {
    folder: PathBuf,
}

/// A stored file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Object {
    /// Its name.
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
}

/// A stored file that is not what it should be, or no object at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Its path within `objects/`.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Objects removed.
    pub removed: u64,
    /// Bytes they had.
    pub removed_bytes: u64,
    /// Objects that something refers to.
    pub kept: u64,
    /// Objects that nothing refers to, but that are too young to be removed.
    pub young: u64,
}

impl Objects {
    /// The objects in this folder, which is made if it is not there. What processes left that were killed while they
    /// put something is removed.
    ///
    /// # Errors
    /// [`LabError::Write`] when the folder cannot be made.
    pub fn open(folder: &Path) -> Result<Self, LabError> {
        let incoming = folder.join(INCOMING);
        fs::create_dir_all(&incoming).map_err(|source| cannot_store(&incoming, source))?;
        let objects = Self { folder: folder.to_owned() };
        objects.clear();
        Ok(objects)
    }

    /// Removes what was left of puts that were cut short; how many there were.
    pub(super) fn clear(&self) -> u64 {
        claims::remove_files_of_the_dead(&self.folder.join(INCOMING))
    }

    /// Stores all that is left of a stream.
    ///
    /// # Errors
    /// [`LabError::Read`] of the stream called `name`, [`LabError::Write`]; then nothing was stored.
    pub fn put(&self, name: &str, stream: &mut dyn Read, now_ns: i64) -> Result<Object, LabError> {
        let mut incoming = self.incoming()?;
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return incoming.commit(now_ns),
                Ok(length) => incoming
                    .write_all(&buffer[..length])
                    .map_err(|source| cannot_store(&self.folder, source))?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(cannot_read(Path::new(name), error)),
            }
        }
    }

    /// Stores a file.
    ///
    /// # Errors
    /// As [`Objects::put`].
    pub fn put_file(&self, path: &Path, now_ns: i64) -> Result<Object, LabError> {
        let mut file = File::open(path).map_err(|source| cannot_read(path, source))?;
        self.put(&path.to_string_lossy(), &mut file, now_ns)
    }

    /// Stores these bytes.
    ///
    /// # Errors
    /// As [`Objects::put`].
    pub fn put_bytes(&self, bytes: &[u8], now_ns: i64) -> Result<Object, LabError> {
        self.put("memory", &mut &*bytes, now_ns)
    }

    /// An object to be written piece by piece.
    ///
    /// # Errors
    /// [`LabError::Write`].
    pub fn incoming(&self) -> Result<Incoming<'_>, LabError> {
        let folder = self.folder.join(INCOMING);
        let (path, file) = claims::new_file(&folder).map_err(|source| cannot_store(&folder, source))?;
        let file = BufWriter::with_capacity(CHUNK_BYTES, file);
        Ok(Incoming { objects: self, path, file, hash: Hasher::default() })
    }

    /// The bytes of an object, checked.
    ///
    /// # Errors
    /// As [`Objects::checked`].
    pub fn read(&self, digest: Digest) -> Result<Vec<u8>, LabError> {
        let path = self.path(digest);
        let bytes = fs::read(&path).map_err(|source| missing(digest, &path, source))?;
        if Digest::of(&bytes) == digest { Ok(bytes) } else { Err(damaged(digest, &path)) }
    }

    /// An object opened at its start, after all of it was read and found to be what it was.
    ///
    /// # Errors
    /// [`LabError::Damaged`] when it is missing or has changed, [`LabError::Read`].
    pub fn checked(&self, digest: Digest) -> Result<File, LabError> {
        let path = self.path(digest);
        let mut file = File::open(&path).map_err(|source| missing(digest, &path, source))?;
        let (found, _) = Digest::of_stream(&mut file).map_err(|source| cannot_read(&path, source))?;
        if found != digest {
            return Err(damaged(digest, &path));
        }
        file.rewind().map_err(|source| cannot_read(&path, source))?;
        Ok(file)
    }

    /// Writes a copy of an object to a file that appears whole or not at all.
    ///
    /// # Errors
    /// As [`Objects::checked`]; [`LabError::Write`].
    pub fn copy_out(&self, digest: Digest, path: &Path) -> Result<(), LabError> {
        let mut file = self.checked(digest)?;
        let mut sink = Sink::file(path)?;
        let copied = io::copy(&mut file, &mut sink).and_then(|_| sink.commit());
        copied.map(|_| ()).map_err(|source| write_error(path, source))
    }

    /// Says that an object is about to be referred to, so that no sweep removes it within the grace.
    ///
    /// # Errors
    /// [`LabError::Damaged`] when it is not there.
    pub fn renew(&self, digest: Digest, now_ns: i64) -> Result<Object, LabError> {
        let path = self.path(digest);
        let _publishing = self.publishing()?;
        let file = File::open(&path).map_err(|source| missing(digest, &path, source))?;
        let bytes = file.metadata().map_err(|source| cannot_read(&path, source))?.len();
        file.set_modified(time(now_ns)).map_err(|source| cannot_store(&path, source))?;
        Ok(Object { digest, bytes })
    }

    /// Whether there is an object of this name. Its bytes are not looked at.
    #[must_use]
    pub fn has(&self, digest: Digest) -> bool {
        self.path(digest).is_file()
    }

    /// Where an object is.
    pub(crate) fn path(&self, digest: Digest) -> PathBuf {
        let name = digest.to_string();
        self.folder.join(&name[..2]).join(name)
    }

    /// Every object, in the order of their digests; and what is there but is none.
    ///
    /// # Errors
    /// [`LabError::Read`].
    pub fn list(&self) -> Result<(Vec<Object>, Vec<Fault>), LabError> {
        let (mut objects, mut faults) = (Vec::new(), Vec::new());
        for folder in entries(&self.folder)? {
            if [INCOMING, LOCK].iter().any(|own| folder.ends_with(own)) {
                continue;
            }
            if !folder.is_dir() {
                faults.push(self.fault(&folder, "no object: a file where only folders are"));
                continue;
            }
            for path in entries(&folder)? {
                match self.object(&path) {
                    Some(object) => objects.push(object),
                    None => faults.push(self.fault(&path, "no object: its name is no digest in its place")),
                }
            }
        }
        objects.sort();
        Ok((objects, faults))
    }

    /// Reads every object and says which are not what they were.
    ///
    /// # Errors
    /// [`LabError::Read`], [`LabError::Cancelled`].
    pub fn verify(&self, ctx: &Ctx) -> Result<(Vec<Object>, Vec<Fault>), LabError> {
        let (objects, mut faults) = self.list()?;
        let total = objects.iter().map(|object| object.bytes).sum();
        let mut done = 0;
        for object in &objects {
            ctx.check().map_err(|_| LabError::Cancelled)?;
            if let Err(error) = self.checked(object.digest) {
                faults.push(self.fault(&self.path(object.digest), &error.to_string()));
            }
            done += object.bytes;
            ctx.progress("reading objects", done, total);
        }
        Ok((objects, faults))
    }

    /// Removes the objects that `is_referred_to` denies and that were last put or renewed more than `grace_ns` ago.
    ///
    /// # Errors
    /// [`LabError::Read`], [`LabError::Write`], [`LabError::Cancelled`]; what was removed by then stays removed.
    pub fn sweep(
        &self,
        is_referred_to: &dyn Fn(Digest) -> bool,
        now_ns: i64,
        grace_ns: i64,
        ctx: &Ctx,
    ) -> Result<Swept, LabError> {
        let (objects, _) = self.list()?;
        let mut swept = Swept::default();
        for (done, object) in objects.iter().enumerate() {
            ctx.check().map_err(|_| LabError::Cancelled)?;
            ctx.progress("sweeping objects", done as u64, objects.len() as u64);
            if is_referred_to(object.digest) {
                swept.kept += 1;
            } else if self.remove_if_old(object.digest, now_ns.saturating_sub(grace_ns))? {
                swept.removed += 1;
                swept.removed_bytes += object.bytes;
            } else {
                swept.young += 1;
            }
        }
        Ok(swept)
    }

    /// Nobody can renew it between the look at its age and its removal.
    fn remove_if_old(&self, digest: Digest, before_ns: i64) -> Result<bool, LabError> {
        let path = self.path(digest);
        let lock = self.lock()?;
        lock.lock().map_err(|source| cannot_store(&self.folder, source))?;
        match fs::metadata(&path).and_then(|found| found.modified()) {
            Ok(modified) if modified < time(before_ns) => {
                fs::remove_file(&path).map_err(|source| cannot_store(&path, source))?;
                Ok(true)
            }
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(source) => Err(cannot_read(&path, source)),
        }
    }

    /// While this is held, nothing is swept.
    fn publishing(&self) -> Result<File, LabError> {
        let lock = self.lock()?;
        lock.lock_shared().map_err(|source| cannot_store(&self.folder, source))?;
        Ok(lock)
    }

    fn lock(&self) -> Result<File, LabError> {
        let path = self.folder.join(LOCK);
        let opened = fs::OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        opened.map_err(|source| cannot_store(&path, source))
    }

    fn object(&self, path: &Path) -> Option<Object> {
        let digest: Digest = path.file_name()?.to_str()?.parse().ok()?;
        let found = fs::symlink_metadata(path).ok()?;
        (path == self.path(digest) && found.is_file()).then_some(Object { digest, bytes: found.len() })
    }

    fn fault(&self, path: &Path, what: &str) -> Fault {
        let path = path.strip_prefix(&self.folder).unwrap_or(path);
        Fault { path: path.display().to_string(), what: what.to_owned() }
    }
}

/// An object being written. Dropped before [`Incoming::commit`], it leaves nothing behind.
pub struct Incoming<'a> {
    objects: &'a Objects,
    path: PathBuf,
    file: BufWriter<File>,
    hash: Hasher,
}

impl Incoming<'_> {
    /// Makes what was written durable and gives it its name.
    ///
    /// # Errors
    /// [`LabError::Write`]; then nothing was stored.
    pub fn commit(mut self, now_ns: i64) -> Result<Object, LabError> {
        let (digest, bytes) = std::mem::take(&mut self.hash).finish();
        self.publish(digest, now_ns).map_err(|source| cannot_store(&self.objects.folder, source))?;
        Ok(Object { digest, bytes })
    }

    fn publish(&mut self, digest: Digest, now_ns: i64) -> io::Result<()> {
        self.file.flush()?;
        let file = self.file.get_ref();
        let mut permissions = file.metadata()?.permissions();
        permissions.set_readonly(true);
        file.set_permissions(permissions)?;
        file.set_modified(time(now_ns))?;
        file.sync_all()?;
        let target = self.objects.path(digest);
        let folder = target.parent().unwrap_or(&self.objects.folder);
        let lock = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.objects.folder.join(LOCK))?;
        lock.lock_shared()?;
        match sound(&target, digest) {
            Some(stored) => {
                stored.set_modified(time(now_ns))?;
                stored.sync_all()?;
            }
            None => {
                if let Err(error) = fs::create_dir(folder)
                    && error.kind() != io::ErrorKind::AlreadyExists
                {
                    return Err(error);
                }
                fs::rename(&self.path, &target)?;
            }
        }
        // Whoever made the folder may not have lived to sync its name.
        File::open(&self.objects.folder)?.sync_all()?;
        File::open(folder)?.sync_all()
    }
}

impl Write for Incoming<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Incoming<'_> {
    fn drop(&mut self) {
        // After a commit that renamed it the name is gone and this does nothing.
        let _ = fs::remove_file(&self.path);
    }
}

const INCOMING: &str = "incoming";
const LOCK: &str = ".lock";

/// The stored file, when it is there and its bytes are what they were: a damaged one is replaced by the next put.
fn sound(path: &Path, digest: Digest) -> Option<File> {
    let mut file = File::open(path).ok()?;
    let (found, _) = Digest::of_stream(&mut file).ok()?;
    (found == digest).then_some(file)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, LabError> {
    let read = |source| cannot_read(folder, source);
    let entries = fs::read_dir(folder).map_err(read)?;
    let mut paths: Vec<_> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(read)?;
    paths.sort();
    Ok(paths)
}

fn time(ns: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(u64::try_from(ns).unwrap_or(0))
}

fn missing(digest: Digest, path: &Path, source: io::Error) -> LabError {
    if source.kind() != io::ErrorKind::NotFound {
        return cannot_read(path, source);
    }
    LabError::Damaged {
        what: format!("object {digest}"),
        expected: format!("a file at {}", path.display()),
        found: "none".to_owned(),
        advice: RESTORE.to_owned(),
    }
}

fn damaged(digest: Digest, path: &Path) -> LabError {
    LabError::Damaged {
        what: format!("object {digest}"),
        expected: format!("the bytes that were stored in {}", path.display()),
        found: "others: the file has changed on disk".to_owned(),
        advice: RESTORE.to_owned(),
    }
}

const RESTORE: &str = "restore it from a backup, or run again what made it";

/// What the operating system said when something was to be stored.
pub(super) fn cannot_store(path: &Path, source: io::Error) -> LabError {
    let advice = cormorant_net::capture::write_advice(&source);
    LabError::Write {
        path: path.display().to_string(),
        source,
        kept: "what the lab held before is as it was",
        advice,
    }
}

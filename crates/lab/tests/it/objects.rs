//! Files by digest: whole or not there, once, found out when changed, swept when nobody refers to them.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cormorant_lab::lab::{Digest, Object, Objects};
use cormorant_lab::{Ctx, LabError};
use tempfile::TempDir;

const DAY_NS: i64 = 86_400_000_000_000;
const NOW_NS: i64 = 20_000 * DAY_NS;

fn objects() -> (TempDir, Objects) {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(&folder.path().join("objects")).unwrap();
    (folder, objects)
}

fn path(folder: &TempDir, object: Object) -> PathBuf {
    let name = object.digest.to_string();
    folder.path().join("objects").join(&name[..2]).join(name)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files
}

fn quiet() -> Ctx {
    Ctx::new(0, 1)
}

#[test]
fn what_is_put_is_read_and_stored_once() {
    let (folder, objects) = objects();
    let bytes: Vec<u8> = (0..1_000_000u32).map(|number| (number / 7) as u8).collect();
    let first = objects.put("a stream", &mut &bytes[..], NOW_NS).unwrap();
    assert_eq!(first, Object { digest: Digest::of(&bytes), bytes: 1_000_000 });
    assert_eq!(objects.put_bytes(&bytes, NOW_NS).unwrap(), first);
    let empty = objects.put_bytes(b"", NOW_NS).unwrap();
    assert_eq!(objects.read(first.digest).unwrap(), bytes);
    let mut again = Vec::new();
    objects.checked(first.digest).unwrap().read_to_end(&mut again).unwrap();
    assert!(again == bytes && objects.has(empty.digest));
    let mut expected = vec![first, empty];
    expected.sort();
    assert_eq!(objects.list().unwrap(), (expected, vec![]));
    let stored = path(&folder, first);
    assert_eq!(fs::metadata(&stored).unwrap().permissions().mode() & 0o222, 0, "nobody writes to an object");
    assert_eq!(files(folder.path()).len(), 3, "two objects and the lock");
}

#[test]
fn an_object_that_is_not_committed_leaves_nothing() {
    let (folder, objects) = objects();
    let mut incoming = objects.incoming().unwrap();
    incoming.write_all(b"half").unwrap();
    assert_eq!(files(folder.path()).len(), 1);
    drop(incoming);
    assert_eq!(files(folder.path()).len(), 0);
    struct Breaks;
    impl Read for Breaks {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
    }
    let error = objects.put("upload.pcap", &mut b"begun".chain(Breaks), NOW_NS).unwrap_err();
    assert!(error.to_string().contains("upload.pcap"), "{error}");
    assert_eq!(files(folder.path()).len(), 0);
}

#[test]
fn what_the_dead_left_is_removed_when_the_lab_is_opened() {
    let (folder, objects) = objects();
    let living = objects.incoming().unwrap();
    fs::write(folder.path().join("objects/incoming/4000000-1.part"), "half an object").unwrap();
    Objects::open(&folder.path().join("objects")).unwrap();
    assert_eq!(files(folder.path()).len(), 1);
    living.commit(NOW_NS).unwrap();
}

#[test]
fn every_flipped_bit_is_found_and_named() {
    let (folder, objects) = objects();
    let bytes: Vec<u8> = (0..3000u32).map(|number| (number * number) as u8).collect();
    let object = objects.put_bytes(&bytes, NOW_NS).unwrap();
    let other = objects.put_bytes(b"another", NOW_NS).unwrap();
    let stored = path(&folder, object);
    for bit in (0..bytes.len() * 8).step_by(61) {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        overwrite(&stored, &changed);
        let error = objects.read(object.digest).unwrap_err();
        assert!(matches!(error, LabError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(&object.digest.to_string()), "{error}");
        assert!(objects.checked(object.digest).is_err());
        let (_, faults) = objects.verify(&quiet()).unwrap();
        assert_eq!(faults.len(), 1);
        assert!(faults[0].path.ends_with(&object.digest.to_string()), "{faults:?}");
    }
    for length in [0, 1, 2999] {
        overwrite(&stored, &bytes[..length]);
        assert_eq!(objects.verify(&quiet()).unwrap().1.len(), 1);
    }
    // Whoever has the bytes puts them again, and it is as it was.
    assert_eq!(objects.put_bytes(&bytes, NOW_NS).unwrap(), object);
    assert_eq!(objects.verify(&quiet()).unwrap().1, vec![]);
    fs::remove_file(path(&folder, other)).unwrap();
    let error = objects.read(other.digest).unwrap_err().to_string();
    assert!(error.contains("restore it from a backup"), "{error}");
}

#[test]
fn what_is_no_object_is_named_and_left_alone() {
    let (folder, objects) = objects();
    let object = objects.put_bytes(b"x", NOW_NS).unwrap();
    let root = folder.path().join("objects");
    fs::write(root.join("notes.txt"), "mine").unwrap();
    fs::create_dir(root.join("zz")).unwrap();
    fs::copy(path(&folder, object), root.join("zz").join(object.digest.to_string())).unwrap();
    std::os::unix::fs::symlink(
        path(&folder, object),
        root.join("zz").join(Digest::of(b"elsewhere").to_string()),
    )
    .unwrap();
    let (listed, faults) = objects.list().unwrap();
    assert_eq!((listed.len(), faults.len()), (1, 3), "{faults:?}");
    objects.sweep(&|_| false, NOW_NS + DAY_NS, 0, &quiet()).unwrap();
    assert!(root.join("notes.txt").exists() && objects.list().unwrap().1.len() == 3);
}

#[test]
fn a_sweep_removes_what_is_old_and_that_nobody_refers_to() {
    let (_folder, objects) = objects();
    let put = |bytes: &[u8], days: i64| objects.put_bytes(bytes, NOW_NS + days * DAY_NS).unwrap();
    let (old, kept, young) = (put(b"old", 0), put(b"kept", 0), put(b"young", 9));
    let renewed = put(b"renewed", 0);
    let again = put(b"again", 0);
    put(b"again", 9);
    objects.renew(renewed.digest, NOW_NS + 9 * DAY_NS).unwrap();
    let swept =
        objects.sweep(&|digest| digest == kept.digest, NOW_NS + 10 * DAY_NS, 2 * DAY_NS, &quiet()).unwrap();
    assert_eq!((swept.removed, swept.removed_bytes, swept.kept, swept.young), (1, 3, 1, 3));
    assert!(!objects.has(old.digest));
    assert!([kept, young, renewed, again].iter().all(|object| objects.has(object.digest)));
    assert!(objects.renew(old.digest, NOW_NS).is_err(), "what is gone cannot be referred to");
}

/// Renewing races with sweeping: whoever was told that an object is there finds it there.
#[test]
fn nothing_that_was_renewed_is_swept() {
    let (_folder, objects) = objects();
    let sweeper = objects.clone();
    std::thread::scope(|scope| {
        let sweeps = scope.spawn(move || {
            (0..300)
                .map(|_| sweeper.sweep(&|_| false, NOW_NS, DAY_NS, &quiet()).unwrap().removed)
                .sum::<u64>()
        });
        let mut puts = 0u64;
        while !sweeps.is_finished() {
            // Old enough to be swept at once, unless it is renewed in time.
            let object = objects.put_bytes(b"contended", 1).unwrap();
            puts += 1;
            if objects.renew(object.digest, NOW_NS).is_ok() {
                assert_eq!(objects.read(object.digest).unwrap(), b"contended");
            }
        }
        let removed = sweeps.join().unwrap();
        assert!(removed <= puts);
    });
}

#[test]
fn putting_the_same_from_many_threads_is_fine() {
    let (folder, objects) = objects();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for number in 0..20u8 {
                    objects.put_bytes(&[number; 100], NOW_NS).unwrap();
                }
            });
        }
    });
    assert_eq!(objects.verify(&quiet()).unwrap().0.len(), 20);
    assert_eq!(files(&folder.path().join("objects/incoming")).len(), 0);
}

fn overwrite(path: &Path, bytes: &[u8]) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
}

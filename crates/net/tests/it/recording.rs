//! Writing and recording captures: what is written is what is read back, by us and by Wireshark's programs.

use std::fs;
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use cormorant_net::NetError;
use cormorant_net::capture::write::PcapngWriter;
use cormorant_net::capture::{Capture, Interface, InterfaceCounts, LinkType, Recorded, Recording, Rotation};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::written::{self, Order, Written, interface, packet, section, statistics};

/// All of a frame but what it borrows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    number: u64,
    offset: u64,
    interface: u32,
    link: LinkType,
    frame: Written,
}

/// The frames of a capture that has no fault, from the current one to the last.
fn seen(capture: &mut Capture) -> Vec<Seen> {
    let mut all = Vec::new();
    while let Some(frame) = capture.next_frame().expect("no fault") {
        all.push(Seen {
            number: frame.number,
            offset: frame.offset,
            interface: frame.interface,
            link: frame.link,
            frame: Written { ts_ns: frame.ts_ns, wire_bytes: frame.wire_bytes, data: frame.data.to_vec() },
        });
    }
    all
}

fn opened(bytes: &[u8]) -> Capture {
    Capture::from_reader("test", Box::new(Cursor::new(bytes.to_vec()))).expect("a capture")
}

fn written_frames(seen: &[Seen]) -> Vec<&Written> {
    seen.iter().map(|seen| &seen.frame).collect()
}

/// A capture of two interfaces of different links and resolutions, the second described late, with statistics.
fn two_interfaces() -> Vec<u8> {
    let order = Order::Big;
    let mut file = [section(order), interface(order, 1, 65_535, &[(2, b"eth0")])].concat();
    let frames = written::frames();
    for (at, frame) in frames.iter().enumerate() {
        if at == 2 {
            file.extend(interface(order, 101, 0, &[(2, b"tun0"), (9, &[9])]));
        }
        let (index, tick_ns) = if at >= 2 && at % 2 == 0 { (1, 1) } else { (0, 1_000) };
        file.extend(packet(order, index, (frame.ts_ns / tick_ns) as u64, frame));
    }
    file.extend(statistics(order, 0, &[(4, 12), (5, 3), (7, 5)]));
    file.extend(statistics(order, 1, &[(4, 7)]));
    file
}

/// Records a capture and returns what it yielded meanwhile.
fn record(bytes: &[u8], path: &Path, rotation: Rotation) -> (Vec<Seen>, Recorded) {
    let mut capture = opened(bytes);
    capture.record(Recording::create(path, rotation, Some("tcp or udp".into())).expect("a file"));
    let frames = seen(&mut capture);
    (frames, capture.end_recording().expect("no fault").expect("a recording"))
}

#[test]
fn a_recording_gives_again_what_was_seen_while_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept.pcapng");
    let (live, recorded) = record(&two_interfaces(), &path, Rotation::default());
    let mut replay = Capture::open(&path).unwrap();
    assert_eq!(seen(&mut replay), live);
    assert_eq!(live.len(), written::frames().len());
    let described: Vec<_> =
        replay.interfaces().iter().map(|one| (one.name.as_str(), one.link.0, one.snaplen_bytes)).collect();
    assert_eq!(described, [("eth0", 1, 65_535), ("tun0", 101, 0)]);
    let counts = |received, dropped_by_interface, dropped_by_capture| InterfaceCounts {
        received,
        dropped_by_interface,
        dropped_by_capture,
    };
    let counted: Vec<_> = replay.interfaces().iter().map(|one| one.counts).collect();
    assert_eq!(counted, [counts(Some(12), Some(3), Some(5)), counts(Some(7), None, None)]);
    let expected = Recorded {
        files: [path.clone()].into(),
        files_written: 1,
        frames: live.len() as u64,
        bytes: fs::metadata(&path).unwrap().len(),
    };
    assert_eq!(recorded, expected);
}

#[test]
fn the_limit_counts_frames_and_the_recording_has_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept.pcapng");
    let mut capture = opened(&two_interfaces());
    capture.limit(2);
    capture.record(Recording::create(&path, Rotation::default(), None).unwrap());
    assert_eq!(seen(&mut capture).len(), 2);
    assert_eq!(capture.end_recording().unwrap().unwrap().frames, 2);
    assert_eq!(seen(&mut Capture::open(&path).unwrap()).len(), 2);
}

/// A capture of many frames, 100 ms apart.
fn many(frames: i64) -> Vec<u8> {
    let frame = |at: i64| Written { ts_ns: at * 100_000_000, wire_bytes: 90, data: vec![at as u8; 60] };
    let frames: Vec<_> = (0..frames).map(frame).collect();
    written::pcapng(Order::Little, &frames).0
}

#[test]
fn files_of_a_rotation_are_whole_small_enough_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let rotation = Rotation { file_bytes: Some(1_000), ..Rotation::default() };
    let (live, recorded) = record(&many(100), &folder.path().join("x.pcapng"), rotation);
    let mut replayed = Vec::new();
    for (at, file) in recorded.files.iter().enumerate() {
        assert_eq!(*file, folder.path().join(format!("x-{:06}.pcapng", at + 1)));
        let bytes = fs::metadata(file).unwrap().len();
        assert!(bytes <= 1_000, "{bytes} bytes in {}", file.display());
        replayed.extend(seen(&mut Capture::open(file).unwrap()));
    }
    assert_eq!(written_frames(&replayed), written_frames(&live));
    assert_eq!(recorded.files_written as usize, recorded.files.len());
    assert!(recorded.files.len() > 10);
}

#[test]
fn files_of_a_rotation_end_by_packet_time_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    let rotation = Rotation { file_ns: Some(1_000_000_000), keep_files: Some(3), ..Rotation::default() };
    let (live, recorded) = record(&many(100), &folder.path().join("x.pcapng"), rotation);
    let names = ["x-000008.pcapng", "x-000009.pcapng", "x-000010.pcapng"];
    let expected: Vec<PathBuf> = names.iter().map(|name| folder.path().join(name)).collect();
    assert_eq!((recorded.files_written, recorded.frames), (10, 100));
    assert!(recorded.files.iter().eq(&expected), "{recorded:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    let last = seen(&mut Capture::open(&expected[2]).unwrap());
    assert_eq!(written_frames(&last), written_frames(&live[90..]));
}

#[test]
fn a_recording_that_is_given_up_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept.pcapng");
    let mut capture = opened(&many(25));
    capture.record(Recording::create(&path, Rotation::default(), None).unwrap());
    for _ in 0..24 {
        capture.next_frame().unwrap();
    }
    // A second of packet time has passed since the frames before the last few: they are on disk already.
    assert!(seen(&mut Capture::open(&path).unwrap()).len() > 10);
    drop(capture);
    assert_eq!(seen(&mut Capture::open(&path).unwrap()).len(), 24);
}

#[test]
fn a_full_disk_is_one_error_that_says_what_was_kept() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let mut capture = opened(&many(25));
    capture.record(Recording::create(Path::new("/dev/full"), Rotation::default(), None).unwrap());
    let error = capture.next_frame().unwrap_err();
    assert!(matches!(error, NetError::Recording { packets: 0, .. }), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("cannot write /dev/full: ") && text.ends_with("choose another disk"), "{text}");
    assert!(capture.next_frame().unwrap().is_none());
    assert_eq!(capture.end_recording().unwrap().unwrap().frames, 0);
}

#[test]
fn a_missing_folder_is_said_before_anything_is_read() {
    let error = Recording::create(Path::new("/no/such/x.pcapng"), Rotation::default(), None)
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("/no/such/x.pcapng") && error.contains("create the directory first"), "{error}");
}

/// Takes a number of bytes, then refuses.
struct Small(usize);

impl Write for Small {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 && !bytes.is_empty() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_a_failing_stream_has_taken_is_counted_in_whole_blocks() {
    let mut writer = PcapngWriter::new(Small(1_000));
    writer.interface(&Interface::new("lo", LinkType::ETHERNET, 0), None).unwrap();
    writer.frame(0, 0, 100, &[0; 100]).unwrap();
    writer.flush().unwrap();
    let whole = (writer.written_bytes(), writer.written_frames());
    writer.frame(0, 0, 2_000, &[0; 2_000]).unwrap();
    assert_eq!(writer.flush().unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!((writer.written_bytes(), writer.written_frames()), whole);
    assert_eq!((whole.1, writer.frames()), (1, 2));
}

#[test]
fn what_pcapng_has_no_room_for_is_refused() {
    let mut writer = PcapngWriter::new(Vec::new());
    let error = writer.interface(&Interface::new("", LinkType(70_000), 0), None).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(writer.frame(0, 0, 0, &[]).unwrap_err().to_string(), "interface 0 has no description");
}

proptest! {
    #[test]
    fn any_frames_are_read_back_as_they_were_written(
        links in vec(0_u32..300, 1..4),
        frames in vec((any::<prop::sample::Index>(), any::<i64>(), 0_u32..70_000, vec(any::<u8>(), 0..200)), 0..40),
    ) {
        let mut writer = PcapngWriter::new(Vec::new());
        for link in &links {
            writer.interface(&Interface::new("any", LinkType(*link), 0), Some("ip")).unwrap();
        }
        let mut expected = Vec::new();
        for (number, (interface, ts_ns, wire_bytes, data)) in (1..).zip(frames) {
            let interface = interface.index(links.len());
            let wire_bytes = wire_bytes.max(data.len() as u32);
            let offset = writer.frame(interface as u32, ts_ns, wire_bytes, &data).unwrap();
            let frame = Written { ts_ns, wire_bytes, data };
            let link = LinkType(links[interface]);
            expected.push(Seen { number, offset, interface: interface as u32, link, frame });
        }
        writer.flush().unwrap();
        prop_assert_eq!(seen(&mut opened(writer.get_ref())), expected);
    }
}

#[test]
fn wireshark_reads_what_was_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept.pcapng");
    record(&two_interfaces(), &path, Rotation::default());
    let Some(summary) = output("capinfos", &["-M".as_ref(), path.as_ref()]) else { return };
    for line in [
        "Number of packets:   4",
        "Strict time order:   True",
        "Capture application: cormorant",
        "Name = eth0",
        "Encapsulation = Ethernet (1 - ether)",
        "Time precision = nanoseconds (9)",
        "Filter string = tcp or udp",
        "Number of stat entries = 1",
    ] {
        assert!(summary.contains(line), "no `{line}` in\n{summary}");
    }
    let fields = ["-T", "fields", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "frame.cap_len"];
    let arguments: Vec<_> =
        [Path::new("-r"), &path].into_iter().chain(fields.iter().map(Path::new)).collect();
    let Some(table) = output("tshark", &arguments) else { return };
    let expected: Vec<String> = seen(&mut Capture::open(&path).unwrap())
        .iter()
        .map(|Seen { frame, .. }| {
            let (seconds, ns) = (frame.ts_ns / 1_000_000_000, frame.ts_ns % 1_000_000_000);
            format!("{seconds}.{ns:09}\t{}\t{}", frame.wire_bytes, frame.data.len())
        })
        .collect();
    assert_eq!(table.lines().collect::<Vec<_>>(), expected);
}

/// What a program prints; `None`, said aloud, when it is not installed.
fn output(program: &str, arguments: &[&Path]) -> Option<String> {
    match Command::new(program).args(arguments).env("LC_ALL", "C").env("TZ", "UTC").output() {
        Ok(output) => {
            assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8(output.stdout).expect("text"))
        }
        Err(error) => {
            assert!(std::env::var_os("CORMORANT_NO_SKIP").is_none(), "{program}: {error}");
            let _ = writeln!(io::stderr(), "skipped: {program}: {error}");
            None
        }
    }
}

//! Writes the fuzzers' first inputs into `corpus/`: small captures of every format, filters, and a model of every kind.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use cormorant_learn::ctx::Ctx;
use cormorant_learn::models::MODELS;
use cormorant_learn::pipeline::{Pipeline, PipelineSpec};
use cormorant_learn::table::{Column, Field, Role, Table, TextColumn};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let packets =
        captures().into_iter().chain(bundled()?).chain(compressed()?).chain(fragments()).chain(frames());
    for (target, name, bytes) in packets.chain([ring()]).chain(filters()).chain(models()?).chain(foreign_tables()) {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("seed-{name}")), bytes)?;
    }
    Ok(())
}

type Seed = (&'static str, String, Vec<u8>);

/// A small table of each foreign format, behind the byte that chooses it.
fn foreign_tables() -> Vec<Seed> {
    let kdd = "0,tcp,http,SF,181,5450,0,0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,8,8,0.00,0.00,0.00,0.00,1.00,0.00,0.00,9,9,1.00,0.00,0.11,0.00,0.00,0.00,0.00,0.00";
    let tables = [
        format!("{kdd},normal.\n{kdd},smurf.\n"),
        format!("{kdd},normal,20\n{kdd},saint,3\n"),
        "Flow ID, Source IP,Timestamp,Flow Duration,Flow Bytes/s,Label\na,10.0.0.1,7/7/2017 1:05,5,Infinity,BENIGN\n,,,,,\nb,10.0.0.2,2017-07-07 13:05:00.25,6,2.5,DoS Hulk - Attempted\n".to_owned(),
        "instance_id,ident,label,family,a,b\n1,one,0,ham,0.5,7\n2,two,1,spam,1.5,8\n".to_owned(),
        "time;group;x;word;label\n1577836800;a;1;tcp;benign\n2020-01-01T00:00:01Z;\"b;c\";-;udp;Mirai\n".to_owned(),
    ];
    let seed = |(at, table): (usize, String)| {
        ("import", format!("{at}"), [&[at as u8], table.as_bytes()].concat())
    };
    tables.into_iter().enumerate().map(seed).collect()
}

/// The filters of the tests, each before an empty packet.
fn filters() -> Vec<Seed> {
    let list = include_str!("../../crates/net/tests/it/filters/expressions.txt");
    let filters = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).enumerate();
    filters
        .map(|(at, filter)| {
            ("filter", format!("{at}"), format!("{filter}\n{}", "\0".repeat(64)).into_bytes())
        })
        .collect()
}

/// TCP with a SYN, UDP, ICMP, a first and a later fragment, IPv6 with extension headers, ARP; from both sides.
fn packets() -> Vec<(u16, Vec<u8>)> {
    let ipv4 = |protocol, flags, reverse: bool, body: &[u8]| {
        let (a, b) = if reverse { (2, 1) } else { (1, 2) };
        let header =
            [0x45, 0, 0, 20 + body.len() as u8, 0, 9, flags, 0, 64, protocol, 0, 0, 10, 0, 0, a, 10, 0, 0, b];
        (0x0800, [&header[..], body].concat())
    };
    let tcp = |ports: [u8; 4], flags| {
        [&ports[..], &[0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0x20, 0, 0, 0, 0, 0], b"GET"].concat()
    };
    let udp = [4, 0, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4];
    let mut ipv6 = vec![0x60, 0, 0, 0, 0, 28, 0, 64];
    ipv6.extend([0; 32]);
    ipv6.extend([60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0]);
    ipv6.extend(udp);
    vec![
        ipv4(6, 0x40, false, &tcp([4, 0, 0, 80], 0x02)),
        ipv4(6, 0x40, true, &tcp([0, 80, 4, 0], 0x12)),
        ipv4(6, 0x40, false, &tcp([4, 0, 0, 80], 0x18)),
        ipv4(6, 0x40, true, &tcp([0, 80, 4, 0], 0x11)),
        ipv4(17, 0, false, &udp),
        ipv4(17, 0x20, true, &udp),
        ipv4(17, 0x01, true, b"12345678"),
        ipv4(1, 0, false, &[8, 0, 0, 0, 0, 1, 0, 1]),
        (0x86dd, ipv6),
        (0x0806, vec![0; 28]),
    ]
}

fn ethernet_frames() -> Vec<Vec<u8>> {
    let mut frames: Vec<Vec<u8>> =
        packets().iter().map(|(kind, body)| [&[2; 12], &kind.to_be_bytes()[..], body].concat()).collect();
    let (kind, body) = &packets()[0];
    frames.push([&[2; 12], &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 9][..], &kind.to_be_bytes(), body].concat());
    frames
}

/// The same frames as pcap in two byte orders and resolutions, pcapng, gzip-free so that mutations show.
fn captures() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (name, magic, big) in
        [("us", 0xa1b2_c3d4_u32, false), ("ns", 0xa1b2_3c4d, true), ("mod", 0xa1b2_cd34, false)]
    {
        let u32 = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let u16 = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut file = [&u32(magic)[..], &u16(2), &u16(4), &[0; 8], &u32(65_535), &u32(1)].concat();
        for (at, frame) in (0..).zip(ethernet_frames()) {
            let length = u32(frame.len() as u32);
            file.extend([u32(1_700_000_000 + at * 30), u32(at), length, length].concat());
            file.extend(vec![0; if name == "mod" { 8 } else { 0 }]);
            file.extend(frame);
        }
        seeds.push(("capture", format!("pcap-{name}"), file));
    }
    let block = |kind: u32, body: &[u8]| {
        let padded = body.len().next_multiple_of(4);
        let length = (12 + padded as u32).to_le_bytes();
        [&kind.to_le_bytes()[..], &length, body, &vec![0; padded - body.len()], &length].concat()
    };
    let section = [0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255];
    let mut file = [
        block(0x0a0d_0d0a, &section),
        block(1, &[1, 0, 0, 0, 0, 0, 4, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]),
    ]
    .concat();
    for (at, frame) in (0_u32..).zip(ethernet_frames()) {
        let length = (frame.len() as u32).to_le_bytes();
        let body = [&[0; 4][..], &[1, 0, 0, 0], &at.to_le_bytes(), &length, &length, &frame].concat();
        file.extend(block(6, &body));
        file.extend(block(3, &[&length[..], &frame].concat()));
    }
    seeds.push(("capture", "pcapng".to_owned(), file));
    let metered =
        seeds.iter().map(|(_, name, bytes)| ("meter", name.clone(), bytes.clone())).collect::<Vec<_>>();
    seeds.extend(metered);
    seeds
}

/// Datagrams in pieces, IPv4 and IPv6: how long each waits, its length, its bytes.
fn fragments() -> Vec<Seed> {
    let frame = |wait: u8, packet: &[u8]| [&[wait, packet.len() as u8][..], packet].concat();
    let v4 = |place: [u8; 2], body: &[u8]| {
        let header = [0x45, 0, 0, 20 + body.len() as u8, 0, 9, place[0], place[1], 64, 17, 0, 0];
        [&header[..], &[10, 0, 0, 1, 10, 0, 0, 2], body].concat()
    };
    let v6 = |place: u8, body: &[u8]| {
        let header = [0x60, 0, 0, 0, 0, 8 + body.len() as u8, 44, 64];
        [&header[..], &[0; 32], &[17, 0, 0, place, 0, 0, 0, 9], body].concat()
    };
    let udp = [4, 0, 0, 53, 0, 20, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    let whole = [frame(0, &v4([0x20, 0], &udp)), frame(1, &v4([0, 2], b"last"))].concat();
    let reversed = [frame(0, &v6(16, b"last")), frame(200, &v6(1, &udp))].concat();
    [("v4", whole), ("v6", reversed)].map(|(name, bytes)| ("reassembly", name.to_owned(), bytes)).to_vec()
}

/// The start of each capture that comes with the program, cut where it may.
fn bundled() -> io::Result<Vec<Seed>> {
    let mut seeds = Vec::new();
    for name in ["hunt", "learn"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../samples/{name}.pcapng"));
        let mut start = Vec::new();
        File::open(path)?.take(16 * 1024).read_to_end(&mut start)?;
        seeds.extend(["capture", "meter"].map(|target| (target, name.to_owned(), start.clone())));
    }
    Ok(seeds)
}

/// One byte that chooses no start, then a capture as the tools compress it.
fn compressed() -> io::Result<Vec<Seed>> {
    let Some((_, _, file)) = captures().into_iter().next() else { return Ok(Vec::new()) };
    let mut gzip = flate2::write::GzEncoder::new(vec![4], flate2::Compression::default());
    gzip.write_all(&file)?;
    let mut xz = lzma_rust2::XzWriter::new(vec![4], lzma_rust2::XzOptions::with_preset(0))?;
    xz.write_all(&file)?;
    let zstd = [vec![4], zstd::encode_all(&file[..], 1)?].concat();
    let named = [("gzip", gzip.finish()?), ("xz", xz.finish()?), ("zstd", zstd)];
    Ok(named.map(|(name, bytes)| ("compressed", name.to_owned(), bytes)).into())
}

/// One byte that chooses the link type, two of length beyond the capture, then the frame.
fn frames() -> Vec<Seed> {
    let ethernet = ethernet_frames().into_iter().enumerate();
    let ethernet =
        ethernet.map(|(at, frame)| ("packet", format!("ethernet-{at}"), [&[0, 0, 0][..], &frame].concat()));
    let raw = packets().into_iter().enumerate();
    let raw = raw.map(|(at, (_, body))| ("packet", format!("raw-{at}"), [&[6, 0, 9][..], &body].concat()));
    let loopback = ("packet", "null".to_owned(), [&[3, 0, 0, 2, 0, 0, 0][..], &packets()[4].1].concat());
    let cooked = [&[8, 0, 0][..], &[0; 14], &[0x08, 0x00], &packets()[4].1].concat();
    ethernet.chain(raw).chain([loopback, ("packet", "sll".to_owned(), cooked)]).collect()
}

/// A block of a ring as the kernel writes it, with a tag beside each frame.
fn ring() -> Seed {
    let frames = ethernet_frames();
    let mut block = [2, 48, 1, frames.len() as u32, 48, 0, 0, 0, 0, 0, 0, 0].map(u32::to_ne_bytes).concat();
    for frame in frames {
        let (length, behind) = (frame.len() as u32, (80 + frame.len()).next_multiple_of(8));
        let header = [behind as u32, 1_700_000_000, 5, length, length, 0x51].map(u32::to_ne_bytes).concat();
        let rest = [80_u16, 94, 0, 0, 9, 0, 0x88a8, 0].map(u16::to_ne_bytes).concat();
        let start = block.len();
        block.extend([header, rest, vec![0; 40], frame].concat());
        block.resize(start + behind, 0);
    }
    ("ring", "block".to_owned(), block)
}

/// Every model, fitted on a table with numbers, words and missing values.
fn models() -> Result<Vec<Seed>, Box<dyn std::error::Error>> {
    let rows = 60;
    let label = |row: usize| if row % 3 == 0 { "malicious" } else { "benign" };
    let family = |row: usize| if row % 6 == 0 { "scan" } else { "beacon" };
    let word = |row: usize| [Some("tcp"), Some("udp"), None][row % 3 * 2 % 3];
    let table = Table::new(
        vec![
            Field::new("bytes", "bytes", Role::Feature),
            Field::new("rate", "", Role::Feature),
            Field::new("proto", "", Role::Feature),
            Field::new("label", "", Role::Label),
            Field::new("family", "", Role::Family),
        ],
        vec![
            Column::U64((0..rows as u64).map(|row| row * row % 37 + 40 * u64::from(row % 3 == 0)).collect()),
            Column::F64(
                (0..rows).map(|row| if row % 9 == 4 { f64::NAN } else { (row as f64).sin() }).collect(),
            ),
            Column::Text(TextColumn::from_texts((0..rows).map(word))),
            Column::Text(TextColumn::from_texts((0..rows).map(|row| Some(label(row))))),
            Column::Text(TextColumn::from_texts((0..rows).map(|row| (row % 3 == 0).then(|| family(row))))),
        ],
    )?;
    let mut seeds = Vec::new();
    for spec in MODELS {
        let small = [("trees", "3"), ("epochs", "3")]
            .into_iter()
            .filter(|(name, _)| spec.params.iter().any(|p| p.name == *name));
        let spec = small.fold(PipelineSpec::new(spec.name), |spec, (name, value)| spec.with(name, value));
        let pipeline = Pipeline::fit(&spec, &table, &Ctx::new(1, 1)).map_err(io::Error::other)?;
        seeds.push(("model_file", spec.model.clone(), pipeline.to_bytes()?));
    }
    Ok(seeds)
}

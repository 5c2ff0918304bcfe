//! `.corm` files: old ones open for ever, damaged ones are refused and never panic.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cormorant_learn::corm;
use cormorant_learn::ctx::Ctx;
use cormorant_learn::eval::cost::CostMatrix;
use cormorant_learn::models::MODELS;
use cormorant_learn::pipeline::{Calibration, Pipeline, PipelineSpec};
use cormorant_learn::table::Table;

use crate::data::traffic;
use crate::mutate::{mutated, mutations};

fn ctx() -> Ctx {
    Ctx::new(1, 1)
}

fn small_spec(model: &str) -> PipelineSpec {
    let spec = PipelineSpec::new(model);
    let few = MODELS
        .iter()
        .any(|known| known.name == model && known.params.iter().any(|param| param.name == "trees"));
    if few { spec.with("trees", "3") } else { spec }
}

fn small(model: &str, table: &Table) -> Pipeline {
    Pipeline::fit(&small_spec(model), table, &ctx()).unwrap()
}

/// One whose probabilities are calibrated, set to other shares of the classes, and decided by cost.
fn adjusted(table: &Table) -> Pipeline {
    let mut spec = small_spec("logistic");
    spec.calibration = Calibration::Isotonic;
    spec.priors = Some(BTreeMap::new());
    let classes = vec!["benign".to_owned(), "malicious".to_owned()];
    spec.costs = Some(CostMatrix::new(classes, vec![vec![0.0, 1.0], vec![5.0, 0.0]]).unwrap());
    Pipeline::fit(&spec, table, &ctx()).unwrap()
}

/// Every model, and one that is adjusted.
fn kinds() -> impl Iterator<Item = &'static str> {
    MODELS.iter().map(|model| model.name).chain(["adjusted"])
}

fn of_kind(kind: &str, table: &Table) -> Pipeline {
    if kind == "adjusted" { adjusted(table) } else { small(kind, table) }
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Written once per format version with `CORMORANT_UPDATE=1`, and never again: people keep such files.
#[test]
fn files_of_version_1_open_for_ever() {
    let (learn, probe) = (traffic(120, 1), traffic(20, 2));
    for model in kinds() {
        let (file, scores) = (fixture(&format!("v1-{model}.corm")), fixture(&format!("v1-{model}.scores")));
        if std::env::var_os("CORMORANT_UPDATE").is_some() && !file.exists() {
            let pipeline = of_kind(model, &learn);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, pipeline.to_bytes().unwrap()).unwrap();
            std::fs::write(&scores, as_text(&pipeline.score(&probe, &ctx()).unwrap().malicious)).unwrap();
        }
        let pipeline = Pipeline::from_bytes(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(pipeline.trained().rows, 120);
        let found = pipeline.score(&probe, &ctx()).unwrap().malicious;
        let expected = std::fs::read_to_string(&scores).unwrap();
        for (found, expected) in found.iter().zip(expected.lines()) {
            assert!(
                (found - expected.parse::<f64>().unwrap()).abs() < 1e-12,
                "{model}: {found} is not {expected}"
            );
        }
        assert_eq!(found.len(), expected.lines().count());
    }
}

fn as_text(scores: &[f64]) -> String {
    scores.iter().map(|score| format!("{score}\n")).collect()
}

#[test]
fn damaged_files_are_refused() {
    let file = small("decision-tree", &traffic(60, 3)).to_bytes().unwrap();
    for index in 0..mutations() {
        let damaged = mutated(&file, index);
        assert!(
            damaged == file || Pipeline::from_bytes(&damaged).is_err(),
            "mutation {index} went unnoticed"
        );
    }
}

/// Someone who damages a file on purpose mends the checksums.
#[test]
fn damaged_sections_under_right_checksums_never_panic() {
    let table = traffic(60, 4);
    for model in kinds() {
        let file = of_kind(model, &table).to_bytes().unwrap();
        let sections: Vec<(corm::Tag, Vec<u8>)> =
            corm::read(&file).unwrap().into_iter().map(|(tag, body)| (tag, body.to_vec())).collect();
        let mut opened = 0;
        for index in 0..mutations() {
            let mut damaged = sections.clone();
            let place = index as usize % damaged.len();
            damaged[place].1 = mutated(&damaged[place].1, index);
            let Ok(pipeline) = Pipeline::from_bytes(&corm::write(&damaged).unwrap()) else { continue };
            opened += 1;
            use_everything(&pipeline, &table);
        }
        assert!(opened > 0, "no damaged file of {model} opens: damage is not tried");
        eprintln!("{model}: {opened} of {} damaged files open", mutations());
    }
}

/// Lengths that lie, under right checksums, in a process that may have 1 GiB of addresses: a reader that believed one of
/// them, 2^32 - 1 elements or a section of 2^30 bytes, would be stopped by the system.
#[test]
fn lengths_that_lie_cost_no_memory() {
    const CHILD: &str = "CORMORANT_LITTLE_MEMORY";
    if std::env::var_os(CHILD).is_some() {
        return lie_about_lengths();
    }
    let script = "ulimit -v 1048576 || exit 9; exec \"$0\" --exact corm::lengths_that_lie_cost_no_memory --test-threads 1";
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script]).arg(std::env::current_exe().unwrap()).env(CHILD, "1");
    let Ok(outcome) = shell.output() else { return eprintln!("skipped: there is no sh") };
    let said =
        String::from_utf8_lossy(&outcome.stdout).into_owned() + &String::from_utf8_lossy(&outcome.stderr);
    match outcome.status.code() {
        Some(9) => eprintln!("skipped: memory cannot be limited here"),
        code => assert!(code == Some(0) && said.contains("1 passed"), "{said}"),
    }
}

fn lie_about_lengths() {
    for model in kinds() {
        let file = std::fs::read(fixture(&format!("v1-{model}.corm"))).unwrap();
        let sections: Vec<(corm::Tag, Vec<u8>)> =
            corm::read(&file).unwrap().into_iter().map(|(tag, body)| (tag, body.to_vec())).collect();
        let packed = (0..sections.len()).filter(|&place| sections[place].0 != *b"HEAD");
        for place in packed {
            for offset in (0..sections[place].1.len()).step_by(3) {
                // array, map, bytes and text of 2^32 - 1, as MessagePack writes them
                for lie in [0xdd, 0xdf, 0xc6, 0xdb] {
                    let mut damaged = sections.clone();
                    let body = damaged[place].1[offset..].iter_mut();
                    body.zip([lie, 0xff, 0xff, 0xff, 0xff]).for_each(|(byte, lie)| *byte = lie);
                    drop(Pipeline::from_bytes(&corm::write(&damaged).unwrap()));
                }
            }
        }
        let mut long = file.clone();
        long[16..24].copy_from_slice(&corm::LONGEST_SECTION_BYTES.to_le_bytes());
        let table_end = 8 + 16 * sections.len();
        let checksum = crc32fast::hash(&long[..table_end]);
        long[table_end..table_end + 4].copy_from_slice(&checksum.to_le_bytes());
        assert!(Pipeline::from_bytes(&long).err().unwrap().to_string().contains("cut short"));
    }
}

fn use_everything(pipeline: &Pipeline, table: &Table) {
    let few = table.take_rows(&[0, 1, 28]);
    drop((pipeline.score(&few, &ctx()), pipeline.evaluate(&few, &ctx()), pipeline.to_bytes()));
    (0..3).for_each(|row| drop(pipeline.explain(&few, row)));
}

#[test]
fn sections_of_different_models_do_not_mix() {
    let table = traffic(90, 5);
    let open = |model| small(model, &table).to_bytes().unwrap();
    let (one, other) = (open("logistic"), open("decision-tree"));
    let (one, other) = (corm::read(&one).unwrap(), corm::read(&other).unwrap());
    for swapped in 0..one.len() {
        let mixed: Vec<(corm::Tag, Vec<u8>)> = (0..one.len())
            .map(|place| if place == swapped { other[place] } else { one[place] })
            .map(|(tag, body)| (tag, body.to_vec()))
            .collect();
        let opened = Pipeline::from_bytes(&corm::write(&mixed).unwrap());
        assert!(
            opened.is_err() || one[swapped] == other[swapped],
            "section {swapped} of another model was taken"
        );
    }
    let fewer: Vec<(corm::Tag, Vec<u8>)> = one[1..].iter().map(|(tag, body)| (*tag, body.to_vec())).collect();
    let error = Pipeline::from_bytes(&corm::write(&fewer).unwrap()).err().unwrap().to_string();
    assert!(error.contains("section HEAD is missing"), "{error}");
}

/// What a later program adds must not be passed over when it changes what the file means.
#[test]
fn unknown_sections_are_refused_unless_they_say_they_may_be_passed_over() {
    let file = small("gaussian-nb", &traffic(60, 7)).to_bytes().unwrap();
    let with = |tag: corm::Tag| {
        let known = corm::read(&file).unwrap().into_iter().map(|(tag, body)| (tag, body.to_vec()));
        Pipeline::from_bytes(&corm::write(&known.chain([(tag, vec![1])]).collect::<Vec<_>>()).unwrap())
    };
    assert!(with(*b"note").is_ok());
    let error = with(*b"RULE").err().unwrap().to_string();
    assert!(error.contains("section RULE") && error.contains("newer program"), "{error}");
}

#[test]
fn the_header_is_json_that_says_what_the_model_is() {
    let file = small("logistic", &traffic(90, 6)).to_bytes().unwrap();
    let sections = corm::read(&file).unwrap();
    let head: serde_json::Value = serde_json::from_slice(sections[0].1).unwrap();
    assert_eq!(head["model"], "logistic");
    assert_eq!(head["schema"]["features"][0]["name"], "bytes");
    assert_eq!(head["trained"]["rows"], 90);
    assert_eq!(head["schema_digest"].as_str().unwrap().len(), 64);
}

//! `cormorant jobs fetch`: the files a job wrote, out of the lab.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, FromArgMatches};
use cormorant_lab::jobs::Queue;
use serde_json::json;

use super::super::Verb;
use crate::edge::Edge;
use crate::failure::Exit;
use crate::units::bytes;

pub(super) static VERB: Verb = Verb {
    name: "fetch",
    about: "Copy the files a job wrote out of the lab, under the names its command gives them",
    notes: "Each file is compared with its digest on the way.",
    example: &[
        "cormorant jobs add flows samples/hunt.pcapng -o flows.csv",
        "cormorant work --drain",
        "cormorant jobs fetch 1",
    ],
    args: Typed::augment_args,
    run: |matches, edge| run(&Typed::from_arg_matches(matches)?, edge),
};

#[derive(Args)]
struct Typed {
    /// Its number
    #[arg(value_name = "JOB")]
    job: i64,
    /// Directory to put them in
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    output: PathBuf,
}

fn run(typed: &Typed, edge: &Edge) -> Result<Exit> {
    let lab = edge.lab()?;
    let job = Queue::of(&lab).job(typed.job)?;
    let Some(done) = &job.result else {
        bail!("job {} is {}, so there is nothing to fetch", job.id, job.state.word())
    };
    let mut files = Vec::new();
    for (name, file) in &done.outputs {
        let path = typed.output.join(name);
        lab.objects().copy_out(file.digest, &path)?;
        files.push(json!({ "path": path, "digest": file.digest, "bytes": file.bytes }));
    }
    edge.show(&json!({ "job": job.id, "files": files }), |page| {
        page.heading(format!("Files of job {}", job.id));
        for (name, file) in &done.outputs {
            let path = typed.output.join(name);
            page.line([format!("  {} ({})", path.display(), bytes(file.bytes)).into()]);
        }
    })?;
    Ok(Exit::Fine)
}

//! A pipeline as the bytes of a `.corm` file, and back: every part is checked against the others before it is used.

use serde::{Deserialize, Serialize};

use super::adjust::Adjust;
use super::{Pipeline, Target, ThresholdRule, TrainRecord};
use crate::LearnError;
use crate::corm::{self, Tag, pack, unpack};
use crate::estimator::Kind;
use crate::models;
use crate::params::Params;
use crate::prep::{Preparation, SavedStep, StepSpec};
use crate::table::Schema;

const HEAD: Tag = *b"HEAD";
const PREP: Tag = *b"PREP";
const MODEL: Tag = *b"MODL";
const BASELINE: Tag = *b"BASE";
/// Only there when something is adjusted.
const ADJUST: Tag = *b"ADJU";

/// The JSON header: what a person or another program may want to know without reading the model.
#[derive(Serialize, Deserialize)]
struct Head {
    model: String,
    params: Params,
    target: Target,
    classes: Vec<String>,
    threshold: f64,
    threshold_rule: ThresholdRule,
    /// Absent in files from before it, and where rows keep their zeros.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    sparse: bool,
    /// Each step with all its parameters; early files have the names only.
    steps: Vec<String>,
    schema_digest: String,
    schema: Schema,
    trained: TrainRecord,
}

impl Pipeline {
    /// The pipeline as a `.corm` file (`docs/corm.md`); the same pipeline gives the same bytes.
    ///
    /// # Errors
    /// [`LearnError::File`] when a part cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, LearnError> {
        let head = Head {
            model: self.model_spec.name.to_owned(),
            params: self.params.clone(),
            target: self.target,
            classes: self.classes.clone(),
            threshold: self.threshold,
            threshold_rule: self.threshold_rule,
            sparse: self.sparse,
            steps: self.prep.specs().iter().map(StepSpec::to_string).collect(),
            schema_digest: self.schema.digest(),
            schema: self.schema.clone(),
            trained: self.trained.clone(),
        };
        let json = serde_json::to_vec_pretty(&head)
            .map_err(|error| LearnError::File(format!("header cannot be written: {error}")))?;
        let mut sections = vec![
            (HEAD, json),
            (PREP, pack("preparation", &self.prep.save()?)?),
            (MODEL, self.model.save()?),
            (BASELINE, pack("baseline", &self.baseline)?),
        ];
        if !self.adjust.is_empty() {
            sections.push((ADJUST, pack("adjustments", &self.adjust)?));
        }
        corm::write(&sections)
    }

    /// Reads what [`Pipeline::to_bytes`] wrote, of this or an earlier version. Whatever the bytes, it returns, and a pipeline
    /// it returns cannot panic on any table.
    ///
    /// # Errors
    /// [`LearnError::File`] saying what is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LearnError> {
        let sections = corm::read(bytes)?;
        refuse_unknown(&sections)?;
        let section = |wanted: Tag| {
            let found = sections.iter().find(|(tag, _)| *tag == wanted).map(|(_, body)| *body);
            found.ok_or_else(|| LearnError::File(format!("section {} is missing", corm::name(wanted))))
        };
        let head: Head = serde_json::from_slice(section(HEAD)?)
            .map_err(|error| LearnError::File(format!("header cannot be read: {error}")))?;
        let saved: Vec<SavedStep> = unpack("preparation", section(PREP)?)?;
        let model_spec = models::find(&head.model).map_err(in_file)?;
        let given = head.params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let pipeline = Self {
            prep: Preparation::load(&saved, &head.schema).map_err(in_file)?,
            sparse: head.sparse,
            model: (model_spec.load)(section(MODEL)?).map_err(in_file)?,
            model_spec,
            params: Params::check(model_spec.name, model_spec.params, &given).map_err(in_file)?,
            target: head.target,
            classes: head.classes,
            adjust: adjustments(&sections)?,
            threshold: head.threshold,
            threshold_rule: head.threshold_rule,
            baseline: unpack("baseline", section(BASELINE)?)?,
            trained: head.trained,
            schema: head.schema,
        };
        pipeline.check_parts(&head.schema_digest, &head.steps)?;
        Ok(pipeline)
    }

    /// Refuses parts that are sound alone but do not belong together.
    fn check_parts(&self, schema_digest: &str, steps: &[String]) -> Result<(), LearnError> {
        let classes = match self.model_spec.kind {
            Kind::Classifier => self.classes.len() == self.model.outputs() && self.classes.len() >= 2,
            Kind::Novelty => self.classes.is_empty() && self.model.outputs() == 1,
        };
        let baseline = self.baseline.features.len() == self.schema.features.len()
            && self.baseline.features.iter().all(super::BaselineFeature::is_sound);
        let specs: Vec<String> = self.prep.specs().iter().map(StepSpec::to_string).collect();
        for (sound, part) in [
            (self.schema.digest() == schema_digest, "the schema and its digest"),
            (
                specs == steps || self.prep.names().eq(steps.iter().map(String::as_str)),
                "the header's steps and the preparation",
            ),
            (self.model.columns() == self.prep.columns().len(), "the preparation's and the model's columns"),
            (classes, "the classes and the model's outputs"),
            (baseline, "the schema and the baseline"),
            (self.adjust.is_sound_for(&self.classes), "the classes and the adjustments"),
        ] {
            if !sound {
                return Err(LearnError::File(format!("{part} do not belong together")));
            }
        }
        Ok(())
    }
}

/// A section that changes what a file means is in capitals; one that may be passed over begins with a small letter.
fn refuse_unknown(sections: &[(Tag, &[u8])]) -> Result<(), LearnError> {
    let known = [HEAD, PREP, MODEL, BASELINE, ADJUST];
    let must_be_known = |(tag, _): &&(Tag, &[u8])| !known.contains(tag) && !tag[0].is_ascii_lowercase();
    sections.iter().find(must_be_known).map_or(Ok(()), |(tag, _)| {
        Err(LearnError::File(format!(
            "section {} is not known to this program, and the model cannot be used without it; use a newer program",
            corm::name(*tag)
        )))
    })
}

fn adjustments(sections: &[(Tag, &[u8])]) -> Result<Adjust, LearnError> {
    let body = sections.iter().find(|(tag, _)| *tag == ADJUST).map(|(_, body)| *body);
    body.map_or_else(|| Ok(Adjust::default()), |body| unpack("adjustments", body))
}

fn in_file(error: LearnError) -> LearnError {
    match error {
        LearnError::File(_) => error,
        other => LearnError::File(other.to_string()),
    }
}

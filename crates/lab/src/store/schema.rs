//! The tables of the store, version by version. `docs/store.md` says what they are for.
//!
//! Types are the neutral words of `Engine::definition`: `{id}` a number given by the database, `{int}` i64, `{real}`
//! f64, `{name}` a text of at most 255 characters compared by bytes, `{text}` a long text, `{bytes}` bytes. A time ends in
//! `_ns`: ns since the UNIX epoch, UTC. A truth is 0 or 1. Nobody deletes or updates a row of a table called `.._events`
//! or of `audit_log`; only the removal of a whole project takes its events along.
//!
//! A migration that has been released is never changed: the next version is a new list below it.

use super::migrate::{Migration, Step};

/// Every version, first to last.
pub const MIGRATIONS: &[Migration] = &[Migration { version: 1, name: "the first schema", steps: FIRST }];

/// A table, and that it can be dropped again.
macro_rules! table {
    ($name:literal, $columns:literal) => {
        Step {
            up: concat!("CREATE TABLE ", $name, " (", $columns, "){table}"),
            down: concat!("DROP TABLE IF EXISTS ", $name),
        }
    };
}

/// An index; it goes with its table.
macro_rules! index {
    ($name:literal, $on:literal) => {
        Step { up: concat!("CREATE INDEX ", $name, " ON ", $on), down: "SELECT 1" }
    };
}

const FIRST: &[Step] = &[
    table!(
        "projects",
        "id {id}, name {name} NOT NULL, description {text} NOT NULL, created_ns {int} NOT NULL, \
         revision {int} NOT NULL, UNIQUE (name)"
    ),
    table!(
        "jobs",
        "id {id}, project_id {int}, task {name} NOT NULL, spec {text} NOT NULL, command {text} NOT NULL, \
         state {name} NOT NULL, priority {int} NOT NULL, attempts {int} NOT NULL, max_attempts {int} NOT NULL, \
         not_before_ns {int} NOT NULL, lease_owner {name}, lease_until_ns {int}, fence {int} NOT NULL, \
         progress_done {int} NOT NULL, progress_total {int} NOT NULL, progress_words {text} NOT NULL, \
         cancel {int} NOT NULL, result {text}, error {text}, created_ns {int} NOT NULL, started_ns {int}, \
         finished_ns {int}, author {name} NOT NULL, FOREIGN KEY (project_id) REFERENCES projects (id)"
    ),
    index!("jobs_by_state", "jobs (state, priority, id)"),
    table!(
        "runs",
        "id {id}, project_id {int}, job_id {int}, task {name} NOT NULL, spec {text} NOT NULL, \
         command {text} NOT NULL, seed {int} NOT NULL, program {name} NOT NULL, state {name} NOT NULL, error {text}, \
         author {name} NOT NULL, started_ns {int} NOT NULL, finished_ns {int}, \
         FOREIGN KEY (project_id) REFERENCES projects (id), FOREIGN KEY (job_id) REFERENCES jobs (id)"
    ),
    table!(
        "run_inputs",
        "run_id {int} NOT NULL, position {int} NOT NULL, name {text} NOT NULL, digest {name} NOT NULL, \
         PRIMARY KEY (run_id, position), FOREIGN KEY (run_id) REFERENCES runs (id)"
    ),
    table!(
        "run_metrics",
        "run_id {int} NOT NULL, position {int} NOT NULL, part {name} NOT NULL, name {name} NOT NULL, value {real}, \
         PRIMARY KEY (run_id, position), UNIQUE (run_id, part, name), FOREIGN KEY (run_id) REFERENCES runs (id)"
    ),
    table!(
        "run_artefacts",
        "run_id {int} NOT NULL, position {int} NOT NULL, name {text} NOT NULL, kind {name} NOT NULL, \
         digest {name} NOT NULL, bytes {int} NOT NULL, PRIMARY KEY (run_id, position), \
         FOREIGN KEY (run_id) REFERENCES runs (id)"
    ),
    index!("run_artefacts_by_digest", "run_artefacts (digest)"),
    table!(
        "datasets",
        "id {id}, project_id {int} NOT NULL, name {name} NOT NULL, description {text} NOT NULL, \
         created_ns {int} NOT NULL, next_seq {int} NOT NULL, UNIQUE (project_id, name), \
         FOREIGN KEY (project_id) REFERENCES projects (id)"
    ),
    table!(
        "dataset_versions",
        "id {id}, dataset_id {int} NOT NULL, version {int} NOT NULL, digest {name} NOT NULL, bytes {int} NOT NULL, \
         row_count {int} NOT NULL, schema_digest {name} NOT NULL, provenance {text} NOT NULL, command {text} NOT NULL, \
         run_id {int}, author {name} NOT NULL, created_ns {int} NOT NULL, \
         UNIQUE (dataset_id, version), UNIQUE (dataset_id, digest), \
         FOREIGN KEY (dataset_id) REFERENCES datasets (id), FOREIGN KEY (run_id) REFERENCES runs (id)"
    ),
    table!(
        "features",
        "version_id {int} NOT NULL, position {int} NOT NULL, name {name} NOT NULL, role {name} NOT NULL, \
         type {name} NOT NULL, unit {name} NOT NULL, description {text} NOT NULL, PRIMARY KEY (version_id, position), \
         UNIQUE (version_id, name), FOREIGN KEY (version_id) REFERENCES dataset_versions (id)"
    ),
    table!(
        "campaigns",
        "id {id}, dataset_id {int} NOT NULL, version_id {int} NOT NULL, name {name} NOT NULL, spec {text} NOT NULL, \
         seed {int} NOT NULL, command {text} NOT NULL, state {name} NOT NULL, iteration {int} NOT NULL, \
         checkpoint {text}, next_seq {int} NOT NULL, author {name} NOT NULL, created_ns {int} NOT NULL, \
         changed_ns {int} NOT NULL, UNIQUE (dataset_id, name), FOREIGN KEY (dataset_id) REFERENCES datasets (id), \
         FOREIGN KEY (version_id) REFERENCES dataset_versions (id)"
    ),
    table!(
        "families",
        "id {id}, project_id {int} NOT NULL, label {int} NOT NULL, name {name} NOT NULL, merged_into {int}, \
         retired {int} NOT NULL, created_ns {int} NOT NULL, checksum {int} NOT NULL, UNIQUE (project_id, label, name), \
         FOREIGN KEY (project_id) REFERENCES projects (id), FOREIGN KEY (merged_into) REFERENCES families (id)"
    ),
    table!(
        "family_events",
        "id {id}, project_id {int} NOT NULL, seq {int} NOT NULL, operation {name} NOT NULL, detail {text} NOT NULL, \
         undoes {int}, author {name} NOT NULL, at_ns {int} NOT NULL, checksum {int} NOT NULL, \
         UNIQUE (project_id, seq), FOREIGN KEY (project_id) REFERENCES projects (id), FOREIGN KEY (undoes) REFERENCES family_events (id)"
    ),
    table!(
        "annotation_events",
        "id {id}, dataset_id {int} NOT NULL, seq {int} NOT NULL, event_key {name} NOT NULL, kind {name} NOT NULL, \
         row_id {name} NOT NULL, label {int}, family_id {int}, retracts {int}, split_id {int}, version_id {int}, \
         campaign_id {int}, campaign_seq {int}, iteration {int}, author {name} NOT NULL, origin {name} NOT NULL, \
         note {text}, at_ns {int} NOT NULL, checksum {int} NOT NULL, \
         UNIQUE (dataset_id, seq), UNIQUE (dataset_id, event_key), UNIQUE (campaign_id, campaign_seq), \
         FOREIGN KEY (dataset_id) REFERENCES datasets (id), FOREIGN KEY (family_id) REFERENCES families (id), \
         FOREIGN KEY (split_id) REFERENCES family_events (id), \
         FOREIGN KEY (version_id) REFERENCES dataset_versions (id), \
         FOREIGN KEY (campaign_id) REFERENCES campaigns (id)"
    ),
    index!("annotation_events_by_row", "annotation_events (dataset_id, row_id, seq)"),
    table!(
        "models",
        "id {id}, project_id {int} NOT NULL, name {name} NOT NULL, description {text} NOT NULL, \
         created_ns {int} NOT NULL, next_seq {int} NOT NULL, UNIQUE (project_id, name), \
         FOREIGN KEY (project_id) REFERENCES projects (id)"
    ),
    table!(
        "model_versions",
        "id {id}, model_id {int} NOT NULL, version {int} NOT NULL, stage {name} NOT NULL, digest {name} NOT NULL, \
         bytes {int} NOT NULL, schema_digest {name} NOT NULL, run_id {int}, command {text} NOT NULL, \
         author {name} NOT NULL, created_ns {int} NOT NULL, UNIQUE (model_id, version), UNIQUE (model_id, digest), \
         FOREIGN KEY (model_id) REFERENCES models (id), FOREIGN KEY (run_id) REFERENCES runs (id)"
    ),
    table!(
        "model_events",
        "id {id}, model_id {int} NOT NULL, seq {int} NOT NULL, operation {name} NOT NULL, version {int} NOT NULL, \
         from_stage {name} NOT NULL, to_stage {name} NOT NULL, replaced {int}, undoes {int}, reason {text} NOT NULL, \
         author {name} NOT NULL, at_ns {int} NOT NULL, UNIQUE (model_id, seq), \
         FOREIGN KEY (model_id) REFERENCES models (id)"
    ),
    table!(
        "objects",
        "digest {name} NOT NULL, kind {name} NOT NULL, bytes {int} NOT NULL, created_ns {int} NOT NULL, \
         checked_ns {int}, PRIMARY KEY (digest)"
    ),
    table!(
        "object_holds",
        "digest {name} NOT NULL, holder {name} NOT NULL, until_ns {int} NOT NULL, PRIMARY KEY (digest, holder)"
    ),
    table!(
        "users",
        "id {id}, name {name} NOT NULL, full_name {text} NOT NULL, role {name} NOT NULL, password {text}, \
         created_ns {int} NOT NULL, disabled_ns {int}, UNIQUE (name)"
    ),
    table!(
        "tokens",
        "id {id}, user_id {int} NOT NULL, name {name} NOT NULL, digest {name} NOT NULL, role {name} NOT NULL, \
         created_ns {int} NOT NULL, expires_ns {int}, used_ns {int}, revoked_ns {int}, UNIQUE (digest), \
         UNIQUE (user_id, name), FOREIGN KEY (user_id) REFERENCES users (id)"
    ),
    table!(
        "audit_log",
        "id {id}, at_ns {int} NOT NULL, author {name} NOT NULL, action {name} NOT NULL, subject {text} NOT NULL, \
         detail {text} NOT NULL"
    ),
    index!("audit_log_by_time", "audit_log (at_ns, id)"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbered_without_a_gap() {
        for (number, migration) in (1..).zip(MIGRATIONS) {
            assert_eq!(migration.version, number);
            assert!(!migration.steps.is_empty());
        }
    }
}

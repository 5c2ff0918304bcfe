//! The lab from outside: captures in files to tables, models and alerts.

mod faults;
mod formats;
#[cfg(target_os = "linux")]
mod full_disk;
mod import;
mod invariance;
mod jobs;
mod labels;
mod labs;
mod lists;
mod made;
mod models;
mod objects;
mod real_labels;
mod store;
mod tables;

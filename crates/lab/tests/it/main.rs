//! The lab from outside: captures in files to tables, models and alerts.

mod faults;
mod formats;
mod import;
mod invariance;
mod labels;
mod lists;
mod made;
mod models;
mod objects;
mod real_labels;
mod store;
mod tables;

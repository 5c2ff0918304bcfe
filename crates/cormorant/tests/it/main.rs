//! Integration tests: the real binary, run as a user runs it. One binary, a module per topic.

mod bench;
mod captures;
mod errors;
mod help;
mod json;
mod keeping;
mod lab;
mod label;
#[cfg(target_os = "linux")]
mod live;
mod looks;
mod readers;
mod reference;
mod settings;
mod tidy;
mod verbs;

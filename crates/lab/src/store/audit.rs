//! Who did what and when: one line for every change, written in the transaction of the change. Nobody updates or deletes
//! a line.

use super::driver::Session;
use super::error::Result;
use super::row::{Row, values};
use super::{Store, text};

/// Who makes a change, and when: ns since the UNIX epoch, from whoever has a clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The user's name.
    pub author: String,
    /// When, in ns since the UNIX epoch.
    pub at_ns: i64,
}

impl Stamp {
    /// `author`, now.
    #[must_use]
    pub fn new(author: impl Into<String>, at_ns: i64) -> Self {
        Self { author: author.into(), at_ns }
    }
}

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number; later lines have greater ones.
    pub id: i64,
    /// When, in ns since the UNIX epoch.
    pub at_ns: i64,
    /// Who.
    pub author: String,
    /// What was done: `project.create`, `model.promote`, ..
    pub action: String,
    /// To what: `project web`.
    pub subject: String,
    /// More about it, a JSON document.
    pub detail: serde_json::Value,
}

impl Store {
    /// At most `limit` lines that came after line `after` (0: from the first), oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn audit(&self, after: i64, limit: u32) -> Result<Vec<AuditEntry>> {
        self.read(|session| {
            session
                .rows(
                    "SELECT id, at_ns, author, action, subject, detail FROM audit_log WHERE id > ? ORDER BY id LIMIT ?",
                    values![after, i64::from(limit)],
                )?
                .iter()
                .map(entry)
                .collect()
        })
    }
}

/// Writes one line, in the transaction of the change it tells of.
pub(crate) fn record(
    session: &mut Session<'_>,
    stamp: &Stamp,
    action: &'static str,
    subject: &str,
    detail: &serde_json::Value,
) -> Result<()> {
    text::name("the author", &stamp.author)?;
    session.insert(
        "INSERT INTO audit_log (at_ns, author, action, subject, detail) VALUES (?, ?, ?, ?, ?)",
        values![stamp.at_ns, &stamp.author, action, subject, detail.to_string()],
    )?;
    Ok(())
}

fn entry(row: &Row) -> Result<AuditEntry> {
    Ok(AuditEntry {
        id: row.int(0)?,
        at_ns: row.int(1)?,
        author: row.text(2)?,
        action: row.text(3)?,
        subject: row.text(4)?,
        detail: row.json(5)?,
    })
}

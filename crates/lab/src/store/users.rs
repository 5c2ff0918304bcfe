//! Users, their roles, and the tokens that programs show instead of a password.
//!
//! A token is random, so its SHA-256 is all that is kept and all that is needed; a password is not, so what is kept of it is
//! an Argon2id string, made and checked by whoever asks for passwords. The store never sees one.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::audit::{Stamp, record};
use super::driver::Session;
use super::error::{Result, StoreError};
use super::row::{Row, values};
use super::{Store, text};

/// The shortest token: 128 bits in hexadecimal.
const TOKEN_CHARACTERS: usize = 32;

/// What somebody may do; each role may do what the one before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look.
    Viewer,
    /// Annotate.
    Annotator,
    /// Run tasks and promote models.
    Operator,
    /// Everything, users included.
    Admin,
}

impl Role {
    /// `viewer`, `annotator`, `operator` or `admin`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Annotator => "annotator",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Viewer, Self::Annotator, Self::Operator, Self::Admin]
            .into_iter()
            .find(|role| role.word() == word)
    }
}

/// Somebody who may use the lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub id: i64,
    /// The name to log in with.
    pub name: String,
    /// The name for people.
    pub full_name: String,
    /// What it may do.
    pub role: Role,
    /// When it was created, in ns since the UNIX epoch.
    pub created_ns: i64,
    /// Since when it may do nothing.
    pub disabled_ns: Option<i64>,
}

/// A token, without what is secret about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its number.
    pub id: i64,
    /// Its name, for people; unique for its user.
    pub name: String,
    /// What it allows; no more than its user's role.
    pub role: Role,
    /// When it was made, in ns since the UNIX epoch.
    pub created_ns: i64,
    /// When it ends.
    pub expires_ns: Option<i64>,
    /// Since when it is not accepted any more.
    pub revoked_ns: Option<i64>,
}

const USER: &str = "SELECT id, name, full_name, role, created_ns, disabled_ns, password FROM users";

impl Store {
    /// Creates a user. `password` is an Argon2id string (`$argon2id$..`); without one the user has only tokens.
    ///
    /// # Errors
    /// When the name is taken, or the string is none of Argon2id's.
    pub fn create_user(
        &self,
        name: &str,
        full_name: &str,
        role: Role,
        password: Option<&str>,
        stamp: &Stamp,
    ) -> Result<User> {
        text::name("the user's name", name)?;
        text::text("the user's full name", full_name)?;
        check_password(password)?;
        self.write(|session| {
            if by_name(session, name)?.is_some() {
                return Err(StoreError::taken("user", name, "choose another name"));
            }
            let id = session.insert(
                "INSERT INTO users (name, full_name, role, password, created_ns, disabled_ns) VALUES (?, ?, ?, ?, ?, ?)",
                values![name, full_name, role.word(), password, stamp.at_ns, None::<i64>],
            )?;
            record(session, stamp, "user.create", &format!("user {name}"), &json!({"role": role.word()}))?;
            let (name, full_name) = (name.to_owned(), full_name.to_owned());
            Ok(User { id, name, full_name, role, created_ns: stamp.at_ns, disabled_ns: None })
        })
    }

    /// The user of this name, and the Argon2id string of its password.
    ///
    /// # Errors
    /// When there is none.
    pub fn user(&self, name: &str) -> Result<(User, Option<String>)> {
        self.read(|session| {
            let row = by_name(session, name)?.ok_or_else(|| missing(name))?;
            Ok((user(&row)?, row.opt_text(6)?))
        })
    }

    /// All users, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn users(&self) -> Result<Vec<User>> {
        self.read(|session| session.rows(&format!("{USER} ORDER BY name"), &[])?.iter().map(user).collect())
    }

    /// Gives a user another role.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn set_role(&self, name: &str, role: Role, stamp: &Stamp) -> Result<()> {
        self.write(|session| {
            let met =
                session.execute("UPDATE users SET role = ? WHERE name = ?", values![role.word(), name])?;
            met_one(met, name)?;
            record(session, stamp, "user.role", &format!("user {name}"), &json!({"role": role.word()}))
        })
    }

    /// Gives a user another password: an Argon2id string, or none.
    ///
    /// # Errors
    /// When there is no such user, or the string is none of Argon2id's.
    pub fn set_password(&self, name: &str, password: Option<&str>, stamp: &Stamp) -> Result<()> {
        check_password(password)?;
        self.write(|session| {
            let met =
                session.execute("UPDATE users SET password = ? WHERE name = ?", values![password, name])?;
            met_one(met, name)?;
            record(session, stamp, "user.password", &format!("user {name}"), &json!({}))
        })
    }

    /// Takes every right from a user, or gives them back. What it has done keeps its name.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn set_disabled(&self, name: &str, disabled: bool, stamp: &Stamp) -> Result<()> {
        let since = disabled.then_some(stamp.at_ns);
        self.write(|session| {
            let met =
                session.execute("UPDATE users SET disabled_ns = ? WHERE name = ?", values![since, name])?;
            met_one(met, name)?;
            record(session, stamp, "user.disable", &format!("user {name}"), &json!({"disabled": disabled}))
        })
    }

    /// Makes a token of a secret that the caller has drawn at random and shows its user once.
    ///
    /// # Errors
    /// When the secret is short or in use, the name is taken, or the role is more than the user's.
    pub fn issue_token(
        &self,
        user: &str,
        name: &str,
        secret: &str,
        role: Role,
        expires_ns: Option<i64>,
        stamp: &Stamp,
    ) -> Result<Token> {
        text::name("the token's name", name)?;
        if secret.len() < TOKEN_CHARACTERS {
            let found = format!("{} characters", secret.len());
            return Err(StoreError::refused("the token", "32 random characters", found, "draw a longer one"));
        }
        let digest = digest(secret);
        self.write(|session| {
            let owner = self::user(&by_name(session, user)?.ok_or_else(|| missing(user))?)?;
            if role > owner.role {
                let (expected, advice) = (format!("{} or less", owner.role.word()), "give the user the role first");
                return Err(StoreError::refused("the token's role", expected, role.word(), advice));
            }
            let same = "SELECT id FROM tokens WHERE digest = ? OR (user_id = ? AND name = ?)";
            if session.first(same, values![&digest, owner.id, name])?.is_some() {
                return Err(StoreError::taken("token", name, "choose another name and draw another secret"));
            }
            let id = session.insert(
                "INSERT INTO tokens (user_id, name, digest, role, created_ns, expires_ns, used_ns, revoked_ns) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values![owner.id, name, &digest, role.word(), stamp.at_ns, expires_ns, None::<i64>, None::<i64>],
            )?;
            let detail = json!({"token": name, "role": role.word(), "expires_ns": expires_ns});
            record(session, stamp, "token.issue", &format!("user {user}"), &detail)?;
            let (name, created_ns) = (name.to_owned(), stamp.at_ns);
            Ok(Token { id, name, role, created_ns, expires_ns, revoked_ns: None })
        })
    }

    /// Whose token this is, and what it allows at `now`; `None` for one that is unknown, revoked, expired, or of a user who
    /// may do nothing.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn owner_of(&self, secret: &str, now: i64) -> Result<Option<(User, Role)>> {
        self.read(|session| {
            let found = session.first(
                "SELECT users.id, users.name, users.full_name, users.role, users.created_ns, users.disabled_ns, \
                 tokens.role, tokens.expires_ns, tokens.revoked_ns FROM tokens \
                 JOIN users ON users.id = tokens.user_id WHERE tokens.digest = ?",
                values![digest(secret)],
            )?;
            let Some(row) = found else { return Ok(None) };
            let owner = user(&row)?;
            let expired = row.opt_int(7)?.is_some_and(|expires| expires <= now);
            if expired || row.opt_int(8)?.is_some() || owner.disabled_ns.is_some() {
                return Ok(None);
            }
            // The user may have lost the role that the token was made with.
            let role = row.word(6, Role::of)?.min(owner.role);
            Ok(Some((owner, role)))
        })
    }

    /// The tokens of a user, first to last.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn tokens(&self, user: &str) -> Result<Vec<Token>> {
        self.read(|session| {
            let rows = session.rows(
                "SELECT tokens.id, tokens.name, tokens.role, tokens.created_ns, tokens.expires_ns, tokens.revoked_ns \
                 FROM tokens JOIN users ON users.id = tokens.user_id WHERE users.name = ? ORDER BY tokens.id",
                values![user],
            )?;
            rows.iter().map(token).collect()
        })
    }

    /// Accepts a token no longer.
    ///
    /// # Errors
    /// When there is none of this number that is accepted.
    pub fn revoke_token(&self, id: i64, stamp: &Stamp) -> Result<()> {
        self.write(|session| {
            let statement = "UPDATE tokens SET revoked_ns = ? WHERE id = ? AND revoked_ns IS NULL";
            if session.execute(statement, values![stamp.at_ns, id])? == 0 {
                return Err(StoreError::missing("token", id, "see the list of the user's tokens"));
            }
            record(session, stamp, "token.revoke", &format!("token {id}"), &json!({}))
        })
    }
}

/// What is kept of a secret.
fn digest(secret: &str) -> String {
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check_password(password: Option<&str>) -> Result<()> {
    match password {
        Some(text) if !text.starts_with("$argon2id$") || text.len() > 255 => {
            let advice = "hash it first; the store never keeps a password";
            Err(StoreError::refused("the password", "an Argon2id string", "something else", advice))
        }
        _ => Ok(()),
    }
}

fn met_one(met: u64, name: &str) -> Result<()> {
    if met == 1 { Ok(()) } else { Err(missing(name)) }
}

fn by_name(session: &mut Session<'_>, name: &str) -> Result<Option<Row>> {
    session.first(&format!("{USER} WHERE name = ?"), values![name])
}

fn missing(name: &str) -> StoreError {
    StoreError::missing("user", name, "see the list of users")
}

fn user(row: &Row) -> Result<User> {
    Ok(User {
        id: row.int(0)?,
        name: row.text(1)?,
        full_name: row.text(2)?,
        role: row.word(3, Role::of)?,
        created_ns: row.int(4)?,
        disabled_ns: row.opt_int(5)?,
    })
}

fn token(row: &Row) -> Result<Token> {
    Ok(Token {
        id: row.int(0)?,
        name: row.text(1)?,
        role: row.word(2, Role::of)?,
        created_ns: row.int(3)?,
        expires_ns: row.opt_int(4)?,
        revoked_ns: row.opt_int(5)?,
    })
}

//! What a name, a text or a digest may be, checked before it reaches any database: each has other ideas of what fits,
//! and one of them cannot keep the character U+0000.

use super::error::{Result, StoreError};

/// The longest name, in characters.
const NAME_CHARACTERS: usize = 200;
/// The longest text or JSON document, in bytes.
const TEXT_BYTES: usize = 8 << 20;

/// A name: one line of 1 to 200 characters without control characters, and no space at its ends.
pub(crate) fn name(what: &'static str, text: &str) -> Result<()> {
    let characters = text.chars().count();
    let found = match characters {
        0 => "nothing".to_owned(),
        _ if characters > NAME_CHARACTERS => format!("{characters} characters"),
        _ if text.chars().any(char::is_control) => format!("a control character in {text:?}"),
        _ if text.trim() != text => format!("a space at an end of {text:?}"),
        _ => return Ok(()),
    };
    Err(StoreError::refused(what, "one line of 1 to 200 characters", found, "choose another name"))
}

/// An identifier that others made (a row's id, a key): 1 to 200 characters, any but U+0000.
pub(crate) fn identifier(what: &'static str, text: &str) -> Result<()> {
    let characters = text.chars().count();
    let found = match characters {
        0 => "nothing".to_owned(),
        _ if characters > NAME_CHARACTERS => format!("{characters} characters"),
        _ if text.contains('\0') => format!("U+0000 in {text:?}"),
        _ => return Ok(()),
    };
    Err(StoreError::refused(what, "1 to 200 characters, none of them U+0000", found, "shorten or encode it"))
}

/// A text or document: at most 8 MiB, any character but U+0000.
pub(crate) fn text(what: &'static str, text: &str) -> Result<()> {
    let found = if text.len() > TEXT_BYTES {
        format!("{} bytes", text.len())
    } else if text.contains('\0') {
        "U+0000 in it".to_owned()
    } else {
        return Ok(());
    };
    Err(StoreError::refused(what, "at most 8 MiB of text without U+0000", found, "shorten it"))
}

/// A SHA-256 digest in lower-case hexadecimal.
pub(crate) fn digest(what: &'static str, text: &str) -> Result<()> {
    let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() == 64 && text.bytes().all(hexadecimal) {
        return Ok(());
    }
    let found = text.chars().take(80).collect::<String>();
    Err(StoreError::refused(what, "64 digits of 0-9 and a-f", found, "give the file's SHA-256"))
}

/// The command line that makes a number again: every stored number has one.
pub(crate) fn command(line: &str) -> Result<()> {
    if line.trim().is_empty() {
        let advice = "say how it is made again: cormorant train flows.parquet -m random-forest --seed 7";
        return Err(StoreError::refused("the command line", "a command line", "nothing", advice));
    }
    text("the command line", line)
}

/// A number of something: counts are `u64` outside and `i64` in every database.
pub(crate) fn count(what: &'static str, count: u64) -> Result<i64> {
    i64::try_from(count)
        .map_err(|_| StoreError::refused(what, "at most 2^63 - 1", count, "this cannot be a real count"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_mislead_are_refused() {
        for fine in ["dos", "Ärger", "a b", &"x".repeat(200)] {
            name("the name", fine).unwrap();
        }
        for wrong in ["", " dos", "dos ", "do\ns", "do\0s", "do\u{1b}[31ms", &"x".repeat(201)] {
            name("the name", wrong).unwrap_err();
        }
        identifier("the row", " odd but theirs\n").unwrap();
        identifier("the row", "\0").unwrap_err();
    }

    #[test]
    fn a_digest_has_one_spelling() {
        digest("the digest", &"0123456789abcdef".repeat(4)).unwrap();
        for wrong in ["", &"0123456789ABCDEF".repeat(4), &"0".repeat(63), &"g".repeat(64)] {
            digest("the digest", wrong).unwrap_err();
        }
    }
}

//! Text from outside (capture names, families, cells) made safe to show: what could move a terminal's cursor or
//! break a line is written as an escape.

use std::borrow::Cow;

/// The text with control and bidirectional formatting characters as `\x1b` or `\u{202e}`.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().map(|character| match character {
        hostile if is_hostile(hostile) && (hostile as u32) < 0x100 => format!("\\x{:02x}", hostile as u32),
        hostile if is_hostile(hostile) => format!("\\u{{{:x}}}", hostile as u32),
        harmless => harmless.to_string(),
    });
    Cow::Owned(escaped.collect())
}

fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_escapes_and_the_rest_stays() {
        assert_eq!(plain("naïve.pcap"), "naïve.pcap");
        assert_eq!(plain("a\x1b[2Jb\n"), "a\\x1b[2Jb\\x0a");
        assert_eq!(plain("evil\u{202e}pac.exe"), "evil\\u{202e}pac.exe");
    }
}

//! Cuts a filter's text into words, numbers, addresses and signs, as libpcap's scanner does: the longest match wins.

use std::net::Ipv6Addr;

use super::expression::{Part, Protocol};
use super::names;

/// One piece of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A keyword, by the spelling that stands for all of its spellings.
    Word(&'static str),
    /// A protocol's name.
    Protocol(Protocol),
    Number(u32),
    /// Two to four numbers with dots between.
    Dotted(String),
    Ip6(Ipv6Addr),
    Mac([u8; 6]),
    /// Any other name, or one behind a backslash.
    Name(String),
    Sign(&'static str),
    End,
}

/// A token and where it stands.
pub(super) type Placed = (Token, Part);

/// What the text holds at `at` that is no token.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) at: usize,
    pub(super) expected: &'static str,
    pub(super) found: String,
}

const SIGNS: &[&str] = &[
    ">=", "<=", "!=", "==", "<<", ">>", "&&", "||", "+", "-", "*", "/", "%", ":", "[", "]", "!", "<", ">",
    "(", ")", "&", "|", "^", "=",
];

/// The text as tokens, with [`Token::End`] at its end.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, Unreadable> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        at += blank;
        let rest = rest.get(blank..).unwrap_or_default();
        if rest.is_empty() {
            tokens.push((Token::End, Part { start: at, end: at }));
            return Ok(tokens);
        }
        let (token, bytes) = token(rest).map_err(|(expected, found)| Unreadable { at, expected, found })?;
        tokens.push((token, Part { start: at, end: at + bytes }));
        at += bytes;
    }
}

/// The token that `rest` starts with, and its length.
fn token(rest: &str) -> Result<(Token, usize), (&'static str, String)> {
    if let Some(escaped) = rest.strip_prefix('\\') {
        let bytes = escaped.find([' ', '!', '(', ')', '\n', '\t']).unwrap_or(escaped.len());
        let name = escaped.get(..bytes).unwrap_or_default();
        return match bytes {
            0 => Err(("a name behind the backslash", "none".to_owned())),
            _ => Ok((Token::Name(name.to_owned()), bytes + 1)),
        };
    }
    let word = word_bytes(rest);
    let number = number_bytes(rest);
    let dotted = dotted_bytes(rest);
    let mac = mac(rest);
    let ip6 = ip6(rest);
    let longest = [word, number, dotted, mac.map_or(0, |found| found.1), ip6.map_or(0, |found| found.1)];
    let longest = longest.into_iter().max().unwrap_or(0);
    let taken = rest.get(..longest).unwrap_or_default();
    match (mac, ip6) {
        _ if longest == 0 => sign(rest),
        (Some((address, bytes)), _) if bytes == longest => Ok((Token::Mac(address), bytes)),
        _ if number == longest => Ok((Token::Number(parse_number(taken)?), longest)),
        _ if dotted == longest => Ok((Token::Dotted(taken.to_owned()), longest)),
        (_, Some((address, bytes))) if bytes == longest => Ok((Token::Ip6(address), bytes)),
        _ => Ok((named(taken), longest)),
    }
}

fn sign(rest: &str) -> Result<(Token, usize), (&'static str, String)> {
    match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        Some(&"&&") => Ok((Token::Word("and"), 2)),
        Some(&"||") => Ok((Token::Word("or"), 2)),
        Some(&"!") => Ok((Token::Word("not"), 1)),
        Some(&"==") => Ok((Token::Sign("="), 2)),
        Some(sign) => Ok((Token::Sign(sign), sign.len())),
        None => {
            let found = rest.chars().next().map(|sign| format!("{sign:?}")).unwrap_or_default();
            Err(("a word, a number, an address or a sign", found))
        }
    }
}

/// A word that is no number and no address.
fn named(word: &str) -> Token {
    let keyword = names::KEYWORDS.iter().find(|entry| entry.0 == word).map(|entry| Token::Word(entry.1));
    let protocol =
        || names::PROTOCOLS.iter().find(|entry| entry.0 == word).map(|entry| Token::Protocol(entry.1));
    let constant = || names::number(names::CONSTANTS, word).map(Token::Number);
    keyword.or_else(protocol).or_else(constant).unwrap_or_else(|| Token::Name(word.to_owned()))
}

/// Letters, digits, dots, and between them hyphens and underscores.
fn word_bytes(rest: &str) -> usize {
    if !rest.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return 0;
    }
    let inside = |next: char| next.is_ascii_alphanumeric() || matches!(next, '.' | '-' | '_');
    let bytes = rest.find(|next| !inside(next)).unwrap_or(rest.len());
    rest.get(..bytes).unwrap_or_default().trim_end_matches(['-', '_']).len()
}

/// Digits, or hexadecimal digits behind `0x`.
fn number_bytes(rest: &str) -> usize {
    let digits = |text: &str, base: u32| text.find(|next: char| !next.is_digit(base)).unwrap_or(text.len());
    let hexadecimal = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"));
    match hexadecimal.map(|text| digits(text, 16)) {
        Some(bytes) if bytes > 0 => bytes + 2,
        _ => digits(rest, 10),
    }
}

/// Numbers with dots between: two to four of them.
fn dotted_bytes(rest: &str) -> usize {
    let mut bytes = number_bytes(rest);
    let mut numbers = usize::from(bytes > 0);
    while (1..4).contains(&numbers) {
        let Some(next) = rest.get(bytes..).and_then(|tail| tail.strip_prefix('.')) else { break };
        let more = number_bytes(next);
        if more == 0 {
            break;
        }
        bytes += 1 + more;
        numbers += 1;
    }
    if numbers >= 2 { bytes } else { 0 }
}

/// A hardware address: six numbers of one or two hexadecimal digits with colons, hyphens or dots, three of four
/// digits with dots, or twelve digits.
fn mac(rest: &str) -> Option<([u8; 6], usize)> {
    let run = rest.find(|next: char| !next.is_ascii_hexdigit()).unwrap_or(rest.len());
    let separator = rest.get(run..).and_then(|tail| tail.chars().next());
    match (run, separator) {
        (1..=2, Some(sign @ (':' | '-' | '.'))) => groups::<6>(rest, sign, 1..=2).map(|(groups, bytes)| {
            (groups.map(|group| u8::from_str_radix(group, 16).unwrap_or_default()), bytes)
        }),
        (4, Some('.')) => {
            groups::<3>(rest, '.', 4..=4).and_then(|(groups, bytes)| Some((digits(&groups.concat())?, bytes)))
        }
        (12.., _) => Some((digits(rest)?, 12)),
        _ => None,
    }
}

/// `N` groups of hexadecimal digits with `separator` between, and the length of it all.
fn groups<const N: usize>(
    rest: &str,
    separator: char,
    size: std::ops::RangeInclusive<usize>,
) -> Option<([&str; N], usize)> {
    let mut groups = [""; N];
    let mut at = 0;
    for (number, group) in groups.iter_mut().enumerate() {
        if number > 0 {
            rest.get(at..)?.strip_prefix(separator)?;
            at += 1;
        }
        let tail = rest.get(at..)?;
        let run = tail.find(|next: char| !next.is_ascii_hexdigit()).unwrap_or(tail.len());
        let taken = run.min(*size.end());
        if !size.contains(&taken) {
            return None;
        }
        *group = tail.get(..taken)?;
        at += taken;
    }
    Some((groups, at))
}

/// Six bytes from twelve hexadecimal digits.
fn digits(text: &str) -> Option<[u8; 6]> {
    let number = u64::from_str_radix(text.get(..12)?, 16).ok()?;
    let [_, _, address @ ..] = number.to_be_bytes();
    Some(address)
}

/// The longest IPv6 address that `rest` starts with.
fn ip6(rest: &str) -> Option<(Ipv6Addr, usize)> {
    const LONGEST: usize = 45;
    let run =
        rest.find(|next: char| !next.is_ascii_hexdigit() && next != ':' && next != '.').unwrap_or(rest.len());
    let run = run.min(LONGEST);
    let colons = rest.get(..run)?.matches(':').count();
    if colons < 2 {
        return None;
    }
    (2..=run).rev().find_map(|bytes| Some((rest.get(..bytes)?.parse().ok()?, bytes)))
}

/// A number in C's notation: `0x` hexadecimal, `0` octal, else decimal.
fn parse_number(text: &str) -> Result<u32, (&'static str, String)> {
    let lower = text.to_ascii_lowercase();
    let (digits, base) = match lower.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    let number = u32::from_str_radix(digits, base);
    number.map_err(|_| match base {
        8 => ("an octal number below 2^32, because it starts with 0", text.to_owned()),
        _ => ("a number below 2^32", text.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Token> {
        let tokens = tokens(text).expect("readable text");
        tokens.into_iter().map(|(token, _)| token).filter(|token| *token != Token::End).collect()
    }

    #[test]
    fn the_longest_match_wins_and_keywords_and_numbers_win_ties() {
        use Token::{Dotted, Ip6, Mac, Name, Number, Sign, Word};
        let name = |name: &str| Name(name.to_owned());
        let dotted = |text: &str| Dotted(text.to_owned());
        let cases: &[(&str, Vec<Token>)] = &[
            ("10 010 0x10 0XfF", vec![Number(10), Number(8), Number(16), Number(255)]),
            ("10.1 10.1.2.3", vec![dotted("10.1"), dotted("10.1.2.3")]),
            ("10.1.2.3.4", vec![name("10.1.2.3.4")]),
            ("10.1/16", vec![dotted("10.1"), Sign("/"), Number(16)]),
            ("80-90 ftp-data tcp-syn", vec![name("80-90"), name("ftp-data"), Number(2)]),
            ("1:2:3:4:5:6", vec![Mac([1, 2, 3, 4, 5, 6])]),
            ("1-2-3-4-5-6 1.2.3.4.5.6", vec![Mac([1, 2, 3, 4, 5, 6]), Mac([1, 2, 3, 4, 5, 6])]),
            ("0001.0203.a405", vec![Mac([0, 1, 2, 3, 0xa4, 5])]),
            ("00010203a405", vec![Mac([0, 1, 2, 3, 0xa4, 5])]),
            ("::1 fe80::", vec![Ip6("::1".parse().expect("v6")), Ip6("fe80::".parse().expect("v6"))]),
            ("::ffff:1.2.3.4/96", vec![Ip6("::ffff:1.2.3.4".parse().expect("v6")), Sign("/"), Number(96)]),
            ("[6:2]", vec![Sign("["), Number(6), Sign(":"), Number(2), Sign("]")]),
            ("!a&&b||c", vec![Word("not"), name("a"), Word("and"), name("b"), Word("or"), name("c")]),
            ("\\tcp \\arp)", vec![name("tcp"), name("arp"), Sign(")")]),
            (
                "a>=1<<2==3!=4",
                vec![
                    name("a"),
                    Sign(">="),
                    Number(1),
                    Sign("<<"),
                    Number(2),
                    Sign("="),
                    Number(3),
                    Sign("!="),
                    Number(4),
                ],
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(&read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_token_is_named_with_its_place() {
        for (text, at) in [("port 08", 5), ("host \u{e4}", 5), ("len = 4294967296", 6), ("proto \\", 6)] {
            assert_eq!(tokens(text).expect_err(text).at, at, "{text}");
        }
    }
}

//! What a column's name says it is: the words of the name, whatever their spelling ("Src IP", `src_ip`, `srcIp`).

/// The words of a name in lower case.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut last = ' ';
    for letter in name.chars() {
        let begins = !last.is_alphanumeric() || (last.is_lowercase() && letter.is_uppercase());
        if letter.is_alphanumeric() {
            if begins || words.is_empty() {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(letter.to_lowercase());
            }
        }
        last = letter;
    }
    words
}

/// The letters and digits of a name in lower case: "Bwd PSH Flags" and `bwd_psh_flags` are `bwdpshflags`.
pub(super) fn squeezed(name: &str) -> String {
    words(name).concat()
}

/// Whether any of its words is one of these.
pub(super) fn has(name: &str, wanted: &[&str]) -> bool {
    words(name).iter().any(|word| wanted.contains(&word.as_str()))
}

/// Words of what is counted or measured over many rows: such a column is no address, whatever else its name says.
pub(super) fn is_aggregate(name: &str) -> bool {
    const AGGREGATES: &[&str] = &[
        "rate", "count", "counts", "share", "mean", "avg", "std", "min", "max", "num", "number", "entropy",
        "ratio", "distinct", "unique", "total", "percent", "fraction", "same", "diff",
    ];
    has(name, AGGREGATES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_same_words_however_it_is_spelt() {
        for name in ["Src IP", "src_ip", " srcIp", "src-ip"] {
            assert_eq!(words(name), ["src", "ip"], "{name}");
        }
        assert_eq!(squeezed("Flow Bytes/s"), "flowbytess");
        assert_eq!(words("FWD Init Win Bytes"), ["fwd", "init", "win", "bytes"]);
        assert!(is_aggregate("dst_host_same_src_port_rate") && !is_aggregate("Dst Port"));
        assert!(words("").is_empty() && words("--").is_empty());
    }
}

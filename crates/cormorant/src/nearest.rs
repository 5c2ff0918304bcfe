//! The name that was probably meant.

/// ` (did you mean ..?)` when one of `known` is near `wrong`, else nothing.
pub(crate) fn advice<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(wrong, known).map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = |name: &str| strsim::normalized_damerau_levenshtein(wrong, name);
    let best = known.into_iter().max_by(|left, right| near(left).total_cmp(&near(right)))?;
    (near(best) > 0.6).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_names_are_proposed() {
        let known = ["threads", "seed", "mem"];
        assert_eq!(nearest("thread", known), Some("threads"));
        assert_eq!(nearest("sede", known), Some("seed"));
        assert_eq!(nearest("colour", known), None);
    }
}

//! The reference page says what the code does (`INSTA_UPDATE=always` renews it).

use crate::bench::{Bench, root};

#[test]
fn the_page_of_feature_sets_is_what_the_program_prints() {
    let printed = Bench::new().fine("list features --markdown").stdout;
    let page = root().join("docs/features.md");
    if std::env::var_os("INSTA_UPDATE").is_some_and(|value| value == "always") {
        std::fs::write(&page, &printed).expect("the page");
    }
    let kept = std::fs::read_to_string(&page).unwrap_or_default();
    let changed = printed.lines().zip(kept.lines()).find(|(new, old)| new != old);
    assert!(printed == kept, "docs/features.md is not what `list features --markdown` prints: {changed:?}");
}

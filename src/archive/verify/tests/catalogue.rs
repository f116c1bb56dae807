//! `docs/verification.md` is the catalogue of failures: it lists each, and each is tried.

use std::collections::BTreeSet;

use super::*;

/// Class, levels, meaning, what to do.
fn documented() -> BTreeMap<String, [String; 3]> {
    let text = include_str!("../../../../docs/verification.md");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let mut cells = line
            .trim_matches('|')
            .split('|')
            .map(|c| c.trim().to_owned());
        let mut next = || cells.next().expect("four columns");
        let class = next().trim_matches('`').to_owned();
        (class, [next(), next(), next()])
    })
    .collect()
}

#[test]
fn every_class_is_documented_and_no_other() {
    let documented = documented();
    let classes: BTreeMap<&str, &[u8]> = Failure::CLASSES.iter().copied().collect();
    for (class, levels) in &classes {
        let [level, meaning, to_do] = documented.get(*class).expect(class);
        let levels: Vec<String> = levels.iter().map(u8::to_string).collect();
        assert_eq!(*level, levels.join(", "), "{class}");
        assert!(meaning.len() > 10 && to_do.len() > 10, "{class}");
    }
    let known: BTreeSet<&str> = classes.into_keys().collect();
    let stale: Vec<&String> = documented
        .keys()
        .filter(|c| !known.contains(c.as_str()))
        .collect();
    assert_eq!(stale, [""; 0]);
}

#[test]
fn every_class_is_expected_by_a_test() {
    let tests = [
        include_str!("anchor.rs"),
        include_str!("clocks.rs"),
        include_str!("completeness.rs"),
        include_str!("hostile.rs"),
        include_str!("sealed.rs"),
        include_str!("storage.rs"),
        include_str!("../../../../tests/it/keys.rs"),
    ]
    .concat();
    for (class, _) in Failure::CLASSES {
        assert!(tests.contains(&format!("\"{class}\"")), "{class}");
    }
}

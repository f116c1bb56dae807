//! Which log folder a key lies in: the longest that holds it.

use std::collections::{BTreeSet, HashMap};

/// The folders of one bucket that logs go to, each empty or with a slash at its end
/// (`S3Location::folder`).
#[derive(Debug, Clone, Default)]
pub struct LogFolders {
    names: Vec<String>,
    by_name: HashMap<Vec<u8>, u32>,
    longest: usize,
}

impl LogFolders {
    /// Of these names, each once.
    pub fn new(names: &BTreeSet<String>) -> Self {
        let names: Vec<String> = names.iter().cloned().collect();
        Self {
            by_name: names
                .iter()
                .zip(0..)
                .map(|(name, at)| (name.as_bytes().to_vec(), at))
                .collect(),
            longest: names.iter().map(String::len).max().unwrap_or(0),
            names,
        }
    }

    /// Position of the folder that holds `key`. A key has few slashes, and only its own parents are looked
    /// for, so that a row costs the same with one folder and with a million.
    pub fn of(&self, key: &[u8]) -> Option<u32> {
        let head = &key[..key.len().min(self.longest)];
        let mut parents = (0..head.len()).rev().filter(|at| head[*at] == b'/');
        parents
            .find_map(|at| self.by_name.get(&head[..=at]))
            .or_else(|| self.by_name.get(&b""[..]))
            .copied()
    }

    /// In order, by position.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(names: &[&str]) -> LogFolders {
        LogFolders::new(&names.iter().map(|n| (*n).to_owned()).collect())
    }

    fn found(folders: &LogFolders, key: &str) -> Option<String> {
        let at = folders.of(key.as_bytes())?;
        folders.names().get(at as usize).cloned()
    }

    #[test]
    fn the_longest_folder_wins_and_a_name_that_only_begins_alike_does_not() {
        let folders = folders(&["emr/", "emr/team/", "other/deep/er/"]);
        for (key, expected) in [
            ("emr/j-1/steps/x.gz", Some("emr/")),
            ("emr/team/j-1/x", Some("emr/team/")),
            ("emr/team", Some("emr/")),
            ("emr/teams/j-1/x", Some("emr/")),
            ("emrx/j-1/x", None),
            ("emr", None),
            ("other/deep/x", None),
            ("other/deep/er/x", Some("other/deep/er/")),
            ("", None),
        ] {
            assert_eq!(found(&folders, key).as_deref(), expected, "{key}");
        }
    }

    #[test]
    fn the_root_of_a_bucket_holds_what_no_folder_does() {
        let folders = folders(&["", "emr/"]);
        assert_eq!(found(&folders, "emr/x").as_deref(), Some("emr/"));
        assert_eq!(found(&folders, "x").as_deref(), Some(""));
        assert_eq!(found(&folders, "").as_deref(), Some(""));
    }

    proptest::proptest! {
        /// As the plain rule says: of all folders that the key begins with, the longest.
        #[test]
        fn agrees_with_the_plain_rule(
            names in proptest::collection::btree_set("([ab]/){0,4}", 0..12),
            key in "[ab/]{0,12}",
        ) {
            let folders = LogFolders::new(&names);
            let plain = names.iter().filter(|n| key.starts_with(n.as_str())).max_by_key(|n| n.len());
            proptest::prop_assert_eq!(found(&folders, &key), plain.cloned());
        }
    }
}

//! Where EMR exists: a dated file, which the configuration can replace.

use crate::collect::scope::EmrRegion;

const BUILT_IN: &str = include_str!("emr_regions.txt");

/// Why a list of Regions was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: '{text}' is not a Region, optionally followed by 'on'")]
pub struct EmrRegionsError {
    pub line: usize,
    /// The line, shortened.
    pub text: String,
}

/// The list that the program brings along.
pub fn emr_regions() -> Vec<EmrRegion> {
    // The test below reads the same text.
    parse_emr_regions(BUILT_IN).unwrap_or_default()
}

/// Reads a list: one Region per line, `on` after it where no account can disable it, `#` comments.
pub fn parse_emr_regions(text: &str) -> Result<Vec<EmrRegion>, EmrRegionsError> {
    let mut regions = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let content = line.split('#').next().unwrap_or_default();
        let mut words = content.split_whitespace();
        let Some(name) = words.next() else { continue };
        let always_on = match (words.next(), words.next()) {
            (None, None) => Some(false),
            (Some("on"), None) => Some(true),
            _ => None,
        };
        match (name.parse(), always_on) {
            (Ok(region), Some(always_on)) => regions.push(EmrRegion { region, always_on }),
            _ => {
                return Err(EmrRegionsError {
                    line: at + 1,
                    text: content.trim().chars().take(80).collect(),
                });
            }
        }
    }
    Ok(regions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_list_reads() {
        let regions = parse_emr_regions(BUILT_IN).expect("list");
        assert_eq!(regions, emr_regions());
        let commercial = |r: &&EmrRegion| r.region.partition() == "aws";
        let on = regions.iter().filter(commercial).filter(|r| r.always_on);
        assert_eq!(on.count(), 17);
        let mut names: Vec<_> = regions.iter().map(|r| r.region.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), regions.len());
    }

    #[test]
    fn nonsense_is_refused_with_its_line() {
        let error = parse_emr_regions("eu-west-1\n\nEU WEST\n").expect_err("refused");
        assert_eq!(error.line, 3);
        assert!(parse_emr_regions("eu-west-1 off").is_err());
        assert_eq!(parse_emr_regions("# nothing\n"), Ok(vec![]));
    }
}

//! What a person says in an entry: a note, or why the key changed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest remark, in bytes.
const LIMIT: usize = 4_000;

/// Why a text is no remark.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemarkError {
    #[error("a remark needs a text")]
    Empty,
    #[error("a remark has {LIMIT} bytes at most, this one has {0}: name a document instead")]
    TooLong(usize),
    #[error("a remark is one line without control characters")]
    NotOneLine,
}

/// One line of text, at most 4,000 bytes, without control characters: an archive keeps it for years,
/// and people read it on terminals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Remark(String);

impl TryFrom<String> for Remark {
    type Error = RemarkError;

    fn try_from(text: String) -> Result<Self, RemarkError> {
        if text.trim().is_empty() {
            Err(RemarkError::Empty)
        } else if text.len() > LIMIT {
            Err(RemarkError::TooLong(text.len()))
        } else if text.chars().any(char::is_control) {
            Err(RemarkError::NotOneLine)
        } else {
            Ok(Self(text))
        }
    }
}

impl From<Remark> for String {
    fn from(remark: Remark) -> Self {
        remark.0
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_is_one_bounded_line() {
        let remark = |text: &str| Remark::try_from(text.to_owned());
        assert!(remark("Grüße: \"ok\" \\ 2026").is_ok());
        assert!(remark(&"x".repeat(LIMIT)).is_ok());
        for (bad, why) in [
            ("", RemarkError::Empty),
            (" \u{2003}", RemarkError::Empty),
            ("two\nlines", RemarkError::NotOneLine),
            ("\u{1b}[31m", RemarkError::NotOneLine),
            (&"x".repeat(LIMIT + 1), RemarkError::TooLong(LIMIT + 1)),
        ] {
            assert_eq!(remark(bad), Err(why), "{bad:?}");
        }
    }
}

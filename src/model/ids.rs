//! Identifiers. Each is built by parsing and then trusted.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::time::UtcMillis;

/// Why an identifier was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not {expected}")]
pub struct IdError {
    /// The text, shortened to 80 characters.
    pub text: String,
    pub expected: &'static str,
}

impl IdError {
    fn new(text: &str, expected: &'static str) -> Self {
        Self {
            text: text.chars().take(80).collect(),
            expected,
        }
    }
}

/// Twelve digits in place: there are accounts in every row, and no two of them need share anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Digits([u8; 12]);

impl From<&str> for Digits {
    fn from(text: &str) -> Self {
        let mut digits = [b'0'; 12];
        for (digit, byte) in digits.iter_mut().zip(text.bytes()) {
            *digit = byte;
        }
        Self(digits)
    }
}

impl std::ops::Deref for Digits {
    type Target = str;

    fn deref(&self) -> &str {
        // Digits are text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// A text of which there are few different ones: one copy for all of a thread.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Shared(Arc<str>);

impl From<&str> for Shared {
    fn from(text: &str) -> Self {
        /// More are no Regions.
        const AT_MOST: usize = 256;
        thread_local! {
            static KNOWN: RefCell<HashSet<Arc<str>>> = RefCell::default();
        }
        KNOWN.with_borrow_mut(|known| {
            if let Some(text) = known.get(text) {
                return Self(Arc::clone(text));
            }
            let text: Arc<str> = text.into();
            if known.len() < AT_MOST {
                known.insert(Arc::clone(&text));
            }
            Self(text)
        })
    }
}

impl std::ops::Deref for Shared {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident($kept:ty), $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($kept);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(IdError::new(text, $expected))
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                (*id.0).to_owned()
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

text_id!(
    /// An AWS account id: twelve digits.
    AccountId(Digits),
    "an AWS account id of 12 digits",
    |t| t.len() == 12 && t.bytes().all(|b| b.is_ascii_digit())
);

text_id!(
    /// An AWS Region such as `eu-west-1`, or `global` for what has none.
    Region(Shared),
    "an AWS Region such as eu-west-1",
    |t| (2..=32).contains(&t.len())
        && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
);

impl Region {
    /// The stand-in for cells that belong to an account as a whole.
    pub fn global() -> Self {
        Self("global".into())
    }

    /// The partition this Region lies in, judged by its prefix
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>).
    pub fn partition(&self) -> &'static str {
        match self.as_str() {
            r if r.starts_with("cn-") => "aws-cn",
            r if r.starts_with("us-gov-") => "aws-us-gov",
            r if r.starts_with("eusc-") => "aws-eusc",
            r if r.starts_with("us-isob-") => "aws-iso-b",
            r if r.starts_with("us-iso-") => "aws-iso",
            _ => "aws",
        }
    }
}

text_id!(
    /// A run's name: UTC start, a dash, random hex, e.g. `20261124T020003Z-7f3a`.
    RunId(Arc<str>),
    "a run id such as 20261124T020003Z-7f3a",
    |t| {
        let b = t.as_bytes();
        (21..=33).contains(&b.len())
            && b[8] == b'T'
            && b[15] == b'Z'
            && b[16] == b'-'
            && b[..8].iter().chain(&b[9..15]).all(u8::is_ascii_digit)
            && b[17..].iter().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(c))
    }
);

impl RunId {
    /// The id of a run that starts at `start`, told apart from others by `random`.
    pub fn new(start: UtcMillis, random: [u8; 4]) -> Self {
        let text = format!("{}-{:08x}", start.compact(), u32::from_be_bytes(random));
        Self(text.into())
    }
}

text_id!(
    /// A SHA-256 digest in lower-case hex, 64 characters.
    Sha256Hex(Arc<str>),
    "a SHA-256 digest in lower-case hex",
    |t| t.len() == 64 && t.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
);

impl Sha256Hex {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self::from_digest(&sha2::Sha256::digest(bytes).into())
    }

    /// The text form of a finished digest.
    pub fn from_digest(digest: &[u8; 32]) -> Self {
        Self(hex(digest).into())
    }
}

/// Lower-case hex of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        text.push(char::from(DIGITS[usize::from(b >> 4)]));
        text.push(char::from(DIGITS[usize::from(b & 15)]));
    }
    text
}

macro_rules! id_column {
    ($($name:ident),+) => { $(
        impl crate::model::table::ColumnValue for $name {
            const KIND: crate::model::table::Kind = crate::model::table::Kind::Text;
            fn cell(&self) -> crate::model::table::Cell<'_> {
                crate::model::table::Cell::Text(std::borrow::Cow::Borrowed(self.as_str()))
            }
            fn from_cell(cell: crate::model::table::Cell<'_>) -> Option<Self> {
                match cell {
                    crate::model::table::Cell::Text(text) => text.parse().ok(),
                    _ => None,
                }
            }
        }
    )+ };
}
id_column!(AccountId, Region, RunId, Sha256Hex);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_ids_are_refused() {
        for bad in ["", "1234", "12345678901a", "١٢٣٤٥٦٧٨٩٠١٢", "123456789012\n"] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad:?}");
        }
        for bad in ["", "../..", "EU-WEST-1", "a/b"] {
            assert!(bad.parse::<Region>().is_err(), "{bad:?}");
        }
        for bad in [
            "",
            "20261124T020003Z-",
            "20261124T020003Z-7F3A",
            "20261124T020003Z-7f3a/../x",
        ] {
            assert!(bad.parse::<RunId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn accounts_and_regions_are_the_text_that_they_were_read_from() {
        for text in ["012345678901", "999999999999"] {
            let account: AccountId = text.parse().expect("account");
            assert_eq!(account.as_str(), text);
            assert_eq!(
                format!("{account} {account:?}"),
                format!("{text} AccountId({text:?})")
            );
        }
        let region = |text: &str| text.parse::<Region>().expect("Region");
        let other = std::thread::spawn(move || region("eu-west-1"));
        assert_eq!(other.join().expect("thread"), region("eu-west-1"));
        assert!(region("eu-west-1") < region("us-east-1"));
        for n in 0..1_000 {
            assert_eq!(region(&format!("r-{n}")).as_str(), format!("r-{n}"));
        }
    }

    #[test]
    fn run_ids_sort_by_start() {
        let a = RunId::new(UtcMillis(1_795_485_603_007), [0, 1, 2, 3]);
        let b = RunId::new(UtcMillis(1_795_485_604_007), [0, 0, 0, 0]);
        assert!(a < b);
        assert_eq!(a.as_str().parse(), Ok(a.clone()));
    }
}

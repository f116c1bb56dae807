//! `s3://bucket/prefix`: where an archive lies.

use std::fmt;
use std::str::FromStr;

/// An archive's bucket and prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Url {
    bucket: String,
    /// Without slashes at its ends; empty for the whole bucket.
    prefix: String,
}

/// Why a text is no archive URL. Stricter than S3: a prefix that needs escaping anywhere is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum S3UrlError {
    #[error("'{0}' does not start with s3://")]
    Scheme(String),
    #[error(
        "'{0}' is not a bucket name: 3 to 63 lower-case letters, digits, dots and dashes, with a \
         letter or digit at both ends and no two dots in a row"
    )]
    Bucket(String),
    #[error(
        "'{0}' cannot be the prefix of an archive: use letters, digits and ! - _ . * ' ( ) = in parts \
         between single slashes, none of them '.' or '..', 400 characters at most"
    )]
    Prefix(String),
}

impl S3Url {
    /// The bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key of an archive name.
    pub fn key(&self, name: &str) -> String {
        if self.prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.prefix)
        }
    }

    /// The archive name of a key; `None` for a key outside the archive.
    pub fn name<'a>(&self, key: &'a str) -> Option<&'a str> {
        if self.prefix.is_empty() {
            Some(key)
        } else {
            key.strip_prefix(&self.prefix)?.strip_prefix('/')
        }
    }
}

impl FromStr for S3Url {
    type Err = S3UrlError;

    fn from_str(text: &str) -> Result<Self, S3UrlError> {
        let shown = || text.chars().take(80).collect::<String>();
        let rest = text
            .strip_prefix("s3://")
            .ok_or_else(|| S3UrlError::Scheme(shown()))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if !is_bucket(bucket) {
            return Err(S3UrlError::Bucket(bucket.chars().take(80).collect()));
        }
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let valid = prefix.is_empty() || (prefix.len() <= 400 && prefix.split('/').all(is_part));
        if !valid {
            return Err(S3UrlError::Prefix(prefix.chars().take(80).collect()));
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
fn is_bucket(name: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (3..=63).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
        && edge(name.bytes().next())
        && edge(name.bytes().last())
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err()
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>, "safe characters".
fn is_part(part: &str) -> bool {
    !part.is_empty()
        && part != "."
        && part != ".."
        && part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!-_.*'()=".contains(&b))
}

impl fmt::Display for S3Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if !self.prefix.is_empty() {
            write!(f, "/{}", self.prefix)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_read_back_as_written() {
        for (text, shown) in [
            ("s3://org-evidence", "s3://org-evidence"),
            ("s3://org-evidence/", "s3://org-evidence"),
            (
                "s3://org-evidence/key/proof/",
                "s3://org-evidence/key/proof",
            ),
            ("s3://a.b.c/x=1", "s3://a.b.c/x=1"),
        ] {
            let url: S3Url = text.parse().expect("URL");
            assert_eq!(url.to_string(), shown);
            assert_eq!(url.name(&url.key("chain/1")), Some("chain/1"));
        }
    }

    #[test]
    fn a_neighbouring_prefix_is_outside() {
        let url: S3Url = "s3://bucket/keyproof".parse().expect("URL");
        assert_eq!(url.name("keyproof2/chain/1"), None);
        assert_eq!(url.name("keyproof/"), Some(""));
    }

    #[test]
    fn nonsense_is_refused_with_its_own_error() {
        for bad in [
            "",
            "S3://bucket",
            "s3:/bucket",
            "https://bucket",
            "s3a://bucket",
        ] {
            assert!(
                matches!(bad.parse::<S3Url>(), Err(S3UrlError::Scheme(_))),
                "{bad}"
            );
        }
        for bad in [
            "s3://",
            "s3:///x",
            "s3://ab",
            "s3://Bucket",
            "s3://-bucket",
            "s3://a..b",
            "s3://192.168.0.1",
            "s3://k:s@bucket/x",
            "s3://bücket",
        ] {
            assert!(
                matches!(bad.parse::<S3Url>(), Err(S3UrlError::Bucket(_))),
                "{bad}"
            );
        }
        for bad in [
            "s3://bucket//x",
            "s3://bucket/x//y",
            "s3://bucket/../y",
            "s3://bucket/a b",
            "s3://bucket/ü",
            "s3://bucket/x?y",
        ] {
            assert!(
                matches!(bad.parse::<S3Url>(), Err(S3UrlError::Prefix(_))),
                "{bad}"
            );
        }
        let long = format!("s3://bucket/{}", "a".repeat(401));
        assert!(matches!(long.parse::<S3Url>(), Err(S3UrlError::Prefix(_))));
    }
}

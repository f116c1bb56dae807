//! Where logs go in S3, read from the forms of `LogUri` that are seen in the wild.

/// A bucket and a prefix. Credentials that old Hadoop URIs carry (`s3n://KEY:SECRET@bucket/`) are
/// dropped while reading, so that no secret can travel further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Location {
    pub bucket: String,
    /// Without a leading slash; may be empty.
    pub prefix: String,
    scheme: &'static str,
}

impl S3Location {
    /// Reads `s3://`, `s3n://` and `s3a://` URIs; `None` for anything else.
    pub fn parse(uri: &str) -> Option<Self> {
        let (scheme, rest) = uri.trim().split_once("://")?;
        let scheme = ["s3", "s3n", "s3a"]
            .into_iter()
            .find(|s| s.eq_ignore_ascii_case(scheme))?;
        // A bucket name has no colon, so one ahead of the first slash and '@' means credentials; a secret key
        // may hold slashes but no '@', and the prefix may hold both.
        let rest = match rest.split_once('@') {
            Some((before, after)) if before.split('/').next().is_some_and(|b| b.contains(':')) => {
                after
            }
            _ => rest,
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let valid = (3..=255).contains(&bucket.len())
            && bucket
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        valid.then(|| Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            scheme,
        })
    }
}

impl S3Location {
    /// The prefix as what lies below it begins: empty for the whole bucket, else with one slash at its
    /// end. EMR writes below `<LogUri>/<cluster id>/`, whether or not the URI has a slash of its own
    /// (<https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-debugging.html>).
    pub fn folder(&self) -> String {
        match self.prefix.trim_end_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        }
    }
}

impl std::fmt::Display for S3Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}/{}", self.scheme, self.bucket, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_a_uri_are_dropped() {
        let l =
            S3Location::parse("s3n://AKIAEXAMPLE:se/cr+et@logs-bucket/emr/x").expect("location");
        assert_eq!(l.to_string(), "s3n://logs-bucket/emr/x");
        let l = S3Location::parse("s3://logs-bucket/a:b@c/x").expect("location");
        assert_eq!(l.bucket, "logs-bucket");
    }

    #[test]
    fn a_folder_has_one_slash_at_its_end_or_is_the_bucket() {
        for (given, expected) in [
            ("s3://logs", ""),
            ("s3://logs/", ""),
            ("s3://logs//", ""),
            ("s3://logs/emr", "emr/"),
            ("s3://logs/emr/", "emr/"),
            ("s3://logs/a/b//", "a/b/"),
        ] {
            let folder = S3Location::parse(given).map(|place| place.folder());
            assert_eq!(folder.as_deref(), Some(expected), "{given}");
        }
    }

    #[test]
    fn other_schemes_are_not_s3() {
        for uri in [
            "",
            "hdfs:///logs",
            "s3://",
            "s3:/bucket",
            "https://bucket.s3.amazonaws.com/x",
            "s3://a b/",
        ] {
            assert_eq!(S3Location::parse(uri), None, "{uri}");
        }
    }
}

//! A request, parsed far enough for a service to answer it.

/// Who calls, read from the access key id in the SigV4 scope.
///
/// Access key ids of the sandbox are 20 characters: `AKIA` + 12-digit account + 4 characters for
/// long-lived user credentials, `ASIA` + 12-digit account + 4 characters for a role session (the
/// role and the expiry stand in the session token, which the sandbox's STS issues).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub account: String,
    /// Role name for a session, `None` for the account's own user.
    pub role: Option<String>,
    /// Role session name, for GetCallerIdentity.
    pub session: Option<String>,
    /// Expiry of the session, milliseconds since the epoch.
    pub expires_ms: Option<i64>,
}

/// One HTTP request with its SigV4 scope resolved.
#[derive(Debug, Clone)]
pub struct Request {
    pub caller: Caller,
    /// Region of the SigV4 scope.
    pub region: String,
    /// Service of the SigV4 scope: `organizations`, `sts`, `account`, `elasticmapreduce`, `iam`,
    /// `kms`, `logs`, `s3`.
    pub service: String,
    /// Operation name, e.g. `ListClusters`; for S3 it is derived from method, path and query.
    pub operation: String,
    pub method: String,
    /// Percent-decoded path.
    pub path: String,
    /// Decoded query pairs in order; a key without `=` has an empty value.
    pub query: Vec<(String, String)>,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Request id that the answer will carry.
    pub request_id: String,
}

impl Request {
    /// Value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// First value of a query parameter, by its exact name.
    pub fn query_value(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }
}

/// First value under `name` in a list of pairs.
pub(super) fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

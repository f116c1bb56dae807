//! Instants as the wire writes them. All take and give milliseconds since the Unix epoch.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110), for `Date` and `Last-Modified`.
pub fn http_date(ms: i64) -> String {
    instant(ms).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// `1994-11-06T08:49:37.000Z`, for timestamps in XML.
pub fn iso_millis(ms: i64) -> String {
    instant(ms).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// `19941106T084937Z`, the form of `X-Amz-Date`.
pub(super) fn amz_date(ms: i64) -> String {
    instant(ms).format("%Y%m%dT%H%M%SZ").to_string()
}

/// Reads `X-Amz-Date`.
pub(super) fn parse_amz_date(text: &str) -> Option<i64> {
    let parsed = NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%SZ").ok()?;
    Some(parsed.and_utc().timestamp_millis())
}

/// An instant outside of what the calendar can say becomes the epoch: only a broken clock gives one.
fn instant(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_the_forms_of_the_wire() {
        let ms = 784_111_777_000;
        assert_eq!(http_date(ms), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(iso_millis(ms), "1994-11-06T08:49:37.000Z");
        assert_eq!(amz_date(ms), "19941106T084937Z");
        assert_eq!(parse_amz_date("19941106T084937Z"), Some(ms));
        assert_eq!(parse_amz_date("yesterday"), None);
    }
}

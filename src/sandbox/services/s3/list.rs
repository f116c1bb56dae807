//! ListObjectsV2 and ListObjectVersions.

use std::ops::{Bound, ControlFlow};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::store::{Keys, Version};
use super::xml::Xml;
use super::{invalid_argument, owner_id};
use crate::sandbox::wire::encoding::s3_url_encode;
use crate::sandbox::wire::{AwsError, Request, Response, iso_millis};
use crate::sandbox::world::Bucket;

/// Most entries of a page, keys and common prefixes together.
const PAGE: usize = 1000;

/// What both listings are asked for.
struct Params<'a> {
    prefix: &'a str,
    delimiter: Option<&'a str>,
    max_keys: usize,
    url_encoded: bool,
}

impl<'a> Params<'a> {
    fn read(request: &'a Request) -> Result<Self, AwsError> {
        let max_keys = match request.query_value("max-keys") {
            None | Some("") => PAGE,
            Some(text) => match text.parse::<u32>() {
                Ok(number) => PAGE.min(number as usize),
                Err(_) => {
                    return Err(invalid_argument(
                        "Provided max-keys not an integer or within integer range",
                    ));
                }
            },
        };
        let url_encoded = match request.query_value("encoding-type") {
            None | Some("") => false,
            Some("url") => true,
            Some(_) => {
                return Err(invalid_argument(
                    "Invalid Encoding Method specified in Request",
                ));
            }
        };
        Ok(Self {
            prefix: request.query_value("prefix").unwrap_or_default(),
            delimiter: request
                .query_value("delimiter")
                .filter(|delimiter| !delimiter.is_empty()),
            max_keys,
            url_encoded,
        })
    }

    /// A name as the client asked to have it.
    fn name(&self, text: &str) -> String {
        if self.url_encoded {
            s3_url_encode(text)
        } else {
            text.to_owned()
        }
    }

    fn head(&self, xml: &mut Xml, bucket: &Bucket) {
        xml.text("Name", &bucket.name)
            .text("Prefix", &self.name(self.prefix));
        if let Some(delimiter) = self.delimiter {
            xml.text("Delimiter", &self.name(delimiter));
        }
        xml.text("MaxKeys", &self.max_keys.to_string());
        if self.url_encoded {
            xml.text("EncodingType", "url");
        }
    }

    fn common_prefixes(&self, xml: &mut Xml, prefixes: &[&str]) {
        for prefix in prefixes {
            xml.nested("CommonPrefixes", |xml| {
                xml.text("Prefix", &self.name(prefix));
            });
        }
    }
}

/// Where a listing goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cursor {
    Start,
    AfterKey(String),
    /// Past everything that was rolled up into a common prefix.
    AfterPrefix(String),
    /// In the middle of a key's versions: its first version is still to come.
    AtKey(String),
}

impl Cursor {
    fn encode(kind: char, text: &str) -> String {
        STANDARD.encode(format!("{kind}{text}"))
    }

    fn decode(token: &str) -> Option<Self> {
        let text = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
        match text.split_at_checked(1)? {
            ("k", key) => Some(Self::AfterKey(key.to_owned())),
            ("p", prefix) => Some(Self::AfterPrefix(prefix.to_owned())),
            _ => None,
        }
    }
}

/// An entry of a listing, before it is known whether it fits on the page.
enum Entry<'a> {
    Key(&'a str, &'a [Version]),
    CommonPrefix(&'a str),
}

/// Visits keys in order, those with the delimiter rolled up, until `visit` breaks. `has_entry` says
/// whether a key counts at all.
fn walk<'a>(
    keys: &'a Keys,
    params: &Params<'_>,
    cursor: &Cursor,
    has_entry: impl Fn(&[Version]) -> bool,
    mut visit: impl FnMut(Entry<'a>) -> ControlFlow<()>,
) {
    let mut skipped = None;
    let mut lower = match cursor {
        Cursor::Start => Bound::Included(String::new()),
        Cursor::AfterKey(key) => Bound::Excluded(key.clone()),
        Cursor::AtKey(key) => Bound::Included(key.clone()),
        Cursor::AfterPrefix(prefix) => {
            skipped = Some(prefix.clone());
            after_prefix(prefix)
        }
    };
    let (Bound::Included(from) | Bound::Excluded(from)) = &lower else {
        return;
    };
    if from.as_str() < params.prefix {
        lower = Bound::Included(params.prefix.to_owned());
    }
    loop {
        let mut seek = None;
        for (key, versions) in keys.range((lower.clone(), Bound::Unbounded)) {
            let Some(rest) = key.strip_prefix(params.prefix) else {
                return;
            };
            if !has_entry(versions) {
                continue;
            }
            let rolled = params.delimiter.and_then(|delimiter| {
                let at = rest.find(delimiter)?;
                Some(&key[..params.prefix.len() + at + delimiter.len()])
            });
            let Some(common) = rolled else {
                if visit(Entry::Key(key, versions)).is_break() {
                    return;
                }
                continue;
            };
            if skipped.as_deref() == Some(common) {
                continue;
            }
            if visit(Entry::CommonPrefix(common)).is_break() {
                return;
            }
            seek = Some(after_prefix(common));
            skipped = Some(common.to_owned());
            break;
        }
        match seek {
            Some(bound) => lower = bound,
            None => return,
        }
    }
}

/// A bound past nearly all keys under a prefix; the few that begin with the last code point are
/// skipped one by one.
fn after_prefix(prefix: &str) -> Bound<String> {
    Bound::Excluded(format!("{prefix}\u{10ffff}"))
}

/// ListObjectsV2 of a bucket the caller may read.
pub(super) fn objects_v2(
    bucket: &Bucket,
    keys: &Keys,
    request: &Request,
) -> Result<Response, AwsError> {
    let params = Params::read(request)?;
    let token = request
        .query_value("continuation-token")
        .filter(|token| !token.is_empty());
    let start_after = request
        .query_value("start-after")
        .filter(|key| !key.is_empty());
    let cursor = match (token, start_after) {
        (Some(token), _) => Cursor::decode(token)
            .ok_or_else(|| invalid_argument("The continuation token provided is incorrect"))?,
        (None, Some(key)) => Cursor::AfterKey(key.to_owned()),
        (None, None) => Cursor::Start,
    };
    let (mut contents, mut prefixes, mut next, mut truncated) =
        (Vec::new(), Vec::new(), None, false);
    let is_current = |versions: &[Version]| {
        versions
            .last()
            .is_some_and(|version| version.content.is_some())
    };
    walk(keys, &params, &cursor, is_current, |entry| {
        if contents.len() + prefixes.len() >= params.max_keys {
            truncated = params.max_keys > 0;
            return ControlFlow::Break(());
        }
        match entry {
            Entry::Key(key, versions) => {
                next = Some(('k', key));
                contents.extend(versions.last().map(|version| (key, version)));
            }
            Entry::CommonPrefix(prefix) => {
                next = Some(('p', prefix));
                prefixes.push(prefix);
            }
        }
        ControlFlow::Continue(())
    });

    let mut xml = Xml::document("ListBucketResult");
    params.head(&mut xml, bucket);
    xml.text("KeyCount", &(contents.len() + prefixes.len()).to_string());
    xml.text("IsTruncated", if truncated { "true" } else { "false" });
    if let Some(token) = token {
        xml.text("ContinuationToken", token);
    }
    if let Some(key) = start_after {
        xml.text("StartAfter", &params.name(key));
    }
    if let Some((kind, text)) = next.filter(|_| truncated) {
        xml.text("NextContinuationToken", &Cursor::encode(kind, text));
    }
    for (key, version) in contents {
        let Some(content) = &version.content else {
            continue;
        };
        xml.nested("Contents", |xml| {
            xml.text("Key", &params.name(key))
                .text("LastModified", &iso_millis(version.modified_ms))
                .text("ETag", &content.etag);
            if let Some(checksum) = &content.checksum {
                xml.text(
                    "ChecksumAlgorithm",
                    &checksum.algorithm.to_ascii_uppercase(),
                )
                .text("ChecksumType", "FULL_OBJECT");
            }
            xml.text("Size", &content.body.len().to_string())
                .text("StorageClass", "STANDARD");
        });
    }
    params.common_prefixes(&mut xml, &prefixes);
    Ok(xml.respond())
}

/// ListObjectVersions of a bucket the caller may read: keys in order, versions newest first.
pub(super) fn versions(
    bucket: &Bucket,
    keys: &Keys,
    request: &Request,
) -> Result<Response, AwsError> {
    let params = Params::read(request)?;
    let key_marker = request.query_value("key-marker").unwrap_or_default();
    let version_marker = request.query_value("version-id-marker").unwrap_or_default();
    if key_marker.is_empty() && !version_marker.is_empty() {
        return Err(invalid_argument(
            "A version-id marker cannot be specified without a key marker.",
        ));
    }
    // A marker that ends with the delimiter is a common prefix of the page before.
    let rolled_up = params.delimiter.is_some_and(|delimiter| {
        key_marker
            .strip_prefix(params.prefix)
            .is_some_and(|rest| rest.find(delimiter) == rest.len().checked_sub(delimiter.len()))
    });
    let cursor = match (key_marker, version_marker) {
        ("", _) => Cursor::Start,
        (marker, "") if rolled_up => Cursor::AfterPrefix(marker.to_owned()),
        (marker, "") => Cursor::AfterKey(marker.to_owned()),
        (marker, _) => Cursor::AtKey(marker.to_owned()),
    };
    let (mut found, mut prefixes, mut truncated) = (Vec::new(), Vec::new(), false);
    let mut last = (String::new(), String::new());
    walk(
        keys,
        &params,
        &cursor,
        |_| true,
        |entry| {
            let (key, versions) = match entry {
                Entry::Key(key, versions) => (key, versions),
                Entry::CommonPrefix(prefix) => {
                    if found.len() + prefixes.len() >= params.max_keys {
                        truncated = params.max_keys > 0;
                        return ControlFlow::Break(());
                    }
                    last = (prefix.to_owned(), String::new());
                    prefixes.push(prefix);
                    return ControlFlow::Continue(());
                }
            };
            let seen = if key == key_marker && !version_marker.is_empty() {
                // Newest first: what is at or above the marker was on an earlier page.
                versions
                    .iter()
                    .rev()
                    .position(|version| version.id == version_marker)
                    .map_or(versions.len(), |at| at + 1)
            } else {
                0
            };
            for (index, version) in versions.iter().rev().enumerate().skip(seen) {
                if found.len() + prefixes.len() >= params.max_keys {
                    truncated = params.max_keys > 0;
                    return ControlFlow::Break(());
                }
                last = (key.to_owned(), version.id.clone());
                found.push((key, version, index == 0));
            }
            ControlFlow::Continue(())
        },
    );

    let mut xml = Xml::document("ListVersionsResult");
    params.head(&mut xml, bucket);
    xml.text("KeyMarker", &params.name(key_marker))
        .text("VersionIdMarker", version_marker);
    xml.text("IsTruncated", if truncated { "true" } else { "false" });
    if truncated {
        xml.text("NextKeyMarker", &params.name(&last.0));
        if !last.1.is_empty() {
            xml.text("NextVersionIdMarker", &last.1);
        }
    }
    let owner = owner_id(&bucket.account_id);
    for (key, version, is_latest) in found {
        let element = if version.content.is_some() {
            "Version"
        } else {
            "DeleteMarker"
        };
        xml.nested(element, |xml| {
            xml.text("Key", &params.name(key))
                .text("VersionId", &version.id)
                .text("IsLatest", if is_latest { "true" } else { "false" })
                .text("LastModified", &iso_millis(version.modified_ms));
            if let Some(content) = &version.content {
                xml.text("ETag", &content.etag);
                if let Some(checksum) = &content.checksum {
                    xml.text(
                        "ChecksumAlgorithm",
                        &checksum.algorithm.to_ascii_uppercase(),
                    )
                    .text("ChecksumType", "FULL_OBJECT");
                }
                xml.text("Size", &content.body.len().to_string())
                    .text("StorageClass", "STANDARD");
            }
            xml.nested("Owner", |xml| {
                xml.text("ID", &owner);
            });
        });
    }
    params.common_prefixes(&mut xml, &prefixes);
    Ok(xml.respond())
}

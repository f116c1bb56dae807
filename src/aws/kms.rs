//! KMS: what may be asked about a key. No key is ever used.

use aws_sdk_kms::types;

use crate::aws::error::Asked;
use crate::aws::member::{millis, next, text};
use crate::collect::api::{ApiError, DescribedKey, ErrorClass, Page, Tag};

/// Refuses `alias/aws/…`: describing a predefined alias may create the key
/// (<https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html>).
pub(super) fn must_not_be_predefined(asked: Asked<'_>, key: &str) -> Result<(), ApiError> {
    if key.contains("alias/aws/") {
        return Err(asked.local(
            ErrorClass::Refused,
            "PredefinedAlias",
            "an AWS managed key is judged by its name and never asked for",
        ));
    }
    Ok(())
}

pub(super) fn key(
    asked: Asked<'_>,
    given: Option<types::KeyMetadata>,
) -> Result<DescribedKey, ApiError> {
    let given = given.ok_or_else(|| asked.unreadable("no key in the answer"))?;
    let arn = text(given.arn).ok_or_else(|| asked.unreadable("a key without an ARN"))?;
    Ok(DescribedKey {
        arn,
        manager: given.key_manager.map(|v| v.as_str().to_owned()),
        state: given.key_state.map(|v| v.as_str().to_owned()),
        usage: given.key_usage.map(|v| v.as_str().to_owned()),
        spec: given.key_spec.map(|v| v.as_str().to_owned()),
        origin: given.origin.map(|v| v.as_str().to_owned()),
        multi_region: given.multi_region,
        created_at: millis(asked, given.creation_date)?,
        deletion_at: millis(asked, given.deletion_date)?,
        material_expires_at: millis(asked, given.valid_to)?,
    })
}

pub(super) fn tags(
    given: Option<Vec<types::Tag>>,
    truncated: bool,
    marker: Option<String>,
) -> Page<Tag> {
    Page {
        items: given
            .unwrap_or_default()
            .into_iter()
            .map(|tag| Tag {
                name: tag.tag_key,
                value: tag.tag_value,
            })
            .collect(),
        next: next(marker).filter(|_| truncated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::operation::Operation;

    const ASKED: Asked<'_> = Asked {
        operation: Operation::DescribeKey,
        account: "111122223333",
        region: "eu-west-1",
    };

    #[test]
    fn predefined_aliases_are_not_asked_for() {
        for bad in [
            "alias/aws/s3",
            "arn:aws:kms:eu-west-1:111122223333:alias/aws/s3",
        ] {
            assert!(must_not_be_predefined(ASKED, bad).is_err(), "{bad}");
        }
        assert!(must_not_be_predefined(ASKED, "alias/awsome").is_ok());
    }

    #[test]
    fn a_key_without_an_arn_is_unreadable() {
        assert!(key(ASKED, None).is_err());
        let bare = types::KeyMetadata::builder()
            .key_id("k")
            .build()
            .expect("built");
        assert!(key(ASKED, Some(bare)).is_err());
    }

    #[test]
    fn tags_end_where_kms_says_so() {
        assert_eq!(tags(None, false, Some("m".into())).next, None);
        assert_eq!(
            tags(None, true, Some("m".into())).next.as_deref(),
            Some("m")
        );
    }
}

//! KMS: what may be asked about a key. No key is ever used.

use std::collections::BTreeMap;

use aws_sdk_kms::types;

use crate::aws::error::Asked;
use crate::aws::member::{millis, next, text};
use crate::collect::api::{
    ApiError, DescribedKey, ErrorClass, GrantConstraints, ListedAlias, ListedGrant, Page, Tag,
};

/// Most entries that one page of these lists may have
/// (<https://docs.aws.amazon.com/kms/latest/APIReference/API_ListGrants.html>).
pub(super) const GRANTS_PER_PAGE: i32 = 100;
pub(super) const ALIASES_PER_PAGE: i32 = 100;
pub(super) const KEYS_PER_PAGE: i32 = 1_000;

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

pub(super) fn grants(
    asked: Asked<'_>,
    given: Option<Vec<types::GrantListEntry>>,
    truncated: bool,
    marker: Option<String>,
) -> Result<Page<ListedGrant>, ApiError> {
    let given = given.unwrap_or_default().into_iter();
    let items = given.map(|entry| grant(asked, entry));
    Ok(Page {
        items: items.collect::<Result<_, _>>()?,
        next: next(marker).filter(|_| truncated),
    })
}

fn grant(asked: Asked<'_>, given: types::GrantListEntry) -> Result<ListedGrant, ApiError> {
    let constraints = given.constraints.map(|c| GrantConstraints {
        encryption_context_equals: c.encryption_context_equals.map(BTreeMap::from_iter),
        encryption_context_subset: c.encryption_context_subset.map(BTreeMap::from_iter),
        source_arn: text(c.source_arn),
    });
    let operations = given.operations.unwrap_or_default();
    Ok(ListedGrant {
        id: text(given.grant_id).ok_or_else(|| asked.unreadable("a grant without an id"))?,
        grantee: text(given.grantee_principal).or_else(|| text(given.grantee_service_principal)),
        retiring_principal: text(given.retiring_principal)
            .or_else(|| text(given.retiring_service_principal)),
        issuing_account: text(given.issuing_account),
        operations: operations.iter().map(|o| o.as_str().to_owned()).collect(),
        constraints: constraints.unwrap_or_default(),
        created_at: millis(asked, given.creation_date)?,
    })
}

pub(super) fn aliases(
    asked: Asked<'_>,
    given: Option<Vec<types::AliasListEntry>>,
    truncated: bool,
    marker: Option<String>,
) -> Result<Page<ListedAlias>, ApiError> {
    let given = given.unwrap_or_default().into_iter();
    let items = given.map(|entry| {
        Ok(ListedAlias {
            name: text(entry.alias_name)
                .ok_or_else(|| asked.unreadable("an alias without a name"))?,
            target: text(entry.target_key_id),
            updated_at: millis(asked, entry.last_updated_date)?,
        })
    });
    Ok(Page {
        items: items.collect::<Result<_, _>>()?,
        next: next(marker).filter(|_| truncated),
    })
}

pub(super) fn key_ids(
    given: Option<Vec<types::KeyListEntry>>,
    truncated: bool,
    marker: Option<String>,
) -> Page<String> {
    Page {
        items: given
            .unwrap_or_default()
            .into_iter()
            .filter_map(|k| k.key_id)
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

    /// `Enabled` says no more than `KeyState` does, and stays behind where the state says why.
    #[test]
    fn enabled_only_mirrors_the_key_state() {
        let metadata = types::KeyMetadata::builder()
            .key_id("k")
            .arn("arn:aws:kms:eu-west-1:111122223333:key/k")
            .enabled(true)
            .key_state(types::KeyState::PendingDeletion)
            .build()
            .expect("built");
        let described = key(ASKED, Some(metadata)).expect("read");
        assert_eq!(described.state.as_deref(), Some("PendingDeletion"));
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

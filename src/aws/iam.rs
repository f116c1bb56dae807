//! IAM: the identities of an account and their policies. Trust policies, descriptions and old
//! versions of policies stay behind.

use aws_sdk_iam::operation::get_account_authorization_details::GetAccountAuthorizationDetailsOutput;
use aws_sdk_iam::types::{self, EntityType};

use crate::aws::member::{next, text};
use crate::collect::api::{
    Identity, IdentityKinds, ListedGroup, ListedPolicy, ListedPrincipal, Page, PrincipalKind, Tag,
};

/// Entries of one page. IAM gives fewer where their documents are long.
pub(super) const PER_PAGE: i32 = 200;

/// What is asked for: policies and groups before the roles and users that refer to them.
pub(super) fn filter(kinds: IdentityKinds) -> Vec<EntityType> {
    match kinds {
        IdentityKinds::Policies => vec![
            EntityType::Group,
            EntityType::LocalManagedPolicy,
            EntityType::AwsManagedPolicy,
        ],
        IdentityKinds::Principals => vec![EntityType::User, EntityType::Role],
    }
}

/// An entry without its ARN or name cannot be referred to and is left out; whoever refers to it then
/// has a policy that was not read.
pub(super) fn identities(answer: GetAccountAuthorizationDetailsOutput) -> Page<Identity> {
    let groups = answer.group_detail_list.unwrap_or_default();
    let policies = answer.policies.unwrap_or_default();
    let users = answer.user_detail_list.unwrap_or_default();
    let roles = answer.role_detail_list.unwrap_or_default();
    let items = groups
        .into_iter()
        .filter_map(group)
        .map(Identity::Group)
        .chain(
            policies
                .into_iter()
                .filter_map(policy)
                .map(Identity::Policy),
        )
        .chain(users.into_iter().filter_map(user).map(Identity::Principal))
        .chain(roles.into_iter().filter_map(role).map(Identity::Principal))
        .collect();
    Page {
        items,
        next: next(answer.marker).filter(|_| answer.is_truncated),
    }
}

fn role(given: types::RoleDetail) -> Option<ListedPrincipal> {
    let profiles = given.instance_profile_list.unwrap_or_default();
    Some(ListedPrincipal {
        kind: PrincipalKind::Role,
        arn: text(given.arn)?,
        name: text(given.role_name)?,
        unique_id: text(given.role_id),
        instance_profiles: profiles
            .into_iter()
            .map(|p| p.instance_profile_name)
            .collect(),
        groups: vec![],
        inline: documents(given.role_policy_list),
        attached: attached(given.attached_managed_policies),
        boundary: given
            .permissions_boundary
            .map(|b| b.permissions_boundary_arn.unwrap_or_default()),
        tags: tags(given.tags),
    })
}

fn user(given: types::UserDetail) -> Option<ListedPrincipal> {
    Some(ListedPrincipal {
        kind: PrincipalKind::User,
        arn: text(given.arn)?,
        name: text(given.user_name)?,
        unique_id: text(given.user_id),
        instance_profiles: vec![],
        groups: given.group_list.unwrap_or_default(),
        inline: documents(given.user_policy_list),
        attached: attached(given.attached_managed_policies),
        boundary: given
            .permissions_boundary
            .map(|b| b.permissions_boundary_arn.unwrap_or_default()),
        tags: tags(given.tags),
    })
}

fn group(given: types::GroupDetail) -> Option<ListedGroup> {
    Some(ListedGroup {
        name: text(given.group_name)?,
        inline: documents(given.group_policy_list),
        attached: attached(given.attached_managed_policies),
    })
}

fn policy(given: types::ManagedPolicyDetail) -> Option<ListedPolicy> {
    let versions = given.policy_version_list.unwrap_or_default();
    let default = versions.into_iter().find(|v| v.is_default_version);
    Some(ListedPolicy {
        arn: text(given.arn)?,
        document: default.and_then(|v| v.document).map(|d| decoded(&d)),
    })
}

/// A policy without a document stays, as a text that nothing can be read from.
fn documents(given: Option<Vec<types::PolicyDetail>>) -> Vec<String> {
    let given = given.unwrap_or_default().into_iter();
    given
        .map(|p| decoded(&p.policy_document.unwrap_or_default()))
        .collect()
}

fn attached(given: Option<Vec<types::AttachedPolicy>>) -> Vec<String> {
    let given = given.unwrap_or_default().into_iter();
    given.map(|p| p.policy_arn.unwrap_or_default()).collect()
}

fn tags(given: Option<Vec<types::Tag>>) -> Vec<Tag> {
    let given = given.unwrap_or_default().into_iter();
    given
        .map(|tag| Tag {
            name: tag.key,
            value: tag.value,
        })
        .collect()
}

/// Undoes the URL encoding in which IAM gives policy documents (RFC 3986, where `+` is a plus). What
/// is not encoded so stays as it is.
fn decoded(document: &str) -> String {
    let bytes = document.as_bytes();
    let hex = |at: usize| {
        let digit = bytes.get(at).copied().map(char::from)?.to_digit(16)?;
        u8::try_from(digit).ok()
    };
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                plain.push(high * 16 + low);
                at += 3;
            }
            _ => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).unwrap_or_else(|_| document.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_decoded_and_nothing_breaks_on_what_is_none() {
        for (given, expected) in [
            (
                "%7B%22Version%22%3A%222012-10-17%22%7D",
                r#"{"Version":"2012-10-17"}"#,
            ),
            ("a+b%2Bc%20d", "a+b+c d"),
            ("%C3%A9%", "é%"),
            ("%zz%4", "%zz%4"),
            ("%ff", "%ff"),
            ("", ""),
        ] {
            assert_eq!(decoded(given), expected);
        }
    }

    #[test]
    fn only_the_default_version_of_a_policy_counts() {
        let version = |document: &str, is_default| {
            types::PolicyVersion::builder()
                .document(document)
                .is_default_version(is_default)
                .build()
        };
        let given = types::ManagedPolicyDetail::builder()
            .arn("arn:aws:iam::aws:policy/P")
            .policy_version_list(version("old", false))
            .policy_version_list(version("%7B%7D", true))
            .build();
        assert_eq!(
            policy(given).and_then(|p| p.document).as_deref(),
            Some("{}")
        );
        let none = types::ManagedPolicyDetail::builder().arn("a").build();
        assert_eq!(policy(none).map(|p| p.document), Some(None));
    }
}

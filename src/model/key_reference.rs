//! What a cluster says when it names a key, qualified so that it means one thing everywhere.

use std::fmt;

use crate::model::ids::{AccountId, Region};

/// The value of `LogEncryptionKmsKeyId`, understood. The API takes any string
/// (<https://docs.aws.amazon.com/emr/latest/APIReference/API_RunJobFlow.html>): a key ARN, a key id,
/// an alias ARN or `alias/name`. A bare form belongs to the cluster's own account and Region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyReference {
    /// A key or an alias in one account and Region.
    Qualified(KeyArn),
    /// `alias/aws/…`: an AWS managed key, known by name and never resolved, since
    /// `kms:DescribeKey` on such an alias may create the key
    /// (<https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html>).
    AwsManaged(KeyArn),
    /// None of the documented forms.
    Unparseable(String),
}

/// `arn:<partition>:kms:<region>:<account>:key/<id>` or `…:alias/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyArn {
    pub partition: String,
    pub region: Region,
    pub account_id: AccountId,
    /// `key/<id>` or `alias/<name>`; case matters.
    pub resource: String,
}

impl KeyArn {
    /// Reads an ARN of a KMS key or alias.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        if parts.next() != Some("arn") {
            return None;
        }
        let partition = parts.next().filter(|p| p.starts_with("aws"))?;
        if parts.next() != Some("kms") {
            return None;
        }
        let region = parts.next()?.parse().ok()?;
        let account_id = parts.next()?.parse().ok()?;
        let resource = parts.next().filter(|r| is_resource(r))?;
        Some(Self {
            partition: partition.to_owned(),
            region,
            account_id,
            resource: resource.to_owned(),
        })
    }

    /// Whether this names an alias and not a key.
    pub fn is_alias(&self) -> bool {
        self.resource.starts_with("alias/")
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            partition,
            region,
            account_id,
            resource,
        } = self;
        write!(f, "arn:{partition}:kms:{region}:{account_id}:{resource}")
    }
}

fn is_resource(text: &str) -> bool {
    let name = |n: &str, extra: &[u8]| {
        !n.is_empty()
            && n.len() <= 256
            && n.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || extra.contains(&b))
    };
    match text.split_once('/') {
        Some(("key", id)) => name(id, b""),
        Some(("alias", alias)) => name(alias, b"/_"),
        _ => false,
    }
}

impl KeyReference {
    /// Understands `value` as named by a cluster of `account_id` in `region`; `None` when it is
    /// empty, which AWS treats like a missing one.
    pub fn read(value: &str, account_id: &AccountId, region: &Region) -> Option<Self> {
        let value = value.trim();
        if value.is_empty() {
            return None;
        }
        let arn = if value.starts_with("arn:") {
            KeyArn::parse(value)
        } else {
            let resource = if value.starts_with("alias/") {
                value.to_owned()
            } else {
                format!("key/{value}")
            };
            is_resource(&resource).then(|| KeyArn {
                partition: region.partition().to_owned(),
                region: region.clone(),
                account_id: account_id.clone(),
                resource,
            })
        };
        Some(match arn {
            Some(arn) if arn.resource.starts_with("alias/aws/") => Self::AwsManaged(arn),
            Some(arn) => Self::Qualified(arn),
            None => Self::Unparseable(value.chars().take(2048).collect()),
        })
    }
}

impl fmt::Display for KeyReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Qualified(arn) | Self::AwsManaged(arn) => arn.fmt(f),
            Self::Unparseable(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<KeyReference> {
        let account = "111122223333".parse().expect("account");
        let region = "eu-west-1".parse().expect("region");
        KeyReference::read(value, &account, &region)
    }

    #[test]
    fn bare_forms_belong_to_the_cluster() {
        let id = read(" 0a0a0a0a-1111-4222-8333-444444444444 ")
            .expect("key")
            .to_string();
        assert_eq!(
            id,
            "arn:aws:kms:eu-west-1:111122223333:key/0a0a0a0a-1111-4222-8333-444444444444"
        );
        let alias = read("alias/emr-logs").expect("key").to_string();
        assert_eq!(alias, "arn:aws:kms:eu-west-1:111122223333:alias/emr-logs");
    }

    #[test]
    fn aws_aliases_are_known_by_name() {
        assert!(matches!(
            read("alias/aws/s3"),
            Some(KeyReference::AwsManaged(_))
        ));
        let arn = "arn:aws:kms:us-east-1:999988887777:alias/aws/s3";
        assert!(matches!(read(arn), Some(KeyReference::AwsManaged(_))));
    }

    #[test]
    fn nonsense_is_kept_as_unparseable() {
        for text in [
            "not a key!",
            "arn:aws:kms:eu-west-1",
            "arn:aws:s3:::bucket",
            "key\u{0}id",
        ] {
            assert!(
                matches!(read(text), Some(KeyReference::Unparseable(_))),
                "{text}"
            );
        }
        assert_eq!(read("  \t"), None);
    }
}

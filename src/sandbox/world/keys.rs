//! KMS keys as `DescribeKey` and its neighbours show them.

use serde_json::{Value, json};

use super::identities::{PLAIN, role_arn, role_of};
use super::key_policies;
use super::rng::Rng;
use super::secrets::marker;
use super::{DAY_MS, Options};

/// What a key exists for. One account-region has at most one key of each purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The ordinary log key of a team.
    Logs,
    /// Reached through `alias/emr-logs`.
    AliasedLogs,
    MultiRegionLogs,
    /// Key material from outside AWS that is still valid.
    Imported,
    ImportedExpired,
    /// Its policy names administrators only, so that no auditor reads it.
    AdministratorsOnly,
    Disabled,
    /// Disabled from day 1 to day 3 of the simulation, at 10:00 each.
    DisabledThenMended,
    PendingDeletion,
    PendingReplicaDeletion,
    PendingImport,
    /// In a CloudHSM key store that is not connected.
    Unavailable,
    /// In a CloudHSM key store; the state cannot tell whether the backing key is there.
    CustomKeyStore,
    Rsa,
    Hmac,
    /// The AWS managed key behind `alias/aws/s3`.
    AwsManagedS3,
    /// The organization's central log key, which every member may describe.
    Central,
    /// Encrypts the evidence bucket.
    Archive,
    /// Signs seals.
    Signing,
    /// A partner's key that lets the organization describe it.
    ForeignOpen,
    /// A partner's key that does not.
    ForeignClosed,
    /// Its policy names the writer's role, and delegates only its custody to IAM.
    WriterNamed,
    /// Its policy delegates only its custody to IAM; a grant, one of many, names the writer's role.
    WriterGranted,
    /// Its policy names the writer's role on a condition that no audit can tell.
    OnCondition,
    /// Its policy names a role by the id that it had before it was deleted.
    DeletedRole,
    /// Its policy keeps the auditor from reading it, and nothing else.
    PolicyHidden,
    /// Everyone may decrypt with it.
    Overbroad,
    /// A role of another business unit may decrypt with it.
    OtherUnit,
    /// Every principal of the organization may disable it or schedule its deletion.
    KillSwitch,
}

/// `KeyState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    Enabled,
    Disabled,
    PendingDeletion,
    PendingReplicaDeletion,
    PendingImport,
    Unavailable,
}

impl KeyState {
    /// The value on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::PendingDeletion => "PendingDeletion",
            Self::PendingReplicaDeletion => "PendingReplicaDeletion",
            Self::PendingImport => "PendingImport",
            Self::Unavailable => "Unavailable",
        }
    }
}

/// A KMS key. Its policy, tags and grants follow from its purpose.
#[derive(Debug, Clone)]
pub struct Key {
    /// A UUID, or `mrk-…` for a multi-Region key.
    pub id: String,
    pub account_id: String,
    pub region: &'static str,
    pub purpose: Purpose,
    pub created_ms: i64,
    /// Half-open interval in which the key is Disabled although it is Enabled before and after.
    pub outage_ms: Option<(i64, i64)>,
    /// End of imported key material.
    pub valid_to_ms: Option<i64>,
    pub deletion_ms: Option<i64>,
    /// First of [`Key::secrets`] planted markers: in the description, in a tag, and where it has
    /// grants in their names and in an encryption context that they ask for.
    pub(crate) secret: u32,
}

/// A name of a key in one account-region.
#[derive(Debug, Clone)]
pub struct Alias {
    /// With its `alias/` prefix.
    pub name: String,
    /// `None` for a name that AWS predefined and whose key nobody has needed yet.
    pub target: Option<String>,
    pub created_ms: i64,
    /// When it was last pointed at a key.
    pub updated_ms: i64,
}

impl Key {
    /// Grants of a key that has many.
    const MANY_GRANTS: usize = 120;

    /// How many markers a key of this purpose shows.
    pub(super) fn secrets(purpose: Purpose) -> u32 {
        match purpose {
            Purpose::AwsManagedS3 => 0,
            Purpose::Logs | Purpose::Central => 3,
            Purpose::WriterGranted => 4,
            _ => 2,
        }
    }

    pub(super) fn generate(
        options: &Options,
        account_id: &str,
        region: &'static str,
        purpose: Purpose,
        secret: u32,
    ) -> Self {
        let label = format!("key/{account_id}/{region}/{purpose:?}");
        let mut rng = Rng::stream(options.seed, &label);
        let multi_region = matches!(
            purpose,
            Purpose::MultiRegionLogs | Purpose::PendingReplicaDeletion
        );
        Self {
            id: if multi_region {
                format!("mrk-{}", rng.hex(32))
            } else {
                rng.uuid()
            },
            account_id: account_id.to_owned(),
            region,
            purpose,
            created_ms: options.start_ms - rng.between(400, 1_500) * DAY_MS,
            outage_ms: (purpose == Purpose::DisabledThenMended)
                .then(|| (options.at(1, 600), options.at(3, 600))),
            valid_to_ms: match purpose {
                Purpose::Imported => Some(options.at(4_000, 0)),
                Purpose::ImportedExpired => Some(options.at(-3, 0)),
                _ => None,
            },
            deletion_ms: (purpose == Purpose::PendingDeletion)
                .then(|| options.at(i64::from(options.days) + 20, 0)),
            secret,
        }
    }

    /// `arn:aws:kms:<region>:<account>:key/<id>`
    pub fn arn(&self) -> String {
        format!(
            "arn:aws:kms:{}:{}:key/{}",
            self.region, self.account_id, self.id
        )
    }

    /// `KeyState` at an instant.
    pub fn state_at(&self, now_ms: i64) -> KeyState {
        match self.purpose {
            Purpose::Disabled => KeyState::Disabled,
            Purpose::PendingDeletion => KeyState::PendingDeletion,
            Purpose::PendingReplicaDeletion => KeyState::PendingReplicaDeletion,
            Purpose::PendingImport => KeyState::PendingImport,
            Purpose::Unavailable => KeyState::Unavailable,
            _ if self.is_out_at(now_ms) => KeyState::Disabled,
            _ => KeyState::Enabled,
        }
    }

    /// Whether the key's planned outage covers this instant.
    pub fn is_out_at(&self, now_ms: i64) -> bool {
        self.outage_ms
            .is_some_and(|(from, to)| (from..to).contains(&now_ms))
    }

    /// `KeyManager`
    pub fn manager(&self) -> &'static str {
        if self.purpose == Purpose::AwsManagedS3 {
            "AWS"
        } else {
            "CUSTOMER"
        }
    }

    /// `KeyUsage`
    pub fn usage(&self) -> &'static str {
        match self.purpose {
            Purpose::Signing => "SIGN_VERIFY",
            Purpose::Hmac => "GENERATE_VERIFY_MAC",
            _ => "ENCRYPT_DECRYPT",
        }
    }

    /// `KeySpec`
    pub fn spec(&self) -> &'static str {
        match self.purpose {
            Purpose::Signing => "ECC_NIST_P256",
            Purpose::Hmac => "HMAC_256",
            Purpose::Rsa => "RSA_2048",
            _ => "SYMMETRIC_DEFAULT",
        }
    }

    /// `Origin`
    pub fn origin(&self) -> &'static str {
        match self.purpose {
            Purpose::Imported | Purpose::ImportedExpired | Purpose::PendingImport => "EXTERNAL",
            Purpose::CustomKeyStore | Purpose::Unavailable => "AWS_CLOUDHSM",
            _ => "AWS_KMS",
        }
    }

    /// Whether it is a multi-Region key (always a primary here).
    pub fn is_multi_region(&self) -> bool {
        self.id.starts_with("mrk-")
    }

    /// `KeyRotationEnabled`, or `None` where the key kind has no automatic rotation to report.
    pub fn rotation(&self) -> Option<bool> {
        match self.purpose {
            Purpose::Signing | Purpose::Hmac | Purpose::Rsa => None,
            Purpose::CustomKeyStore | Purpose::Unavailable => None,
            Purpose::PendingDeletion | Purpose::PendingReplicaDeletion => Some(false),
            Purpose::Imported | Purpose::ImportedExpired | Purpose::PendingImport => Some(false),
            Purpose::AliasedLogs | Purpose::Disabled => Some(false),
            _ => Some(true),
        }
    }

    /// Free text of whoever made the key.
    pub fn description(&self) -> String {
        if self.purpose == Purpose::AwsManagedS3 {
            return "Default key that protects my S3 objects when no other key is defined"
                .to_owned();
        }
        format!("{:?} {}", self.purpose, marker(self.secret))
    }

    /// Tags, of which one is on nobody's allow-list. AWS managed keys have none.
    pub fn tags(&self) -> Vec<(&'static str, String)> {
        match self.purpose {
            Purpose::AwsManagedS3 => Vec::new(),
            Purpose::AliasedLogs => vec![("scratch", marker(self.secret + 1))],
            _ => vec![
                ("owner", "key-custodians".to_owned()),
                ("cost-center", "cc-9000".to_owned()),
                ("data-classification", "confidential".to_owned()),
                ("scratch", marker(self.secret + 1)),
            ],
        }
    }

    /// Whether principals of the owner account reach the key through IAM.
    pub fn delegates_to_iam(&self) -> bool {
        self.purpose != Purpose::AdministratorsOnly
    }

    /// Whether its policy forbids an auditor to read it.
    pub fn hides_its_policy(&self) -> bool {
        self.purpose == Purpose::PolicyHidden
    }

    /// Whether the organization's accounts may use the cross-account actions of the key.
    pub fn is_shared_with_organization(&self) -> bool {
        matches!(
            self.purpose,
            Purpose::Central | Purpose::Archive | Purpose::Signing | Purpose::ForeignOpen
        )
    }

    /// The key policy document.
    pub fn policy(&self, organization_id: &str) -> String {
        let account = &self.account_id;
        let mut statements = key_policies::statements(self, organization_id)
            .unwrap_or_else(|| self.ordinary_statements(organization_id));
        if self.usage() == "ENCRYPT_DECRYPT" {
            statements.push(json!({"Sid": "EmrManaged", "Effect": "Allow",
                "Principal": {"Service": ["elasticmapreduce.amazonaws.com",
                    "persistentappui.elasticmapreduce.amazonaws.com"]},
                "Action": ["kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt"],
                "Resource": "*", "Condition": {"StringEquals": {"aws:SourceAccount": account}}}));
        }
        json!({"Version": "2012-10-17", "Statement": statements}).to_string()
    }

    /// Delegation to IAM, or to administrators; and what the organization shares.
    fn ordinary_statements(&self, organization_id: &str) -> Vec<Value> {
        let account = &self.account_id;
        let mut statements = Vec::new();
        if self.delegates_to_iam() {
            statements.push(
                json!({"Sid": "DelegateToIam", "Effect": "Allow", "Action": "kms:*",
                "Principal": {"AWS": format!("arn:aws:iam::{account}:root")}, "Resource": "*"}),
            );
        } else {
            statements.push(json!({"Sid": "Administrators", "Effect": "Allow",
                "Principal": {"AWS": format!("arn:aws:iam::{account}:role/key-admin")},
                "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:Put*", "kms:Enable*",
                    "kms:Disable*", "kms:ScheduleKeyDeletion"], "Resource": "*"}));
        }
        if self.is_shared_with_organization() {
            statements.push(json!({"Sid": "Organization members", "Effect": "Allow",
                "Principal": {"AWS": "*"}, "Resource": "*",
                "Action": ["kms:DescribeKey", "kms:GenerateDataKey", "kms:Decrypt", "kms:Sign",
                    "kms:GetPublicKey", "kms:ListGrants", "kms:GetKeyRotationStatus"],
                "Condition": {"StringEquals": {"aws:PrincipalOrgID": organization_id}}}));
        }
        statements
    }

    /// Grants in the shape of `GrantListEntry`.
    pub fn grants(&self) -> Vec<Value> {
        let entry = |number: usize, role: &str| {
            let id: String = self
                .id
                .chars()
                .filter(char::is_ascii_hexdigit)
                .cycle()
                .take(60)
                .collect();
            json!({
                "KeyId": self.arn(), "GrantId": format!("{id}{number:04x}"),
                "Name": marker(self.secret + 2),
                "CreationDate": self.created_ms / 1_000,
                "GranteePrincipal": format!("arn:aws:iam::{}:role/{role}", self.account_id),
                "IssuingAccount": format!("arn:aws:iam::{}:root", self.account_id),
                "Operations": ["GenerateDataKey", "Decrypt"],
            })
        };
        match self.purpose {
            Purpose::Logs | Purpose::Central => vec![entry(0, "emr-node")],
            // The one that lets the writer write is the last of the last page.
            Purpose::WriterGranted => (0..Self::MANY_GRANTS)
                .map(|number| {
                    let mut entry = entry(number, "team/bystander-000");
                    if number + 1 == Self::MANY_GRANTS {
                        entry["GranteePrincipal"] =
                            json!(role_arn(&self.account_id, role_of(PLAIN)));
                    } else {
                        entry["Constraints"] = json!({"EncryptionContextEquals":
                            {"tenant": marker(self.secret + 3)}});
                    }
                    entry
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}

//! A compliant cluster and everything it refers to; each test spoils one thing.

use super::case::Case;
use super::inputs::{AssessContext, LookupError, Lookups, RuleConfig, ScopeFacts, Waiver};
use super::{Assessed, assess_cluster};
use crate::model::datasets::{
    Account, EmrCluster, EmrSecurityConfiguration, Finding, KmsKey, LogBucket,
};
use crate::model::ids::{AccountId, Region};
use crate::model::words::{Lookup, Seen, Settings};
use crate::time::{Date, UtcMillis};

pub(super) const OWN: &str = "111122223333";
pub(super) const SISTER: &str = "444455556666";
pub(super) const FOREIGN: &str = "999988887777";
pub(super) const KEY: &str =
    "arn:aws:kms:eu-west-1:111122223333:key/0a0a0a0a-1111-4222-8333-444444444444";
pub(super) const CLUSTER: &str =
    "arn:aws:elasticmapreduce:eu-west-1:111122223333:cluster/j-1ABCDEFGHIJKL";
/// 2026-11-24T02:00:03Z.
pub(super) const AS_OF: UtcMillis = UtcMillis(1_795_485_603_000);

pub(super) fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

pub(super) fn account_id(text: &str) -> AccountId {
    text.parse().expect("account id")
}

pub(super) fn region(text: &str) -> Region {
    text.parse().expect("region")
}

pub(super) fn date() -> Date {
    AS_OF.date()
}

fn account(id: &str) -> Account {
    Account {
        scheduled_for: date(),
        account_id: account_id(id),
        name: None,
        state: some("ACTIVE"),
        ou_path: some("o-1234567890/r-abcd/ou-abcd-11111111/ou-abcd-22222222/"),
        management: false,
        in_scope: true,
        left_out_because: None,
        joined_at: None,
        owner: None,
        cost_center: None,
        business_unit: None,
    }
}

pub(super) fn key_row() -> KmsKey {
    KmsKey {
        scheduled_for: date(),
        account_id: account_id(OWN),
        region: region("eu-west-1"),
        key_reference: KEY.to_owned(),
        lookup: Lookup::Found,
        error_code: None,
        denied_action: None,
        key_arn: some(KEY),
        manager: some("CUSTOMER"),
        state: some("Enabled"),
        usage: some("ENCRYPT_DECRYPT"),
        spec: some("SYMMETRIC_DEFAULT"),
        origin: some("AWS_KMS"),
        multi_region: Some(false),
        created_at: None,
        deletion_at: None,
        material_expires_at: None,
        policy_lookup: Lookup::Found,
        policy_error_code: None,
        policy_json: None,
        policy_sha256: None,
        rotation_lookup: Lookup::Found,
        rotation_enabled: Some(true),
        rotation_period_days: Some(365),
        tags_lookup: Lookup::Found,
        owner: None,
        cost_center: None,
        business_unit: None,
        data_classification: None,
        looked_up_at: AS_OF,
    }
}

pub(super) fn bucket_row() -> LogBucket {
    LogBucket {
        scheduled_for: date(),
        account_id: Some(account_id(OWN)),
        region: Some(region("eu-west-1")),
        bucket: "team-logs".to_owned(),
        lookup: Lookup::Found,
        error_code: None,
        denied_action: None,
        default_algorithm: some("AES256"),
        default_key: None,
        bucket_key: Some(false),
        versioning: None,
        looked_up_at: AS_OF,
    }
}

/// A document of a security configuration, as collected, with this S3 encryption and, beside it, local
/// disk encryption.
pub(super) fn encryption(s3: &str) -> Option<String> {
    Some(format!(
        r#"{{"EncryptionConfiguration":{{"AtRestEncryptionConfiguration":{{"LocalDiskEncryptionConfiguration":{{"AwsKmsKey":"k","EnableEbsEncryption":true,"EncryptionKeyProviderType":"AwsKms"}},"S3EncryptionConfiguration":{s3}}},"EnableAtRestEncryption":true}}}}"#
    ))
}

pub(super) fn security_configuration(name: &str) -> EmrSecurityConfiguration {
    EmrSecurityConfiguration {
        scheduled_for: date(),
        account_id: account_id(OWN),
        region: region("eu-west-1"),
        name: name.to_owned(),
        created_at: Some(AS_OF.plus_ms(-9_000_000)),
        encryption_json: encryption(r#"{"AwsKmsKey":"k","EncryptionMode":"SSE-KMS"}"#),
        encryption_sha256: None,
        unknown_keys: 0,
        at_rest: Some(true),
        s3_mode: some("SSE-KMS"),
        s3_key: some(KEY),
    }
}

fn cluster() -> EmrCluster {
    EmrCluster {
        scheduled_for: date(),
        account_id: account_id(OWN),
        region: region("eu-west-1"),
        cluster_id: "j-1ABCDEFGHIJKL".to_owned(),
        name: some("nightly"),
        state: "RUNNING".to_owned(),
        created_at: Some(AS_OF.plus_ms(-3_600_000)),
        ready_at: None,
        ended_at: None,
        release_label: some("emr-7.13.0"),
        log_uri: some("s3://team-logs/emr/"),
        log_key: some(KEY),
        security_configuration: None,
        service_role: some("emr-service"),
        instance_profile: some("emr-node"),
        system_logs_upload: None,
        application_logs_upload: None,
        ui_logs_upload: None,
        owner: None,
        cost_center: None,
        business_unit: None,
        data_classification: None,
        lineage: None,
        seen: Seen::Listed,
        settings: Settings::Described,
        described_in_run: None,
        described_at: Some(AS_OF),
    }
}

#[derive(Debug, Clone)]
pub(super) struct World {
    pub cluster: EmrCluster,
    pub keys: Vec<KmsKey>,
    pub buckets: Vec<LogBucket>,
    pub security_configurations: Vec<EmrSecurityConfiguration>,
    pub scope: ScopeFacts,
    pub config: RuleConfig,
    pub waivers: Vec<Waiver>,
}

impl World {
    pub fn compliant() -> Self {
        let accounts = [OWN, SISTER].map(|id| (account_id(id), account(id)));
        Self {
            cluster: cluster(),
            keys: vec![key_row()],
            buckets: vec![bucket_row()],
            security_configurations: Vec::new(),
            scope: ScopeFacts {
                accounts: accounts.into(),
                has_account_list: true,
            },
            config: RuleConfig::default(),
            waivers: Vec::new(),
        }
    }

    pub fn key(&mut self) -> &mut KmsKey {
        &mut self.keys[0]
    }

    pub fn bucket(&mut self) -> &mut LogBucket {
        &mut self.buckets[0]
    }

    /// Gives the cluster a security configuration that was there before it.
    pub fn configure(&mut self) -> &mut EmrSecurityConfiguration {
        self.cluster.security_configuration = some("sc");
        self.security_configurations = vec![security_configuration("sc")];
        &mut self.security_configurations[0]
    }

    pub fn own_account(&mut self) -> &mut Account {
        self.scope.accounts.get_mut(&account_id(OWN)).expect("own")
    }

    /// Makes the log key one of another account.
    pub fn move_key_to(&mut self, account: &str) {
        let arn = KEY.replace(OWN, account);
        self.cluster.log_key = Some(arn.clone());
        let key = self.key();
        key.account_id = account_id(account);
        key.key_reference.clone_from(&arn);
        key.key_arn = Some(arn);
    }

    /// Makes the look-up of the key end otherwise than found.
    pub fn lose_key(&mut self, lookup: Lookup) {
        let lost = KmsKey {
            lookup,
            key_arn: None,
            manager: None,
            state: None,
            usage: None,
            spec: None,
            origin: None,
            ..self.keys[0].clone()
        };
        self.keys = vec![lost];
    }

    fn ctx(&self) -> AssessContext<'_> {
        AssessContext {
            scheduled_for: date(),
            as_of: AS_OF,
            scope: &self.scope,
            config: &self.config,
            waivers: &self.waivers,
        }
    }

    pub fn with_case<T>(&self, look: impl FnOnce(&Case<'_>) -> T) -> T {
        look(&Case::gather(&self.cluster, &self.ctx(), self).expect("facts"))
    }

    pub fn assess(&self) -> Assessed {
        assess_cluster(&self.cluster, &self.ctx(), self).expect("facts")
    }

    pub fn finding(&self, rule: &str) -> Finding {
        let mut findings = self.assess().findings.into_iter();
        findings.find(|f| f.rule == rule).expect("rule")
    }

    /// Outcome and reason, as `PASS log_key_set`.
    pub fn said(&self, rule: &str) -> String {
        let finding = self.finding(rule);
        format!("{} {}", finding.outcome, finding.reason)
    }
}

impl Lookups for World {
    fn key(&self, reference: &str) -> Result<Option<KmsKey>, LookupError> {
        let mut keys = self.keys.iter();
        Ok(keys.find(|k| k.key_reference == reference).cloned())
    }

    fn bucket(&self, name: &str) -> Result<Option<LogBucket>, LookupError> {
        Ok(self.buckets.iter().find(|b| b.bucket == name).cloned())
    }

    fn security_configuration(
        &self,
        account: &AccountId,
        region: &Region,
        name: &str,
    ) -> Result<Option<EmrSecurityConfiguration>, LookupError> {
        let mut all = self.security_configurations.iter();
        let same = |s: &&EmrSecurityConfiguration| {
            s.account_id == *account && s.region == *region && s.name == name
        };
        Ok(all.find(same).cloned())
    }
}

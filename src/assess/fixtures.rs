//! A compliant cluster and everything it refers to; each test spoils one thing.

use std::sync::Arc;

use super::access::Answers;
use super::case::{Case, OwnRows};
use super::inputs::{AssessContext, LookupError, Lookups, RuleConfig, ScopeFacts, Waiver};
use super::{Assessed, Conclusions, assess_cluster};
use crate::model::datasets::{
    Account, Coverage, EMR_MODEL, EmrCluster, EmrSecurityConfiguration, EmrSession, EmrStep,
    Finding, KmsGrant, KmsKey, LogBucket, LogGroup, LogObjectSample, LogObjectSummary, Principal,
};
use crate::model::ids::{AccountId, Region};
use crate::model::key_reference::KeyArn;
use crate::model::words::{CellOutcome, Lookup, Seen, Settings, Source};
use crate::testkit::coverage;
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
        customer_proof: None,
        aliases: None,
        alias_updated_at: None,
        grants_lookup: Lookup::Found,
        grants_error_code: None,
        grants: None,
        policy_lookup: Lookup::Found,
        policy_error_code: None,
        policy_json: Some(delegating_policy(OWN)),
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
        policy_lookup: Lookup::NotFound,
        policy_error_code: None,
        policy_json: None,
        policy_sha256: None,
        settings_lookup: Lookup::Found,
        ownership: None,
        object_lock: None,
        public_access_blocked: None,
        lifecycle_rules: None,
        expires_after_days: None,
        replication_rules: None,
        replicates_to: None,
        inventories: None,
        metadata_table: None,
        looked_up_at: AS_OF,
    }
}

/// May write logs: make data keys, and put objects.
pub(super) const WRITES: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Logs","Effect":"Allow","Action":["kms:GenerateDataKey","kms:Decrypt","s3:PutObject"],"Resource":"*"}]}"#;
/// May look keys up.
pub(super) const LOOKS_UP: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:DescribeKey","Resource":"*"}]}"#;
/// May rule keys, and use none.
pub(super) const RULES_KEYS: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kms:Put*","kms:Disable*","kms:ScheduleKeyDeletion"],"Resource":"*"}]}"#;
/// May read log objects and decrypt.
pub(super) const READS: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kms:Decrypt","s3:GetObject"],"Resource":"*"}]}"#;

/// The statement with which a key's account lets its IAM policies decide.
pub(super) fn delegation(account: &str) -> String {
    format!(
        r#"{{"Sid":"DelegateToIam","Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{account}:root"}},"Action":"kms:*","Resource":"*"}}"#
    )
}

pub(super) fn policy(statements: &[&str]) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{}]}}"#,
        statements.join(",")
    )
}

fn delegating_policy(account: &str) -> String {
    policy(&[&delegation(account)])
}

/// A role, in an instance profile of its own name, with these policies.
pub(super) fn role(account: &str, name: &str, policies: &[&str]) -> Principal {
    Principal {
        scheduled_for: date(),
        account_id: account_id(account),
        region: Region::global(),
        principal: format!("arn:aws:iam::{account}:role/{name}"),
        kind: "role".to_owned(),
        unique_id: None,
        instance_profiles: some(name),
        business_unit: None,
        policies_json: Some(format!("[{}]", policies.join(","))),
        policies_sha256: None,
        boundary: None,
        boundary_json: None,
        looked_up_at: AS_OF,
    }
}

/// A grant of the log key.
pub(super) fn grant(grantee: &str, operations: &str) -> KmsGrant {
    KmsGrant {
        scheduled_for: date(),
        account_id: account_id(OWN),
        region: region("eu-west-1"),
        key_arn: KEY.to_owned(),
        grant_id: "0a1b".to_owned(),
        grantee: some(grantee),
        retiring_principal: None,
        issuing_account: None,
        operations: operations.to_owned(),
        constraints_json: None,
        created_at: None,
    }
}

/// The coverage row of an account whose identities were read.
pub(super) fn identities_read(account: &str) -> Coverage {
    coverage(account_id(account), Region::global(), Source::Identities)
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

/// A sampled log object of the cluster, under this encryption and key.
pub(super) fn sample(number: usize, algorithm: &str, key: &str) -> LogObjectSample {
    LogObjectSample {
        scheduled_for: date(),
        account_id: account_id(OWN),
        region: region("eu-west-1"),
        cluster_id: "j-1ABCDEFGHIJKL".to_owned(),
        bucket: "team-logs".to_owned(),
        object_sha256: format!("{number:064}"),
        lookup: Lookup::Found,
        error_code: None,
        algorithm: some(algorithm).filter(|a| !a.is_empty()),
        key_arn: some(key).filter(|k| !k.is_empty()),
        bucket_key: None,
        last_modified_at: Some(AS_OF),
        bytes: Some(9),
        looked_up_at: AS_OF,
    }
}

/// What lies below the cluster's prefix under one encryption.
pub(super) fn summary(encryption: &str, key: &str, is_latest: bool) -> LogObjectSummary {
    LogObjectSummary {
        scheduled_for: date(),
        account_id: account_id(OWN),
        region: region("eu-west-1"),
        bucket: "team-logs".to_owned(),
        prefix: "emr/".to_owned(),
        encryption: encryption.to_owned(),
        key_arn: some(key).filter(|k| !k.is_empty()),
        is_latest,
        versions: 3,
        bytes: Some(30),
        source: "inventory".to_owned(),
        as_of_at: Some(AS_OF),
        complete: Some(true),
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
        cloudwatch_enabled: None,
        cloudwatch_log_group: None,
        cloudwatch_stream_prefix: None,
        cloudwatch_key: None,
        cloudwatch_log_types: None,
        yarn_log_dir: None,
        yarn_log_aggregation: None,
        spark_event_log_dir: None,
        spark_event_log_enabled: None,
        spark_history_dir: None,
        session_enabled: None,
        steps_lookup: Some(Lookup::Found),
        steps_error_code: None,
        steps: Some(3),
        steps_settled_id: None,
        steps_settled: None,
        sessions_lookup: None,
        sessions_error_code: None,
        emr_model: Some(EMR_MODEL),
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
    pub steps: Vec<EmrStep>,
    pub sessions: Vec<EmrSession>,
    pub log_groups: Vec<LogGroup>,
    pub grants: Vec<KmsGrant>,
    pub principals: Vec<Principal>,
    /// Coverage of the accounts whose identities were asked for.
    pub identities: Vec<Coverage>,
    pub cells: Vec<Coverage>,
    pub samples: Vec<LogObjectSample>,
    pub summaries: Vec<LogObjectSummary>,
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
            steps: Vec::new(),
            sessions: Vec::new(),
            log_groups: Vec::new(),
            grants: Vec::new(),
            principals: vec![
                role(OWN, "emr-node", &[WRITES]),
                role(OWN, "emr-service", &[LOOKS_UP]),
                role(OWN, "key-admin", &[RULES_KEYS]),
            ],
            identities: [OWN, SISTER].map(identities_read).into(),
            cells: Vec::new(),
            samples: Vec::new(),
            summaries: Vec::new(),
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

    /// Replaces the statements of the key policy; delegation to the own account stays.
    pub fn key_policy(&mut self, statements: &[&str]) {
        let own = delegation(OWN);
        let mut all = vec![own.as_str()];
        all.extend(statements);
        self.key().policy_json = Some(policy(&all));
    }

    /// Takes away what is known of the identities of an account.
    pub fn lose_identities(&mut self, account: &str) {
        self.principals.retain(|p| p.account_id.as_str() != account);
        self.identities.retain(|c| c.account_id.as_str() != account);
    }

    /// Moves the log bucket to another account, under this policy.
    pub fn move_bucket_to(&mut self, account: &str, policy_json: Option<String>) {
        let bucket = self.bucket();
        bucket.account_id = Some(account_id(account));
        bucket.policy_lookup = match policy_json {
            Some(_) => Lookup::Found,
            None => Lookup::NotFound,
        };
        bucket.policy_json = policy_json;
        bucket.ownership = some("BucketOwnerEnforced");
    }

    /// Makes the log key one of another account.
    pub fn move_key_to(&mut self, account: &str) {
        let arn = KEY.replace(OWN, account);
        self.cluster.log_key = Some(arn.clone());
        let key = self.key();
        key.account_id = account_id(account);
        key.key_reference.clone_from(&arn);
        key.key_arn = Some(arn);
        key.policy_json = Some(policy(&[&delegation(account), &delegation(OWN)]));
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

    pub fn ctx(&self) -> AssessContext<'_> {
        AssessContext {
            scheduled_for: date(),
            as_of: AS_OF,
            scope: &self.scope,
            config: &self.config,
            waivers: &self.waivers,
        }
    }

    pub fn with_case<T>(&self, look: impl FnOnce(&Case<'_>) -> T) -> T {
        let facts = Facts::of(self);
        let own = OwnRows::of(&self.cluster, &facts).expect("facts");
        look(&Case::gather(&self.cluster, own, &self.ctx(), &facts).expect("facts"))
    }

    /// Judges the cluster, and checks on the way that a like one that is judged after it says what it
    /// says when it is judged alone.
    pub fn assess(&self) -> Assessed {
        let (ctx, facts) = (self.ctx(), Facts::of(self));
        let later = |at: UtcMillis| UtcMillis(at.0 + 3_600_000);
        let like = EmrCluster {
            cluster_id: "j-9ZYXWVUTSRQPO".to_owned(),
            name: some("another"),
            state: "TERMINATED".to_owned(),
            created_at: self.cluster.created_at.map(later),
            ended_at: Some(later(AS_OF)),
            ..self.cluster.clone()
        };
        let mut after_another = Conclusions::default();
        for cluster in [&self.cluster, &like] {
            let added = after_another.add(cluster, &ctx, &facts);
            added.expect("facts");
        }
        let alone = |cluster| assess_cluster(cluster, &ctx, &Facts::of(self)).expect("facts");
        let (first, second) = (alone(&self.cluster), alone(&like));
        let verdicts = [&first.verdict, &second.verdict];
        assert!(after_another.verdicts.iter().eq(verdicts));
        let findings = first.findings.iter().chain(&second.findings);
        assert!(after_another.findings.iter().eq(findings));
        let channels = first.channels.iter().chain(&second.channels);
        assert!(after_another.channels.iter().eq(channels));
        first
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

/// A world as it is now, with nothing worked out yet.
pub(super) struct Facts<'w> {
    world: &'w World,
    answers: Answers,
}

impl<'w> Facts<'w> {
    pub fn of(world: &'w World) -> Self {
        Self {
            world,
            answers: Answers::default(),
        }
    }
}

impl Lookups for Facts<'_> {
    fn key(&self, reference: &str) -> Result<Option<Arc<KmsKey>>, LookupError> {
        let mut keys = self.world.keys.iter();
        Ok(keys
            .find(|k| k.key_reference == reference)
            .cloned()
            .map(Arc::new))
    }

    fn bucket(&self, name: &str) -> Result<Option<Arc<LogBucket>>, LookupError> {
        Ok(self
            .world
            .buckets
            .iter()
            .find(|b| b.bucket == name)
            .cloned()
            .map(Arc::new))
    }

    fn security_configuration(
        &self,
        account: &AccountId,
        region: &Region,
        name: &str,
    ) -> Result<Option<Arc<EmrSecurityConfiguration>>, LookupError> {
        let mut all = self.world.security_configurations.iter();
        let same = |s: &&EmrSecurityConfiguration| {
            s.account_id == *account && s.region == *region && s.name == name
        };
        Ok(all.find(same).cloned().map(Arc::new))
    }

    fn steps(&self, cluster: &EmrCluster) -> Result<Vec<EmrStep>, LookupError> {
        let of = |s: &&EmrStep| s.cluster_id == cluster.cluster_id;
        Ok(self.world.steps.iter().filter(of).cloned().collect())
    }

    fn sessions(&self, cluster: &EmrCluster) -> Result<Vec<EmrSession>, LookupError> {
        let of = |s: &&EmrSession| s.cluster_id == cluster.cluster_id;
        Ok(self.world.sessions.iter().filter(of).cloned().collect())
    }

    fn log_group(&self, cluster: &EmrCluster, name: &str) -> Result<Option<LogGroup>, LookupError> {
        let same = |g: &&LogGroup| g.region == cluster.region && g.log_group == name;
        Ok(self.world.log_groups.iter().find(same).cloned())
    }

    fn grants(&self, key: &KeyArn) -> Result<Vec<KmsGrant>, LookupError> {
        let arn = key.to_string();
        let of_key = self.world.grants.iter().filter(|g| g.key_arn == arn);
        Ok(of_key.cloned().collect())
    }

    fn principals(&self, account: &AccountId) -> Result<Vec<Principal>, LookupError> {
        let all = self.world.principals.iter();
        Ok(all.filter(|p| p.account_id == *account).cloned().collect())
    }

    fn answers(&self) -> &Answers {
        &self.answers
    }

    fn object_samples(&self, cluster: &EmrCluster) -> Result<Vec<LogObjectSample>, LookupError> {
        let of = |s: &&LogObjectSample| s.cluster_id == cluster.cluster_id;
        Ok(self.world.samples.iter().filter(of).cloned().collect())
    }

    fn object_summaries(
        &self,
        bucket: &str,
        prefix: &str,
    ) -> Result<Vec<Arc<LogObjectSummary>>, LookupError> {
        let of = |s: &&LogObjectSummary| s.bucket == bucket && s.prefix == prefix;
        let summaries = self.world.summaries.iter().filter(of);
        Ok(summaries.cloned().map(Arc::new).collect())
    }

    fn cell(
        &self,
        account: &AccountId,
        region: &Region,
        source: Source,
    ) -> Result<Option<Arc<Coverage>>, LookupError> {
        let mut all = self.world.cells.iter().chain(&self.world.identities);
        let same =
            |c: &&Coverage| c.account_id == *account && c.region == *region && c.source == source;
        Ok(all.find(same).cloned().map(Arc::new))
    }
}

/// A cell of the cluster's account-region that was refused for want of `action`.
pub(super) fn refused_cell(source: Source, action: &str) -> Coverage {
    Coverage {
        outcome: CellOutcome::DeniedIam,
        error_code: some("AccessDeniedException"),
        denied_action: some(action),
        ..coverage(account_id(OWN), region("eu-west-1"), source)
    }
}

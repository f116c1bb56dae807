//! The templates of the reader, the sampler and the source-reader role allow exactly the calls that the
//! program makes with them in audited accounts, and archive.yaml the collector exactly its own.
//!
//! The template is read line by line: its policy statements are written one action a line, so no
//! YAML parser is needed, and the tests below fail when it is written otherwise.

use std::collections::BTreeSet;

use keyproof::collect::operation::{Caller, Operation};

pub const TEMPLATE: &str = include_str!("../../scripts/deploy/reader-role.yaml");

pub const SAMPLER: &str = include_str!("../../scripts/deploy/sampler-role.yaml");

pub const SOURCE_READER: &str = include_str!("../../scripts/deploy/source-reader-role.yaml");

const ARCHIVE: &str = include_str!("../../scripts/deploy/archive.yaml");

/// One policy statement of the template.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// The property whose document it belongs to: trust or permissions.
    pub document: String,
    pub sid: String,
    pub effect: String,
    pub actions: BTreeSet<String>,
}

/// The policy statements of a template whose statements begin with `- Sid:` and list one action a
/// line.
pub fn statements(template: &str) -> Vec<Statement> {
    let mut document = String::new();
    let mut statements: Vec<Statement> = Vec::new();
    let mut in_actions = false;
    for line in template.lines() {
        let line = line.trim();
        if line.ends_with("PolicyDocument:") || line == "KeyPolicy:" {
            document = line.trim_end_matches(':').to_owned();
        } else if let Some(sid) = line.strip_prefix("- Sid: ") {
            statements.push(Statement {
                document: document.clone(),
                sid: sid.to_owned(),
                ..Statement::default()
            });
        } else if let Some(statement) = statements.last_mut() {
            if let Some(effect) = line.strip_prefix("Effect: ") {
                statement.effect = effect.to_owned();
            } else if let (true, Some(action)) = (in_actions, line.strip_prefix("- ")) {
                statement.actions.insert(action.to_owned());
                continue;
            }
        }
        in_actions = line == "Action:";
    }
    statements
}

/// The actions of one effect in the permissions, not in the trust policy.
pub fn permitted(template: &str, effect: &str) -> BTreeSet<String> {
    statements(template)
        .into_iter()
        .filter(|s| s.document == "PolicyDocument" && s.effect == effect)
        .flat_map(|s| s.actions)
        .collect()
}

/// The actions that reading an audited account needs.
fn needed() -> BTreeSet<String> {
    needed_by(Caller::Reader)
}

fn needed_by(caller: Caller) -> BTreeSet<String> {
    Operation::ALL
        .iter()
        .filter(|operation| operation.caller() == caller)
        .filter_map(|operation| operation.iam_action())
        .map(str::to_owned)
        .collect()
}

#[test]
fn allows_exactly_the_calls_that_are_made() {
    assert!(!needed().is_empty());
    assert_eq!(permitted(TEMPLATE, "Allow"), needed());
}

#[test]
fn denies_data_and_the_use_of_keys() {
    let denied = permitted(TEMPLATE, "Deny");
    for action in [
        "s3:GetObject",
        "s3:GetObjectVersion",
        "kms:Decrypt",
        "kms:Encrypt",
        "kms:GenerateDataKey*",
        "kms:ReEncrypt*",
        "kms:CreateGrant",
        "logs:GetLogEvents",
        "logs:FilterLogEvents",
        "elasticmapreduce:CreatePersistentAppUI",
        "elasticmapreduce:GetPersistentAppUIPresignedURL",
    ] {
        assert!(denied.contains(action), "{action} is not denied");
    }
    assert!(denied.is_disjoint(&needed()));
}

#[test]
fn every_statement_was_read() {
    let read = statements(TEMPLATE);
    assert_eq!(read.len(), TEMPLATE.matches("Effect:").count());
    for statement in &read {
        assert!(
            !statement.actions.is_empty(),
            "no action read in {}",
            statement.sid
        );
    }
    assert!(!TEMPLATE.contains("NotAction") && !TEMPLATE.contains("ManagedPolicyArns"));
}

#[test]
fn one_named_principal_is_trusted() {
    let trusted: BTreeSet<String> = statements(TEMPLATE)
        .into_iter()
        .filter(|s| s.document == "AssumeRolePolicyDocument")
        .flat_map(|s| s.actions)
        .collect();
    assert_eq!(
        trusted,
        BTreeSet::from(["sts:AssumeRole", "sts:SetSourceIdentity"].map(str::to_owned))
    );
    let principals: Vec<&str> = TEMPLATE
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("AWS: "))
        .collect();
    assert_eq!(principals, ["AWS: !Ref CollectorRoleArn"; 2]);
    assert_eq!(
        TEMPLATE
            .matches("aws:PrincipalOrgID: !Ref OrganizationId")
            .count(),
        2
    );
}

#[test]
fn a_template_that_differs_is_noticed() {
    let wider = TEMPLATE.replace("- kms:DescribeKey", "- kms:DescribeKey\n- kms:PutKeyPolicy");
    assert_ne!(permitted(&wider, "Allow"), needed());
    let narrower = TEMPLATE.replace("- kms:DescribeKey\n", "");
    assert_ne!(permitted(&narrower, "Allow"), needed());
    let moved = TEMPLATE.replace("Effect: Deny", "Effect: Allow");
    assert_ne!(permitted(&moved, "Allow"), needed());
}

#[test]
fn the_sampler_lists_and_heads_named_buckets_and_uses_no_key() {
    assert_eq!(permitted(SAMPLER, "Allow"), needed_by(Caller::Sampler));
    let only = |action: &str| BTreeSet::from([action.to_owned()]);
    assert_eq!(permitted(SAMPLER, "Deny"), only("kms:*"));
    let read = statements(SAMPLER);
    assert_eq!(read.len(), SAMPLER.matches("Effect:").count());
    assert!(!SAMPLER.contains("NotAction") && !SAMPLER.contains("ManagedPolicyArns"));
    // The denial alone is about everything.
    let everywhere: Vec<_> = SAMPLER
        .lines()
        .filter(|line| line.trim() == "Resource: \"*\"")
        .collect();
    assert_eq!(everywhere.len(), 1);
    let principals = SAMPLER.matches("AWS: !Ref CollectorRoleArn").count();
    assert_eq!(principals, 2, "one named principal is trusted");
}

#[test]
fn the_source_reader_reads_named_prefixes_and_named_keys_alone() {
    let mut needed = needed_by(Caller::SourceReader);
    // S3 asks for it on behalf of whoever GETs an object under SSE-KMS.
    needed.insert("kms:Decrypt".to_owned());
    assert_eq!(permitted(SOURCE_READER, "Allow"), needed);
    let read = statements(SOURCE_READER);
    assert_eq!(read.len(), SOURCE_READER.matches("Effect:").count());
    assert!(!SOURCE_READER.contains("NotAction") && !SOURCE_READER.contains("ManagedPolicyArns"));
    let resources: Vec<&str> = SOURCE_READER
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Resource: "))
        .collect();
    // CloudTrail's public keys are no resource of anybody's.
    let named = [
        "!Ref ReportBucketArns",
        "!Ref ReportObjectArns",
        "\"*\"",
        "!Ref ReportKeyArns",
    ];
    assert_eq!(resources, named);
    assert_eq!(SOURCE_READER.matches("cloudtrail:").count(), 1);
    let principals = SOURCE_READER.matches("AWS: !Ref CollectorRoleArn").count();
    assert_eq!(principals, 2, "one named principal is trusted");
}

#[test]
fn the_collector_lists_the_organization_and_enters_accounts_by_its_own_calls_alone() {
    let asked: BTreeSet<String> = statements(ARCHIVE)
        .into_iter()
        .filter(|s| ["Discover", "Enter"].contains(&s.sid.as_str()))
        .flat_map(|s| s.actions)
        .collect();
    let mut needed = needed_by(Caller::Collector);
    // AWS carries the source identity of whoever began the job.
    needed.insert("sts:SetSourceIdentity".to_owned());
    assert_eq!(asked, needed);
}

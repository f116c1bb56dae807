//! What a person reads about a rule: what it asks, why, how to fix it, and whose word that is.

use std::fmt::Write as _;

use crate::assess::Rule;

/// The text beside what the rule itself declares.
struct Page {
    id: &'static str,
    asks: &'static str,
    why: &'static str,
    fix: &'static str,
    sources: &'static [&'static str],
}

const PAGES: &[Page] = &[
    Page {
        id: "EL-01",
        asks: "Does the cluster name a KMS key for the logs it archives to LogUri, on a release that \
               is documented to honour it (5.30.0 or later, but not 6.0.0)?",
        why: "LogEncryptionKmsKeyId alone decides how archived logs are encrypted. A security \
              configuration encrypts EMRFS data and local disks, not these logs; and a bucket's \
              default key is no proof, since the log writer may ask for another encryption.",
        fix: "Relaunch the cluster with LogEncryptionKmsKeyId set to a customer managed key: log \
              settings are fixed at launch. Keep the security configuration.",
        sources: &[
            "https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-debugging.html",
            "https://docs.aws.amazon.com/emr/latest/APIReference/API_RunJobFlow.html",
        ],
    },
    Page {
        id: "EL-02",
        asks: "Is the log key a customer managed key of an account that the organization controls?",
        why: "The policy of an AWS managed key such as alias/aws/s3 cannot be changed, and the key can \
              be neither disabled nor deleted; a key of a stranger's account is under that account's \
              control, not yours.",
        fix: "Relaunch with a customer managed key of an account of the organization.",
        sources: &[
            "https://docs.aws.amazon.com/kms/latest/APIReference/API_KeyMetadata.html",
            "https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html",
        ],
    },
    Page {
        id: "EL-03",
        asks: "Can the log key do the work: is it enabled, symmetric, made for encryption, with key \
               material that has not expired, and in the Region of the log bucket?",
        why: "With a key that cannot be used the logs are not written at all, and what lies under a \
              key that is deleted is lost for good.",
        fix: "Enable the key, cancel its deletion or import its material again; or relaunch with a \
              symmetric encryption key in the bucket's Region.",
        sources: &[
            "https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html",
            "https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html",
        ],
    },
    Page {
        id: "EL-04",
        asks: "May the role of the cluster's instance profile make data keys with the log key \
              (kms:GenerateDataKey, through S3), and may its service role look the key up \
              (kms:DescribeKey)? Key policy, grants, IAM policies and permissions boundary are \
              evaluated.",
        why: "S3 asks the key on behalf of whoever uploads, and that is the instance profile's \
              role, not the service role. EMR's managed policies allow nothing in KMS, so a \
              key policy that only delegates to IAM is not enough by itself; without the right \
              the logs are lost. Policies above the account (SCP, RCP) are not read: the \
              answer assumes that they forbid nothing.",
        fix: "Add to the key policy the statement that the finding spells out. For a key of \
              another account the role needs an IAM policy as well. DescribeKey carries no \
              encryption context, so a statement that demands one cannot allow it.",
        sources: &[
            "https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-debugging.html",
            "https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html",
            "https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html",
        ],
    },
    Page {
        id: "EL-05",
        asks: "Do the logs of all steps, and of Spark Connect sessions, that have a place or a key of \
               their own in S3 lie under a customer key?",
        why: "A step's own settings replace the cluster's, field by field: a cluster with a log key can \
              hold steps that write elsewhere without one, or under a key that AWS manages.",
        fix: "Submit steps without a log place of their own, or with a customer managed key beside it; \
              start sessions with a place and a customer key.",
        sources: &[
            "https://docs.aws.amazon.com/emr/latest/APIReference/API_S3MonitoringConfiguration.html",
            "https://docs.aws.amazon.com/emr/latest/APIReference/API_SessionMonitoringConfiguration.html",
        ],
    },
    Page {
        id: "EL-06",
        asks: "Where logs are sent to CloudWatch, is the log group under a customer key?",
        why: "The log group's own key encrypts what it holds; the key that EMR is told is only a wish. \
              A key that is set later does not reach back to what was written before.",
        fix: "Associate a customer key with the log group (logs:AssociateKmsKey) before anything is \
              written to it.",
        sources: &[
            "https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-logging-cw.html",
            "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html",
        ],
    },
    Page {
        id: "EL-07",
        asks: "Are the copies that AWS keeps by itself, of system and application logs and of \
              persistent UI event logs, switched off where the release has a switch for them \
              (7.13.0 or later)?",
        why: "Such copies lie in storage of the service and not under a key of yours; their policy \
              is fixed at launch.",
        fix: "Relaunch with an S3LoggingConfiguration that sets persistent-ui-logs to disabled, \
              and system-logs and application-logs to on-customer-s3only or disabled.",
        sources: &[
            "https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-debugging.html",
            "https://docs.aws.amazon.com/emr/latest/ManagementGuide/app-history-spark-UI.html",
        ],
    },
    Page {
        id: "EL-08",
        asks: "Does the cluster's security configuration encrypt EMRFS data in a mode, and with a \
              key, that the organization approves?",
        why: "A security configuration cannot be changed, but it can be deleted and made again \
              under the same name; so its content is what counts, not its name.",
        fix: "Relaunch with a security configuration whose content is approved, or approve the \
              mode or key with rules.approved_s3_modes and rules.approved_s3_keys.",
        sources: &[
            "https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-create-security-configuration.html",
        ],
    },
    Page {
        id: "EL-09",
        asks: "Where the log bucket or the log key lies in another account: do both sides let \
              the cluster's instance profile role in, and is the key named by its full ARN?",
        why: "Across accounts the resource's policy and the IAM policies of the writer must \
              both allow. S3 resolves a short key id or an alias in the account of whoever \
              asks. Unless the bucket enforces its owner, log objects belong to the writer's \
              account.",
        fix: "Allow s3:PutObject to the role in the bucket policy and in its own policies, set \
              the bucket's ownership to BucketOwnerEnforced, and relaunch with the full ARN of \
              the key.",
        sources: &[
            "https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html",
            "https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html",
            "https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html",
        ],
    },
    Page {
        id: "EL-10",
        asks: "Does neither the policy nor a grant of the log key let anybody in from outside \
              the organization: everyone, a foreign account, or another organization?",
        why: "A statement for everyone is closed only by a condition that the caller cannot \
              bring about: an organization, an account, a principal. The service it goes \
              through (kms:ViaService) or an encryption context closes nothing. A grant opens \
              a key whatever its policy says. Services let in without a source condition are \
              named, and do not fail the rule.",
        fix: "Narrow the statement with aws:PrincipalOrgID or name principals, take foreign \
              accounts out, and revoke grants to outsiders (kms:RevokeGrant).",
        sources: &[
            "https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html",
            "https://docs.aws.amazon.com/kms/latest/developerguide/grants.html",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html",
        ],
    },
    Page {
        id: "EL-11",
        asks: "Can no principal of another business unit both read the log bucket and decrypt \
              with the log key? The unit of a principal is its own tag, then its account's \
              tag, then its account's organizational unit.",
        why: "A key of one's own separates units only if others cannot use it. Reading logs \
              takes both rights, and IAM policies such as an administrator's give both at \
              once. Everyone in a key policy means the identities that its conditions leave; \
              without conditions that name accounts or the organization, nobody can list them.",
        fix: "Take one of the two rights away, narrow a statement that means everyone, tag \
              principals and accounts with their unit (tags.business_unit), or waive the \
              finding where a central team is meant to read.",
        sources: &[
            "https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html",
        ],
    },
    Page {
        id: "EL-12",
        asks: "Does KMS rotate the material of the log key, where the kind of key allows it?",
        why: "Rotation limits how much lies under one piece of key material. It encrypts nothing \
              again: old logs stay under the material they were written with.",
        fix: "Turn automatic rotation on for the key (kms:EnableKeyRotation).",
        sources: &[
            "https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html",
            "https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyRotationStatus.html",
        ],
    },
    Page {
        id: "EL-13",
        asks: "Does the log key carry the tags that the configuration names for owner, cost centre \
              and data classification?",
        why: "A key without an owner is a key that nobody answers for when it is to be disabled, \
              paid or explained.",
        fix: "Tag the key (kms:TagResource) with the names in the [tags] part of the \
              configuration.",
        sources: &["https://docs.aws.amazon.com/kms/latest/APIReference/API_ListResourceTags.html"],
    },
    Page {
        id: "EL-14",
        asks: "Is it known who can disable the log key, schedule its deletion or rewrite its \
              policy, is that not everyone, and is no deletion pending?",
        why: "Disabling the key is the kill switch for all logs under it, and deleting it \
              shreds them: it must be in known hands, and in some. Who may rewrite the policy \
              can give himself every other right. A deletion takes 7 to 30 days, can be \
              cancelled until then, and nothing under the key can be read meanwhile or ever \
              after.",
        fix: "Name the administrators in the key policy. Cancel a deletion that is not meant \
              (kms:CancelKeyDeletion, then kms:EnableKey).",
        sources: &[
            "https://docs.aws.amazon.com/kms/latest/developerguide/deleting-keys.html",
            "https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html",
            "https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html",
        ],
    },
    Page {
        id: "EL-15",
        asks: "Is the default encryption of the log bucket a customer managed key that it names?",
        why: "A default catches what is written without an encryption of its own. It is never \
              proof of how EMR's logs are encrypted, since a header of the writer wins.",
        fix: "Set the bucket's default encryption to SSE-KMS with the full ARN of a customer \
              managed key, and turn S3 Bucket Keys on.",
        sources: &[
            "https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-bucket-encryption.html",
            "https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html",
        ],
    },
    Page {
        id: "EL-16",
        asks: "Do no older log objects remain outside a customer key below the cluster's log prefix, \
               old versions counted? Only asked of buckets whose reports a run may read \
               (source_reader_role_name), or that it lists (list_objects).",
        why: "Log settings and bucket defaults concern what is written from then on. What was written \
              before stays under its old key until someone re-encrypts or expires it, and a copy leaves \
              the old version where it was.",
        fix: "Re-encrypt what is left (UpdateObjectEncryption through S3 Batch Operations, or copies \
              and the removal of old versions), or let a lifecycle rule expire it. An inventory says \
              KMS and never which key, and a listing nothing of encryption: export the bucket's S3 metadata table where that is not enough, \
              and let the inventory list all versions.",
        sources: &[
            "https://docs.aws.amazon.com/AmazonS3/latest/userguide/update-sse-encryption.html",
            "https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html",
        ],
    },
    Page {
        id: "EL-17",
        asks: "Does the cluster archive its logs to a destination of the customer at all?",
        why: "Logs that nobody archives are gone with the cluster: what happened on it cannot be \
              looked up afterwards.",
        fix: "Relaunch with LogUri set to a bucket of the organization and LogEncryptionKmsKeyId set \
              to a customer managed key.",
        sources: &[
            "https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-debugging.html",
        ],
    },
    Page {
        id: "EL-18",
        asks: "Are local disks encrypted, where logs lie before they are uploaded?",
        why: "Logs stand on the disks of the cluster's nodes for minutes, and longer when the \
              upload fails.",
        fix: "Relaunch with a security configuration that has a LocalDiskEncryptionConfiguration.",
        sources: &[
            "https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-data-encryption-options.html",
        ],
    },
    Page {
        id: "EL-19",
        asks: "Do sampled log objects of the cluster lie under a customer key of the organization? \
               Only asked of clusters that a run with --sample-objects looked at.",
        why: "Every other rule reads settings. The objects themselves say under which key they were \
              written, and that is what a disk or a bucket policy leak would meet. SSE-KMS alone is not \
              enough: AWS's own key reads the same.",
        fix: "Relaunch the cluster with LogEncryptionKmsKeyId set to a customer managed key, and find \
              out who writes to the log prefix beside EMR. Where nothing could be read, deploy the \
              sampler role in the account that owns the bucket.",
        sources: &[
            "https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html",
            "https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html",
        ],
    },
    Page {
        id: "EL-20",
        asks: "Do logs that applications send to S3 themselves (YARN aggregation, Spark event logs) lie \
               under a customer key?",
        why: "They are written through EMRFS, which follows the security configuration, with its \
              overrides for single buckets, and not LogEncryptionKmsKeyId. Destinations are read as set \
              at launch; a later reconfiguration of instance groups is not visible.",
        fix: "Relaunch with a security configuration whose S3EncryptionConfiguration is SSE-KMS or \
              CSE-KMS with a customer managed key for that bucket.",
        sources: &[
            "https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-create-security-configuration.html",
            "https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-data-encryption-options.html",
        ],
    },
];

/// The page of `rule`, at most 80 columns wide.
pub fn of(rule: &Rule) -> String {
    let mut text = String::new();
    let kind = rule.kind.as_str();
    let severity = rule.severity.as_str();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{} {}   {kind}, severity {severity}\n",
        rule.id, rule.name
    );
    if let Some(page) = PAGES.iter().find(|page| page.id == rule.id) {
        for (title, body) in [("Asks", page.asks), ("Why", page.why), ("Fix", page.fix)] {
            let _ = writeln!(text, "{}", paragraph(title, body));
        }
        let _ = writeln!(text, "Sources");
        for source in page.sources {
            let _ = writeln!(text, "  {source}");
        }
        text.push('\n');
    }
    let _ = writeln!(text, "Concludes");
    for (outcome, reason) in rule.conclusions {
        let _ = writeln!(text, "  {:<15} {reason}", outcome.as_str());
    }
    let supports = rule.supports.join(", ");
    if !supports.is_empty() {
        let _ = write!(
            text,
            "\n{}",
            paragraph("Supports, never satisfies", &supports)
        );
    }
    text
}

fn paragraph(title: &str, body: &str) -> String {
    let mut text = format!("{title}\n");
    let mut line = String::from(" ");
    for word in body.split_whitespace() {
        if line.len() + 1 + word.len() > 78 {
            text.push_str(&line);
            text.push('\n');
            line = String::from(" ");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assess::RULES;

    #[test]
    fn every_rule_has_a_page_and_every_page_a_rule() {
        let rules: Vec<_> = RULES.iter().map(|rule| rule.id).collect();
        let pages: Vec<_> = PAGES.iter().map(|page| page.id).collect();
        assert_eq!(pages, rules);
    }

    #[test]
    fn a_page_fits_a_terminal_and_says_all() {
        for rule in RULES {
            let text = of(rule);
            for part in ["Asks\n", "Why\n", "Fix\n", "Sources\n", "Concludes\n"] {
                assert!(text.contains(part), "{}: {part}", rule.id);
            }
            assert!(
                // An address is of no use cut short.
                text.lines()
                    .all(|line| line.chars().count() <= 80 || line.starts_with("  https://")),
                "{text}"
            );
        }
    }
}

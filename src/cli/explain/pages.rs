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

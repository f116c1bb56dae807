//! Key policies whose wording is a story of its own.

use serde_json::{Value, json};

use super::identities::{self, PLAIN, SERVICE_ROLE, role_arn};
use super::keys::{Key, Purpose};
use super::organization::READER_ROLE;

/// The statements of a key that does not simply delegate everything to IAM and no more; `None` for
/// the others.
pub(super) fn statements(key: &Key, organization_id: &str) -> Option<Vec<Value>> {
    let account = key.account_id.as_str();
    let root = json!({"AWS": format!("arn:aws:iam::{account}:root")});
    let delegation = json!({"Sid": "DelegateToIam", "Effect": "Allow", "Action": "kms:*",
        "Principal": root.clone(), "Resource": "*"});
    // Who may look at the key and look after it, but use it no more than the policy says.
    let custody = json!({"Sid": "Custody", "Effect": "Allow", "Principal": root, "Resource": "*",
        "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:Put*", "kms:Enable*",
            "kms:Disable*", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion"]});
    let check = json!({"Sid": "EmrCheck", "Effect": "Allow", "Action": "kms:DescribeKey",
        "Principal": {"AWS": role_arn(account, SERVICE_ROLE)}, "Resource": "*"});
    let writer = |principal: Value, condition: Value| {
        json!({"Sid": "LogWriter", "Effect": "Allow", "Principal": {"AWS": principal},
            "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*",
            "Condition": condition})
    };
    let node = json!(role_arn(account, identities::role_of(PLAIN)));
    let via_s3 = json!({"StringEquals":
        {"kms:ViaService": format!("s3.{}.amazonaws.com", key.region)}});
    Some(match key.purpose {
        Purpose::WriterNamed => vec![custody, check, writer(node, via_s3)],
        Purpose::WriterGranted => vec![custody, check],
        Purpose::OnCondition => vec![
            custody,
            check,
            writer(
                node,
                json!({"StringEquals": {"aws:SourceVpce": "vpce-0a1b2c3d4e5f60718"}}),
            ),
        ],
        Purpose::DeletedRole => {
            let gone = identities::unique_id(0, "AROA", account, "deleted-writer");
            vec![custody, check, writer(json!(gone), via_s3)]
        }
        Purpose::PolicyHidden => vec![
            delegation,
            json!({"Sid": "Hidden", "Effect": "Deny", "Action": "kms:GetKeyPolicy",
                "Principal": {"AWS": role_arn(account, READER_ROLE)}, "Resource": "*"}),
        ],
        Purpose::Overbroad => vec![
            delegation,
            json!({"Sid": "Everyone", "Effect": "Allow", "Principal": "*", "Resource": "*",
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"]}),
        ],
        Purpose::OtherUnit => vec![
            delegation,
            json!({"Sid": "Analyst", "Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*",
                "Principal": {"AWS": role_arn(account, "other-unit-analyst")}}),
        ],
        Purpose::KillSwitch => vec![
            delegation,
            json!({"Sid": "Anyone of us", "Effect": "Allow", "Principal": "*", "Resource": "*",
                "Action": ["kms:DisableKey", "kms:ScheduleKeyDeletion"],
                "Condition": {"StringEquals": {"aws:PrincipalOrgID": organization_id}}}),
        ],
        _ => return None,
    })
}

//! The roles, users, groups and policies of an account, as IAM describes them.
//!
//! Every account has the same cast, so that a cluster anywhere finds the role that its story needs.
//! They are made when they are asked for: an organization of ten thousand accounts keeps none.
//!
//! | instance profile | role in it | may it use a log key? |
//! |---|---|---|
//! | [`NODE`] | `emr-node` | wherever the key policy delegates to IAM: a managed policy allows it |
//! | [`PLAIN`] | `data/plain-writer` | no policy of its own says anything about KMS |
//! | [`DENIED`] | `denied-writer` | the same managed policy, and an explicit deny |
//! | [`BOUNDED`] | `bounded-writer` | the same managed policy, and a boundary without KMS |

use serde_json::{Value, json};

use super::organization::{Account, READER_ROLE};
use super::rng::Rng;
use super::secrets::marker;

/// Instance profile of the ordinary log writer.
pub const NODE: &str = "emr-node";
/// Instance profile whose role has no statement about KMS.
pub const PLAIN: &str = "emr-node-plain";
/// Instance profile whose role is explicitly denied to make data keys.
pub const DENIED: &str = "emr-node-denied";
/// Instance profile whose role has a boundary that leaves KMS out.
pub const BOUNDED: &str = "emr-node-bounded";
/// The EMR service role of every cluster.
pub const SERVICE_ROLE: &str = "emr-service";
/// The business unit of the one role that belongs to another unit than its account.
pub const OTHER_UNIT: &str = "treasury";

/// Markers of an account's identities, in order: a role's description, a role's tag, a statement
/// about another service, a trust policy's condition, an old policy version, a user's tag.
pub(super) const SECRETS: u32 = 6;

/// Roles that have nothing to do with EMR or KMS; the log-archive account has more than one page.
const BYSTANDERS: usize = 5;
const BYSTANDERS_OF_THE_ARCHIVE: usize = 130;

/// One role.
#[derive(Debug, Clone)]
pub struct Role {
    pub name: String,
    /// `/` or `/…/`
    pub path: &'static str,
    /// `AROA…`
    pub id: String,
    pub description: String,
    pub trust: String,
    pub tags: Vec<(&'static str, String)>,
    /// Instance profiles that hold it.
    pub profiles: Vec<&'static str>,
    /// Name and document of inline policies.
    pub inline: Vec<(&'static str, String)>,
    /// ARNs of attached managed policies.
    pub attached: Vec<String>,
    /// ARN of the permissions boundary.
    pub boundary: Option<String>,
}

/// One user.
#[derive(Debug, Clone)]
pub struct User {
    pub name: &'static str,
    /// `AIDA…`
    pub id: String,
    pub tags: Vec<(&'static str, String)>,
    pub groups: Vec<&'static str>,
    pub attached: Vec<String>,
}

/// One group.
#[derive(Debug, Clone)]
pub struct Group {
    pub name: &'static str,
    /// `AGPA…`
    pub id: String,
    pub inline: Vec<(&'static str, String)>,
    pub attached: Vec<String>,
}

/// One managed policy, customer's or AWS's.
#[derive(Debug, Clone)]
pub struct ManagedPolicy {
    pub arn: String,
    /// Documents of its versions; the last is the default.
    pub versions: Vec<String>,
}

/// Everything that GetAccountAuthorizationDetails tells of one account.
#[derive(Debug, Clone)]
pub struct Identities {
    pub users: Vec<User>,
    pub groups: Vec<Group>,
    pub roles: Vec<Role>,
    /// The account's own ones first.
    pub policies: Vec<ManagedPolicy>,
}

/// ARN of a role of this cast.
pub fn role_arn(account: &str, path_and_name: &str) -> String {
    format!("arn:aws:iam::{account}:role/{path_and_name}")
}

/// Path and name of the role that an instance profile holds.
pub fn role_of(profile: &str) -> &'static str {
    match profile {
        PLAIN => "data/plain-writer",
        DENIED => "denied-writer",
        BOUNDED => "bounded-writer",
        _ => "emr-node",
    }
}

impl Identities {
    /// The cast of one account. `is_archive`: an old account, full of roles.
    pub fn of(seed: u64, account: &Account, is_archive: bool) -> Self {
        let made = Maker { seed, account };
        let mut roles = vec![
            made.writer("emr-node", "/", vec![NODE], true),
            made.writer("plain-writer", "/data/", vec![PLAIN], false),
            Role {
                inline: vec![(
                    "no-keys",
                    policy(&[json!({"Sid": "NoKeys", "Effect": "Deny",
                        "Action": ["kms:GenerateDataKey*", "kms:Encrypt"], "Resource": "*"})]),
                )],
                ..made.writer("denied-writer", "/", vec![DENIED], true)
            },
            Role {
                boundary: Some(made.own("boundary-without-kms")),
                ..made.writer("bounded-writer", "/", vec![BOUNDED], true)
            },
            Role {
                inline: vec![(
                    "look-at-keys",
                    policy(&[
                        json!({"Effect": "Allow", "Action": "kms:DescribeKey", "Resource": "*"}),
                    ]),
                )],
                attached: vec![aws("service-role/AmazonEMRServicePolicy_v2")],
                trust: trust("elasticmapreduce.amazonaws.com"),
                ..made.role(SERVICE_ROLE, "/")
            },
            Role {
                inline: vec![(
                    "keys",
                    policy(
                        &[json!({"Sid": "Custody", "Effect": "Allow", "Resource": "*",
                        "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:Put*",
                            "kms:Enable*", "kms:Disable*", "kms:ScheduleKeyDeletion"]})],
                    ),
                )],
                ..made.role("key-admin", "/")
            },
            Role {
                attached: vec![aws("AdministratorAccess")],
                ..made.role("OrganizationAccountAccessRole", "/")
            },
            Role {
                attached: vec![aws("SecurityAudit")],
                ..made.role("security-auditor", "/")
            },
            Role {
                inline: vec![("metadata-only", reader_policy())],
                ..made.role(READER_ROLE, "/")
            },
            Role {
                tags: vec![("business-unit", OTHER_UNIT.to_owned())],
                inline: vec![(
                    "read-buckets",
                    policy(&[json!({"Effect": "Allow", "Resource": "*",
                        "Action": ["s3:GetObject", "s3:ListBucket"]})]),
                )],
                ..made.role("other-unit-analyst", "/")
            },
        ];
        let bystanders = if is_archive {
            BYSTANDERS_OF_THE_ARCHIVE
        } else {
            BYSTANDERS
        };
        roles.extend((0..bystanders).map(|n| Role {
            inline: vec![("work", made.about_another_service())],
            ..made.role(&format!("bystander-{n:03}"), "/team/")
        }));
        roles.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            users: vec![
                User {
                    name: "alice",
                    id: made.id("AIDA", "alice"),
                    tags: made.tags(5),
                    groups: vec!["data-engineers"],
                    attached: Vec::new(),
                },
                User {
                    name: "build-server",
                    id: made.id("AIDA", "build-server"),
                    tags: Vec::new(),
                    groups: Vec::new(),
                    attached: vec![aws("AmazonS3ReadOnlyAccess")],
                },
            ],
            groups: vec![Group {
                name: "data-engineers",
                id: made.id("AGPA", "data-engineers"),
                inline: vec![(
                    "read-logs",
                    policy(&[
                        json!({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*",
                            "Condition": {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}}}),
                    ]),
                )],
                attached: vec![aws("AmazonS3ReadOnlyAccess")],
            }],
            roles,
            policies: made.policies(),
        }
    }
}

struct Maker<'a> {
    seed: u64,
    account: &'a Account,
}

impl Maker<'_> {
    fn role(&self, name: &str, path: &'static str) -> Role {
        Role {
            name: name.to_owned(),
            path,
            id: self.id("AROA", name),
            description: format!("{name}: {}", self.secret(0)),
            trust: json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
                "Principal": {"AWS": role_arn(&self.account.id, "deployer")},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"sts:ExternalId": self.secret(3)}}}]})
            .to_string(),
            tags: self.tags(1),
            profiles: Vec::new(),
            inline: Vec::new(),
            attached: Vec::new(),
            boundary: None,
        }
    }

    /// A role for nodes of clusters; `uses_keys`: the managed policy lets it make data keys.
    fn writer(
        &self,
        name: &str,
        path: &'static str,
        profiles: Vec<&'static str>,
        uses_keys: bool,
    ) -> Role {
        let objects = policy(&[
            json!({"Sid": "Objects", "Effect": "Allow", "Resource": "*",
                "Action": ["s3:PutObject", "s3:GetObject", "s3:ListBucket"]}),
            json!({"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}),
        ]);
        let mut role = Role {
            profiles,
            trust: trust("ec2.amazonaws.com"),
            attached: uses_keys
                .then(|| self.own("log-writer"))
                .into_iter()
                .collect(),
            ..self.role(name, path)
        };
        role.inline.push(("objects", objects.clone()));
        if uses_keys {
            // Where a story replaces the inline policies, this one still lets it write objects.
            role.attached.push(self.own("objects"));
        }
        role
    }

    fn policies(&self) -> Vec<ManagedPolicy> {
        let statement = |effect: &str, action: Value| json!({"Effect": effect, "Action": action, "Resource": "*"});
        let one = |arn: String, statements: &[Value]| ManagedPolicy {
            arn,
            versions: vec![policy(statements)],
        };
        vec![
            ManagedPolicy {
                arn: self.own("log-writer"),
                versions: vec![
                    // Nobody is under the old version any more.
                    policy(&[
                        statement("Deny", json!("kms:*")),
                        json!({"Sid": "Old", "Effect": "Allow", "Action": "ssm:GetParameter",
                            "Resource": self.secret(4)}),
                    ]),
                    policy(&[
                        json!({"Sid": "UseLogKeys", "Effect": "Allow", "Resource": "*",
                            "Action": ["kms:GenerateDataKey*", "kms:Decrypt"]}),
                        statement("Allow", json!(["logs:PutLogEvents"])),
                    ]),
                ],
            },
            one(
                self.own("objects"),
                &[statement(
                    "Allow",
                    json!(["s3:PutObject", "s3:GetObject", "s3:ListBucket"]),
                )],
            ),
            one(
                self.own("boundary-without-kms"),
                &[statement("Allow", json!(["s3:*", "ec2:*", "logs:*"]))],
            ),
            one(
                aws("AdministratorAccess"),
                &[statement("Allow", json!("*"))],
            ),
            one(
                aws("SecurityAudit"),
                &[statement(
                    "Allow",
                    json!([
                        "elasticmapreduce:Describe*",
                        "iam:Get*",
                        "kms:Describe*",
                        "kms:Get*",
                        "kms:List*",
                        "s3:GetBucket*",
                        "s3:GetEncryptionConfiguration"
                    ]),
                )],
            ),
            one(
                aws("AmazonS3ReadOnlyAccess"),
                &[statement(
                    "Allow",
                    json!(["s3:Get*", "s3:List*", "s3:Describe*"]),
                )],
            ),
            // No statement about KMS, as AWS's own has none.
            one(
                aws("service-role/AmazonEMRServicePolicy_v2"),
                &[statement(
                    "Allow",
                    json!(["ec2:RunInstances", "ec2:CreateFleet"]),
                )],
            ),
        ]
    }

    fn about_another_service(&self) -> String {
        policy(&[
            json!({"Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
            "Resource": format!("arn:aws:secretsmanager:*:{}:secret:{}", self.account.id, self.secret(2))}),
        ])
    }

    /// The account's business unit, where it has one, and a tag that nobody allow-listed.
    fn tags(&self, secret: u32) -> Vec<(&'static str, String)> {
        let unit = self
            .account
            .tags
            .iter()
            .find(|(key, _)| key == "business-unit");
        let mut tags: Vec<_> = unit
            .map(|(_, unit)| ("business-unit", unit.clone()))
            .into_iter()
            .collect();
        tags.push(("ticket", self.secret(secret)));
        tags
    }

    fn own(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:policy/emr/{name}", self.account.id)
    }

    fn id(&self, prefix: &str, name: &str) -> String {
        unique_id(self.seed, prefix, &self.account.id, name)
    }

    fn secret(&self, offset: u32) -> String {
        marker(self.account.secret + offset)
    }
}

/// A unique id of IAM. A name that nobody has gives the id of a deleted namesake.
pub(super) fn unique_id(seed: u64, prefix: &str, account: &str, name: &str) -> String {
    let mut rng = Rng::stream(seed, &format!("iam/{account}/{name}"));
    prefix.to_owned() + &rng.text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 17)
}

fn aws(name: &str) -> String {
    format!("arn:aws:iam::aws:policy/{name}")
}

fn policy(statements: &[Value]) -> String {
    // People indent their policies, and IAM keeps the blanks.
    serde_json::to_string_pretty(&json!({"Version": "2012-10-17", "Statement": statements}))
        .unwrap_or_default()
}

fn trust(service: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]})
    .to_string()
}

/// What the reader's own policy says: it looks at keys and never uses one.
fn reader_policy() -> String {
    policy(&[
        json!({"Sid": "Keys", "Effect": "Allow", "Resource": "*",
            "Action": ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants"]}),
        json!({"Sid": "NoData", "Effect": "Deny", "Resource": "*",
            "Action": ["s3:GetObject", "kms:Decrypt", "kms:GenerateDataKey*"]}),
    ])
}

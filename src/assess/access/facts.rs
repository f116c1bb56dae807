//! The facts of one key and of one account's identities, parsed once.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::datasets::{Coverage, KmsGrant, KmsKey, Principal};
use crate::model::ids::AccountId;
use crate::model::key_reference::KeyArn;
use crate::model::words::{CellOutcome, Lookup};
use crate::policy::{Caller, Document, Grant, Json, Layers, Policy, Resource, ResourceKind};

/// What a run holds of one key's policy and grants.
#[derive(Debug)]
pub struct KeyFacts {
    /// The key itself, never an alias.
    pub arn: KeyArn,
    pub resource: Resource,
    /// Policy and grants; everything else is "not read" and "does not restrict".
    pub layers: Layers,
    pub policy_lookup: Lookup,
    pub grants_lookup: Lookup,
    /// Names of its aliases, where the list is complete.
    pub aliases: Option<Vec<String>>,
    /// Whether a policy or grant speaks of single clusters, so that an answer about one cluster
    /// may differ from that about the next.
    pub names_clusters: bool,
}

impl KeyFacts {
    /// Reads the row of a key that was described; `None` without an ARN of the key.
    pub fn read(row: &KmsKey, grants: &[KmsGrant]) -> Option<Self> {
        let arn = KeyArn::parse(row.key_arn.as_deref()?).filter(|arn| !arn.is_alias())?;
        let text = row.policy_json.as_deref();
        let policy = match (row.policy_lookup, text) {
            (Lookup::Found, Some(text)) => document(text, "key policy"),
            _ => Document::Unread(format!("kms:GetKeyPolicy on {arn}")),
        };
        let read = row.grants_lookup == Lookup::Found;
        let names_clusters = text.is_some_and(names_clusters)
            || grants
                .iter()
                .any(|g| g.constraints_json.as_deref().is_some_and(names_clusters));
        Some(Self {
            resource: Resource {
                arn: arn.to_string(),
                account: arn.account_id.to_string(),
                kind: ResourceKind::Key,
            },
            layers: Layers {
                resource_policy: policy,
                grants: read.then(|| grants.iter().map(grant).collect()),
                ..Layers::default()
            },
            policy_lookup: row.policy_lookup,
            grants_lookup: row.grants_lookup,
            aliases: row
                .aliases
                .as_deref()
                .map(|names| names.split_whitespace().map(str::to_owned).collect()),
            names_clusters,
            arn,
        })
    }

    /// Whether the key policy was read.
    pub fn is_policy_read(&self) -> bool {
        matches!(self.layers.resource_policy, Document::Read(_))
    }

    /// The policy, where it was read.
    pub fn policy(&self) -> Option<&Policy> {
        match &self.layers.resource_policy {
            Document::Read(policy) => Some(policy),
            Document::Unread(_) => None,
        }
    }
}

/// Ids of clusters begin like this; a policy that has it in it may mean one cluster.
pub(super) fn names_clusters(text: &str) -> bool {
    text.contains("j-")
}

fn grant(row: &KmsGrant) -> Grant {
    let text = |value: &Option<String>| value.clone().map_or(Json::Null, Json::Text);
    let operations = row.operations.split_whitespace();
    let constraints = match row.constraints_json.as_deref() {
        // What is no JSON is kept as a text, which the reader of grants does not understand.
        Some(json) => Json::parse(json).unwrap_or_else(|_| Json::Text(json.to_owned())),
        None => Json::Null,
    };
    let members = [
        ("GrantId", Json::Text(row.grant_id.clone())),
        ("GranteePrincipal", text(&row.grantee)),
        ("RetiringPrincipal", text(&row.retiring_principal)),
        (
            "Operations",
            Json::List(operations.map(|o| Json::Text(o.to_owned())).collect()),
        ),
        ("Constraints", constraints),
    ];
    Grant::from_json(&Json::Object(
        members
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    ))
}

/// A document; one that is no policy counts as not read.
pub(super) fn document(text: &str, name: &str) -> Document {
    match Policy::parse(text) {
        Ok(policy) => Document::Read(Arc::new(policy)),
        Err(e) => Document::Unread(format!("{name}: {e}")),
    }
}

/// A role or user.
#[derive(Debug)]
pub struct Identity {
    pub arn: String,
    pub caller: Caller,
    /// `role` or `user`.
    pub kind: String,
    pub account: AccountId,
    /// From its own tag.
    pub business_unit: Option<String>,
    /// Its policies, each read or not.
    pub policies: Vec<Document>,
    pub boundary: Option<Document>,
}

/// The roles and users of one account, as far as they may touch log keys.
#[derive(Debug)]
pub struct Identities {
    /// Whether the account was read whole, so that whoever is not listed may do nothing.
    pub is_read: bool,
    /// IAM action that was refused, where that is why.
    pub denied_action: Option<String>,
    /// Whether a policy of some principal speaks of single clusters.
    pub names_clusters: bool,
    all: Vec<Identity>,
    by_arn: BTreeMap<String, usize>,
    by_profile: BTreeMap<String, usize>,
}

/// The call that tells them.
pub(super) const READS_IDENTITIES: &str = "iam:GetAccountAuthorizationDetails";

impl Identities {
    /// Reads the rows of `account` and the coverage row of its identities.
    pub fn read(account: &AccountId, cell: Option<&Coverage>, rows: &[Principal]) -> Self {
        let mut documents = Documents::default();
        let mut found = Self {
            is_read: cell
                .is_some_and(|c| matches!(c.outcome, CellOutcome::Collected | CellOutcome::Empty)),
            denied_action: cell.and_then(|c| c.denied_action.clone()),
            names_clusters: false,
            all: Vec::new(),
            by_arn: BTreeMap::new(),
            by_profile: BTreeMap::new(),
        };
        for row in rows {
            let Ok(caller) = Caller::parse(&row.principal) else {
                continue;
            };
            let at = found.all.len();
            found.by_arn.insert(row.principal.clone(), at);
            for profile in row
                .instance_profiles
                .iter()
                .flat_map(|p| p.split_whitespace())
            {
                found.by_profile.insert(profile.to_owned(), at);
            }
            let boundary = row.boundary.as_deref().map(|arn| match &row.boundary_json {
                Some(json) => document(json, "permissions boundary"),
                None => Document::Unread(format!("permissions boundary {arn}")),
            });
            let texts = [&row.policies_json, &row.boundary_json];
            found.names_clusters |= texts
                .iter()
                .any(|t| t.as_deref().is_some_and(names_clusters));
            found.all.push(Identity {
                arn: row.principal.clone(),
                caller,
                kind: row.kind.clone(),
                account: account.clone(),
                business_unit: row
                    .business_unit
                    .clone()
                    .filter(|unit| !unit.trim().is_empty()),
                policies: documents.read(row.policies_json.as_deref(), &row.principal),
                boundary,
            });
        }
        found
    }

    pub fn all(&self) -> &[Identity] {
        &self.all
    }

    /// A principal by its ARN.
    pub fn by_arn(&self, arn: &str) -> Option<&Identity> {
        self.by_arn.get(arn).map(|at| &self.all[*at])
    }

    /// The role of an instance profile, given by name or ARN.
    pub fn of_profile(&self, profile: &str) -> Option<&Identity> {
        let name = profile.rsplit('/').next().unwrap_or(profile);
        self.by_profile.get(name).map(|at| &self.all[*at])
    }

    /// A principal by its ARN, or a role by its name.
    pub fn named(&self, name: &str) -> Option<&Identity> {
        if let Some(known) = self.by_arn(name) {
            return Some(known);
        }
        // A role's name is unique in its account, whatever the path; EMR tells some without it.
        let last = name.rsplit('/').next().unwrap_or(name);
        let is = |i: &&Identity| i.kind == "role" && i.arn.rsplit('/').next() == Some(last);
        self.all.iter().find(is)
    }
}

/// Lists of documents that many principals share, parsed once.
#[derive(Default)]
struct Documents {
    seen: BTreeMap<String, Vec<Document>>,
}

impl Documents {
    fn read(&mut self, text: Option<&str>, principal: &str) -> Vec<Document> {
        let Some(text) = text else {
            return vec![Document::Unread(format!("policies of {principal}"))];
        };
        if let Some(known) = self.seen.get(text) {
            return known.clone();
        }
        let unread = |why: String| vec![Document::Unread(why)];
        let read = match Json::parse(text) {
            Ok(Json::List(items)) => items
                .into_iter()
                .map(|item| match Policy::from_json(item) {
                    Ok(policy) => Document::Read(Arc::new(policy)),
                    Err(e) => Document::Unread(format!("a policy of {principal}: {e}")),
                })
                .collect(),
            Ok(other) => unread(format!("policies of {principal}: {}", other.kind())),
            Err(e) => unread(format!("policies of {principal}: {e}")),
        };
        self.seen.insert(text.to_owned(), read.clone());
        read
    }
}

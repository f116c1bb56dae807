//! Whose the keys are that versions lie under, asked with the session of the bucket's owner.

use std::collections::BTreeMap;

use super::moved::Prior;
use super::rows::Stored;
use crate::collect::attempt::Budget;
use crate::collect::operation::Operation;
use crate::collect::session::Session;
use crate::collect::shared::Run;
use crate::model::ids::{AccountId, Region};
use crate::model::key_reference::{KeyArn, KeyReference};

/// Keys of one bucket that are described; further ones stay unknown.
const DESCRIBED: usize = 1_000;

/// What is known of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyClass {
    /// ARN as KMS tells it; as it was named where nobody tells.
    pub arn: String,
    /// Its manager is CUSTOMER; `Some(false)`: AWS.
    pub is_customers: Option<bool>,
    /// It is the customer's, and its owner an account of the organization or an allowed one.
    pub is_wanted: Option<bool>,
}

/// Keys by the name that reports and jobs give them.
#[derive(Debug, Default)]
pub(super) struct KeyTable(BTreeMap<String, KeyClass>);

impl KeyTable {
    /// Describes `names`: ARNs, and what else a copy may be told for a key, which means one of `account`
    /// in `region`. A key that cannot be described stays unknown.
    pub(super) async fn describe<'n>(
        run: &Run,
        session: &Session,
        (account, region): (&AccountId, &Region),
        budget: &Budget,
        names: impl Iterator<Item = &'n str>,
    ) -> Self {
        let mut table = BTreeMap::new();
        for name in names {
            if table.contains_key(name) || table.len() == DESCRIBED {
                continue;
            }
            let class = match KeyReference::read(name, account, region) {
                Some(KeyReference::Qualified(arn)) => one(run, session, budget, &arn).await,
                Some(KeyReference::AwsManaged(arn)) => KeyClass {
                    arn: arn.to_string(),
                    is_customers: Some(false),
                    is_wanted: Some(false),
                },
                Some(KeyReference::Unparseable(_)) | None => KeyClass {
                    arn: name.to_owned(),
                    is_customers: None,
                    is_wanted: None,
                },
            };
            table.insert(name.to_owned(), class);
        }
        Self(table)
    }

    pub(super) fn class(&self, name: &str) -> Option<&KeyClass> {
        self.0.get(name)
    }

    /// What a version that lay so says of the key before.
    pub(super) fn prior(&self, stored: Stored, key: Option<&str>) -> Prior {
        match (stored, key) {
            (Stored::SseS3 | Stored::SseC | Stored::Plain, _) => Prior::Outside,
            (Stored::Kms, Some(key)) => match self.class(key).and_then(|c| c.is_wanted) {
                Some(true) => Prior::Wanted(self.number(key)),
                Some(false) => Prior::Outside,
                None => Prior::Unknown,
            },
            (Stored::Kms, None) | (Stored::Unknown, _) => Prior::Unknown,
        }
    }

    /// A number that two names of one key share.
    pub(super) fn number(&self, name: &str) -> u32 {
        let arn = self.class(name).map_or(name, |class| class.arn.as_str());
        let same = self.0.values().position(|class| class.arn == arn);
        same.map_or(u32::MAX, |at| at as u32)
    }
}

async fn one(run: &Run, session: &Session, budget: &Budget, arn: &KeyArn) -> KeyClass {
    let (region, name) = (&arn.region, &arn.to_string());
    let answer = session
        .call(budget, region, Operation::DescribeKey, |m| async move {
            m.key(region, name).await
        })
        .await;
    let key = answer.ok();
    let is_customers = match key.as_ref().and_then(|key| key.manager.as_deref()) {
        Some("CUSTOMER") => Some(true),
        Some("AWS") => Some(false),
        _ => None,
    };
    KeyClass {
        arn: key.map_or_else(|| name.clone(), |key| key.arn),
        is_customers,
        is_wanted: match is_customers {
            Some(true) => run.owner_is_ours(&arn.account_id),
            other => other,
        },
    }
}

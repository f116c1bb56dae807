//! The grants of a key, page by page: a key can have 50,000.

use serde_json::{Map, Value};

use crate::collect::api::{GrantConstraints, ListedGrant};
use crate::collect::attempt::{Budget, CallError};
use crate::collect::engine::CollectError;
use crate::collect::facts::Facts;
use crate::collect::identity_policy::principal_of;
use crate::collect::operation::Operation;
use crate::collect::session::Session;
use crate::collect::shared::Run;
use crate::model::canonical;
use crate::model::datasets::KmsGrant;
use crate::model::key_reference::KeyArn;

/// Rows that wait for the sink at one time.
const ROWS_AT_ONCE: usize = 1_000;
/// What stands for a value of an encryption context that is not kept.
const NOT_KEPT: &str = "(not kept)";

/// Lists the grants of `key` and hands their rows over; how many there are. Where the list breaks off,
/// the rows that were read stay: each is a fact, and the key's row says that the list is not whole.
pub(super) async fn list(
    run: &Run,
    session: &Session,
    key: &str,
    budget: &Budget,
) -> Result<Result<i64, CallError>, CollectError> {
    let Some(arn) = KeyArn::parse(key) else {
        return Ok(Ok(0));
    };
    let mut rows = vec![];
    let mut count = 0;
    let mut stopped = None;
    let listed = session
        .pages_until(
            budget,
            &arn.region,
            Operation::ListGrants,
            |m, next| {
                let region = &arn.region;
                async move { m.key_grants(region, key, next).await }
            },
            |page| {
                for grant in page {
                    count += 1;
                    rows.push(row(run, &arn, key, grant));
                }
                if rows.len() >= ROWS_AT_ONCE {
                    stopped = append(run, &arn, std::mem::take(&mut rows)).err();
                }
                stopped.is_some()
            },
        )
        .await;
    if let Some(stopped) = stopped {
        return Err(stopped);
    }
    append(run, &arn, rows)?;
    Ok(listed.map(|()| count))
}

fn append(run: &Run, arn: &KeyArn, rows: Vec<KmsGrant>) -> Result<(), CollectError> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut facts = Facts::new(arn.account_id.clone(), arn.region.clone());
    facts.grants = rows;
    run.append(facts)
}

/// The row. A key that clusters name in two ways is asked twice, and the journal makes one row of two.
fn row(run: &Run, arn: &KeyArn, key: &str, grant: ListedGrant) -> KmsGrant {
    note(run, [&grant.grantee, &grant.retiring_principal]);
    KmsGrant {
        scheduled_for: run.options().scheduled_for,
        account_id: arn.account_id.clone(),
        region: arn.region.clone(),
        key_arn: key.to_owned(),
        constraints_json: constraints(grant.constraints),
        grant_id: grant.id,
        grantee: grant.grantee,
        retiring_principal: grant.retiring_principal,
        issuing_account: grant.issuing_account,
        operations: grant.operations.join(" "),
        created_at: grant.created_at,
    }
}

/// Notes whom a grant names.
pub(super) fn note(run: &Run, who: [&Option<String>; 2]) {
    let names = who
        .into_iter()
        .filter_map(|name| principal_of(name.as_deref()?));
    run.name(names);
}

/// The documented constraints
/// (<https://docs.aws.amazon.com/kms/latest/APIReference/API_GrantConstraints.html>).
///
/// An encryption context is whatever its author wrote: a customer's number, a file's name. AWS calls
/// it no secret, yet what is stored here cannot be taken back. The requests that write and read logs
/// carry the contexts of S3 and EMR alone, whose names begin with `aws:` and whose values are ARNs
/// and ids. A constraint on any other name is never met by such a request, whatever its value; so
/// the name is kept and the value is not.
fn constraints(given: GrantConstraints) -> Option<String> {
    let mut kept = Map::new();
    let contexts = [
        ("EncryptionContextEquals", given.encryption_context_equals),
        ("EncryptionContextSubset", given.encryption_context_subset),
    ];
    for (name, context) in contexts {
        if let Some(context) = context {
            let pairs = context.into_iter().map(|(key, value)| {
                let is_aws = key.get(..4).is_some_and(|k| k.eq_ignore_ascii_case("aws:"));
                let value = if is_aws { value } else { NOT_KEPT.to_owned() };
                (key, Value::String(value))
            });
            kept.insert(name.to_owned(), Value::Object(pairs.collect()));
        }
    }
    if let Some(arn) = given.source_arn {
        kept.insert("SourceArn".to_owned(), Value::String(arn));
    }
    (!kept.is_empty()).then(|| canonical::to_string(&Value::Object(kept)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_foreign_contexts_are_not_kept() {
        let context = |pairs: &[(&str, &str)]| {
            let owned = pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            Some(owned.collect())
        };
        let given = GrantConstraints {
            encryption_context_equals: context(&[("tenant", "SECRET"), ("AWS:s3:arn", "arn:b")]),
            encryption_context_subset: context(&[]),
            source_arn: Some("arn:x".to_owned()),
        };
        assert_eq!(
            constraints(given).as_deref(),
            Some(
                r#"{"EncryptionContextEquals":{"AWS:s3:arn":"arn:b","tenant":"(not kept)"},"EncryptionContextSubset":{},"SourceArn":"arn:x"}"#
            )
        );
        assert_eq!(constraints(GrantConstraints::default()), None);
    }
}

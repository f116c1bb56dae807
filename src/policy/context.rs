//! What is known of a request: its condition keys.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::caller::Caller;

/// One key's value, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    One(String),
    /// Several, or a key that AWS documents as multivalued.
    Many(Vec<String>),
    /// Surely not in the request.
    Absent,
    Unknown,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::One(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::One(text)
    }
}

/// The condition keys of one request. Names are not case-sensitive
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html>).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// By names in lower case.
    values: BTreeMap<Cow<'static, str>, Value>,
    /// Whether a key that is not listed is absent, and not just unknown.
    closed: bool,
}

/// Prefix of the keys that carry the pairs of an encryption context.
const PAIR: &str = "kms:encryptioncontext:";

/// KMS actions whose requests can carry an encryption context, or grant constraints with one
/// (<https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html>).
const WITH_ENCRYPTION_CONTEXT: &[&str] = &[
    "kms:encrypt",
    "kms:decrypt",
    "kms:generatedatakey",
    "kms:generatedatakeypair",
    "kms:generatedatakeypairwithoutplaintext",
    "kms:generatedatakeywithoutplaintext",
    "kms:reencryptfrom",
    "kms:reencryptto",
    "kms:creategrant",
    "kms:retiregrant",
];

/// KMS actions on which `kms:GrantIsForAWSResource` exists (same page).
const WITH_GRANTS: &[&str] = &["kms:creategrant", "kms:listgrants", "kms:revokegrant"];

impl Context {
    /// A key that is not listed is unknown.
    pub fn open() -> Self {
        Self::default()
    }

    /// A key that is not listed is absent.
    pub fn closed() -> Self {
        Self {
            closed: true,
            ..Self::default()
        }
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Sets one key.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.set(key, value);
        self
    }

    /// Sets one key.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.values.insert(key.to_lowercase().into(), value.into());
    }

    /// Adds what follows from who asks for what on whose resource, unless it is listed already:
    /// the principal's own keys, and those that such a request never carries. A role or user never
    /// comes with `aws:SourceArn` or `aws:SourceAccount`, which only calls of a service carry; a
    /// service has no `aws:PrincipalArn` or `aws:PrincipalOrgID`
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>);
    /// `kms:DescribeKey` and other requests without ciphertext have no encryption context.
    #[must_use]
    pub fn deriving(mut self, caller: &Caller, action: &str, resource_account: &str) -> Self {
        let mut add = |key: &'static str, value: Value| {
            self.values.entry(Cow::Borrowed(key)).or_insert(value);
        };
        add("aws:resourceaccount", resource_account.into());
        if let Caller::Service(name) = caller {
            add("aws:principalisawsservice", "true".into());
            add("aws:principalservicename", name.as_str().into());
            for absent in [
                "aws:principalarn",
                "aws:principalaccount",
                "aws:principalorgid",
                "aws:principalorgpaths",
                "aws:principaltype",
                "aws:username",
            ] {
                add(absent, Value::Absent);
            }
        } else {
            add("aws:principalisawsservice", "false".into());
            for absent in [
                "aws:principalservicename",
                "aws:principalservicenameslist",
                "aws:sourceaccount",
                "aws:sourcearn",
                "aws:sourceorgid",
                "aws:sourceorgpaths",
            ] {
                add(absent, Value::Absent);
            }
        }
        if let Some(account) = caller.account() {
            add("aws:principalaccount", account.into());
            add("kms:calleraccount", account.into());
        }
        if let Some(arn) = caller.principal_arn() {
            add("aws:principalarn", arn.into());
        }
        match caller {
            Caller::User { name, .. } => {
                add("aws:username", name.as_str().into());
                add("aws:principaltype", "User".into());
            }
            Caller::Role { .. } | Caller::Session { .. } => {
                add("aws:username", Value::Absent);
                add("aws:principaltype", "AssumedRole".into());
            }
            Caller::Root { .. } => {
                add("aws:username", Value::Absent);
                add("aws:principaltype", "Account".into());
            }
            _ => {}
        }
        let action = action.to_lowercase();
        if action.starts_with("kms:") {
            if !WITH_ENCRYPTION_CONTEXT.contains(&action.as_str()) {
                add("kms:encryptioncontext:", Value::Absent);
                add("kms:encryptioncontextkeys", Value::Absent);
            }
            if !WITH_GRANTS.contains(&action.as_str()) {
                add("kms:grantisforawsresource", Value::Absent);
            }
        }
        self
    }

    /// The value of `key`.
    pub fn value(&self, key: &str) -> Value {
        let key = key.to_lowercase();
        let unlisted = || {
            // The bare prefix stands for every pair that is not listed.
            let no_pairs = key.starts_with(PAIR) && self.values.contains_key(PAIR);
            if self.closed || no_pairs {
                Value::Absent
            } else {
                Value::Unknown
            }
        };
        self.values
            .get(key.as_str())
            .cloned()
            .unwrap_or_else(unlisted)
    }

    /// The listed pairs of the encryption context, names in lower case.
    pub(super) fn encryption_pairs(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(PAIR)?, value)))
            .filter(|(name, _)| !name.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/emr/node";

    #[test]
    fn names_are_not_case_sensitive() {
        let context = Context::open().with("aws:SourceIP", "10.0.0.1");
        assert_eq!(context.value("AWS:sourceip"), "10.0.0.1".into());
        assert_eq!(context.value("aws:SourceVpc"), Value::Unknown);
        assert_eq!(Context::closed().value("aws:SourceVpc"), Value::Absent);
    }

    #[test]
    fn source_account_is_absent_on_calls_of_a_role() {
        let role = Caller::parse(ROLE).unwrap();
        let context = Context::open().deriving(&role, "kms:Decrypt", "444455556666");
        assert_eq!(context.value("aws:SourceAccount"), Value::Absent);
        assert_eq!(context.value("aws:PrincipalArn"), ROLE.into());
        assert_eq!(context.value("kms:CallerAccount"), "111122223333".into());
        assert_eq!(context.value("kms:EncryptionContext:a"), Value::Unknown);
    }

    #[test]
    fn principal_org_id_is_absent_on_calls_of_a_service() {
        let service = Caller::parse("elasticmapreduce.amazonaws.com").unwrap();
        let context = Context::open().deriving(&service, "kms:Decrypt", "444455556666");
        assert_eq!(context.value("aws:PrincipalOrgID"), Value::Absent);
        assert_eq!(context.value("aws:SourceAccount"), Value::Unknown);
        assert_eq!(context.value("aws:PrincipalIsAWSService"), "true".into());
    }

    #[test]
    fn describe_key_has_no_encryption_context() {
        let role = Caller::parse(ROLE).unwrap();
        let context = Context::open().deriving(&role, "kms:DescribeKey", "111122223333");
        assert_eq!(
            context.value("kms:EncryptionContext:aws:s3:arn"),
            Value::Absent
        );
        assert_eq!(context.encryption_pairs().count(), 0);
    }

    #[test]
    fn what_is_listed_wins_over_what_is_derived() {
        let role = Caller::parse(ROLE).unwrap();
        let context = Context::open().with("aws:SourceAccount", "1").deriving(
            &role,
            "kms:Decrypt",
            "444455556666",
        );
        assert_eq!(context.value("aws:SourceAccount"), "1".into());
    }

    #[test]
    fn the_arn_of_a_session_lacks_the_path_of_its_role() {
        let session = Caller::parse("arn:aws:sts::111122223333:assumed-role/node/i-1").unwrap();
        let context = Context::open().deriving(&session, "kms:Decrypt", "111122223333");
        assert_eq!(context.value("aws:PrincipalArn"), Value::Unknown);
    }
}

//! Who surely may not, told from actions and names before any condition is read: of the identities of an
//! account most are let do nothing with a key.

use super::caller::{self, Caller, Setting};
use super::document::{Effect, Statement};
use super::evaluate::{Document, Layers, Resource, ResourceKind};
use super::who_can::may_mean_action;

/// Whether nothing lets the caller, a role or user, do this, whatever the request is like. Where this
/// is true, [`super::evaluate`] answers `Denied`; where it is false, anything.
pub fn is_out_of_question(
    caller: &Caller,
    action: &str,
    resource: &Resource,
    layers: &Layers,
) -> bool {
    let is_identity = matches!(caller, Caller::Role { .. } | Caller::User { .. });
    let by_identity = layers.identity.as_ref().is_none_or(|documents| {
        let mut documents = documents.iter();
        documents.any(|document| may_allow(document, action, |_| true))
    });
    if !is_identity || by_identity {
        return false;
    }
    if caller.account() != Some(resource.account.as_str()) {
        // Its own account must allow it, too.
        return true;
    }
    let setting = Setting {
        closed: false,
        bounded: layers.boundary.is_some(),
    };
    // Where it is meant by its account alone, its own policies decide.
    let names = |statement: &Statement| {
        statement.principal.as_ref().is_none_or(|clause| {
            let found = caller::matches(clause, Effect::Allow, caller, setting);
            !(found.direct.is_false() && found.limited.is_false())
        })
    };
    let by_grant = || {
        layers.grants.as_ref().is_none_or(|grants| {
            let mut grants = grants.iter();
            grants.any(|grant| grant.may_allow(caller, action, setting))
        })
    };
    !(may_allow(&layers.resource_policy, action, names)
        || resource.kind == ResourceKind::Key && by_grant())
}

/// Whether some statement that fits may allow the action, or something was not understood.
fn may_allow(document: &Document, action: &str, fits: impl Fn(&Statement) -> bool) -> bool {
    let Document::Read(policy) = document else {
        return true;
    };
    let may = |statement: &Statement| {
        !statement.unread.is_empty()
            || (statement.effect != Some(Effect::Deny)
                && may_mean_action(statement, action)
                && fits(statement))
    };
    !policy.unread.is_empty() || policy.statements.iter().any(may)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::policy::{Grant, Json, Policy};

    const ROLE: &str = "arn:aws:iam::111122223333:role/emr/node";

    fn read(text: &str) -> Document {
        Document::Read(Arc::new(Policy::parse(text).expect("a policy")))
    }

    fn policy(principal: &str, action: &str) -> Document {
        read(&format!(
            r#"{{"Statement":{{"Effect":"Allow","Principal":{principal},"Action":"{action}","Resource":"*"}}}}"#
        ))
    }

    fn is_out(policy: Document, grant: &str, identity: Option<Vec<Document>>, who: &str) -> bool {
        let resource = Resource {
            arn: "arn:aws:kms:eu-west-1:111122223333:key/1".to_owned(),
            account: "111122223333".to_owned(),
            kind: ResourceKind::Key,
        };
        let layers = Layers {
            resource_policy: policy,
            grants: Some([Grant::from_json(&Json::parse(grant).expect("JSON"))].into()),
            identity,
            ..Layers::default()
        };
        let caller = Caller::parse(who).expect("a principal");
        is_out_of_question(&caller, "kms:Decrypt", &resource, &layers)
    }

    #[test]
    fn who_is_named_nowhere_is_out_and_who_may_be_is_not() {
        let to_account = || policy(r#"{"AWS":"111122223333"}"#, "kms:*");
        let to_role = || policy(&format!(r#"{{"AWS":"{ROLE}"}}"#), "kms:Decrypt");
        let none = r#"{"GranteePrincipal":"nobody","Operations":["Decrypt"]}"#;
        let granted = format!(r#"{{"GranteePrincipal":"{ROLE}","Operations":["Decrypt"]}}"#);
        let of = |action: &str| {
            let text = format!(
                r#"{{"Statement":{{"Effect":"Allow","Action":"{action}","Resource":"*"}}}}"#
            );
            Some(vec![read(&text)])
        };
        assert!(is_out(to_account(), none, of("s3:*"), ROLE));
        assert!(!is_out(to_account(), none, of("kms:*"), ROLE));
        assert!(!is_out(to_account(), none, None, ROLE));
        assert!(!is_out(to_role(), none, of("s3:*"), ROLE));
        assert!(!is_out(to_account(), &granted, of("s3:*"), ROLE));
        assert!(!is_out(to_account(), r#"{"Odd":1}"#, of("s3:*"), ROLE));
        assert!(!is_out(policy(r#""*""#, "kms:*"), none, of("s3:*"), ROLE));
        assert!(is_out(
            policy(r#""*""#, "kms:Encrypt"),
            none,
            of("s3:*"),
            ROLE
        ));
        assert!(!is_out(
            Document::Unread("it".to_owned()),
            none,
            of("s3:*"),
            ROLE
        ));
        // Named by another account, and not let by its own.
        let other = "arn:aws:iam::444455556666:role/reader";
        let to_other = || policy(&format!(r#"{{"AWS":"{other}"}}"#), "kms:*");
        assert!(is_out(to_other(), none, of("s3:*"), other));
        assert!(!is_out(to_other(), none, of("kms:Decrypt"), other));
        assert!(!is_out(
            to_account(),
            none,
            of("s3:*"),
            "arn:aws:iam::111122223333:root"
        ));
    }
}

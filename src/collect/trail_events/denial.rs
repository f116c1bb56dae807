//! What the message of a denied call says of the policy that denied
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>).
//!
//! One policy is named, where several may have denied. CloudTrail cuts a message at 1 KB, and some
//! services write others: what is not there stays unknown.

/// As far as the message told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Denial {
    /// `service:Action`. A launch with tags also needs elasticmapreduce:AddTags, so the action need
    /// not be that of the event.
    pub action: Option<String>,
    /// Kind of policy, as the column `denied_by` has it.
    pub by: Option<&'static str>,
    /// The policy.
    pub policy: Option<String>,
}

/// How AWS calls the kinds of policy.
const KINDS: [(&str, &str); 7] = [
    ("identity-based policy", "identity"),
    ("service control policy", "service_control"),
    ("resource control policy", "resource_control"),
    ("resource-based policy", "resource"),
    ("permissions boundary", "boundary"),
    ("session policy", "session"),
    ("vpc endpoint policy", "endpoint"),
];

/// Reads an error message.
pub(super) fn read(message: &str) -> Denial {
    let action = after(message, "not authorized to perform: ").and_then(action);
    let explicit = after(message, "with an explicit deny in ");
    let Some(policy) = explicit.or_else(|| after(message, "because no ")) else {
        return Denial {
            action,
            ..Denial::default()
        };
    };
    let said = policy.to_ascii_lowercase();
    let said = ["an ", "a ", "the "]
        .into_iter()
        .find_map(|article| said.strip_prefix(article))
        .unwrap_or(&said);
    Denial {
        action,
        by: KINDS
            .into_iter()
            .find(|(name, _)| said.starts_with(name))
            .map(|(_, kind)| kind),
        policy: explicit.and_then(arn),
    }
}

/// What follows the last place of `mark`: what comes before may be named by users.
fn after<'a>(message: &'a str, mark: &str) -> Option<&'a str> {
    let at = message.rfind(mark)?;
    message.get(at + mark.len()..)
}

/// `service:Action` at the start of the text.
fn action(text: &str) -> Option<String> {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && !":-".contains(c))
        .unwrap_or(text.len());
    let name = text.get(..end)?.trim_end_matches(':');
    let (service, operation) = name.split_once(':')?;
    let valid = !service.is_empty() && !operation.is_empty() && name.len() <= 128;
    valid.then(|| name.to_owned())
}

/// The first ARN of the text. One that a length limit may have cut is unknown.
fn arn(text: &str) -> Option<String> {
    let begun = text.get(text.find("arn:")?..)?;
    let end = begun
        .find(|c: char| c.is_whitespace() || "'\"<>,;()[]".contains(c))
        .unwrap_or(begun.len());
    let named = begun.get(..end)?.trim_end_matches(['.', ':']);
    let whole = named.splitn(6, ':').count() == 6 && named.len() <= 2_048;
    whole.then(|| named.to_owned())
}

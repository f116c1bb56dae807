//! Whether a caller's credentials work in a Region and may do what they ask for.

use crate::sandbox::World;
use crate::sandbox::wire::{AwsError, Caller, Request};
use crate::sandbox::world::organization::{Account, Denial};
use crate::sandbox::world::regions;

/// The caller's ARN, as STS and error messages name it.
pub(super) fn caller_arn(caller: &Caller) -> String {
    match (&caller.role, &caller.session) {
        (Some(role), session) => format!(
            "arn:aws:sts::{}:assumed-role/{role}/{}",
            caller.account,
            session.as_deref().unwrap_or("session")
        ),
        (None, _) => format!("arn:aws:iam::{}:user/auditor", caller.account),
    }
}

/// Lets a regional call through, or answers as AWS does when the account is not usable, the Region
/// is off, a service control policy fences it, or the role lacks the action.
pub(super) fn admit(world: &World, request: &Request, action: &str) -> Result<(), AwsError> {
    // Accounts outside the organization exist only as owners of keys and buckets.
    let Some(account) = world.account(&request.caller.account) else {
        return Ok(());
    };
    if !account.state.is_usable() || !is_region_on(world, request) {
        // One text for a Region that is off, a token of the wrong kind and bad keys.
        return Err(AwsError::new(
            400,
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ));
    }
    let fenced = |denial: &Denial| {
        let services = ["elasticmapreduce:", "cloudtrail:"];
        services.iter().any(|service| action.starts_with(service))
            && matches!(denial, Denial::FencedRegion(region) if *region == request.region)
    };
    let reason = if account.denials.iter().any(fenced) {
        let policy = &world.organization.fence_policy_arn;
        format!("with an explicit deny in a service control policy: {policy}")
    } else if lacks(account, &request.caller, action) {
        not_allowed(action)
    } else {
        return Ok(());
    };
    Err(denied(&request.caller, action, "*", &reason))
}

/// Whether a caller of this account lacks an action: roles may, its own user has them all.
pub(super) fn lacks(account: &Account, caller: &Caller, action: &str) -> bool {
    caller.role.is_some() && account.lacks(action)
}

/// Why somebody without a permission is refused.
pub(super) fn not_allowed(action: &str) -> String {
    format!("because no identity-based policy allows the {action} action")
}

/// AccessDeniedException in the words of the JSON services.
pub(super) fn denied(caller: &Caller, action: &str, resource: &str, reason: &str) -> AwsError {
    let message = format!(
        "User: {} is not authorized to perform: {action} on resource: {resource} {reason}",
        caller_arn(caller)
    );
    AwsError::new(400, "AccessDeniedException", message)
}

/// ListRegions tells of no Region that hosts nothing, and one that nobody can turn off answers all the
/// same.
fn is_region_on(world: &World, request: &Request) -> bool {
    let region = request.region.as_str();
    let account = world.account(&request.caller.account);
    regions::is_by_default(region)
        || account.is_none_or(|account| account.opt_status(region).is_usable())
}

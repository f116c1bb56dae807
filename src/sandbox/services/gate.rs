//! Whether a caller's credentials work in a Region and may do what they ask for.

use crate::sandbox::World;
use crate::sandbox::wire::{AwsError, Caller, Request};
use crate::sandbox::world::organization::Denial;

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
    for denial in &account.denials {
        let reason = match denial {
            Denial::FencedRegion(region)
                if action.starts_with("elasticmapreduce:") && *region == request.region =>
            {
                format!(
                    "with an explicit deny in a service control policy: {}",
                    world.organization.fence_policy_arn
                )
            }
            Denial::MissingAction(missing)
                if *missing == action && request.caller.role.is_some() =>
            {
                format!("because no identity-based policy allows the {action} action")
            }
            _ => continue,
        };
        return Err(denied(&request.caller, action, "*", &reason));
    }
    Ok(())
}

/// AccessDeniedException in the words of the JSON services.
pub(super) fn denied(caller: &Caller, action: &str, resource: &str, reason: &str) -> AwsError {
    let message = format!(
        "User: {} is not authorized to perform: {action} on resource: {resource} {reason}",
        caller_arn(caller)
    );
    AwsError::new(400, "AccessDeniedException", message)
}

fn is_region_on(world: &World, request: &Request) -> bool {
    world
        .account(&request.caller.account)
        .is_none_or(|account| account.opt_status(&request.region).is_usable())
}

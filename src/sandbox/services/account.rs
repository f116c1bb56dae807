//! `account:ListRegions` (REST-JSON).

use serde_json::json;

use super::gate::{self, caller_arn};
use super::json;
use crate::sandbox::World;
use crate::sandbox::wire::{AwsError, Request, Response};
use crate::sandbox::world::organization::LIST_REGIONS;
use crate::sandbox::world::regions;

const PAGE: usize = 50;

/// Answers a request to the account service.
pub fn handle(world: &World, _now_ms: i64, request: &Request) -> Result<Response, AwsError> {
    match request.operation.as_str() {
        "ListRegions" => list_regions(world, request),
        _ => Err(json::unknown_operation(request)),
    }
}

fn list_regions(world: &World, request: &Request) -> Result<Response, AwsError> {
    let input = json::input(request)?;
    let caller = request.caller.account.as_str();
    if world
        .account(caller)
        .is_some_and(|account| gate::lacks(account, &request.caller, LIST_REGIONS))
    {
        let message = format!(
            "User: {} is not authorized to perform: {LIST_REGIONS} on resource: \
             arn:aws:account::{caller}:account {}",
            caller_arn(&request.caller),
            gate::not_allowed(LIST_REGIONS)
        );
        return Err(AwsError::new(403, "AccessDeniedException", message));
    }
    let target = match json::text(&input, "AccountId") {
        None => caller,
        // AWS wants the management account to leave its own id out.
        Some(id) if id == caller && id == world.organization.management_account => {
            return Err(validation(
                "the management account cannot name itself in AccountId",
            ));
        }
        Some(id) if world.organization.may_read(caller) => id,
        Some(id) => {
            let message = format!(
                "User: {} is not authorized to perform: account:ListRegions on account {id} \
                 (Your account is neither the management account nor a delegated administrator)",
                caller_arn(&request.caller)
            );
            return Err(AwsError::new(403, "AccessDeniedException", message));
        }
    };
    let Some(account) = world
        .account(target)
        .filter(|account| account.state.is_usable())
    else {
        return Err(AwsError::new(
            403,
            "AccessDeniedException",
            "the account is not accessible",
        ));
    };
    let size = json::page_size(&input, "MaxResults", PAGE, PAGE)?;
    let from = match json::text(&input, "NextToken") {
        None => 0,
        Some(token) => json::position(token).ok_or_else(|| validation("invalid NextToken"))?,
    };
    let wanted = json::texts(&input, "RegionOptStatusContains");
    let matching: Vec<_> = regions::all()
        .into_iter()
        .map(|region| (region, account.opt_status(region).as_str()))
        .filter(|(_, status)| wanted.is_empty() || wanted.contains(status))
        .collect();
    let (page, next) = json::page(&matching, from, size);
    let listed: Vec<_> = page
        .iter()
        .map(|(region, status)| json!({"RegionName": region, "RegionOptStatus": status}))
        .collect();
    let mut body = json!({"Regions": listed});
    if let Some(next) = next {
        body["NextToken"] = json!(json::token(next));
    }
    let mut response = json::reply(&body);
    response.headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Ok(response)
}

fn validation(message: &str) -> AwsError {
    AwsError::new(400, "ValidationException", message)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::testing::{body, request};
    use super::*;
    use crate::sandbox::Options;

    fn ask(world: &World, caller: &str, input: &Value) -> Result<Value, AwsError> {
        let asked = request(caller, "us-east-1", "ListRegions", input);
        handle(world, 0, &asked).map(|answer| body(&answer))
    }

    #[test]
    fn pages_and_filters_give_every_region_once() {
        let world = World::generate(&Options::default());
        let caller = world.accounts[8].id.as_str();
        let (mut seen, mut input) = (Vec::new(), json!({"MaxResults": 5}));
        loop {
            let page = ask(&world, caller, &input).unwrap();
            let names = page["Regions"].as_array().unwrap().iter();
            seen.extend(names.map(|r| r["RegionName"].as_str().unwrap().to_owned()));
            match page.get("NextToken") {
                Some(token) => input["NextToken"] = token.clone(),
                None => break,
            }
        }
        assert_eq!(seen, regions::all());
        let on = json!({"RegionOptStatusContains": ["ENABLED_BY_DEFAULT", "DISABLING"]});
        let on = ask(&world, caller, &on).unwrap();
        assert_eq!(on["Regions"].as_array().unwrap().len(), world.regions.len());
    }

    #[test]
    fn an_account_id_is_for_central_callers_and_never_their_own() {
        let world = World::generate(&Options::default());
        let management = world.organization.management_account.as_str();
        let member = world.accounts[9].id.as_str();
        let of = |id: &str| json!({"AccountId": id});
        assert!(ask(&world, management, &of(member)).is_ok());
        assert_eq!(
            ask(&world, management, &of(management)).unwrap_err().code,
            "ValidationException"
        );
        assert_eq!(
            ask(&world, member, &of(management)).unwrap_err().code,
            "AccessDeniedException"
        );
        let suspended = world.accounts[3].id.as_str();
        let refused = ask(&world, management, &of(suspended)).unwrap_err();
        assert_eq!(refused.code, "AccessDeniedException");
    }

    #[test]
    fn a_security_audit_role_may_not_list_regions() {
        let world = World::generate(&Options {
            accounts: 50,
            ..Options::default()
        });
        let poor = world.accounts.iter().find(|a| a.lacks(LIST_REGIONS));
        let refused = ask(&world, &poor.unwrap().id, &json!({})).unwrap_err();
        assert_eq!(
            (refused.status, refused.code.as_str()),
            (403, "AccessDeniedException")
        );
        assert!(refused.message.contains(LIST_REGIONS), "{refused:?}");
    }
}

//! AWS Organizations (awsJson1.1): the organization, its tree, its accounts and their tags.

use serde_json::{Map, Value, json};

use super::json;
use crate::sandbox::World;
use crate::sandbox::wire::{AwsError, Request, Response};
use crate::sandbox::world::organization::{Account, Unit};

/// Most accounts, units or roots in one page.
const PAGE: usize = 20;

/// Answers a request to Organizations.
pub fn handle(world: &World, now_ms: i64, request: &Request) -> Result<Response, AwsError> {
    let caller = request.caller.account.as_str();
    if world.account(caller).is_none() {
        return Err(AwsError::new(
            400,
            "AWSOrganizationsNotInUseException",
            "Your account is not a member of an organization.",
        ));
    }
    if request.operation == "DescribeOrganization" {
        return Ok(json::reply(&json!({"Organization": organization(world)})));
    }
    if !world.organization.may_read(caller) {
        return Err(AwsError::new(
            400,
            "AccessDeniedException",
            "You don't have permissions to access this resource.",
        ));
    }
    let input = json::input(request)?;
    let body = match request.operation.as_str() {
        "ListAccounts" => {
            let members = world.accounts.iter().filter(|a| a.is_member_at(now_ms));
            let accounts: Vec<&Account> = members.collect();
            let (page, next) = ragged_page(&accounts, &input)?;
            listing(
                "Accounts",
                page.iter().map(|a| account(world, a)).collect(),
                next,
            )
        }
        "ListRoots" => listing("Roots", vec![root(world)], None),
        "ListOrganizationalUnitsForParent" => {
            let parent = known_parent(world, &input)?;
            let below = |unit: &&Unit| unit.parent == parent;
            let units: Vec<&Unit> = world.organization.units.iter().filter(below).collect();
            let (page, next) = plain_page(&units, &input)?;
            let shown = page.iter().map(|u| unit(world, u)).collect();
            listing("OrganizationalUnits", shown, next)
        }
        "ListAccountsForParent" => {
            let parent = known_parent(world, &input)?;
            let below =
                |account: &&Account| account.parent == parent && account.is_member_at(now_ms);
            let accounts: Vec<&Account> = world.accounts.iter().filter(below).collect();
            let (page, next) = plain_page(&accounts, &input)?;
            listing(
                "Accounts",
                page.iter().map(|a| account(world, a)).collect(),
                next,
            )
        }
        "ListParents" => {
            let child = json::required(&input, "ChildId")?;
            let parent = parent_of(world, child).ok_or_else(|| {
                error(
                    "ChildNotFoundException",
                    "You specified a child that doesn't exist.",
                )
            })?;
            let kind = if parent.starts_with("r-") {
                "ROOT"
            } else {
                "ORGANIZATIONAL_UNIT"
            };
            listing("Parents", vec![json!({"Id": parent, "Type": kind})], None)
        }
        "ListTagsForResource" => {
            let id = json::required(&input, "ResourceId")?;
            let known = parent_of(world, id).is_some() || id == world.organization.root_id;
            if !known {
                let message = "You specified a target that doesn't exist.";
                return Err(error("TargetNotFoundException", message));
            }
            let tags = world
                .account(id)
                .map(|account| account.tags.as_slice())
                .unwrap_or_default();
            let tags = tags
                .iter()
                .map(|(key, value)| json!({"Key": key, "Value": value}));
            listing("Tags", tags.collect(), None)
        }
        _ => return Err(json::unknown_operation(request)),
    };
    Ok(json::reply(&body))
}

fn error(code: &str, message: &str) -> AwsError {
    AwsError::new(400, code, message)
}

fn listing(name: &str, items: Vec<Value>, next: Option<usize>) -> Value {
    let mut body = json!({});
    body[name] = Value::Array(items);
    if let Some(next) = next {
        body["NextToken"] = json!(json::token(next));
    }
    body
}

fn start(input: &Map<String, Value>) -> Result<usize, AwsError> {
    match json::text(input, "NextToken") {
        None => Ok(0),
        Some(token) => json::position(token)
            .ok_or_else(|| error("InvalidInputException", "You specified an invalid value.")),
    }
}

fn plain_page<'a, T>(
    items: &'a [T],
    input: &Map<String, Value>,
) -> Result<(&'a [T], Option<usize>), AwsError> {
    Ok(json::page(
        items,
        start(input)?,
        json::page_size(input, "MaxResults", PAGE, PAGE)?,
    ))
}

/// Pages as Organizations may give them: the first is shorter than it could be, and every page of
/// accounts is followed by an empty one that still has a token. The position counts in half steps:
/// an even one stands for a page of accounts, an odd one for the empty page before it.
fn ragged_page<'a, T>(
    items: &'a [T],
    input: &Map<String, Value>,
) -> Result<(&'a [T], Option<usize>), AwsError> {
    let position = start(input)?;
    let (from, is_empty) = (position / 2, position % 2 == 1);
    if is_empty {
        return Ok((&[], Some(position - 1)));
    }
    let most = json::page_size(input, "MaxResults", PAGE, PAGE)?;
    let size = if from == 0 {
        most.min(items.len().div_ceil(2))
    } else {
        most
    };
    let (page, next) = json::page(items, from, size);
    Ok((page, next.map(|next| next * 2 + 1)))
}

fn known_parent<'a>(world: &World, input: &'a Map<String, Value>) -> Result<&'a str, AwsError> {
    let parent = json::required(input, "ParentId")?;
    let known = parent == world.organization.root_id
        || world
            .organization
            .units
            .iter()
            .any(|unit| unit.id == parent);
    if known {
        Ok(parent)
    } else {
        Err(error(
            "ParentNotFoundException",
            "You specified parent that doesn't exist.",
        ))
    }
}

fn parent_of<'a>(world: &'a World, child: &str) -> Option<&'a str> {
    let unit = world
        .organization
        .units
        .iter()
        .find(|unit| unit.id == child);
    let account = world.account(child);
    unit.map(|unit| unit.parent.as_str())
        .or_else(|| account.map(|account| account.parent.as_str()))
}

fn arn(world: &World, rest: &str) -> String {
    format!(
        "arn:aws:organizations::{}:{rest}",
        world.organization.management_account
    )
}

fn organization(world: &World) -> Value {
    let organization = &world.organization;
    let master = &organization.management_account;
    json!({
        "Id": organization.id,
        "Arn": arn(world, &format!("organization/{}", organization.id)),
        "FeatureSet": "ALL",
        "MasterAccountId": master,
        "MasterAccountArn": arn(world, &format!("account/{}/{master}", organization.id)),
        "MasterAccountEmail": world.account(master).map(|account| account.email.as_str()),
        "AvailablePolicyTypes": [{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}],
    })
}

fn root(world: &World) -> Value {
    let organization = &world.organization;
    json!({
        "Id": organization.root_id,
        "Arn": arn(world, &format!("root/{}/{}", organization.id, organization.root_id)),
        "Name": "Root",
        "PolicyTypes": [{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}],
    })
}

fn unit(world: &World, unit: &Unit) -> Value {
    json!({
        "Id": unit.id,
        "Arn": arn(world, &format!("ou/{}/{}", world.organization.id, unit.id)),
        "Name": unit.name,
    })
}

fn account(world: &World, account: &Account) -> Value {
    let mut body = json!({
        "Id": account.id,
        "Arn": arn(world, &format!("account/{}/{}", world.organization.id, account.id)),
        "Email": account.email,
        "Name": account.name,
        "State": account.state.as_str(),
        "Paths": [account.path],
        "JoinedMethod": "CREATED",
        "JoinedTimestamp": json::seconds(account.joined_ms),
    });
    if let Some(status) = account.state.status() {
        body["Status"] = json!(status);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::super::testing::{body, request};
    use super::*;
    use crate::sandbox::Options;

    #[test]
    fn pages_of_accounts_lose_none_and_some_are_empty() {
        for (accounts, most) in [(1, 20), (12, 20), (12, 1), (57, 20)] {
            let world = World::generate(&Options {
                accounts,
                ..Options::default()
            });
            let caller = world.organization.management_account.as_str();
            let (mut seen, mut empty) = (Vec::new(), 0);
            let mut input = json!({"MaxResults": most});
            loop {
                let asked = request(caller, "us-east-1", "ListAccounts", &input);
                let answer = body(&handle(&world, 0, &asked).unwrap());
                let page = answer["Accounts"].as_array().unwrap();
                assert!(page.len() <= most);
                empty += usize::from(page.is_empty() && answer.get("NextToken").is_some());
                seen.extend(page.iter().map(|account| account["Id"].clone()));
                match answer.get("NextToken") {
                    Some(token) => input["NextToken"] = token.clone(),
                    None => break,
                }
            }
            let expected: Vec<_> = world.accounts.iter().map(|a| json!(a.id)).collect();
            assert_eq!(seen, expected);
            assert!(accounts == 1 || empty > 0);
        }
    }

    #[test]
    fn the_tree_holds_every_account_once_and_paths_agree_with_it() {
        let world = World::generate(&Options::default());
        let caller = world.organization.management_account.as_str();
        let ask = |operation: &str, input: Value| {
            body(&handle(&world, 0, &request(caller, "us-east-1", operation, &input)).unwrap())
        };
        let root = ask("ListRoots", json!({}))["Roots"][0]["Id"]
            .as_str()
            .unwrap()
            .to_owned();
        let mut open = vec![(root.clone(), format!("{}/{root}/", world.organization.id))];
        let mut seen = 0;
        while let Some((parent, path)) = open.pop() {
            let below = ask("ListAccountsForParent", json!({"ParentId": parent}));
            for account in below["Accounts"].as_array().unwrap() {
                assert_eq!(account["Paths"], json!([path]));
                seen += 1;
            }
            let units = ask(
                "ListOrganizationalUnitsForParent",
                json!({"ParentId": parent}),
            );
            for unit in units["OrganizationalUnits"].as_array().unwrap() {
                let id = unit["Id"].as_str().unwrap();
                open.push((id.to_owned(), format!("{path}{id}/")));
            }
        }
        assert_eq!(seen, world.accounts.len());
    }

    #[test]
    fn strangers_and_members_are_told_apart() {
        let world = World::generate(&Options::default());
        let ask = |caller: &str, operation: &str| {
            let asked = request(caller, "us-east-1", operation, &json!({}));
            handle(&world, 0, &asked).map_err(|error| error.code)
        };
        let stranger = ask(&world.foreign_account, "DescribeOrganization");
        assert_eq!(stranger.unwrap_err(), "AWSOrganizationsNotInUseException");
        let member = world.accounts[9].id.as_str();
        assert!(ask(member, "DescribeOrganization").is_ok());
        assert_eq!(
            ask(member, "ListAccounts").unwrap_err(),
            "AccessDeniedException"
        );
        assert!(
            ask(
                &world.organization.delegated_administrators[0],
                "ListAccounts"
            )
            .is_ok()
        );
    }
}

//! AWS IAM (query protocol): GetAccountAuthorizationDetails
//! (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html>).
//!
//! Policy documents are URL-encoded, as RFC 3986 has it; users come first, then groups, roles and
//! policies, and a page may hold the last of one kind and the first of the next.

use std::fmt::Write as _;

use super::gate;
use crate::sandbox::World;
use crate::sandbox::wire::{AwsError, Request, Response, parse_pairs, xml_escape};
use crate::sandbox::world::access::IDENTITIES;
use crate::sandbox::world::identities::{Group, Identities, ManagedPolicy, Role, User};

const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1_000;

/// Answers a request to IAM.
pub fn handle(world: &World, _now_ms: i64, request: &Request) -> Result<Response, AwsError> {
    match request.operation.as_str() {
        "GetAccountAuthorizationDetails" => details(world, request),
        other => {
            let message = format!("Could not find operation {other} for version 2010-05-08");
            Err(AwsError::new(400, "InvalidAction", message))
        }
    }
}

/// One entry of one of the four lists.
enum Entry<'a> {
    User(&'a User),
    Group(&'a Group),
    Role(&'a Role),
    Policy(&'a ManagedPolicy),
}

impl Entry<'_> {
    /// The kind, as `Filter` names it.
    fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "User",
            Self::Group(_) => "Group",
            Self::Role(_) => "Role",
            Self::Policy(policy) if policy.arn.contains("::aws:") => "AWSManagedPolicy",
            Self::Policy(_) => "LocalManagedPolicy",
        }
    }
}

fn details(world: &World, request: &Request) -> Result<Response, AwsError> {
    let account = request.caller.account.as_str();
    let Some(owner) = world.account(account).filter(|a| a.state.is_usable()) else {
        return Err(AwsError::new(
            403,
            "InvalidClientTokenId",
            "The security token included in the request is invalid",
        ));
    };
    if gate::lacks(owner, &request.caller, IDENTITIES) {
        let message = format!(
            "User: {} is not authorized to perform: {IDENTITIES} on resource: * {}",
            gate::caller_arn(&request.caller),
            gate::not_allowed(IDENTITIES)
        );
        return Err(AwsError::new(403, "AccessDenied", message));
    }
    let form = std::str::from_utf8(&request.body)
        .ok()
        .and_then(parse_pairs);
    let form = form.unwrap_or_default();
    let field = |name: &str| {
        form.iter()
            .find(|(key, _)| key == name)
            .map(|(_, v)| v.as_str())
    };
    let kinds: Vec<&str> = form
        .iter()
        .filter(|(key, _)| key.starts_with("Filter.member."))
        .map(|(_, kind)| kind.as_str())
        .collect();
    let size = match field("MaxItems") {
        None => PAGE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|size| (1..=LARGEST_PAGE).contains(size))
            .ok_or_else(|| invalid("maxItems"))?,
    };
    let from = match field("Marker") {
        None => 0,
        Some(marker) => marker
            .strip_prefix("from-")
            .and_then(|from| from.parse().ok())
            .ok_or_else(|| invalid("marker"))?,
    };

    let all = world
        .identities(account)
        .unwrap_or_else(|| Identities::of(0, owner, false));
    let users = all.users.iter().map(Entry::User);
    let groups = all.groups.iter().map(Entry::Group);
    let roles = all.roles.iter().map(Entry::Role);
    let wanted: Vec<Entry<'_>> = users
        .chain(groups)
        .chain(roles)
        .chain(all.policies.iter().map(Entry::Policy))
        .filter(|entry| kinds.is_empty() || kinds.contains(&entry.kind()))
        .collect();
    let rest = wanted.get(from..).unwrap_or_default();
    let page = &rest[..rest.len().min(size)];
    let next = (rest.len() > size).then(|| format!("from-{}", from + size));
    Ok(reply(request, account, page, next.as_deref()))
}

fn reply(request: &Request, account: &str, page: &[Entry<'_>], next: Option<&str>) -> Response {
    let members = |wanted: fn(&Entry<'_>) -> bool| {
        page.iter()
            .filter(|entry| wanted(entry))
            .fold(String::new(), |mut text, entry| {
                let _ = write!(text, "<member>{}</member>", member(account, entry));
                text
            })
    };
    let next = next.map_or_else(String::new, |marker| format!("<Marker>{marker}</Marker>"));
    let body = format!(
        "<GetAccountAuthorizationDetailsResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
         <GetAccountAuthorizationDetailsResult><IsTruncated>{}</IsTruncated>{next}\
         <UserDetailList>{}</UserDetailList><GroupDetailList>{}</GroupDetailList>\
         <RoleDetailList>{}</RoleDetailList><Policies>{}</Policies>\
         </GetAccountAuthorizationDetailsResult><ResponseMetadata><RequestId>{}</RequestId>\
         </ResponseMetadata></GetAccountAuthorizationDetailsResponse>",
        !next.is_empty(),
        members(|entry| matches!(entry, Entry::User(_))),
        members(|entry| matches!(entry, Entry::Group(_))),
        members(|entry| matches!(entry, Entry::Role(_))),
        members(|entry| matches!(entry, Entry::Policy(_))),
        xml_escape(&request.request_id),
    );
    Response::with_body(200, "text/xml", body)
}

fn member(account: &str, entry: &Entry<'_>) -> String {
    const CREATED: &str = "<CreateDate>2024-03-01T12:00:00Z</CreateDate>";
    match entry {
        Entry::User(user) => format!(
            "<Path>/</Path><UserName>{name}</UserName><UserId>{}</UserId>\
             <Arn>arn:aws:iam::{account}:user/{name}</Arn>{CREATED}<UserPolicyList/>\
             <GroupList>{}</GroupList>{}{}",
            user.id,
            user.groups
                .iter()
                .map(|g| format!("<member>{g}</member>"))
                .collect::<String>(),
            attached(&user.attached),
            tags(&user.tags),
            name = user.name,
        ),
        Entry::Group(group) => format!(
            "<Path>/</Path><GroupName>{name}</GroupName><GroupId>{}</GroupId>\
             <Arn>arn:aws:iam::{account}:group/{name}</Arn>{CREATED}\
             <GroupPolicyList>{}</GroupPolicyList>{}",
            group.id,
            inline(&group.inline),
            attached(&group.attached),
            name = group.name,
        ),
        Entry::Role(role) => self::role(account, role),
        Entry::Policy(policy) => managed(policy),
    }
}

fn role(account: &str, role: &Role) -> String {
    let (name, path) = (&role.name, role.path);
    let arn = format!("arn:aws:iam::{account}:role{path}{name}");
    let itself = format!(
        "<Path>{path}</Path><RoleName>{name}</RoleName><RoleId>{}</RoleId><Arn>{arn}</Arn>\
         <CreateDate>2024-03-01T12:00:00Z</CreateDate>\
         <AssumeRolePolicyDocument>{}</AssumeRolePolicyDocument>",
        role.id,
        url_encoded(&role.trust),
    );
    let profiles = role.profiles.iter().fold(String::new(), |mut text, profile| {
        let _ = write!(
            text,
            "<member><Path>/</Path><InstanceProfileName>{profile}</InstanceProfileName>\
             <InstanceProfileId>AIPASANDBOXSANDBOX01</InstanceProfileId>\
             <Arn>arn:aws:iam::{account}:instance-profile/{profile}</Arn>\
             <CreateDate>2024-03-01T12:00:00Z</CreateDate><Roles><member>{itself}</member></Roles></member>"
        );
        text
    });
    let boundary = role.boundary.as_ref().map_or_else(String::new, |arn| {
        format!(
            "<PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType>\
             <PermissionsBoundaryArn>{arn}</PermissionsBoundaryArn></PermissionsBoundary>"
        )
    });
    format!(
        "{itself}<Description>{}</Description><InstanceProfileList>{profiles}</InstanceProfileList>\
         <RolePolicyList>{}</RolePolicyList>{}{boundary}{}",
        xml_escape(&role.description),
        inline(&role.inline),
        attached(&role.attached),
        tags(&role.tags),
    )
}

fn managed(policy: &ManagedPolicy) -> String {
    let name = policy.arn.rsplit('/').next().unwrap_or_default();
    let last = policy.versions.len();
    // IAM shows the default version first.
    let versions = policy.versions.iter().enumerate().rev();
    let versions = versions.fold(String::new(), |mut text, (index, document)| {
        let _ = write!(
            text,
            "<member><Document>{}</Document><VersionId>v{}</VersionId>\
             <IsDefaultVersion>{}</IsDefaultVersion>\
             <CreateDate>2024-03-01T12:00:00Z</CreateDate></member>",
            url_encoded(document),
            index + 1,
            index + 1 == last,
        );
        text
    });
    format!(
        "<PolicyName>{name}</PolicyName><PolicyId>ANPASANDBOXSANDBOX01</PolicyId><Arn>{}</Arn>\
         <Path>/</Path><DefaultVersionId>v{last}</DefaultVersionId><AttachmentCount>1</AttachmentCount>\
         <PermissionsBoundaryUsageCount>0</PermissionsBoundaryUsageCount>\
         <IsAttachable>true</IsAttachable><CreateDate>2024-03-01T12:00:00Z</CreateDate>\
         <UpdateDate>2024-03-01T12:00:00Z</UpdateDate>\
         <PolicyVersionList>{versions}</PolicyVersionList>",
        policy.arn,
    )
}

fn inline(policies: &[(&'static str, String)]) -> String {
    policies.iter().fold(String::new(), |mut text, (name, document)| {
        let _ = write!(
            text,
            "<member><PolicyName>{name}</PolicyName><PolicyDocument>{}</PolicyDocument></member>",
            url_encoded(document)
        );
        text
    })
}

fn attached(arns: &[String]) -> String {
    let members = arns.iter().fold(String::new(), |mut text, arn| {
        let name = arn.rsplit('/').next().unwrap_or_default();
        let _ = write!(
            text,
            "<member><PolicyName>{name}</PolicyName><PolicyArn>{arn}</PolicyArn></member>"
        );
        text
    });
    format!("<AttachedManagedPolicies>{members}</AttachedManagedPolicies>")
}

fn tags(tags: &[(&'static str, String)]) -> String {
    let members = tags.iter().fold(String::new(), |mut text, (key, value)| {
        let value = xml_escape(value);
        let _ = write!(
            text,
            "<member><Key>{key}</Key><Value>{value}</Value></member>"
        );
        text
    });
    format!("<Tags>{members}</Tags>")
}

/// RFC 3986: everything but the unreserved characters is escaped.
fn url_encoded(document: &str) -> String {
    document.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

fn invalid(what: &str) -> AwsError {
    AwsError::new(
        400,
        "ValidationError",
        format!("1 validation error detected: the value at '{what}' is not valid"),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::super::testing::request;
    use super::*;
    use crate::sandbox::Options;
    use crate::sandbox::world::identities::{NODE, PLAIN};

    fn ask(world: &World, account: &str, form: &str) -> Result<String, AwsError> {
        let mut asked = request(
            account,
            "us-east-1",
            "GetAccountAuthorizationDetails",
            &Value::Null,
        );
        asked.body =
            format!("Action=GetAccountAuthorizationDetails&Version=2010-05-08{form}").into();
        let answer = handle(world, 0, &asked)?;
        Ok(String::from_utf8(answer.body).expect("text"))
    }

    /// All texts between two tags.
    fn all<'a>(text: &'a str, tag: &str) -> Vec<&'a str> {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        let parts = text.split(open.as_str()).skip(1);
        parts
            .filter_map(|part| part.split(close.as_str()).next())
            .collect()
    }

    #[test]
    fn pages_tell_every_entry_once_and_filters_choose_the_kind() {
        let world = World::generate(&Options::default());
        let archive = world.log_archive_account();
        let expected = world.identities(archive).expect("identities");
        let (mut names, mut pages, mut marker) = (vec![], 0, String::new());
        loop {
            let page =
                ask(&world, archive, &format!("&Filter.member.1=Role{marker}")).expect("page");
            assert!(all(&page, "UserId").is_empty() && all(&page, "PolicyId").is_empty());
            let lists = all(&page, "RoleDetailList");
            names.extend(all(lists[0], "Description").into_iter().map(str::to_owned));
            pages += 1;
            match all(&page, "Marker").first() {
                Some(next) => marker = format!("&Marker={next}"),
                None => break,
            }
        }
        assert!(pages > 1, "an old account has more than one page");
        assert_eq!(names.len(), expected.roles.len());
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());

        let member = &world.accounts[9].id;
        let page = ask(
            &world,
            member,
            "&Filter.member.1=LocalManagedPolicy&Filter.member.2=Group",
        )
        .expect("page");
        assert_eq!(all(&page, "GroupId").len(), 1);
        assert!(all(&page, "Arn").iter().all(|arn| !arn.contains("::aws:")));
        for bad in ["&MaxItems=0", "&MaxItems=1001", "&Marker=x"] {
            assert_eq!(
                ask(&world, member, bad).unwrap_err().code,
                "ValidationError"
            );
        }
    }

    #[test]
    fn documents_are_url_encoded_and_profiles_name_their_role() {
        let world = World::generate(&Options::default());
        let member = &world.accounts[9].id;
        let page = ask(&world, member, "").expect("page");
        for document in all(&page, "PolicyDocument") {
            assert!(
                document.starts_with("%7B") && !document.contains('"'),
                "{document}"
            );
        }
        for (profile, role) in [(NODE, ":role/emr-node"), (PLAIN, ":role/data/plain-writer")] {
            let at = page
                .find(&format!("instance-profile/{profile}<"))
                .expect("profile");
            let holder = all(&page[at..], "Arn")[0];
            assert!(holder.ends_with(role), "{profile}: {holder}");
        }
    }

    #[test]
    fn a_role_without_the_action_is_refused() {
        let world = World::generate(&Options {
            accounts: 50,
            ..Options::default()
        });
        let closed = world
            .accounts
            .iter()
            .find(|a| !a.shows_identities())
            .expect("one");
        let refused = ask(&world, &closed.id, "").unwrap_err();
        assert_eq!(
            (refused.status, refused.code.as_str()),
            (403, "AccessDenied")
        );
        assert!(refused.message.contains(IDENTITIES), "{}", refused.message);
    }
}

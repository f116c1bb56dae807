//! Grants, aliases, keys and identities as AWS words them.

use super::{KEY, account, json_error};
use crate::aws::canned::{Canned, Reply};
use crate::collect::api::{Cloud as _, ErrorClass, Identity, IdentityKinds, Member, PrincipalKind};
use crate::model::ids::Region;

fn region() -> Region {
    "eu-west-1".parse().expect("Region")
}

async fn member(server: &Canned) -> Box<dyn Member> {
    server.shell().await.own_session(&account())
}

fn form(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

#[tokio::test]
async fn grants_are_read_with_their_constraints_and_pages() {
    let server = Canned::start(|_| {
        Reply::new(
            200,
            r#"{"Truncated":true,"NextMarker":"more","Grants":[
            {"GrantId":"g1","KeyId":"k","Name":"SECRET","CreationDate":1700000000.5,
             "GranteePrincipal":"arn:aws:iam::1:role/r","RetiringPrincipal":"arn:aws:iam::1:role/s",
             "IssuingAccount":"arn:aws:iam::1:root","Operations":["Decrypt","SomethingNew"],
             "Constraints":{"EncryptionContextSubset":{"aws:s3:arn":"a"}}},
            {"GrantId":"g2","GranteeServicePrincipal":"x.amazonaws.com"}]}"#,
        )
    })
    .await;
    let page = member(&server)
        .await
        .key_grants(&region(), KEY, Some("from".into()))
        .await;
    let page = page.expect("page");
    assert_eq!(page.next.as_deref(), Some("more"));
    let [first, second] = page.items.as_slice() else {
        panic!("two grants: {page:?}");
    };
    assert_eq!(first.operations, ["Decrypt", "SomethingNew"]);
    assert_eq!(first.created_at.map(|t| t.0), Some(1_700_000_000_500));
    let subset = first.constraints.encryption_context_subset.as_ref();
    assert_eq!(
        subset.and_then(|s| s.get("aws:s3:arn")).map(String::as_str),
        Some("a")
    );
    assert_eq!(second.grantee.as_deref(), Some("x.amazonaws.com"));
    assert!(!format!("{page:?}").contains("SECRET"));
    let asked = form(&server.requests()[0].body);
    assert!(
        asked.contains(r#""Marker":"from""#) && asked.contains(r#""Limit":100"#),
        "{asked}"
    );
}

#[tokio::test]
async fn predefined_aliases_have_no_target() {
    let server = Canned::start(|seen| match seen.header("x-amz-target") {
        Some(t) if t.ends_with("ListAliases") => Reply::new(
            200,
            r#"{"Truncated":false,"NextMarker":"ignored","Aliases":[
            {"AliasName":"alias/aws/s3","AliasArn":"a"},
            {"AliasName":"alias/logs","TargetKeyId":"k1","LastUpdatedDate":1700000000}]}"#,
        ),
        Some(t) if t.ends_with("ListKeys") => Reply::new(
            200,
            r#"{"Keys":[{"KeyId":"k1","KeyArn":"a"},{}],"Truncated":false}"#,
        ),
        _ => json_error("AccessDeniedException", "no"),
    })
    .await;
    let member = member(&server).await;
    let page = member.aliases(&region(), None).await.expect("page");
    let found: Vec<_> = page
        .items
        .iter()
        .map(|a| {
            (
                a.name.as_str(),
                a.target.as_deref(),
                a.updated_at.map(|t| t.0),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("alias/aws/s3", None, None),
            ("alias/logs", Some("k1"), Some(1_700_000_000_000)),
        ]
    );
    assert_eq!(page.next, None);
    let keys = member.key_ids(&region(), None).await.expect("page");
    assert_eq!((keys.items, keys.next), (vec!["k1".to_owned()], None));
}

const ROLES: &str = r#"<GetAccountAuthorizationDetailsResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">
<GetAccountAuthorizationDetailsResult><IsTruncated>true</IsTruncated><Marker>m/2==</Marker>
<RoleDetailList><member><Path>/a/</Path><RoleName>r</RoleName><RoleId>AROA1</RoleId>
<Arn>arn:aws:iam::111122223333:role/a/r</Arn><CreateDate>2024-03-01T12:00:00Z</CreateDate>
<AssumeRolePolicyDocument>%7B%22SECRET%22%3A1%7D</AssumeRolePolicyDocument>
<InstanceProfileList><member><Path>/</Path><InstanceProfileName>p</InstanceProfileName>
<InstanceProfileId>AIPA1</InstanceProfileId><Arn>arn:aws:iam::111122223333:instance-profile/p</Arn>
<CreateDate>2024-03-01T12:00:00Z</CreateDate><Roles/></member></InstanceProfileList>
<RolePolicyList><member><PolicyName>i</PolicyName><PolicyDocument>%7B%22Statement%22%3A%5B%5D%7D</PolicyDocument></member></RolePolicyList>
<AttachedManagedPolicies><member><PolicyName>n</PolicyName><PolicyArn>arn:aws:iam::aws:policy/n</PolicyArn></member></AttachedManagedPolicies>
<PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType><PermissionsBoundaryArn>arn:b</PermissionsBoundaryArn></PermissionsBoundary>
<Tags><member><Key>unit</Key><Value>retail</Value></member></Tags></member></RoleDetailList>
</GetAccountAuthorizationDetailsResult></GetAccountAuthorizationDetailsResponse>"#;

#[tokio::test]
async fn roles_are_read_with_profiles_policies_and_boundary() {
    let server = Canned::start(|_| Reply::new(200, ROLES)).await;
    let member = member(&server).await;
    let page = member
        .identities(IdentityKinds::Principals, Some("m/1==".into()))
        .await;
    let page = page.expect("page");
    assert_eq!(page.next.as_deref(), Some("m/2=="));
    let [Identity::Principal(role)] = page.items.as_slice() else {
        panic!("one role: {page:?}");
    };
    assert_eq!((role.kind, role.name.as_str()), (PrincipalKind::Role, "r"));
    assert_eq!(role.instance_profiles, ["p"]);
    assert_eq!(role.inline, [r#"{"Statement":[]}"#]);
    assert_eq!(role.attached, ["arn:aws:iam::aws:policy/n"]);
    assert_eq!(role.boundary.as_deref(), Some("arn:b"));
    assert_eq!(role.tags[0].value, "retail");
    assert!(!format!("{page:?}").contains("SECRET"), "no trust policy");
    let seen = server.requests();
    let asked = form(&seen[0].body);
    for part in [
        "Action=GetAccountAuthorizationDetails",
        "Filter.member.1=User",
        "Filter.member.2=Role",
        "Marker=m%2F1%3D%3D",
    ] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    let signed = seen[0].header("authorization").unwrap_or_default();
    assert!(
        signed.contains("/us-east-1/iam/"),
        "IAM is global: {signed}"
    );
}

#[tokio::test]
async fn a_refusal_of_iam_is_a_missing_permission() {
    let server = Canned::start(|_| {
        Reply::new(
            403,
            "<ErrorResponse><Error><Code>AccessDenied</Code><Message>because no identity-based \
             policy allows the iam:GetAccountAuthorizationDetails action</Message></Error>\
             <RequestId>req-1</RequestId></ErrorResponse>",
        )
    })
    .await;
    let member = member(&server).await;
    let error = member
        .identities(IdentityKinds::Policies, None)
        .await
        .expect_err("refused");
    assert_eq!(
        (error.class, error.region.as_str()),
        (ErrorClass::DeniedIam, "global")
    );
    let asked = form(&server.requests()[0].body);
    assert!(
        asked.contains("Filter.member.3=AWSManagedPolicy"),
        "{asked}"
    );
}

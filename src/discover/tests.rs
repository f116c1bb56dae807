use std::sync::Arc;

use tokio::sync::watch;

use super::*;
use crate::collect::api::Organization;
use crate::collect::exceptions::tests::rule;
use crate::collect::fake::{FakeCloud, START, TestClock, What, id};
use crate::collect::random::seeded;
use crate::collect::{api::ErrorClass, operation::Operation};
use crate::model::words::ExceptionKind;
use crate::time::Clock;

fn world() -> (FakeCloud, Attempts) {
    let clock = TestClock::new();
    let cloud = FakeCloud::new(clock.clone());
    let attempts = Attempts::new(clock, seeded(1), 8, 1.0, watch::channel(false).1);
    (cloud, attempts)
}

fn listed(account: &str, state: Option<&str>, path: Option<&str>) -> ListedAccount {
    ListedAccount {
        name: Some("x".to_owned()),
        state: state.map(str::to_owned),
        path: path.map(str::to_owned),
        ..bare(&id(account))
    }
}

fn organization() -> ScopeRequest {
    let mode = Mode::Organization { expected_id: None };
    ScopeRequest::new(mode, UtcMillis(START).date())
}

async fn find(
    cloud: &FakeCloud,
    attempts: &Attempts,
    request: &ScopeRequest,
) -> Result<Scope, DiscoverError> {
    discover(cloud, attempts, request, cloud.clock.now()).await
}

/// An organization of accounts that each have an owner, who is asked for.
fn tagged(cloud: &FakeCloud, accounts: usize) -> ScopeRequest {
    cloud.with(|s| {
        for i in 1..=accounts {
            let name = format!("{i:012}");
            s.listed.push(listed(&name, Some("ACTIVE"), ROOT));
            let tag = Tag {
                name: "owner".to_owned(),
                value: format!("team-{i}"),
            };
            s.account_tags.insert(name, vec![tag]);
        }
    });
    let mut request = organization();
    request.tags.owner = Some("owner".to_owned());
    request
}

const ROOT: Option<&str> = Some("o-example/r-1/");
const UNIT: Option<&str> = Some("o-example/r-1/ou-1/");

#[tokio::test]
async fn every_listed_account_has_a_row_and_a_reason_if_left_out() {
    let (cloud, attempts) = world();
    cloud.with(|s| {
        s.listed = vec![
            listed("000000000004", Some("PENDING_CLOSURE"), UNIT),
            listed("000000000003", Some("CLOSED"), UNIT),
            listed("000000000002", None, UNIT),
            listed("000000000001", Some("ACTIVE"), ROOT),
            listed("999988887777", Some("ACTIVE"), ROOT),
            listed("000000000005", Some("ACTIVE"), Some("o-example/r-1/ou-2/")),
        ];
        s.page_size = 2;
    });
    cloud.fault(Operation::ListAccounts, What::EmptyFirst).add();
    let mut request = organization();
    let mut approved = rule("sandboxes", ExceptionKind::Exclude);
    approved.ous = vec!["ou-2".to_owned()];
    request.exceptions = vec![approved];
    let scope = find(&cloud, &attempts, &request).await.expect("scope");
    let got: Vec<_> = scope
        .accounts
        .iter()
        .map(|a| {
            (
                a.account_id.as_str(),
                a.in_scope,
                a.left_out_because.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        got,
        [
            ("000000000001", true, None),
            ("000000000002", true, None),
            ("000000000003", false, Some("state")),
            ("000000000004", true, None),
            ("000000000005", false, Some("sandboxes")),
            ("999988887777", true, None),
        ]
    );
    assert!(scope.accounts[0].management, "and it belongs to the scope");
    assert_eq!(scope.organization_id.as_deref(), Some("o-example"));
    assert_eq!(cloud.count(Operation::ListRoots), 0, "AWS gave the paths");
    assert_eq!(cloud.count(Operation::ListTagsForResource), 0);
    assert!(scope.account(&id("000000000003")).is_some());
}

#[tokio::test]
async fn missing_paths_cost_one_walk_of_the_tree() {
    let (cloud, attempts) = world();
    cloud.with(|s| {
        s.listed = vec![
            listed("000000000001", Some("ACTIVE"), ROOT),
            listed("000000000002", Some("ACTIVE"), None),
            listed("000000000003", Some("ACTIVE"), None),
        ];
        s.roots = vec!["r-1".to_owned()];
        s.tree.insert(
            "r-1".to_owned(),
            (vec!["ou-1".to_owned()], vec![id("000000000001")]),
        );
        // A tree that leads back to itself is walked once.
        s.tree.insert(
            "ou-1".to_owned(),
            (vec!["ou-2".to_owned(), "r-1".to_owned()], vec![]),
        );
        s.tree.insert(
            "ou-2".to_owned(),
            (vec![], vec![id("000000000002"), id("000000000003")]),
        );
    });
    let mut request = organization();
    request.ous = vec!["ou-1".to_owned()];
    let scope = find(&cloud, &attempts, &request).await.expect("scope");
    let path = |i: usize| scope.accounts[i].ou_path.as_deref();
    assert_eq!(path(0), Some("o-example/r-1/"));
    assert_eq!(path(1), Some("o-example/r-1/ou-1/ou-2/"));
    let selected: Vec<_> = scope.accounts.iter().map(|a| a.in_scope).collect();
    assert_eq!(selected, [false, true, true]);
    assert_eq!(cloud.count(Operation::ListAccountsForParent), 3);
}

/// With answers that take ten seconds, AWS's rate decides how long it takes, not the answers.
#[tokio::test]
async fn tags_of_many_accounts_are_read_side_by_side() {
    let (cloud, attempts) = world();
    let request = tagged(&cloud, 80);
    cloud.with(|s| s.latency = Duration::from_secs(10));
    let began = cloud.clock.now().0;
    let scope = find(&cloud, &attempts, &request).await.expect("scope");
    for (i, account) in (1..).zip(scope.accounts.iter()) {
        assert_eq!(account.account_id.as_str(), format!("{i:012}"));
        assert_eq!(account.owner, Some(format!("team-{i}")));
    }
    assert_eq!(cloud.count(Operation::ListTagsForResource), 80);
    let took = (cloud.clock.now().0 - began) / 1_000;
    assert!(took < 200, "{took} s; one after the other, 80 take 800 s");
}

/// Tags have half of the time that a run has, since who owns an account is worth less than what is in it.
#[tokio::test]
async fn the_deadline_leaves_the_tags_of_the_other_accounts_unread() {
    let (cloud, attempts) = world();
    let mut request = tagged(&cloud, 80);
    cloud.with(|s| s.latency = Duration::from_secs(10));
    let began = cloud.clock.now();
    request.deadline = Some(began.plus_ms(120_000));
    let scope = find(&cloud, &attempts, &request).await.expect("scope");
    let owned = scope.accounts.iter().filter(|a| a.owner.is_some()).count();
    assert_eq!(scope.accounts.len(), 80);
    assert!((8..=40).contains(&owned), "{owned}");
    let took = (cloud.clock.now().0 - began.0) / 1_000;
    assert!((60..=70).contains(&took), "{took} s");
}

#[tokio::test]
async fn tags_are_asked_for_where_a_name_is_configured_and_an_account_is_in_scope() {
    let (cloud, attempts) = world();
    cloud.with(|s| {
        s.listed = vec![
            listed("000000000001", Some("ACTIVE"), ROOT),
            listed("000000000002", Some("SUSPENDED"), ROOT),
        ];
        let tag = |name: &str, value: &str| Tag {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let tags = vec![tag("cost-center", "cc-1"), tag("secret", "SECRET")];
        s.account_tags.insert("000000000001".to_owned(), tags);
    });
    let mut request = organization();
    request.tags.cost_center = Some("cost-center".to_owned());
    let scope = find(&cloud, &attempts, &request).await.expect("scope");
    assert_eq!(scope.accounts[0].cost_center.as_deref(), Some("cc-1"));
    assert_eq!(scope.accounts[0].owner, None);
    assert_eq!(cloud.count(Operation::ListTagsForResource), 1);
}

/// That nobody tells tags is no reason to look at nothing: a list is what is used without Organizations,
/// and of 10,000 accounts one leaves while the tags of the others are being read.
#[tokio::test]
async fn without_tags_there_is_a_scope_without_owners() {
    let id = |i: usize| -> AccountId { format!("{i:012}").parse().expect("an id") };
    let modes = [
        Mode::AccountList((1..=30).map(id).collect()),
        Mode::SingleAccount,
        Mode::Organization { expected_id: None },
    ];
    for mode in modes {
        // Not one is known; then nobody may ask.
        for (code, class) in [
            ("TargetNotFoundException", ErrorClass::NotFound),
            ("AccessDeniedException", ErrorClass::DeniedIam),
            ("AWSOrganizationsNotInUseException", ErrorClass::Refused),
        ] {
            let (cloud, attempts) = world();
            let mut request = tagged(&cloud, 30);
            let error = What::Error(class, code, "no");
            cloud.fault(Operation::ListTagsForResource, error).add();
            request.mode = mode.clone();
            let scope = find(&cloud, &attempts, &request).await.expect(code);
            assert!(
                scope
                    .accounts
                    .iter()
                    .all(|a| a.in_scope && a.owner.is_none())
            );
            let asked = cloud.count(Operation::ListTagsForResource);
            assert!(asked >= 1, "{code}");
            if code != "TargetNotFoundException" {
                assert!(asked <= 8, "{code}: {asked} times");
            }
        }
    }
    // One has left.
    let (cloud, attempts) = world();
    let request = tagged(&cloud, 30);
    let left = What::Error(ErrorClass::NotFound, "TargetNotFoundException", "gone");
    cloud
        .fault(Operation::ListTagsForResource, left)
        .times(1)
        .add();
    let scope = find(&cloud, &attempts, &request).await.expect("scope");
    let owned = scope.accounts.iter().filter(|a| a.owner.is_some());
    assert_eq!((scope.accounts.len(), owned.count()), (30, 29));
    // Of those that it knows, it tells.
    let (cloud, attempts) = world();
    let tag = Tag {
        name: "owner".to_owned(),
        value: "team".to_owned(),
    };
    cloud.with(|s| s.account_tags.insert(id(1).to_string(), vec![tag]));
    let mut request = organization();
    request.mode = Mode::AccountList(vec![id(1)]);
    request.tags.owner = Some("owner".to_owned());
    let scope = find(&cloud, &attempts, &request).await.expect("scope");
    assert_eq!(scope.accounts[0].owner.as_deref(), Some("team"));
}

#[tokio::test]
async fn the_wrong_organization_is_refused_before_anything_is_listed() {
    let (cloud, attempts) = world();
    let mut request = organization();
    request.mode = Mode::Organization {
        expected_id: Some("o-other".to_owned()),
    };
    let error = find(&cloud, &attempts, &request)
        .await
        .expect_err("refused");
    assert!(matches!(error, DiscoverError::WrongOrganization { .. }));
    assert!(error.to_string().contains("o-other"), "{error}");
    assert_eq!(cloud.count(Operation::ListAccounts), 0);
}

#[tokio::test]
async fn an_account_without_an_organization_learns_its_two_ways_out() {
    let (cloud, attempts) = world();
    cloud.with(|s| s.organization = None);
    let error = find(&cloud, &attempts, &organization())
        .await
        .expect_err("none");
    let text = error.to_string();
    assert!(
        text.contains("--single-account") && text.contains("--account-list"),
        "{text}"
    );
}

#[tokio::test]
async fn a_single_account_and_a_list_need_no_organization() {
    let (cloud, attempts) = world();
    cloud.with(|s| s.organization = None::<Organization>);
    let mut request = organization();
    request.mode = Mode::SingleAccount;
    let scope = find(&cloud, &attempts, &request).await.expect("scope");
    assert_eq!(scope.accounts[0].account_id, id("999988887777"));
    request.mode = Mode::AccountList(vec![
        id("000000000002"),
        id("000000000001"),
        id("000000000002"),
    ]);
    let scope = find(&cloud, &attempts, &request).await.expect("scope");
    assert_eq!(scope.accounts.len(), 2);
    assert!(scope.accounts.iter().all(|a| a.in_scope));
}

#[tokio::test]
async fn a_selection_that_names_nothing_is_an_error() {
    let (cloud, attempts) = world();
    cloud.with(|s| s.listed = vec![listed("000000000001", Some("ACTIVE"), ROOT)]);
    let mut request = organization();
    request.accounts = vec![id("000000000009")];
    let error = find(&cloud, &attempts, &request)
        .await
        .expect_err("unknown");
    assert_eq!(
        error,
        DiscoverError::UnknownAccounts(vec![id("000000000009")])
    );
    request.accounts = vec![];
    request.ous = vec!["ou-mistyped".to_owned()];
    let error = find(&cloud, &attempts, &request)
        .await
        .expect_err("nothing");
    assert_eq!(error, DiscoverError::NothingSelected);
}

#[tokio::test]
async fn zero_accounts_are_an_error_and_one_is_a_scope() {
    let (cloud, attempts) = world();
    let error = find(&cloud, &attempts, &organization())
        .await
        .expect_err("nothing");
    assert_eq!(error, DiscoverError::NothingSelected);
    cloud.with(|s| s.listed = vec![listed("000000000001", Some("ACTIVE"), ROOT)]);
    let scope = find(&cloud, &attempts, &organization()).await.expect("one");
    assert_eq!(scope.accounts.len(), 1);
}

#[tokio::test]
async fn an_account_that_is_listed_twice_is_one() {
    let (cloud, attempts) = world();
    let twice = listed("000000000002", Some("ACTIVE"), ROOT);
    cloud.with(|s| {
        s.listed = vec![
            twice.clone(),
            listed("000000000001", Some("ACTIVE"), ROOT),
            twice,
        ];
        s.page_size = 2;
    });
    let scope = find(&cloud, &attempts, &organization())
        .await
        .expect("scope");
    let ids: Vec<_> = scope.accounts.iter().map(|a| &a.account_id).collect();
    assert_eq!(ids, [&id("000000000001"), &id("000000000002")]);
}

#[tokio::test]
async fn a_paginator_that_repeats_is_stopped() {
    let (cloud, attempts) = world();
    cloud.fault(Operation::ListAccounts, What::SameToken).add();
    let error = find(&cloud, &attempts, &organization())
        .await
        .expect_err("stopped");
    let operation = Operation::ListAccounts;
    assert_eq!(error, DiscoverError::Paginator { operation });
    assert!(error.to_string().contains("repeats or never ends"));
    assert_eq!(cloud.count(Operation::ListAccounts), 2);
}

#[tokio::test]
async fn an_unreachable_endpoint_is_told_within_seconds() {
    let (cloud, attempts) = world();
    let refused = What::Error(ErrorClass::Transport, "Connection", "refused");
    cloud.fault(Operation::GetCallerIdentity, refused).add();
    let error = find(&cloud, &attempts, &organization())
        .await
        .expect_err("unreachable");
    assert!(error.to_string().contains("endpoint"), "{error}");
    assert!(cloud.clock.now().0 - START <= 10_000);
    let clock: Arc<dyn Clock> = cloud.clock.clone();
    assert!(clock.now().0 > START, "it was tried more than once");
}

#[tokio::test]
async fn a_long_list_is_begun_with_what_one_burst_tells_and_read_to_its_end() {
    let (cloud, attempts) = world();
    let name = |n: usize| format!("{n:012}");
    cloud.with(|s| {
        let account = |n: usize| {
            let state = if n == 3 { "CLOSED" } else { "ACTIVE" };
            listed(&name(n), Some(state), UNIT)
        };
        s.listed = (1..=60).rev().map(account).collect();
        s.page_size = 4;
    });
    let mut request = organization();
    request.exclude_accounts = vec![id(&name(60))];
    let now = cloud.clock.now();
    let listing = begin(&cloud, &attempts, &request, now)
        .await
        .expect("begun");
    assert!(!listing.is_short());
    assert_eq!(cloud.count(Operation::ListAccounts), 12);
    assert!(listing.head().accounts.is_empty());
    assert_eq!(listing.head().organization_id.as_deref(), Some("o-example"));
    let early = listing.early();
    let known: Vec<String> = (13..60).map(name).collect();
    let accounts = early.accounts.iter();
    let told: Vec<String> = accounts.map(|a| a.account_id.to_string()).collect();
    assert_eq!(told, known, "in order, but for the excluded one");
    assert!(early.accounts.iter().all(|row| row.in_scope));

    let scope = listing.finish(&cloud, &attempts).await.expect("finished");
    assert_eq!(
        scope,
        find(&cloud, &attempts, &request).await.expect("scope")
    );
    assert_eq!(scope.accounts.len(), 60);
    for row in early.accounts.iter() {
        assert_eq!(scope.account(&row.account_id), Some(row));
    }
}

#[tokio::test]
async fn nothing_is_begun_with_where_places_in_the_tree_are_not_told() {
    let (cloud, attempts) = world();
    cloud.with(|s| {
        s.listed = (1..=60)
            .map(|n| listed(&format!("{n:012}"), None, None))
            .collect();
        s.page_size = 4;
    });
    let now = cloud.clock.now();
    let listing = begin(&cloud, &attempts, &organization(), now)
        .await
        .expect("begun");
    assert!(listing.early().accounts.is_empty());
}

#[tokio::test]
async fn a_list_is_short_without_tags_and_long_with_those_of_many() {
    let (cloud, attempts) = world();
    let mut request = organization();
    for (accounts, tags, is_short) in [(60, false, true), (60, true, false), (20, true, true)] {
        cloud.with(|s| {
            let account = |n| listed(&format!("{n:012}"), Some("ACTIVE"), UNIT);
            s.listed = (1..=accounts).map(account).collect();
        });
        request.tags.owner = tags.then(|| "owner".to_owned());
        let now = cloud.clock.now();
        let listing = begin(&cloud, &attempts, &request, now)
            .await
            .expect("begun");
        assert_eq!(listing.is_short(), is_short, "{accounts} {tags}");
    }
}

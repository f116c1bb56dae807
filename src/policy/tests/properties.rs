use std::sync::Arc;

use proptest::prelude::*;

use crate::policy::*;

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1";
const ROLE: &str = "arn:aws:iam::111122223333:role/emr/node";
const CALLERS: &[&str] = &[
    ROLE,
    "arn:aws:sts::111122223333:assumed-role/node/i-1",
    "arn:aws:iam::111122223333:user/eve",
    "arn:aws:iam::111122223333:root",
    "arn:aws:iam::444455556666:role/reader",
    "elasticmapreduce.amazonaws.com",
];
const ACTIONS: &[&str] = &["kms:Decrypt", "kms:DescribeKey", "kms:PutKeyPolicy"];
const CONDITION_KEYS: &[&str] = &[
    "kms:ViaService",
    "aws:PrincipalOrgID",
    "aws:username",
    "aws:SourceArn",
];
const OPERATORS: &[&str] = &[
    "StringEquals",
    "StringNotEquals",
    "StringLikeIfExists",
    "ForAllValues:StringEquals",
    "ForAnyValue:StringLike",
    "Null",
    "ArnLike",
    "NumericLessThan",
    "Bool",
    "StringMatches",
];

fn text(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(of).prop_map(str::to_owned)
}

fn texts(of: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(text(of), 0..3)
}

fn clause<T: std::fmt::Debug>(
    of: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<Clause<T>>> {
    (of, 0..10).prop_map(|(of, kind)| match kind {
        0 => None,
        1 | 2 => Some(Clause::Not(of)),
        _ => Some(Clause::Is(of)),
    })
}

fn principals() -> impl Strategy<Value = Principals> {
    const AWS: &[&str] = &[
        "*",
        "111122223333",
        "arn:aws:iam::444455556666:root",
        ROLE,
        "arn:aws:sts::111122223333:assumed-role/node/i-1",
        "arn:aws:iam::111122223333:user/eve",
        "AROAEXAMPLE",
    ];
    prop_oneof![
        1 => Just(Principals::Everyone),
        4 => texts(AWS).prop_map(|names| Principals::Named(vec![(PrincipalType::Aws, names)])),
        1 => texts(CALLERS).prop_map(|names| Principals::Named(vec![(PrincipalType::Service, names)])),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    const VALUES: &[&str] = &[
        "a",
        "b*",
        "true",
        "false",
        "${aws:username}",
        "10",
        "arn:aws:s3:::a",
    ];
    (text(OPERATORS), text(CONDITION_KEYS), texts(VALUES)).prop_map(|(operator, key, values)| {
        Condition {
            operator,
            key,
            values,
        }
    })
}

prop_compose! {
    fn statement(with_principal: bool)(
        sid in prop::option::of("[a-z ]{0,8}"),
        effect in prop_oneof![3 => Just(Some(Effect::Allow)), 1 => Just(Some(Effect::Deny)), 1 => Just(None)],
        principal in clause(principals()),
        action in clause(texts(&["kms:*", "kms:Decrypt", "*", "kms:D*", "s3:*"])),
        resource in clause(texts(&["*", KEY, "arn:aws:kms:*", "arn:aws:s3:::x"])),
        conditions in prop::collection::vec(condition(), 0..2),
    ) -> Statement {
        Statement {
            sid,
            effect,
            principal: principal.filter(|_| with_principal),
            action,
            resource,
            conditions,
            unread: Vec::new(),
        }
    }
}

fn policy(with_principal: bool) -> impl Strategy<Value = Policy> {
    let version = prop::sample::select(&[Version::Unsaid, Version::V2008, Version::V2012][..]);
    (
        version,
        prop::collection::vec(statement(with_principal), 0..4),
    )
        .prop_map(|(version, statements)| Policy {
            version,
            statements,
            ..Policy::default()
        })
}

#[derive(Debug, Clone)]
struct World {
    caller: String,
    action: String,
    key_policy: Policy,
    identity: Option<Vec<Policy>>,
    boundary: Option<Policy>,
    control: Vec<Policy>,
    context: Context,
}

prop_compose! {
    fn world()(
        caller in text(CALLERS),
        action in text(ACTIONS),
        key_policy in policy(true),
        identity in prop::option::weighted(0.9, prop::collection::vec(policy(false), 0..3)),
        boundary in prop::option::weighted(0.2, policy(false)),
        control in prop::collection::vec(policy(false), 0..2),
        closed in any::<bool>(),
        values in prop::collection::vec((text(CONDITION_KEYS), text(&["a", "true", "10"])), 0..3),
    ) -> World {
        let empty = if closed { Context::closed() } else { Context::open() };
        let context = values.iter().fold(empty, |c, (key, value)| c.with(key, value.as_str()));
        World { caller, action, key_policy, identity, boundary, control, context }
    }
}

fn read(policy: &Policy) -> Document {
    Document::Read(Arc::new(policy.clone()))
}

impl World {
    /// What is not listed is unknown from here on.
    fn open(&mut self) {
        let closed = self.context.clone();
        self.context = Context::open();
        for key in CONDITION_KEYS {
            if let Value::One(value) = closed.value(key) {
                self.context.set(key, value);
            }
        }
    }

    fn decide(&self) -> Decision {
        let caller = Caller::parse(&self.caller).expect("a caller");
        let request = Request {
            caller: &caller,
            action: &self.action,
            resource: &key(),
            context: &self.context,
        };
        evaluate(&request, &self.layers())
    }

    fn layers(&self) -> Layers {
        Layers {
            resource_policy: read(&self.key_policy),
            grants: Some(Arc::default()),
            identity: self
                .identity
                .as_ref()
                .map(|all| all.iter().map(read).collect()),
            boundary: self.boundary.as_ref().map(read),
            service_control: self.control.iter().map(|p| vec![read(p)]).collect(),
            ..Layers::default()
        }
    }
}

fn key() -> Resource {
    Resource {
        arn: KEY.to_owned(),
        account: "111122223333".to_owned(),
        kind: ResourceKind::Key,
    }
}

fn everything(effect: Effect) -> Statement {
    Statement {
        effect: Some(effect),
        principal: Some(Clause::Is(Principals::Everyone)),
        action: Some(Clause::Is(vec!["*".to_owned()])),
        resource: Some(Clause::Is(vec!["*".to_owned()])),
        ..Statement::default()
    }
}

/// Whether an answer allows no more than another.
fn at_most(less: Outcome, more: Outcome) -> bool {
    let rank = |outcome| match outcome {
        Outcome::Denied => 0,
        Outcome::Conditional | Outcome::Unknown => 1,
        Outcome::Allowed => 2,
    };
    rank(less) <= rank(more)
}

proptest! {
    #[test]
    fn deny_always_wins(mut world in world()) {
        world.key_policy.statements.push(everything(Effect::Deny));
        prop_assert_eq!(world.decide().outcome, Outcome::Denied);
    }

    #[test]
    fn who_is_out_of_question_is_denied(world in world(), grants in any::<bool>()) {
        let caller = Caller::parse(&world.caller).expect("a caller");
        let mut layers = world.layers();
        layers.grants = grants.then(Arc::default);
        if is_out_of_question(&caller, &world.action, &key(), &layers) {
            prop_assert!(grants || caller.account() != Some("111122223333"));
            prop_assert_eq!(world.decide().outcome, Outcome::Denied);
        }
    }

    #[test]
    fn adding_a_deny_never_allows(mut world in world(), mut more in statement(true), at in any::<prop::sample::Index>()) {
        let before = world.decide().outcome;
        more.effect = Some(Effect::Deny);
        let at = at.index(world.key_policy.statements.len() + 1);
        world.key_policy.statements.insert(at, more);
        let after = world.decide().outcome;
        prop_assert!(at_most(after, before), "{:?} became {:?}", before, after);
    }

    #[test]
    fn adding_an_unknown_condition_never_turns_denied_into_allowed(
        mut world in world(),
        at in any::<prop::sample::Index>(),
        operator in text(OPERATORS),
    ) {
        world.open();
        if world.key_policy.statements.is_empty() {
            world.key_policy.statements.push(everything(Effect::Allow));
        }
        let before = world.decide().outcome;
        let at = at.index(world.key_policy.statements.len());
        world.key_policy.statements[at].conditions.push(Condition {
            operator,
            key: "x:unheard-of".to_owned(),
            values: vec!["true".to_owned()],
        });
        let after = world.decide().outcome;
        prop_assert!(!(before == Outcome::Denied && after == Outcome::Allowed));
    }

    #[test]
    fn the_order_of_statements_does_not_matter(world in world(), seed in any::<u64>()) {
        let mut shuffled = world.clone();
        let statements = &mut shuffled.key_policy.statements;
        for i in (1..statements.len()).rev() {
            let j = usize::try_from(seed.rotate_left(i as u32) % (i as u64 + 1)).unwrap_or(0);
            statements.swap(i, j);
        }
        if let Some(identity) = &mut shuffled.identity {
            identity.reverse();
        }
        let (one, other) = (world.decide(), shuffled.decide());
        prop_assert_eq!(one.outcome, other.outcome);
        prop_assert_eq!(one.reason, other.reason);
    }

    #[test]
    fn knowing_more_never_overturns_an_answer(mut world in world(), key in text(CONDITION_KEYS), value in text(&["a", "b", "true"])) {
        world.open();
        world.context.set(&key, Value::Unknown);
        let before = world.decide().outcome;
        let mut more = world.clone();
        for value in [Value::One(value.clone()), Value::Absent, Value::Many(vec![value.clone()])] {
            more.context.set(&key, value);
            let after = more.decide().outcome;
            let settled = matches!(before, Outcome::Allowed | Outcome::Denied);
            prop_assert!(!settled || before == after, "{:?} became {:?}", before, after);
        }
    }

    #[test]
    fn a_closed_context_and_read_documents_give_two_values(mut world in world()) {
        world.identity.get_or_insert_default();
        // What is no policy that AWS accepts stays unknown.
        let documents = world.identity.iter_mut().flatten().chain(&mut world.boundary).chain(&mut world.control);
        for policy in std::iter::once(&mut world.key_policy).chain(documents) {
            policy.statements.retain(|s| {
                s.effect.is_some() && s.action.is_some() && s.resource.is_some()
                    && s.conditions.iter().all(|c| Operator::parse(&c.operator).is_some())
            });
        }
        world.key_policy.statements.retain(|s| s.principal.is_some());
        let values = world.context.clone();
        world.context = CONDITION_KEYS.iter().fold(Context::closed(), |context, key| match values.value(key) {
            Value::Unknown => context,
            value => context.with(key, value),
        });
        let outcome = world.decide().outcome;
        prop_assert!(matches!(outcome, Outcome::Allowed | Outcome::Denied), "{:?}", outcome);
    }

    #[test]
    fn conditional_names_keys_and_settled_answers_name_none(world in world()) {
        let decision = world.decide();
        match decision.outcome {
            Outcome::Allowed | Outcome::Denied => prop_assert!(decision.depends_on.is_empty()),
            Outcome::Conditional => {
                prop_assert!(!decision.depends_on.is_empty());
                prop_assert!(decision.depends_on.iter().all(|n| matches!(n, Need::Key(_))));
            }
            Outcome::Unknown => prop_assert!(decision.depends_on.iter().any(|n| matches!(n, Need::Unread(_)))),
        }
    }

    #[test]
    fn print_and_parse_give_an_equal_policy(policy in policy(true)) {
        let once = Policy::parse(&policy.to_string()).unwrap();
        prop_assert_eq!(Policy::parse(&once.to_string()).unwrap(), once);
    }
}

//! Who asks, and whether a statement's `Principal` or a grant's grantee means them
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>).

use super::document::{Clause, Effect, PrincipalType, Principals};
use super::truth::Truth;

/// The principal of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A role: a session of it whose name is not told.
    Role {
        partition: String,
        account: String,
        /// `path/name`.
        resource: String,
    },
    /// One session of a role. Its ARN does not carry the role's path.
    Session {
        partition: String,
        account: String,
        role: String,
        session: String,
    },
    User {
        partition: String,
        account: String,
        /// `path/name`.
        resource: String,
        name: String,
    },
    FederatedUser {
        partition: String,
        account: String,
        name: String,
    },
    /// The root user of an account.
    Root { partition: String, account: String },
    /// Some identity of an account that no policy names.
    Account(String),
    /// Some principal of some account that no policy names.
    Anyone,
    /// An AWS service that calls as itself.
    Service(String),
}

/// A principal that is none of the forms that can make a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no principal that makes requests: give the ARN of a role, user, session or account \
     root, or a service such as elasticmapreduce.amazonaws.com"
)]
pub struct CallerError(String);

impl Caller {
    /// Reads an ARN, an account id or a service principal.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(text: &str) -> Result<Self, CallerError> {
        let refused = || CallerError(text.chars().take(120).collect());
        if is_account(text) {
            return Ok(Self::Account(text.to_owned()));
        }
        if !text.starts_with("arn:") {
            let host = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
            let service = text.contains('.') && text.chars().all(host);
            return if service {
                Ok(Self::Service(text.to_owned()))
            } else {
                Err(refused())
            };
        }
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let [_, partition, service, "", account, resource] = parts[..] else {
            return Err(refused());
        };
        if !partition.starts_with("aws") || !is_account(account) {
            return Err(refused());
        }
        let partition = partition.to_owned();
        let account = account.to_owned();
        let plain = |name: &str| !name.is_empty() && !name.contains(['*', '?', ':']);
        match (service, resource.split_once('/')) {
            ("iam", None) if resource == "root" => Ok(Self::Root { partition, account }),
            ("iam", Some(("role", name))) if plain(name) => Ok(Self::Role {
                partition,
                account,
                resource: name.to_owned(),
            }),
            ("iam", Some(("user", name))) if plain(name) => Ok(Self::User {
                partition,
                account,
                resource: name.to_owned(),
                name: last(name).to_owned(),
            }),
            ("sts", Some(("federated-user", name))) if plain(name) => Ok(Self::FederatedUser {
                partition,
                account,
                name: name.to_owned(),
            }),
            ("sts", Some(("assumed-role", name))) => match name.split_once('/') {
                Some((role, session)) if plain(role) && !session.is_empty() => Ok(Self::Session {
                    partition,
                    account,
                    role: role.to_owned(),
                    session: session.to_owned(),
                }),
                _ => Err(refused()),
            },
            _ => Err(refused()),
        }
    }

    /// The account that the principal belongs to.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Role { account, .. }
            | Self::Session { account, .. }
            | Self::User { account, .. }
            | Self::FederatedUser { account, .. }
            | Self::Root { account, .. }
            | Self::Account(account) => Some(account),
            Self::Anyone | Self::Service(_) => None,
        }
    }

    /// The value of `aws:PrincipalArn`, where the principal as given tells it: for a session it is
    /// the role's ARN, whose path the session's does not carry.
    pub fn principal_arn(&self) -> Option<String> {
        match self {
            Self::Role {
                partition,
                account,
                resource,
            } => Some(format!("arn:{partition}:iam::{account}:role/{resource}")),
            Self::User {
                partition,
                account,
                resource,
                ..
            } => Some(format!("arn:{partition}:iam::{account}:user/{resource}")),
            Self::FederatedUser {
                partition,
                account,
                name,
            } => Some(format!(
                "arn:{partition}:sts::{account}:federated-user/{name}"
            )),
            Self::Root { partition, account } => {
                Some(format!("arn:{partition}:iam::{account}:root"))
            }
            _ => None,
        }
    }

    /// Whether the request is made by a session of a role.
    pub fn is_role(&self) -> bool {
        matches!(self, Self::Role { .. } | Self::Session { .. })
    }

    /// A role that only an AWS service can assume and that no control policy restricts
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/using-service-linked-roles.html>).
    pub fn is_service_linked(&self) -> bool {
        match self {
            Self::Role { resource, .. } => resource.starts_with("aws-service-role/"),
            Self::Session { role, .. } => role.starts_with("AWSServiceRoleFor"),
            _ => false,
        }
    }
}

/// How a statement means the caller.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// By the ARN of the session or user, as a service, or as everyone where the caller is no
    /// role: no boundary and no session policy narrows such a grant within the account.
    pub direct: Truth,
    /// By its role, or as everyone where the caller is a role: boundary and session policies
    /// narrow it.
    pub limited: Truth,
    /// By its account: what IAM policies of that account say decides.
    pub account: Truth,
}

impl Match {
    pub(super) fn none() -> Self {
        Self {
            direct: Truth::False,
            limited: Truth::False,
            account: Truth::False,
        }
    }

    fn everyone(caller: &Caller) -> Self {
        let mut all = Self::none();
        if caller.is_role() {
            all.limited = Truth::True;
        } else {
            all.direct = Truth::True;
        }
        all
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self {
            direct: self.direct.or(other.direct),
            limited: self.limited.or(other.limited),
            account: self.account.or(other.account),
        }
    }

    /// Meant in no way.
    pub fn is_none(&self) -> bool {
        self.direct.is_false() && self.limited.is_false() && self.account.is_false()
    }

    /// Meant in any way.
    pub fn any(self) -> Truth {
        self.direct.or(self.limited).or(self.account)
    }
}

/// What decides beside the names: whether an untold session name counts as none, and whether the
/// caller has a permissions boundary.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub closed: bool,
    pub bounded: bool,
}

/// Whether `clause` of a statement with `effect` means `caller`.
pub fn matches(
    clause: &Clause<Principals>,
    effect: Effect,
    caller: &Caller,
    setting: Setting,
) -> Match {
    match clause {
        Clause::Is(Principals::Everyone) => Match::everyone(caller),
        Clause::Is(Principals::Named(named)) => named
            .iter()
            .flat_map(|(kind, names)| names.iter().map(move |name| (*kind, name)))
            .map(|(kind, name)| entry(kind, name, caller, setting))
            .fold(Match::none(), Match::or),
        Clause::Not(listed) => {
            let left_out = match effect {
                Effect::Deny => spared(listed, caller, setting),
                Effect::Allow => excepted(listed, caller, setting),
            };
            let mut all = Match::everyone(caller);
            all.direct = all.direct.and(!left_out.clone());
            all.limited = all.limited.and(!left_out);
            all
        }
    }
}

/// Whether one name of a principal map means the caller. A wildcard within an ARN is no pattern;
/// an `AROA…` or `AIDA…` id stands for an entity that was deleted and means nobody, not even a
/// namesake made later; canonical users and identity providers make no KMS requests.
fn entry(kind: PrincipalType, name: &str, caller: &Caller, setting: Setting) -> Match {
    let mut found = Match::none();
    match kind {
        PrincipalType::Aws if name == "*" => return Match::everyone(caller),
        PrincipalType::Aws if !may_name(name, caller) => {}
        PrincipalType::Aws => {
            if let Ok(named) = Caller::parse(name) {
                return means(&named, caller, setting);
            }
        }
        PrincipalType::Service => {
            found.direct = matches!(caller, Caller::Service(service) if service == name).into();
        }
        PrincipalType::Federated | PrincipalType::CanonicalUser => {}
    }
    found
}

/// Whether the principal that a policy names means the caller.
fn means(named: &Caller, caller: &Caller, setting: Setting) -> Match {
    let mut found = Match::none();
    match (named, caller) {
        (Caller::Root { account, .. } | Caller::Account(account), _) => {
            // The ARN's partition is the caller's: account ids are unique across them.
            found.account = (caller.account() == Some(account.as_str())).into();
        }
        (Caller::Role { .. }, Caller::Role { .. }) => {
            found.limited = (named == caller).into();
        }
        (
            Caller::Role {
                account, resource, ..
            },
            Caller::Session {
                account: of, role, ..
            },
        ) => {
            // A role's name is unique in its account, whatever the path.
            found.limited = (account == of && last(resource) == role).into();
        }
        (
            Caller::Session { account, role, .. },
            Caller::Role {
                account: of,
                resource,
                ..
            },
        ) if account == of && role == last(resource) => {
            found.direct = if setting.closed {
                Truth::False
            } else {
                Truth::key("aws:userid")
            };
        }
        _ => found.direct = (named == caller).into(),
    }
    found
}

fn entries<'a>(listed: &'a Principals) -> impl Iterator<Item = (PrincipalType, &'a str)> + 'a {
    let named: &[_] = match listed {
        Principals::Everyone => &[],
        Principals::Named(named) => named,
    };
    named
        .iter()
        .flat_map(|(kind, names)| names.iter().map(move |name| (*kind, name.as_str())))
}

/// Whether `NotPrincipal` with `Deny` spares the caller. It does so surely only where the list
/// names every level of it: the account, and the user, or the role and its session; and never a
/// principal with a permissions boundary
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html>,
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html>). Where some
/// level is missing, AWS says that it "might" deny: closed, that is a denial.
fn spared(listed: &Principals, caller: &Caller, setting: Setting) -> Truth {
    if *listed == Principals::Everyone {
        return Truth::True;
    }
    if setting.bounded {
        return Truth::False;
    }
    let found = entries(listed)
        .map(|(kind, name)| entry(kind, name, caller, setting))
        .fold(Match::none(), Match::or);
    let (own, missing) = match caller {
        Caller::Service(_) => return found.direct,
        Caller::Anyone => return found.any(),
        Caller::Root { .. } | Caller::Account(_) => return found.account,
        Caller::User { .. } | Caller::FederatedUser { .. } => {
            (found.direct.clone(), found.account.clone())
        }
        Caller::Role { .. } | Caller::Session { .. } => (
            found.direct.clone().or(found.limited.clone()),
            found
                .account
                .clone()
                .and(found.direct.clone())
                .and(found.limited.clone()),
        ),
    };
    let everyone = Truth::any(
        entries(listed).map(|(kind, name)| (kind == PrincipalType::Aws && name == "*").into()),
    );
    if everyone.is_true() {
        return Truth::True;
    }
    if own.is_false() {
        // Only the account: it does not stand for its users and roles here.
        return Truth::False;
    }
    match own.and(missing) {
        Truth::False if setting.closed => Truth::False,
        Truth::False => Truth::unread(
            "NotPrincipal with Deny that does not list account, role and session of the principal",
        ),
        other => other,
    }
}

/// Whether `NotPrincipal` with `Allow` leaves the caller out: surely where it is listed, and
/// nobody says whether it does where only its account is.
fn excepted(listed: &Principals, caller: &Caller, setting: Setting) -> Truth {
    if *listed == Principals::Everyone {
        return Truth::True;
    }
    let found = entries(listed)
        .map(|(kind, name)| entry(kind, name, caller, setting))
        .fold(Match::none(), Match::or);
    let own = found.direct.or(found.limited);
    if own.is_false() && found.account.is_true() && !setting.closed {
        return Truth::unread("NotPrincipal with Allow that lists the account of the principal");
    }
    own.or(found.account)
}

/// The grantee or retiring principal of a grant. Keys have a thousand grants, each asked about many
/// principals: whom it names is read once.
#[derive(Debug, Clone, PartialEq)]
pub struct Grantee {
    pub name: String,
    caller: Option<Caller>,
}

impl Grantee {
    pub fn read(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            caller: Caller::parse(name).ok(),
        }
    }

    /// Whether it means the caller. The name of a service stands there in either of two fields.
    pub fn matches(&self, caller: &Caller, setting: Setting) -> Match {
        match (&self.caller, caller) {
            (_, Caller::Service(service)) => Match {
                direct: (self.name == *service).into(),
                ..Match::none()
            },
            (Some(named), _) => means(named, caller, setting),
            (None, _) => Match::none(),
        }
    }
}

/// Whether the name may mean the caller: most do not, which this tells without reading them.
fn may_name(name: &str, caller: &Caller) -> bool {
    let own = match caller {
        Caller::Service(service) => return name == service,
        Caller::Role { resource, .. } | Caller::User { resource, .. } => Some(last(resource)),
        Caller::Session { role, .. } => Some(role.as_str()),
        Caller::FederatedUser { name, .. } => Some(name.as_str()),
        Caller::Root { .. } | Caller::Account(_) | Caller::Anyone => None,
    };
    is_account(name) || name.ends_with(":root") || own.is_some_and(|own| name.contains(own))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// The last part of `path/name`.
fn last(resource: &str) -> &str {
    resource.rsplit('/').next().unwrap_or(resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Setting = Setting {
        closed: false,
        bounded: false,
    };
    const ROLE: &str = "arn:aws:iam::111122223333:role/emr/node";
    const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/node/i-1";

    fn aws(names: &[&str]) -> Principals {
        let names = names.iter().map(|n| (*n).to_owned()).collect();
        Principals::Named(vec![(PrincipalType::Aws, names)])
    }

    fn is(name: &str, caller: &str) -> Match {
        let caller = Caller::parse(caller).unwrap();
        matches(&Clause::Is(aws(&[name])), Effect::Allow, &caller, OPEN)
    }

    #[test]
    fn root_and_account_id_mean_the_account() {
        for name in ["111122223333", "arn:aws:iam::111122223333:root"] {
            assert!(is(name, ROLE).account.is_true());
            assert!(is(name, ROLE).limited.is_false());
            assert!(
                is(name, "arn:aws:iam::444455556666:role/x")
                    .any()
                    .is_false()
            );
        }
    }

    #[test]
    fn sessions_of_a_role_count_as_the_role_and_drop_its_path() {
        assert!(is(ROLE, SESSION).limited.is_true());
        assert!(is(ROLE, ROLE).limited.is_true());
        assert!(is(SESSION, SESSION).direct.is_true());
        assert!(
            is("arn:aws:iam::111122223333:role/node2", SESSION)
                .any()
                .is_false()
        );
    }

    #[test]
    fn a_session_named_by_a_policy_may_or_may_not_be_the_roles() {
        assert_eq!(is(SESSION, ROLE).any(), Truth::key("aws:userid"));
        let other = "arn:aws:sts::111122223333:assumed-role/node/i-2";
        assert!(is(SESSION, other).any().is_false());
    }

    #[test]
    fn a_wildcard_within_an_arn_is_no_pattern() {
        assert!(
            is("arn:aws:iam::111122223333:role/*", ROLE)
                .any()
                .is_false()
        );
    }

    #[test]
    fn the_id_of_a_deleted_entity_means_nobody() {
        for id in ["AROAEXAMPLEEXAMPLE", "AIDAEXAMPLEEXAMPLE"] {
            assert!(is(id, ROLE).any().is_false());
        }
    }

    #[test]
    fn not_principal_with_deny_needs_every_level_in_the_list() {
        let user = Caller::parse("arn:aws:iam::111122223333:user/eve").unwrap();
        let root = "arn:aws:iam::111122223333:root";
        let eve = "arn:aws:iam::111122223333:user/eve";
        let deny = |names: &[&str], setting| {
            matches(&Clause::Not(aws(names)), Effect::Deny, &user, setting).any()
        };
        assert!(deny(&[eve, root], OPEN).is_false());
        assert!(deny(&[root], OPEN).is_true());
        assert!(matches!(deny(&[eve], OPEN), Truth::Unknown(_)));
        let closed = Setting {
            closed: true,
            bounded: false,
        };
        assert!(deny(&[eve], closed).is_true());
        let bounded = Setting {
            closed: false,
            bounded: true,
        };
        assert!(deny(&[eve, root], bounded).is_true());
    }

    #[test]
    fn not_principal_with_allow_lets_in_everyone_else() {
        let role = Caller::parse(ROLE).unwrap();
        let allow =
            |name: &str| matches(&Clause::Not(aws(&[name])), Effect::Allow, &role, OPEN).any();
        assert!(allow("arn:aws:iam::444455556666:user/eve").is_true());
        assert!(allow(ROLE).is_false());
        assert!(matches!(allow("111122223333"), Truth::Unknown(_)));
    }

    #[test]
    fn groups_patterns_and_nonsense_make_no_requests() {
        for text in [
            "arn:aws:iam::111122223333:group/x",
            "arn:aws:iam::111122223333:role/*",
            "arn:aws:iam::1:role/x",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:sts::111122223333:assumed-role/x",
            "AROAEXAMPLE",
            "*",
            "",
            "ü.amazonaws.com",
        ] {
            assert!(Caller::parse(text).is_err(), "{text}");
        }
    }
}

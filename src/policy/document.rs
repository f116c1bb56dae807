//! Policy documents: key, bucket, identity, trust, service and resource control policies.
//!
//! Nothing is dropped. What is not understood (an element of another name, a wrong type, a block
//! that stands twice) is kept as [`Unread`] beside what was, printed again, and makes whatever its
//! statement would decide unknown. AWS accepts no such policy today, so meeting one means that the
//! language grew or that the document is not what AWS holds.

use super::json::Json;

/// Why a text is no policy at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("not JSON: {0}")]
    NotJson(String),
    #[error("a policy is an object, this is {0}")]
    NotAnObject(&'static str),
}

/// A policy document.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policy {
    pub version: Version,
    pub id: Option<String>,
    pub statements: Vec<Statement>,
    pub unread: Vec<Unread>,
}

/// The version of the policy language. A missing one is 2008-10-17, in which `${…}` is plain text
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    #[default]
    Unsaid,
    V2008,
    V2012,
}

impl Version {
    /// Whether policy variables are substituted.
    pub fn has_variables(self) -> bool {
        self == Self::V2012
    }
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Statement {
    pub sid: Option<String>,
    pub effect: Option<Effect>,
    pub principal: Option<Clause<Principals>>,
    pub action: Option<Clause<Vec<String>>>,
    pub resource: Option<Clause<Vec<String>>>,
    pub conditions: Vec<Condition>,
    pub unread: Vec<Unread>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Allow,
    Deny,
}

impl Effect {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
        }
    }
}

/// An element or its `Not…` twin.
#[derive(Debug, Clone, PartialEq)]
pub enum Clause<T> {
    Is(T),
    Not(T),
}

/// Who a statement of a resource policy names.
#[derive(Debug, Clone, PartialEq)]
pub enum Principals {
    /// `"Principal": "*"`.
    Everyone,
    /// `"Principal": {"AWS": …, "Service": …}`.
    Named(Vec<(PrincipalType, Vec<String>)>),
}

/// The members of a principal map
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrincipalType {
    Aws,
    Service,
    Federated,
    CanonicalUser,
}

impl PrincipalType {
    const ALL: [Self; 4] = [
        Self::Aws,
        Self::Service,
        Self::Federated,
        Self::CanonicalUser,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "AWS",
            Self::Service => "Service",
            Self::Federated => "Federated",
            Self::CanonicalUser => "CanonicalUser",
        }
    }
}

/// One operator on one key. Several values are alternatives.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// As written; [`super::operator::Operator::parse`] understands it or not.
    pub operator: String,
    pub key: String,
    pub values: Vec<String>,
}

/// A part of a document that is kept without being understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Unread {
    /// Its name; empty for a statement that is no object.
    pub element: String,
    pub value: Json,
    pub why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    UnknownElement,
    WrongType,
    /// The element, or its twin, stands twice.
    Repeated,
}

impl Why {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownElement => "unknown element",
            Self::WrongType => "unexpected value of",
            Self::Repeated => "repeated element",
        }
    }
}

impl Policy {
    /// Reads a document.
    ///
    /// # Errors
    /// When it is no JSON object. Everything else is read as far as it can be.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let json = Json::parse(text).map_err(|e| PolicyError::NotJson(e.to_string()))?;
        Self::from_json(json)
    }

    /// Reads a document that is already JSON, or a JSON string that holds one.
    ///
    /// # Errors
    /// As [`Policy::parse`].
    pub fn from_json(json: Json) -> Result<Self, PolicyError> {
        let members = match json {
            Json::Object(members) => members,
            Json::Text(text) => match Json::parse(&text) {
                Ok(Json::Object(members)) => members,
                Ok(other) => return Err(PolicyError::NotAnObject(other.kind())),
                Err(e) => return Err(PolicyError::NotJson(e.to_string())),
            },
            other => return Err(PolicyError::NotAnObject(other.kind())),
        };
        let mut policy = Self::default();
        let mut seen = Seen::default();
        for (name, value) in members {
            let understood = match name.as_str() {
                "Version" | "Id" | "Statement" if seen.again(&name) => Err((value, Why::Repeated)),
                "Version" => version(value).map(|v| policy.version = v),
                "Id" => text(value).map(|id| policy.id = Some(id)),
                "Statement" => statements(value).map(|s| policy.statements = s),
                _ => Err((value, Why::UnknownElement)),
            };
            keep(understood, name, &mut policy.unread);
        }
        Ok(policy)
    }

    /// The document as JSON. Reading it again gives an equal policy.
    pub fn to_json(&self) -> Json {
        let mut members = Vec::new();
        match self.version {
            Version::Unsaid => {}
            Version::V2008 => members.push(member("Version", Json::Text("2008-10-17".into()))),
            Version::V2012 => members.push(member("Version", Json::Text("2012-10-17".into()))),
        }
        if let Some(id) = &self.id {
            members.push(member("Id", Json::Text(id.clone())));
        }
        // One of a wrong type is printed where a good one would stand.
        let broken = |u: &Unread| u.element == "Statement" && u.why == Why::WrongType;
        if !self.unread.iter().any(broken) {
            let statements = self.statements.iter().map(Statement::to_json).collect();
            members.push(member("Statement", Json::List(statements)));
        }
        put_unread(&mut members, &self.unread);
        Json::Object(members)
    }
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.to_json().fmt(f)
    }
}

impl Statement {
    fn from_json(json: Json) -> Self {
        let mut statement = Self::default();
        let Json::Object(members) = json else {
            statement.unread.push(Unread {
                element: String::new(),
                value: json,
                why: Why::WrongType,
            });
            return statement;
        };
        let mut seen = Seen::default();
        for (name, value) in members {
            let (block, negated) = match name.as_str() {
                "NotPrincipal" => ("Principal", true),
                "NotAction" => ("Action", true),
                "NotResource" => ("Resource", true),
                other => (other, false),
            };
            let known = matches!(
                block,
                "Sid" | "Effect" | "Principal" | "Action" | "Resource" | "Condition"
            );
            let understood = if known && seen.again(block) {
                Err((value, Why::Repeated))
            } else {
                match block {
                    "Sid" => text(value).map(|sid| statement.sid = Some(sid)),
                    "Effect" => effect(value).map(|e| statement.effect = Some(e)),
                    "Principal" => {
                        principals(value).map(|p| statement.principal = Some(clause(p, negated)))
                    }
                    "Action" => texts(value).map(|a| statement.action = Some(clause(a, negated))),
                    "Resource" => {
                        texts(value).map(|r| statement.resource = Some(clause(r, negated)))
                    }
                    "Condition" => conditions(value).map(|c| statement.conditions = c),
                    _ => Err((value, Why::UnknownElement)),
                }
            };
            keep(understood, name, &mut statement.unread);
        }
        statement
    }

    fn to_json(&self) -> Json {
        if let [only] = self.unread.as_slice()
            && only.element.is_empty()
            && only.why == Why::WrongType
        {
            return only.value.clone();
        }
        let mut members = Vec::new();
        if let Some(sid) = &self.sid {
            members.push(member("Sid", Json::Text(sid.clone())));
        }
        if let Some(effect) = self.effect {
            members.push(member("Effect", Json::Text(effect.as_str().to_owned())));
        }
        let mut put = |is: &str, not: &str, clause: Option<Clause<Json>>| match clause {
            Some(Clause::Is(value)) => members.push(member(is, value)),
            Some(Clause::Not(value)) => members.push(member(not, value)),
            None => {}
        };
        put(
            "Principal",
            "NotPrincipal",
            self.principal.as_ref().map(|c| c.map(Principals::to_json)),
        );
        put(
            "Action",
            "NotAction",
            self.action.as_ref().map(|c| c.map(|t| list(t))),
        );
        put(
            "Resource",
            "NotResource",
            self.resource.as_ref().map(|c| c.map(|t| list(t))),
        );
        // An empty block is worth printing only where another repeats it.
        let is = |why: Why| {
            let condition = |u: &Unread| u.element == "Condition" && u.why == why;
            self.unread.iter().any(condition)
        };
        if !self.conditions.is_empty() || (is(Why::Repeated) && !is(Why::WrongType)) {
            members.push(member("Condition", conditions_to_json(&self.conditions)));
        }
        put_unread(&mut members, &self.unread);
        Json::Object(members)
    }
}

impl<T> Clause<T> {
    fn map<U>(&self, f: impl Fn(&T) -> U) -> Clause<U> {
        match self {
            Self::Is(t) => Clause::Is(f(t)),
            Self::Not(t) => Clause::Not(f(t)),
        }
    }

    /// What it lists, either way.
    pub fn inner(&self) -> &T {
        match self {
            Self::Is(t) | Self::Not(t) => t,
        }
    }
}

impl Principals {
    fn to_json(&self) -> Json {
        match self {
            Self::Everyone => Json::Text("*".to_owned()),
            Self::Named(named) => Json::Object(
                named
                    .iter()
                    .map(|(kind, names)| member(kind.as_str(), list(names)))
                    .collect(),
            ),
        }
    }
}

type Understood<T> = Result<T, (Json, Why)>;

/// Blocks met so far.
#[derive(Default)]
struct Seen(Vec<String>);

impl Seen {
    fn again(&mut self, block: &str) -> bool {
        let again = self.0.iter().any(|b| b == block);
        if !again {
            self.0.push(block.to_owned());
        }
        again
    }
}

fn keep(understood: Understood<()>, element: String, unread: &mut Vec<Unread>) {
    if let Err((value, why)) = understood {
        unread.push(Unread {
            element,
            value,
            why,
        });
    }
}

fn clause<T>(value: T, negated: bool) -> Clause<T> {
    if negated {
        Clause::Not(value)
    } else {
        Clause::Is(value)
    }
}

fn member(name: &str, value: Json) -> (String, Json) {
    (name.to_owned(), value)
}

fn list(texts: &[String]) -> Json {
    Json::List(texts.iter().cloned().map(Json::Text).collect())
}

/// In the order in which they stood. What was understood is printed before: nothing understood can
/// stand behind a part of its own name that was not.
fn put_unread(members: &mut Vec<(String, Json)>, unread: &[Unread]) {
    let parts = unread.iter().map(|u| (u.element.clone(), u.value.clone()));
    members.extend(parts);
}

fn version(value: Json) -> Understood<Version> {
    match value.as_text() {
        Some("2008-10-17") => Ok(Version::V2008),
        Some("2012-10-17") => Ok(Version::V2012),
        _ => Err((value, Why::WrongType)),
    }
}

fn text(value: Json) -> Understood<String> {
    match value {
        Json::Text(text) => Ok(text),
        other => Err((other, Why::WrongType)),
    }
}

fn effect(value: Json) -> Understood<Effect> {
    match value.as_text() {
        Some("Allow") => Ok(Effect::Allow),
        Some("Deny") => Ok(Effect::Deny),
        _ => Err((value, Why::WrongType)),
    }
}

/// One string or a list of strings.
fn texts(value: Json) -> Understood<Vec<String>> {
    match texts_of(&value, |item| item.as_text().map(str::to_owned)) {
        Some(texts) => Ok(texts),
        None => Err((value, Why::WrongType)),
    }
}

fn texts_of(value: &Json, read: impl Fn(&Json) -> Option<String>) -> Option<Vec<String>> {
    match value {
        Json::List(items) => items.iter().map(read).collect(),
        one => read(one).map(|text| vec![text]),
    }
}

fn statements(value: Json) -> Understood<Vec<Statement>> {
    match value {
        Json::List(items) => Ok(items.into_iter().map(Statement::from_json).collect()),
        object @ Json::Object(_) => Ok(vec![Statement::from_json(object)]),
        other => Err((other, Why::WrongType)),
    }
}

fn principals(value: Json) -> Understood<Principals> {
    let named = match &value {
        Json::Text(text) if text == "*" => return Ok(Principals::Everyone),
        Json::Object(members) => members
            .iter()
            .map(|(name, names)| {
                let kind = PrincipalType::ALL
                    .into_iter()
                    .find(|k| k.as_str() == name)?;
                let names = texts_of(names, |item| item.as_text().map(str::to_owned))?;
                Some((kind, names))
            })
            .collect::<Option<Vec<_>>>(),
        _ => None,
    };
    match named {
        Some(named) if !repeats(named.iter().map(|(kind, _)| kind.as_str())) => {
            Ok(Principals::Named(named))
        }
        Some(_) => Err((value, Why::Repeated)),
        None => Err((value, Why::WrongType)),
    }
}

fn repeats<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    let mut seen = Seen::default();
    names.any(|name| seen.again(name))
}

/// Values may be written as strings, numbers or booleans; policies compare their text.
fn conditions(value: Json) -> Understood<Vec<Condition>> {
    let Json::Object(operators) = &value else {
        return Err((value, Why::WrongType));
    };
    let mut found = Vec::new();
    for (operator, keys) in operators {
        let Json::Object(keys) = keys else {
            return Err((value, Why::WrongType));
        };
        if repeats(keys.iter().map(|(key, _)| key.as_str())) {
            return Err((value, Why::Repeated));
        }
        for (key, values) in keys {
            let Some(values) = texts_of(values, Json::scalar) else {
                return Err((value, Why::WrongType));
            };
            found.push(Condition {
                operator: operator.clone(),
                key: key.clone(),
                values,
            });
        }
    }
    if repeats(operators.iter().map(|(name, _)| name.as_str())) {
        return Err((value, Why::Repeated));
    }
    Ok(found)
}

fn conditions_to_json(conditions: &[Condition]) -> Json {
    let mut operators: Vec<(String, Vec<(String, Json)>)> = Vec::new();
    for condition in conditions {
        let key = (condition.key.clone(), list(&condition.values));
        match operators.iter_mut().find(|(n, _)| *n == condition.operator) {
            Some((_, keys)) => keys.push(key),
            None => operators.push((condition.operator.clone(), vec![key])),
        }
    }
    let member = |(name, keys)| (name, Json::Object(keys));
    Json::Object(operators.into_iter().map(member).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str) -> Policy {
        let policy = Policy::parse(text).unwrap();
        assert_eq!(
            Policy::parse(&policy.to_string()).unwrap(),
            policy,
            "{text}"
        );
        policy
    }

    #[test]
    fn a_policy_is_read_and_printed() {
        let policy = round(
            r#"{"Version":"2012-10-17","Id":"k","Statement":{"Sid":"One two","Effect":"Allow",
                "Principal":{"AWS":["arn:aws:iam::111122223333:root"],"Service":"s3.amazonaws.com"},
                "Action":"kms:*","Resource":"*",
                "Condition":{"Bool":{"aws:SecureTransport":true},
                             "NumericLessThan":{"aws:MultiFactorAuthAge":3600}}}}"#,
        );
        let [statement] = policy.statements.as_slice() else {
            panic!("one statement");
        };
        assert!(statement.unread.is_empty());
        assert_eq!(statement.conditions[0].values, ["true"]);
        assert_eq!(statement.conditions[1].values, ["3600"]);
        assert!(policy.version.has_variables());
    }

    #[test]
    fn what_is_not_understood_is_kept() {
        for (text, element, why) in [
            (
                r#"{"Effect":"Allow","When":1}"#,
                "When",
                Why::UnknownElement,
            ),
            (r#"{"effect":"Allow"}"#, "effect", Why::UnknownElement),
            (r#"{"Effect":"allow"}"#, "Effect", Why::WrongType),
            (r#"{"Action":["kms:*",5]}"#, "Action", Why::WrongType),
            (
                r#"{"Action":"a:b","NotAction":"a:c"}"#,
                "NotAction",
                Why::Repeated,
            ),
            (
                r#"{"Effect":"Allow","Effect":"Deny"}"#,
                "Effect",
                Why::Repeated,
            ),
            (
                r#"{"Principal":"arn:aws:iam::1:root"}"#,
                "Principal",
                Why::WrongType,
            ),
            (r#"{"Principal":{"Team":"x"}}"#, "Principal", Why::WrongType),
            (
                r#"{"Principal":{"AWS":"a","AWS":"b"}}"#,
                "Principal",
                Why::Repeated,
            ),
            (r#"{"Condition":[]}"#, "Condition", Why::WrongType),
            (r#"{"Condition":{"Bool":1}}"#, "Condition", Why::WrongType),
            (
                r#"{"Condition":{"Bool":{"a":[[]]}}}"#,
                "Condition",
                Why::WrongType,
            ),
            (
                r#"{"Condition":{"Bool":{"a":"x","a":"y"}}}"#,
                "Condition",
                Why::Repeated,
            ),
            (
                r#"{"Condition":{"Bool":{"a":"x"},"Bool":{}}}"#,
                "Condition",
                Why::Repeated,
            ),
            ("5", "", Why::WrongType),
        ] {
            let policy = round(&format!(r#"{{"Statement":[{text}]}}"#));
            let unread = &policy.statements[0].unread;
            assert_eq!(unread.len(), 1, "{text}");
            assert_eq!(
                (unread[0].element.as_str(), unread[0].why),
                (element, why),
                "{text}"
            );
        }
    }

    #[test]
    fn the_envelope_is_read_as_far_as_it_goes() {
        assert!(round("{}").statements.is_empty());
        assert!(round(r#"{"Statement":[]}"#).unread.is_empty());
        assert_eq!(round(r#"{"Version":"2013-01-01"}"#).unread.len(), 1);
        assert_eq!(round(r#"{"Statement":7}"#).unread.len(), 1);
        assert_eq!(
            round(r#"{"Statement":[{}],"Statement":[]}"#).unread.len(),
            1
        );
        assert_eq!(round(r#"{"Größe":"ü","Statement":[{}]}"#).unread.len(), 1);
        assert!(!round(r#"{"Version":"2008-10-17"}"#).version.has_variables());
        assert!(!round("{}").version.has_variables());
    }

    #[test]
    fn what_stands_twice_is_printed_where_it_stood() {
        for text in [
            r#"{"Id":null,"Id":null,"Sid":null}"#,
            r#"{"Statement":7,"Statement":[]}"#,
            r#"{"Statement":[],"Statement":[{}]}"#,
            r#"{"Statement":{"Condition":{},"Condition":{"Bool":{"a":"b"}}}}"#,
            r#"{"Statement":{"Condition":7,"Condition":{"Bool":{"a":"b"}}}}"#,
            r#"{"Statement":{"Condition":{"Bool":{},"Bool":{}},"Condition":{}}}"#,
            r#"{"Statement":{"NotAction":7,"When":1,"Action":"a:b"}}"#,
            r#"{"Statement":{"":1}}"#,
        ] {
            round(text);
        }
    }

    #[test]
    fn a_document_in_a_string_is_read() {
        let text = Json::Text(r#"{"Statement":[{"Effect":"Deny"}]}"#.to_owned());
        assert_eq!(Policy::from_json(text).unwrap().statements.len(), 1);
    }

    #[test]
    fn what_is_no_policy_says_so() {
        assert!(matches!(Policy::parse("{"), Err(PolicyError::NotJson(_))));
        assert_eq!(Policy::parse("[]"), Err(PolicyError::NotAnObject("a list")));
        let deep = "[".repeat(5000);
        assert!(matches!(Policy::parse(&deep), Err(PolicyError::NotJson(_))));
    }

    #[test]
    fn a_policy_of_32_kilobytes_is_read() {
        let one = r#"{"Sid":"ünïcode","Effect":"Allow","Principal":"*","Action":"kms:Decrypt","Resource":"*"}"#;
        let text = format!(r#"{{"Statement":[{}]}}"#, vec![one; 400].join(","));
        assert!(text.len() > 32 * 1024);
        assert_eq!(round(&text).statements.len(), 400);
    }
}

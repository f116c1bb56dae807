//! Wildcards and policy variables
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>).

use super::context::{Context, Value};
use super::truth::Truth;

/// A text of a policy after its variables were substituted.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern(Vec<Token>);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token {
    /// `*`.
    Any,
    /// `?`.
    One,
    Is(char),
    /// From a variable's value, in which nothing is special.
    Put(char),
}

/// What became of a text with variables.
#[derive(Debug, Clone, PartialEq)]
pub enum Substituted {
    Pattern(Pattern),
    /// A variable has no single value: the text matches nothing.
    Nothing,
    /// The value of this key is not known.
    Unknown(String),
}

/// Reads `text`; variables are substituted where `context` is given (version 2012-10-17).
pub fn substitute(text: &str, context: Option<&Context>) -> Substituted {
    let mut tokens = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut unknown = None;
    while let Some(c) = rest.chars().next() {
        if let Some(context) = context
            && let Some(after) = rest.strip_prefix("${")
            && let Some((name, behind)) = after.split_once('}')
        {
            rest = behind;
            match variable(name, context) {
                Variable::Value(value) => tokens.extend(value.chars().map(Token::Put)),
                Variable::Nothing => return Substituted::Nothing,
                Variable::Unknown(key) => unknown = Some(key),
            }
            continue;
        }
        rest = &rest[c.len_utf8()..];
        tokens.push(match c {
            '*' => Token::Any,
            '?' => Token::One,
            c => Token::Is(c),
        });
    }
    match unknown {
        Some(key) => Substituted::Unknown(key),
        None => Substituted::Pattern(Pattern(tokens)),
    }
}

enum Variable {
    Value(String),
    Nothing,
    Unknown(String),
}

/// `key`, `key, 'default'`, or one of the characters that stand for themselves.
fn variable(name: &str, context: &Context) -> Variable {
    if let "*" | "?" | "$" = name {
        return Variable::Value(name.to_owned());
    }
    let (key, default) = match name.split_once(',') {
        Some((key, default)) => {
            let quoted = default.trim().strip_prefix('\'');
            (key.trim(), quoted.and_then(|d| d.strip_suffix('\'')))
        }
        None => (name.trim(), None),
    };
    match (context.value(key), default) {
        (Value::One(value), _) => Variable::Value(value),
        // A multivalued key cannot be substituted.
        (Value::Many(_), None) => Variable::Nothing,
        (Value::Absent | Value::Many(_), Some(default)) => Variable::Value(default.to_owned()),
        (Value::Absent, None) => Variable::Nothing,
        (Value::Unknown, _) => Variable::Unknown(key.to_owned()),
    }
}

impl Pattern {
    /// Equal, with nothing special in the pattern.
    pub fn equals(&self, text: &str, ignore_case: bool) -> bool {
        let literal = self.0.iter().map(|token| match token {
            Token::Any => '*',
            Token::One => '?',
            Token::Is(c) | Token::Put(c) => *c,
        });
        if ignore_case {
            let literal: String = literal.collect();
            literal.to_lowercase() == text.to_lowercase()
        } else {
            literal.eq(text.chars())
        }
    }

    /// `*` is any run of characters, `?` any one.
    pub fn like(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        glob(&self.0, &text, |_, _| true)
    }

    /// Both are ARNs, compared part by part, with wildcards in each: `ArnEquals` and `ArnLike`
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>).
    pub fn like_arn(&self, text: &str) -> bool {
        let is_colon = |token: &Token| *token == Token::Is(':');
        let parts: Vec<&[Token]> = self.0.splitn(6, is_colon).collect();
        let texts: Vec<&str> = text.splitn(6, ':').collect();
        parts.len() == 6
            && texts.len() == 6
            && parts.iter().zip(texts).all(|(part, text)| {
                let text: Vec<char> = text.chars().collect();
                glob(part, &text, |_, _| true)
            })
    }

    /// The `Resource` of a statement. A `*` at the end of a part of the ARN may run over the next
    /// colons, one within the first five parts may not.
    pub fn like_resource(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let mut colons = 0;
        let confined: Vec<bool> = self
            .0
            .iter()
            .enumerate()
            .map(|(at, token)| {
                colons += usize::from(*token == Token::Is(':'));
                let ends = matches!(self.0.get(at + 1), None | Some(Token::Is(':')));
                *token == Token::Any && colons < 5 && !ends && colons > 0
            })
            .collect();
        glob(&self.0, &text, |at, c| !(confined[at] && c == ':'))
    }
}

/// Whether an action of a policy means `action`: no case, no variables
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html>).
pub fn action_matches(pattern: &str, action: &str) -> bool {
    if pattern.is_ascii() && action.is_ascii() {
        return plain_like(pattern.as_bytes(), action.as_bytes(), |a, b| {
            a.eq_ignore_ascii_case(&b)
        });
    }
    if !pattern.contains(['*', '?']) {
        return pattern.to_lowercase() == action.to_lowercase();
    }
    match substitute(&pattern.to_lowercase(), None) {
        Substituted::Pattern(pattern) => pattern.like(&action.to_lowercase()),
        _ => false,
    }
}

/// Whether a resource of a policy means `resource`.
pub fn resource_matches(pattern: &str, resource: &str, context: Option<&Context>) -> Truth {
    if is_plain(pattern, context) && resource.is_ascii() && !confines(pattern) {
        return plain_like(pattern.as_bytes(), resource.as_bytes(), |a, b| a == b).into();
    }
    match substitute(pattern, context) {
        Substituted::Pattern(pattern) => pattern.like_resource(resource).into(),
        Substituted::Nothing => Truth::False,
        Substituted::Unknown(key) => Truth::key(&key),
    }
}

/// Whether a text has no variable to substitute and one byte for each character.
pub(super) fn is_plain(text: &str, context: Option<&Context>) -> bool {
    text.is_ascii() && (context.is_none() || !text.contains("${"))
}

/// Whether some `*` stands within one of the first five parts of an ARN, and not at its end.
fn confines(pattern: &str) -> bool {
    let bytes = pattern.as_bytes();
    let mut colons = 0;
    bytes.iter().enumerate().any(|(at, byte)| {
        colons += usize::from(*byte == b':');
        let ends = matches!(bytes.get(at + 1), None | Some(b':'));
        *byte == b'*' && !ends && (1..5).contains(&colons)
    })
}

/// [`glob`] for texts of one byte for each character, without a copy of them: nearly all that
/// policies hold. `*` may take any character.
pub(super) fn plain_like(pattern: &[u8], text: &[u8], is: impl Fn(u8, u8) -> bool) -> bool {
    let (mut p, mut t) = (0, 0);
    // The last `*`, and where the text that it takes ends: an earlier one never needs more.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&wanted) if wanted == b'?' || is(wanted, text[t]) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, end)) => {
                    star = Some((at, end + 1));
                    p = at + 1;
                    t = end + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|rest| *rest == b'*')
}

/// [`Pattern::like_arn`] for such texts.
pub(super) fn plain_like_arn(pattern: &str, text: &str) -> bool {
    let (mut parts, mut texts) = (pattern.splitn(6, ':'), text.splitn(6, ':'));
    (0..6).all(|_| match (parts.next(), texts.next()) {
        (Some(part), Some(text)) => plain_like(part.as_bytes(), text.as_bytes(), |a, b| a == b),
        _ => false,
    })
}

/// Matches in time at most pattern × text, with one step back per `*`. `may` says whether the `*`
/// at this place may take this character.
fn glob(pattern: &[Token], text: &[char], may: impl Fn(usize, char) -> bool) -> bool {
    // For each place in the pattern: whether it can stand before the text read so far.
    let mut reach = vec![false; pattern.len() + 1];
    reach[0] = true;
    let skip = |reach: &mut Vec<bool>| {
        for (at, token) in pattern.iter().enumerate() {
            if reach[at] && *token == Token::Any {
                reach[at + 1] = true;
            }
        }
    };
    skip(&mut reach);
    let mut next = reach.clone();
    for &c in text {
        next.fill(false);
        for (at, token) in pattern.iter().enumerate() {
            if !reach[at] {
                continue;
            }
            match token {
                Token::Any => next[at] |= may(at, c),
                Token::One => next[at + 1] = true,
                Token::Is(p) | Token::Put(p) => next[at + 1] |= *p == c,
            }
        }
        skip(&mut next);
        std::mem::swap(&mut reach, &mut next);
    }
    reach[pattern.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The short way and the long way agree.
        #[test]
        fn plain_texts_match_as_all_texts_do(pattern in "[ab:::*?]{0,16}", text in "[ab:::*?]{0,16}") {
            let Substituted::Pattern(tokens) = substitute(&pattern, None) else {
                unreachable!("no variables");
            };
            let plain = plain_like(pattern.as_bytes(), text.as_bytes(), |a, b| a == b);
            prop_assert_eq!(plain, tokens.like(&text));
            let resource = resource_matches(&pattern, &text, None).is_true();
            prop_assert_eq!(resource, tokens.like_resource(&text));
            prop_assert_eq!(plain_like_arn(&pattern, &text), tokens.like_arn(&text));
        }
    }

    const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234";

    fn pattern(text: &str, context: &Context) -> Pattern {
        match substitute(text, Some(context)) {
            Substituted::Pattern(pattern) => pattern,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn actions_have_wildcards_and_no_case() {
        for yes in [
            "kms:GenerateDataKey*",
            "*",
            "KMS:generatedatakeyPAIR",
            "kms:G?nerate*Pair",
        ] {
            assert!(action_matches(yes, "kms:GenerateDataKeyPair"), "{yes}");
        }
        for no in [
            "kms:GenerateDataKey",
            "kms:*Pai",
            "s3:*",
            "",
            "kms:G??nerate*",
        ] {
            assert!(!action_matches(no, "kms:GenerateDataKeyPair"), "{no}");
        }
    }

    #[test]
    fn a_star_at_the_end_of_a_part_runs_over_colons() {
        for yes in [
            "*",
            KEY,
            "arn:aws:kms:*",
            "arn:aws:kms:*:111122223333:key/*",
            "arn:*:key/1234",
        ] {
            assert!(resource_matches(yes, KEY, None).is_true(), "{yes}");
        }
        for no in [
            "arn:aws:k*key/1234",
            "arn:aws:kms:eu*-west-1:1*3:key/9",
            "key/1234",
            "",
        ] {
            assert!(resource_matches(no, KEY, None).is_false(), "{no}");
        }
    }

    #[test]
    fn the_parts_of_an_arn_are_compared_one_by_one() {
        let none = Context::closed();
        for yes in ["arn:aws:kms:*:111122223333:key/*", "arn:*:*:*:*:*", KEY] {
            assert!(pattern(yes, &none).like_arn(KEY), "{yes}");
        }
        for no in ["arn:aws:*:key/1234", "*", "arn:aws:kms:*:key/1234"] {
            assert!(!pattern(no, &none).like_arn(KEY), "{no}");
        }
        assert!(!pattern("arn:*:*:*:*:*", &none).like_arn("no arn"));
    }

    #[test]
    fn variables_take_the_value_the_default_or_nothing() {
        let context = Context::closed()
            .with("aws:username", "a*b")
            .with("aws:TagKeys", Value::Many(vec!["x".into()]));
        let user = pattern("home/${aws:UserName}/x", &context);
        assert!(user.like("home/a*b/x"));
        assert!(
            !user.like("home/azb/x"),
            "a wildcard in a value is plain text"
        );
        assert!(pattern("${aws:x, 'none'}", &context).like("none"));
        assert!(pattern("${*}${?}${$}", &context).like("*?$"));
        assert_eq!(substitute("${aws:x}", Some(&context)), Substituted::Nothing);
        assert_eq!(
            substitute("${aws:TagKeys}", Some(&context)),
            Substituted::Nothing
        );
        assert_eq!(
            substitute("${aws:x}", Some(&Context::open())),
            Substituted::Unknown("aws:x".to_owned())
        );
        assert!(pattern("${open", &context).like("${open"));
    }

    #[test]
    fn without_variables_the_text_is_plain() {
        let Substituted::Pattern(plain) = substitute("${aws:username}", None) else {
            panic!("a pattern");
        };
        assert!(plain.equals("${aws:username}", false));
    }

    #[test]
    fn many_stars_take_no_time() {
        let none = Context::closed();
        let stars = pattern(&"*a".repeat(500), &none);
        assert!(!stars.like(&"a".repeat(499)));
        assert!(stars.like(&"ba".repeat(500)));
    }
}

//! Three values: true, false, cannot tell, and what it would take to tell.

use std::collections::BTreeSet;

/// What an answer waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A condition key whose value is not known, spelled as the policy spells it.
    Key(String),
    /// A document, or a part of one, that was not read or not understood.
    Unread(String),
}

impl Need {
    /// The key's name, or what was not read.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Key(text) | Self::Unread(text) => text,
        }
    }
}

/// Kleene's strong three-valued logic. It never calls an unknown known; it may call unknown what a
/// proof by cases would decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    False,
    True,
    Unknown(BTreeSet<Need>),
}

impl Truth {
    /// Depends on the value of condition key `name`.
    pub fn key(name: &str) -> Self {
        Self::Unknown(BTreeSet::from([Need::Key(name.to_owned())]))
    }

    /// Depends on something that was not read.
    pub fn unread(what: impl Into<String>) -> Self {
        Self::Unknown(BTreeSet::from([Need::Unread(what.into())]))
    }

    pub fn is_true(&self) -> bool {
        *self == Self::True
    }

    pub fn is_false(&self) -> bool {
        *self == Self::False
    }

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, other) | (other, Self::True) => other,
            (Self::Unknown(mut a), Self::Unknown(b)) => {
                a.extend(b);
                Self::Unknown(a)
            }
        }
    }

    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::True, _) | (_, Self::True) => Self::True,
            (Self::False, other) | (other, Self::False) => other,
            (Self::Unknown(mut a), Self::Unknown(b)) => {
                a.extend(b);
                Self::Unknown(a)
            }
        }
    }

    /// True when one is; false for none.
    pub fn any(truths: impl IntoIterator<Item = Self>) -> Self {
        truths.into_iter().fold(Self::False, Self::or)
    }

    /// True when all are, and for none.
    pub fn all(truths: impl IntoIterator<Item = Self>) -> Self {
        truths.into_iter().fold(Self::True, Self::and)
    }
}

impl std::ops::Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::True => Self::False,
            unknown => unknown,
        }
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn false_and_true_decide_alone() {
        let unknown = Truth::key("aws:SourceIp");
        assert_eq!(unknown.clone().and(Truth::False), Truth::False);
        assert_eq!(unknown.clone().or(Truth::True), Truth::True);
        assert_eq!(unknown.clone().and(Truth::True), unknown);
        assert_eq!(unknown.clone().or(Truth::False), unknown);
        assert_eq!(!unknown.clone(), unknown);
    }

    #[test]
    fn two_unknowns_need_both() {
        let Truth::Unknown(needs) = Truth::key("a").or(Truth::unread("b")) else {
            panic!("unknown");
        };
        assert_eq!(
            needs.iter().map(Need::as_str).collect::<Vec<_>>(),
            ["a", "b"]
        );
    }

    #[test]
    fn nothing_is_all_and_not_any() {
        assert_eq!(Truth::all([]), Truth::True);
        assert_eq!(Truth::any([]), Truth::False);
    }
}

//! Reads `keyproof.toml`.

use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;

use super::{ConfigError, Layer, Origin};
use crate::assess::RULES;
use crate::collect::exceptions::ExceptionRule;
use crate::collect::scope::left_out;
use crate::model::words::{CellOutcome, ExceptionKind, Source};

/// Longest file that is read.
const LIMIT: u64 = 4 * 1024 * 1024;

/// Reads the file into a layer and its exceptions.
pub fn read(path: &Path) -> Result<(Layer, Vec<ExceptionRule>), ConfigError> {
    let shown = path.display().to_string();
    let unreadable = |detail: String| ConfigError::Unreadable {
        path: shown.clone(),
        detail,
    };
    let file = std::fs::File::open(path).map_err(|e| unreadable(e.to_string()))?;
    let mut bytes = Vec::new();
    file.take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| unreadable(e.to_string()))?;
    if bytes.len() as u64 > LIMIT {
        return Err(unreadable(format!("it has more than {LIMIT} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|e| unreadable(e.to_string()))?;
    parse(&text, &shown)
}

fn parse(text: &str, path: &str) -> Result<(Layer, Vec<ExceptionRule>), ConfigError> {
    let syntax = |detail: String| ConfigError::Syntax {
        path: path.to_owned(),
        detail,
    };
    let mut table: toml::Table = text
        .parse()
        .map_err(|e: toml::de::Error| syntax(e.to_string()))?;
    let exceptions = exceptions(table.remove("exception"), path)?;
    let mut layer = Layer::default();
    for (name, value) in table {
        match value {
            toml::Value::Table(inner) => {
                for (key, value) in inner {
                    let name = format!("{name}.{key}");
                    layer.set(
                        &name,
                        scalar(&name, value, path)?,
                        Origin::File(path.to_owned()),
                    )?;
                }
            }
            other => {
                layer.set(
                    &name,
                    scalar(&name, other, path)?,
                    Origin::File(path.to_owned()),
                )?;
            }
        }
    }
    Ok((layer, exceptions))
}

fn scalar(name: &str, value: toml::Value, path: &str) -> Result<String, ConfigError> {
    Ok(match value {
        toml::Value::String(text) => text,
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Boolean(flag) => flag.to_string(),
        toml::Value::Array(items) => {
            let texts: Result<Vec<String>, _> = items
                .into_iter()
                .map(|item| scalar(name, item, path))
                .collect();
            texts?.join(",")
        }
        toml::Value::Datetime(_) | toml::Value::Table(_) => {
            return Err(ConfigError::Syntax {
                path: path.to_owned(),
                detail: format!("'{name}' is neither text, number, true/false nor a list of them"),
            });
        }
    })
}

/// `[[exception]]` as people write it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: Option<String>,
    kind: String,
    reason: String,
    approver: String,
    expires: String,
    #[serde(default)]
    accounts: Vec<String>,
    #[serde(default)]
    ous: Vec<String>,
    #[serde(default)]
    regions: Vec<String>,
    #[serde(default)]
    sources: Vec<String>,
    #[serde(default)]
    outcomes: Vec<String>,
    #[serde(default)]
    rules: Vec<String>,
    #[serde(default)]
    resources: Vec<String>,
}

fn exceptions(value: Option<toml::Value>, path: &str) -> Result<Vec<ExceptionRule>, ConfigError> {
    let items = match value {
        None => return Ok(Vec::new()),
        Some(toml::Value::Array(items)) => items,
        Some(_) => {
            let detail = "write exceptions as [[exception]]".to_owned();
            return Err(ConfigError::Syntax {
                path: path.to_owned(),
                detail,
            });
        }
    };
    let mut all: Vec<ExceptionRule> = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let index = index + 1;
        let bad = |detail: String| ConfigError::Exception {
            path: path.to_owned(),
            index,
            detail,
        };
        refuse_empty_lists(&item).map_err(bad)?;
        let written: Written = item
            .try_into()
            .map_err(|e: toml::de::Error| bad(e.message().to_owned()))?;
        let rule = understand(written, index).map_err(bad)?;
        if all.iter().any(|other| other.id == rule.id) {
            return Err(bad(format!("the id '{}' is used twice", rule.id)));
        }
        all.push(rule);
    }
    Ok(all)
}

/// An empty list would limit nothing where its writer meant to limit to nothing.
fn refuse_empty_lists(item: &toml::Value) -> Result<(), String> {
    let fields = item.as_table().into_iter().flatten();
    for (name, value) in fields {
        if value.as_array().is_some_and(Vec::is_empty) {
            return Err(format!(
                "'{name}' is an empty list; leave it out or name something"
            ));
        }
    }
    Ok(())
}

/// Refuses limits that the kind does not look at, and an exception that nothing limits: either would
/// reach further than what was approved.
fn refuse_too_wide(kind: ExceptionKind, written: &Written) -> Result<(), String> {
    let (fitting, needed): (&[&str], &str) = match kind {
        ExceptionKind::Exclude => (
            &["accounts", "ous"],
            "an exclusion names the accounts or OUs it is about",
        ),
        ExceptionKind::Gap => (
            &["accounts", "ous", "regions", "sources", "outcomes"],
            "a gap names the accounts, OUs or Regions it is about, or both outcomes and sources",
        ),
        ExceptionKind::Waiver => (
            &["accounts", "ous", "regions", "rules", "resources"],
            "a waiver names the accounts, OUs, Regions, rules or resources it is about",
        ),
    };
    let lists = [
        ("accounts", &written.accounts),
        ("ous", &written.ous),
        ("regions", &written.regions),
        ("sources", &written.sources),
        ("outcomes", &written.outcomes),
        ("rules", &written.rules),
        ("resources", &written.resources),
    ];
    let given = |name: &str| lists.iter().any(|(n, l)| *n == name && !l.is_empty());
    if let Some((name, _)) = lists
        .iter()
        .find(|(name, _)| given(name) && !fitting.contains(name))
    {
        return Err(format!(
            "'{name}' is no limit of kind '{kind}', which may have {}",
            fitting.join(", ")
        ));
    }
    let limited = match kind {
        ExceptionKind::Gap => {
            ["accounts", "ous", "regions"].into_iter().any(given)
                || given("outcomes") && given("sources")
        }
        ExceptionKind::Exclude | ExceptionKind::Waiver => fitting.iter().any(|name| given(name)),
    };
    if limited {
        Ok(())
    } else {
        Err(needed.to_owned())
    }
}

/// An id that can be told from the words of the `account` dataset and stands in lists.
fn check_id(id: &str) -> Result<(), String> {
    if id.is_empty() || id.contains(char::is_whitespace) {
        return Err("an id has at least one letter and no white space".to_owned());
    }
    if [left_out::STATE, left_out::NOT_SELECTED].contains(&id) {
        return Err(format!(
            "the id '{id}' means something else in the 'account' dataset; take another one"
        ));
    }
    Ok(())
}

fn check_rule(id: &str) -> Result<(), String> {
    if RULES.iter().any(|rule| rule.id == id) {
        return Ok(());
    }
    let known: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
    Err(format!(
        "there is no rule '{id}'; the rules are {}",
        known.join(", ")
    ))
}

fn understand(written: Written, index: usize) -> Result<ExceptionRule, String> {
    fn all<T: std::str::FromStr>(texts: Vec<String>) -> Result<Vec<T>, String>
    where
        T::Err: std::fmt::Display,
    {
        texts
            .iter()
            .map(|t| t.parse().map_err(|e: T::Err| e.to_string()))
            .collect()
    }
    for (name, text) in [("reason", &written.reason), ("approver", &written.approver)] {
        if text.trim().is_empty() {
            return Err(format!("'{name}' is empty; an auditor will ask for it"));
        }
    }
    let kind: ExceptionKind = written.kind.parse()?;
    let words_ok = |words: &[String]| words.iter().all(|w| !w.contains(char::is_whitespace));
    if ![&written.ous, &written.rules, &written.resources]
        .into_iter()
        .all(|w| words_ok(w))
    {
        return Err("ids and ARNs hold no white space".to_owned());
    }
    refuse_too_wide(kind, &written)?;
    for rule in &written.rules {
        check_rule(rule)?;
    }
    let id = written.id.unwrap_or_else(|| format!("{kind}-{index}"));
    check_id(&id)?;
    Ok(ExceptionRule {
        id,
        kind,
        reason: written.reason,
        approver: written.approver,
        expires: written
            .expires
            .parse()
            .map_err(|e: crate::time::TimeError| e.to_string())?,
        accounts: all(written.accounts)?,
        ous: written.ous,
        regions: all(written.regions)?,
        sources: all::<Source>(written.sources)?,
        outcomes: all::<CellOutcome>(written.outcomes)?,
        rules: written.rules,
        resources: written.resources,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = r#"
        archive = "s3://org-emr-evidence/keyproof"
        role_name = "keyproof-reader"
        regions = ["eu-west-1", "us-east-1"]
        [tags]
        owner = "owner"
        [[exception]]
        kind = "gap"
        accounts = ["111122223333"]
        regions = ["ap-south-1"]
        outcomes = ["denied_scp"]
        reason = "fenced by Control Tower"
        approver = "ciso@example.org"
        expires = "2027-03-31"
    "#;

    #[test]
    fn the_smallest_useful_file_is_read() {
        let (layer, exceptions) = parse(SMALLEST, "keyproof.toml").expect("valid");
        let settings = super::super::Settings::stack([layer]);
        assert_eq!(settings.text("regions"), Some("eu-west-1,us-east-1"));
        assert_eq!(settings.text("tags.owner"), Some("owner"));
        assert_eq!(exceptions[0].id, "gap-1");
    }

    #[test]
    fn unknown_keys_and_bad_exceptions_are_refused() {
        let error = |text: &str| parse(text, "k.toml").expect_err("refused").to_string();
        assert!(error("archvie = 1").contains("did you mean 'archive'"));
        assert!(error("[tags]\nownr = 'x'").contains("did you mean 'tags.owner'"));
        assert!(error("archive = ").contains("not valid TOML"));
        assert!(error("exception = 3").contains("[[exception]]"));
        let gap = "[[exception]]\nkind='gap'\nreason='r'\napprover='a'\nexpires='2027-01-01'\n";
        assert!(error(&format!("{gap}accounts=['12']")).contains("12 digits"));
        assert!(error(&format!("{gap}colour='red'")).contains("colour"));
        assert!(
            error(&format!("{gap}regions=['eu-west-1']\noutcomes=['denied']"))
                .contains("not one of")
        );
        assert!(error(&gap.replace("'r'", "' '")).contains("reason"));
        assert!(error(&gap.replace("'gap'", "'exclude'")).contains("names the accounts"));
    }

    /// An exception of `kind` with `more` lines, as the file would have it.
    fn one(kind: &str, more: &str) -> Result<ExceptionRule, String> {
        let text = format!(
            "[[exception]]\nkind='{kind}'\nreason='r'\napprover='a'\nexpires='2027-01-01'\n{more}"
        );
        parse(&text, "k.toml")
            .map(|(_, mut all)| all.remove(0))
            .map_err(|e| e.to_string())
    }

    #[test]
    fn an_exception_is_never_wider_than_it_is_written() {
        let account = "accounts=['111122223333']\n";
        for (kind, more, why) in [
            (
                "exclude",
                "regions=['eu-west-1']",
                "'regions' is no limit of kind 'exclude'",
            ),
            ("exclude", "sources=['clusters']", "'sources'"),
            ("exclude", "outcomes=['denied_scp']", "'outcomes'"),
            ("exclude", "rules=['EL-01']", "'rules'"),
            ("gap", "rules=['EL-01']", "'rules'"),
            ("gap", "resources=['arn:x']", "'resources'"),
            ("waiver", "sources=['clusters']", "'sources'"),
            ("waiver", "outcomes=['denied_scp']", "'outcomes'"),
            ("waiver", "regions=[]", "'regions' is an empty list"),
        ] {
            let error = one(kind, &format!("{account}{more}")).expect_err(more);
            assert!(error.contains(why), "{kind} {more}: {error}");
        }
        for (kind, more) in [
            ("exclude", ""),
            ("gap", ""),
            ("gap", "outcomes=['denied_scp']"),
            ("gap", "sources=['clusters']"),
            ("waiver", ""),
        ] {
            let error = one(kind, more).expect_err(more);
            assert!(error.contains(" names the "), "{kind} {more}: {error}");
        }
        for (kind, more) in [
            ("exclude", "ous=['ou-ab12-11111111']"),
            ("gap", "regions=['ap-south-1']"),
            ("gap", "ous=['r-ab12']"),
            ("gap", "outcomes=['denied_scp']\nsources=['clusters']"),
            ("waiver", "ous=['ou-ab12-11111111']"),
            ("waiver", "regions=['eu-west-1']"),
            ("waiver", "rules=['EL-01', 'EL-03']"),
        ] {
            one(kind, more).expect(more);
        }
    }

    /// What the documents tell a reader to write is accepted.
    #[test]
    fn gaps_that_the_documents_name_can_be_declared() {
        let documents = [
            include_str!("../../docs/deploying.md"),
            include_str!("../../CHANGELOG.md"),
        ];
        let mut found = 0;
        for document in documents {
            let words = document.split_whitespace().collect::<Vec<_>>().join(" ");
            // In code spans alone: an even part of a text is outside of them.
            let spans: Vec<&str> = words.split('`').skip(1).step_by(2).collect();
            for (at, span) in spans.iter().enumerate() {
                if !span.starts_with("sources = [") {
                    continue;
                }
                let before = at.checked_sub(1).map(|at| spans[at]);
                let outcomes = before.filter(|span| span.starts_with("outcomes = ["));
                let outcomes = outcomes.unwrap_or_else(|| panic!("{span} alone is refused"));
                one("gap", &format!("{outcomes}\n{span}")).expect(span);
                found += 1;
            }
        }
        assert_eq!(found, 3);
    }

    #[test]
    fn rules_that_are_not_there_and_ids_that_mean_something_else_are_refused() {
        for rule in ["el-01", "EL-99", "EL-01 ", ""] {
            let error = one("waiver", &format!("rules=['EL-01', '{rule}']")).expect_err(rule);
            assert!(
                error.contains("rule") || error.contains("white space"),
                "{error}"
            );
        }
        for id in ["state", "not_selected", "", "a b"] {
            let more = format!("id='{id}'\naccounts=['111122223333']");
            for kind in ["exclude", "gap", "waiver"] {
                let error = one(kind, &more).expect_err(id);
                assert!(error.contains("id"), "{error}");
            }
        }
    }

    #[test]
    fn a_file_that_is_not_text_is_refused() {
        let dir = std::env::temp_dir().join(format!("keyproof-config-{}", std::process::id()));
        std::fs::write(&dir, [0xff, 0xfe, 0x00]).expect("write");
        let error = read(&dir).expect_err("refused").to_string();
        std::fs::remove_file(&dir).expect("remove");
        assert!(error.contains("utf-8"), "{error}");
    }
}

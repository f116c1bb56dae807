//! Reads `keyproof.toml`.

use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;

use super::{ConfigError, Layer, Origin};
use crate::collect::exceptions::ExceptionRule;
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
    let rule = ExceptionRule {
        id: written.id.unwrap_or_else(|| format!("{kind}-{index}")),
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
    };
    if kind == ExceptionKind::Exclude && rule.accounts.is_empty() && rule.ous.is_empty() {
        return Err("an exclusion names the accounts or OUs it is about".to_owned());
    }
    Ok(rule)
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
        assert!(error(&format!("{gap}outcomes=['denied']")).contains("not one of"));
        assert!(error(&gap.replace("'r'", "' '")).contains("reason"));
        assert!(error(&gap.replace("'gap'", "'exclude'")).contains("names the accounts"));
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

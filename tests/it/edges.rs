//! The structure of `src/`, checked from its text: which module may use which, that AWS SDKs stay in
//! `src/aws`, and that archive names are formatted in `src/archive/layout.rs` alone.
//!
//! Comments and literals are told apart by a small lexer, so that prose may name anything. Unit
//! tests (from `#[cfg(test)]` on, last in a file) and their fixtures may also use `testkit` and write
//! archive names out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a module may use besides itself. A path stands for itself and what is below it; `*` for all.
const ALLOWED: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("time", &[]),
    ("engine", &[]),
    ("model", &["time"]),
    (
        "discover",
        &[
            "model",
            "time",
            "error",
            "collect::api",
            "collect::operation",
            "collect::attempt",
            "collect::scope",
            "collect::exceptions",
            // For its tests.
            "collect::fake",
            "collect::random",
        ],
    ),
    ("collect", &["model", "time", "error"]),
    ("policy", &["model", "time", "error"]),
    ("assess", &["model", "time", "error", "policy"]),
    ("record", &["model", "time", "error"]),
    ("seal", &["model", "time", "error"]),
    // Level 5 of verification reads what runs say of their scope.
    // The archive asks of its own bucket and key what rules ask of others.
    (
        "archive",
        &["model", "time", "error", "seal", "record", "policy"],
    ),
    ("rollup", &["model", "time", "error", "record", "engine"]),
    ("report", &["model", "time", "error", "rollup", "archive"]),
    (
        "query",
        &[
            "model", "time", "error", "record", "report", "engine", "rollup",
        ],
    ),
    (
        "aws",
        &[
            "model",
            "time",
            "error",
            "collect::api",
            "collect::operation",
            "archive::store",
            "archive::protection",
            "archive::signer",
            "seal::PublicKey",
            "seal::is_safe_name",
        ],
    ),
    // Configuration resolves into the types that the stages declare for it.
    (
        "config",
        &[
            "model",
            "time",
            "error",
            "assess",
            "collect",
            "aws::LockMode",
        ],
    ),
    ("run", &["*"]),
    ("cli", &["*"]),
    (
        "testkit",
        &[
            "model",
            "time",
            "error",
            "collect::api",
            "record",
            "archive",
            "seal",
        ],
    ),
    // A mistake shared with the auditor would hide itself.
    ("sandbox", &[]),
    // The roots: declarations, and the way in.
    ("lib", &["*"]),
    ("main", &["*"]),
];

/// First folders of archive names.
const ARCHIVE_FOLDERS: &[&str] = &[
    "keys/",
    "starts/",
    "runs/dt=",
    "evidence/",
    "manifest/",
    "sums/",
    "rollup/",
    "chain/",
];

/// One Rust file, taken apart.
struct Source {
    /// Relative to `src/`.
    path: PathBuf,
    /// The code with comments removed and literals emptied; line breaks kept.
    code: String,
    /// String literals with the offset in `code` where they stood.
    literals: Vec<(usize, String)>,
}

impl Source {
    fn new(path: impl Into<PathBuf>, text: &str) -> Self {
        let (code, literals) = lex(text);
        Self {
            path: path.into(),
            code,
            literals,
        }
    }

    /// The top-level module that the file belongs to.
    fn module(&self) -> &str {
        let first = self
            .path
            .iter()
            .next()
            .and_then(|part| part.to_str())
            .unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// How many modules deep the file is: `seal/mod.rs` 1, `seal/envelope.rs` 2.
    fn depth(&self) -> usize {
        let parts = self.path.iter().count();
        if self.path.ends_with("mod.rs") {
            parts - 1
        } else {
            parts
        }
    }

    /// Where the unit tests begin in `code`.
    fn tests_at(&self) -> usize {
        let of_tests = ["tests.rs", "fixtures.rs"].map(|name| self.path.ends_with(name));
        if of_tests.contains(&true) || self.path.iter().any(|part| part == "tests") {
            return 0;
        }
        self.code.find("#[cfg(test)]").unwrap_or(self.code.len())
    }

    fn at(&self, offset: usize) -> String {
        let line = 1 + self.code[..offset].matches('\n').count();
        format!("src/{}:{line}", self.path.display())
    }

    /// Every path that begins with `crate::`, split into segments, groups written out.
    fn crate_paths(&self) -> Vec<(usize, Vec<String>)> {
        let mut found = Vec::new();
        for (offset, _) in self.code.match_indices("crate::") {
            let before = self.code[..offset].chars().next_back();
            if before.is_some_and(|c| c == '_' || c.is_alphanumeric()) {
                continue;
            }
            let mut paths = Vec::new();
            use_tree(
                &self.code[offset + "crate::".len()..],
                Vec::new(),
                &mut paths,
            );
            found.extend(paths.into_iter().map(|path| (offset, path)));
        }
        found
    }
}

/// Reads a use tree or a path (`a::{b, c::d}`, `a::b::<T>`), adds its paths and returns what follows.
fn use_tree<'a>(text: &'a str, prefix: Vec<String>, paths: &mut Vec<Vec<String>>) -> &'a str {
    let mut rest = text.trim_start();
    let mut path = prefix;
    loop {
        if let Some(group) = rest.strip_prefix('{') {
            rest = group.trim_start();
            while !rest.is_empty() && !rest.starts_with('}') {
                rest = use_tree(rest, path.clone(), paths);
                // What may follow a member: `as name`, a comma.
                rest = rest.trim_start_matches(|c| c != ',' && c != '}');
                rest = rest.trim_start_matches(',').trim_start();
            }
            return rest.strip_prefix('}').unwrap_or(rest);
        }
        let end = rest
            .find(|c: char| c != '_' && !c.is_alphanumeric())
            .unwrap_or(rest.len());
        if end > 0 {
            path.push(rest[..end].to_owned());
        }
        match rest[end..].strip_prefix("::") {
            Some(more) if end > 0 => rest = more.trim_start(),
            _ => {
                paths.push(path);
                return &rest[end..];
            }
        }
    }
}

/// Splits Rust text into code without comments and literals, and the string literals.
fn lex(text: &str) -> (String, Vec<(usize, String)>) {
    let mut code = String::with_capacity(text.len());
    let mut literals = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let taken = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some((content, length)) = string_literal(rest, &code) {
            literals.push((code.len(), content.to_owned()));
            code.push_str("\"\"");
            length
        } else if let Some(length) = char_literal(rest) {
            code.push_str("' '");
            length
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        // Line numbers stay right.
        code.extend(rest[..taken].chars().filter(|c| *c == '\n'));
        rest = &rest[taken..];
    }
    (code, literals)
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The content and whole length of a string literal at the start of `text`, raw and prefixed ones
/// too. `before` is the code so far: an `r` that ends an identifier is no prefix.
fn string_literal<'a>(text: &'a str, before: &str) -> Option<(&'a str, usize)> {
    let in_word = before.ends_with(|c: char| c == '_' || c.is_alphanumeric());
    let prefix = ["br", "cr", "r", "b", "c", ""]
        .into_iter()
        .find(|prefix| text.starts_with(prefix) && (prefix.is_empty() || !in_word))?;
    let after = &text[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = after.len() - after.trim_start_matches('#').len();
        let content = after[hashes..].strip_prefix('"')?;
        let close = format!("\"{}", "#".repeat(hashes));
        let end = content.find(&close).unwrap_or(content.len());
        let length = prefix.len() + hashes + 1 + end + close.len();
        return Some((&content[..end], length.min(text.len())));
    }
    let content = after.strip_prefix('"')?;
    let mut escaped = false;
    let end = content
        .char_indices()
        .find(|(_, c)| {
            let closes = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            closes
        })
        .map_or(content.len(), |(at, _)| at);
    Some((
        &content[..end],
        (prefix.len() + 1 + end + 1).min(text.len()),
    ))
}

/// The length of a character literal at the start of `text`; a lifetime is none.
fn char_literal(text: &str) -> Option<usize> {
    let content = text.strip_prefix('\'')?;
    let first = content.chars().next()?;
    if first == '\\' {
        return content[2..].find('\'').map(|end| 1 + 2 + end + 1);
    }
    content[first.len_utf8()..]
        .starts_with('\'')
        .then(|| 1 + first.len_utf8() + 1)
}

/// Exported macros live at the crate's root: which module declares each.
fn macro_owners(sources: &[Source]) -> BTreeMap<String, String> {
    let mut owners = BTreeMap::new();
    for source in sources {
        for (offset, _) in source.code.match_indices("#[macro_export]") {
            if let Some(at) = source.code[offset..].find("macro_rules! ") {
                let name = &source.code[offset + at + "macro_rules! ".len()..];
                let end = name
                    .find(|c: char| c != '_' && !c.is_alphanumeric())
                    .unwrap_or(0);
                owners.insert(name[..end].to_owned(), source.module().to_owned());
            }
        }
    }
    owners
}

/// Uses of other modules that the list does not allow.
fn module_edges(source: &Source, macros: &BTreeMap<String, String>) -> Vec<String> {
    let module = source.module();
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == module) else {
        return vec![format!(
            "src/{}: '{module}' has no line in ALLOWED",
            source.path.display()
        )];
    };
    let mut wrong = Vec::new();
    for (offset, mut path) in source.crate_paths() {
        let Some(target) = path.first_mut() else {
            continue;
        };
        if let Some(owner) = macros.get(target) {
            *target = owner.clone();
        }
        let in_tests = offset >= source.tests_at();
        let fine = *target == module
            || (in_tests && *target == "testkit" && module != "sandbox")
            || allowed.iter().any(|rule| {
                *rule == "*"
                    || rule.split("::").zip(&path).filter(|(a, b)| a == b).count()
                        == rule.split("::").count()
            });
        if !fine {
            wrong.push(format!(
                "{}: {module} uses {}",
                source.at(offset),
                path.join("::")
            ));
        }
    }
    // A chain of `super` could leave the module unseen. Unit tests are one module deeper.
    let chain = "super::".repeat(source.depth());
    for (offset, _) in source.code.match_indices(&chain) {
        let deeper = source.code[offset + chain.len()..].starts_with("super::");
        let continued = source.code[..offset].ends_with("super::");
        if !continued && (offset < source.tests_at() || deeper) {
            wrong.push(format!(
                "{}: {module} leaves itself by 'super'",
                source.at(offset)
            ));
        }
    }
    wrong
}

/// Names of AWS SDK crates outside `src/aws`. aws-lc-rs is a cryptographic library.
fn aws_crates(source: &Source) -> Vec<String> {
    if source.module() == "aws" {
        return Vec::new();
    }
    source
        .code
        .match_indices("aws_")
        .filter(|(offset, _)| {
            let word = &source.code[*offset..];
            let end = word
                .find(|c: char| c != '_' && !c.is_alphanumeric())
                .unwrap_or(word.len());
            let starts_word = !source.code[..*offset]
                .ends_with(|c: char| c == '_' || c.is_alphanumeric() || c == '.');
            let before = source.code[..*offset].trim_end();
            let used = word[end..].starts_with("::") || before.ends_with("use");
            starts_word && used && &word[..end] != "aws_lc_rs"
        })
        .map(|(offset, _)| format!("{}: an AWS SDK crate outside src/aws", source.at(offset)))
        .collect()
}

/// Literals that spell an archive name outside `archive/layout.rs`.
fn archive_names(source: &Source) -> Vec<String> {
    if source.module() == "sandbox" || source.path == Path::new("archive/layout.rs") {
        return Vec::new();
    }
    source
        .literals
        .iter()
        .filter(|(offset, _)| *offset < source.tests_at())
        .filter(|(_, literal)| {
            ARCHIVE_FOLDERS.iter().any(|folder| {
                literal.match_indices(folder).any(|(at, _)| {
                    at == 0 || literal[..at].ends_with('/') || literal[..at].ends_with('}')
                })
            })
        })
        .map(|(offset, literal)| {
            format!(
                "{}: \"{literal}\" belongs in archive/layout.rs",
                source.at(*offset)
            )
        })
        .collect()
}

fn all_sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("src is readable") {
            let path = entry.expect("src is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("source is UTF-8");
                let relative = path.strip_prefix(&root).expect("below src").to_owned();
                sources.push(Source::new(relative, &text));
            }
        }
    }
    assert!(sources.len() > 20, "src was not read");
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

fn assert_none(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn modules_use_only_what_they_may() {
    let sources = all_sources();
    let macros = macro_owners(&sources);
    assert_none(
        sources
            .iter()
            .flat_map(|source| module_edges(source, &macros))
            .collect(),
    );
}

#[test]
fn aws_sdks_stay_in_src_aws() {
    assert_none(all_sources().iter().flat_map(aws_crates).collect());
}

#[test]
fn archive_names_are_formatted_in_layout_alone() {
    assert_none(all_sources().iter().flat_map(archive_names).collect());
}

fn edges_of(path: &str, text: &str) -> usize {
    let macros = BTreeMap::from([("dataset".to_owned(), "model".to_owned())]);
    module_edges(&Source::new(path, text), &macros).len()
}

#[test]
fn forbidden_edges_are_noticed() {
    assert_eq!(
        edges_of("assess/mod.rs", "use crate::model::ids::Region;"),
        0
    );
    assert_eq!(
        edges_of("assess/mod.rs", "use crate::collect::api::Cluster;"),
        1
    );
    assert_eq!(
        edges_of("assess/mod.rs", "use crate::{model::ids::A, aws, time};"),
        1
    );
    assert_eq!(
        edges_of("assess/mod.rs", "fn f() { crate::run::audit() }"),
        1
    );
    assert_eq!(
        edges_of(
            "discover/mod.rs",
            "use crate::collect::{api::A, operation::B};"
        ),
        0
    );
    assert_eq!(
        edges_of(
            "discover/mod.rs",
            "use crate::collect::{api as x, journal::{C, D}};"
        ),
        2
    );
    assert_eq!(edges_of("aws/mod.rs", "use crate::seal::PublicKey;"), 0);
    assert_eq!(
        edges_of("aws/mod.rs", "use crate::seal::{self, PublicKey};"),
        1
    );
    assert_eq!(edges_of("sandbox/mod.rs", "use crate::time::UtcMillis;"), 1);
    assert_eq!(edges_of("sandbox/mod.rs", "use crate::dataset;"), 1);
    assert_eq!(edges_of("record/mod.rs", "crate::dataset! {}"), 0);
    assert_eq!(edges_of("record/mod.rs", "use super::run::Run;"), 1);
    assert_eq!(
        edges_of("record/pages.rs", "use super::rows; use super::super::run;"),
        1
    );
    assert_eq!(
        edges_of("record/mod.rs", "#[cfg(test)] mod tests { use super::*; }"),
        0
    );
    assert_eq!(
        edges_of(
            "record/mod.rs",
            "#[cfg(test)] mod tests { use super::super::run; }"
        ),
        1
    );
    assert_eq!(
        edges_of(
            "record/mod.rs",
            "#[cfg(test)] mod tests { use crate::testkit::F; }"
        ),
        0
    );
    assert_eq!(edges_of("record/mod.rs", "use crate::testkit::F;"), 1);
    assert_eq!(
        edges_of(
            "record/mod.rs",
            "// crate::run\n/* crate::run /* */ */ \"crate::run\""
        ),
        0
    );
    assert_eq!(edges_of("newcomer/mod.rs", ""), 1);
}

#[test]
fn aws_crates_elsewhere_are_noticed() {
    let found = |path: &str, text: &str| aws_crates(&Source::new(path, text)).len();
    assert_eq!(found("run/mod.rs", "use aws_sdk_emr::Client;"), 1);
    assert_eq!(
        found(
            "run/mod.rs",
            "let c = aws_config::load().await; use aws_types;"
        ),
        2
    );
    assert_eq!(found("aws/mod.rs", "use aws_sdk_emr::Client;"), 0);
    assert_eq!(found("seal/key.rs", "use aws_lc_rs::signature;"), 0);
    assert_eq!(
        found(
            "run/mod.rs",
            "let aws_managed_key = self.aws_key; // aws_sdk_s3::x"
        ),
        0
    );
}

#[test]
fn archive_names_elsewhere_are_noticed() {
    let found = |path: &str, text: &str| archive_names(&Source::new(path, text)).len();
    assert_eq!(
        found(
            "archive/commit.rs",
            r#"format!("chain/{seq:010}.dsse.json")"#
        ),
        1
    );
    assert_eq!(
        found("run/mod.rs", r##"format!(r#"{root}/evidence/x"#)"##),
        1
    );
    assert_eq!(found("run/mod.rs", r#"format!("{root}starts/{n}")"#), 1);
    assert_eq!(
        found(
            "archive/layout.rs",
            r#"format!("chain/{seq:010}.dsse.json")"#
        ),
        0
    );
    assert_eq!(found("sandbox/mod.rs", r#"let x = "chain/1";"#), 0);
    assert_eq!(
        found(
            "archive/verify.rs",
            r#"panic!("a delete marker under `chain/` \" '\"' ")"#
        ),
        0
    );
    assert_eq!(
        found(
            "run/mod.rs",
            "#[cfg(test)] mod tests { const X: &str = \"keys/a.pem\"; }"
        ),
        0
    );
    assert_eq!(
        found(
            "run/mod.rs",
            "let quote = '\"'; let c: &'static str = \"keys/a.pem\";"
        ),
        1
    );
}

#[test]
fn lines_are_counted_over_literals_and_comments() {
    let source = Source::new(
        "assess/a.rs",
        "/* 1\n2 */\nlet x = \"\n\";\nuse crate::run;\n",
    );
    assert_eq!(
        module_edges(&source, &BTreeMap::new()),
        ["src/assess/a.rs:5: assess uses run"]
    );
}

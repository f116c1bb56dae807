//! The same views for Amazon Athena: raw tables over the archive, views that filter them by the chain, and
//! a CloudFormation template. Athena filters; only `keyproof verify` proves.
//!
//! In every text `{{bucket}}` stands for the archive's bucket and prefix without a slash at the end, and
//! `{{pin}}` for the SHA-256 of entry 1.

mod ddl;
mod raw;
mod template;
mod views;

use crate::model::table::Dataset as _;
use crate::query::named::NAMED;
use crate::rollup::Remediation;

/// Where things stand below an archive's root.
#[derive(Debug, Clone, Copy)]
pub struct Folders {
    /// Folder of a version of a dataset, no slash at the end.
    pub evidence: fn(&str, u32) -> String,
    /// Folder of a version of a measure, no slash at the end.
    pub rollup: fn(&str, u32) -> String,
    /// Folder of the chain, with the slash.
    pub chain: &'static str,
    /// Folder of manifests, with the slash.
    pub manifests: &'static str,
}

/// A query that Athena keeps under a name.
#[derive(Debug, Clone)]
pub struct Kept {
    pub name: String,
    pub sql: &'static str,
}

/// Every generated file: path relative to `schemas/`, and content. `measures`, names and SQL, are kept
/// beside the named queries; `remediation`, which another reads, is a view.
pub fn files(folders: &Folders, measures: &[(&str, &'static str)]) -> Vec<(String, String)> {
    let tables = raw::tables(folders);
    let named = NAMED.iter().map(|query| Kept {
        name: query.name.to_owned(),
        sql: query.sql,
    });
    let is_view = |name: &str| name == Remediation::NAME;
    let kpis = measures.iter().filter(|(name, _)| !is_view(name));
    let kpis = kpis.map(|&(name, sql)| Kept {
        name: name.replace('_', "-"),
        sql,
    });
    let kept: Vec<Kept> = kpis.chain(named).collect();
    let views = measures.iter().filter(|(name, _)| is_view(name));
    vec![
        ("tables.sql".to_owned(), ddl::statements(&tables)),
        ("views.sql".to_owned(), views::statements(views.copied())),
        ("athena.json".to_owned(), template::template(&tables, &kept)),
    ]
}

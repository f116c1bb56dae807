//! What lies in a log bucket that neither an inventory nor an export tells of: its versions, listed up to a
//! bound, with the opt-in sampler role of the bucket's owner.
//!
//! A listing tells how many versions there are and how large, current and older ones, and nothing of how they
//! are encrypted: every row of it says `unknown`
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html>).

use std::sync::Arc;

use super::folders::LogFolders;
use super::rows::{Stored, VersionRow};
use super::source::Unread;
use super::summary::Summary;
use crate::collect::api::{ListedVersion, Member};
use crate::collect::attempt::{Budget, Pager, Place};
use crate::collect::operation::Operation;
use crate::collect::session::Session;
use crate::model::ids::{AccountId, Region};

/// How much of one bucket is listed at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Versions, delete markers too.
    pub versions: u64,
    /// Requests. One lists up to 1,000 versions, and a folder costs one at least.
    pub pages: u64,
}

/// What was listed of a bucket.
pub(super) struct Listed {
    pub counted: Summary,
    /// Folders that the bound kept from being counted, or counted to their end.
    pub cut_off: Vec<String>,
}

/// A log bucket, seen with its owner's sampler role.
pub(super) struct Here<'a> {
    pub account: &'a AccountId,
    pub sampler: &'a Session,
    pub budget: &'a Budget,
    pub region: &'a Region,
    pub bucket: &'a str,
    pub folders: &'a Arc<LogFolders>,
}

impl Here<'_> {
    /// Counts the versions in the bucket's log folders. After an error nothing of it counts.
    pub(super) async fn list(&self, bound: Bound) -> Result<Listed, Unread> {
        let mut counted = Summary::new(Arc::clone(self.folders));
        let mut left = bound;
        let mut cut_off = Vec::new();
        for root in roots(self.folders.names()) {
            if !self.below(root, &mut left, &mut counted).await? {
                // What lies in a folder within it may have been cut off just as well.
                let within = self.folders.names().iter();
                cut_off.extend(within.filter(|name| name.starts_with(root)).cloned());
            }
        }
        Ok(Listed { counted, cut_off })
    }

    /// Whether everything below `root` was counted.
    async fn below(
        &self,
        root: &str,
        left: &mut Bound,
        counted: &mut Summary,
    ) -> Result<bool, Unread> {
        let (region, bucket, operation) = (self.region, self.bucket, Operation::ListObjectVersions);
        let mut pager = Pager::new(Place {
            account: Some(self.account),
            region,
            operation,
        });
        let mut next = None;
        loop {
            if left.pages == 0 || left.versions == 0 {
                return Ok(false);
            }
            let ask = |m: Arc<dyn Member>| {
                let next = next.clone();
                async move { m.log_versions(region, bucket, root, next).await }
            };
            let page = self
                .sampler
                .call(self.budget, region, operation, ask)
                .await?;
            left.pages -= 1;
            for version in &page.items {
                if left.versions == 0 {
                    return Ok(false);
                }
                left.versions -= 1;
                counted.add(&row(version))?;
            }
            next = pager.advance(page.next)?;
            if next.is_none() {
                return Ok(true);
            }
        }
    }
}

fn row(version: &ListedVersion) -> VersionRow<'_> {
    VersionRow {
        key: &version.name,
        version_id: "",
        is_latest: version.is_latest,
        is_delete_marker: version.is_delete_marker,
        bytes: version.bytes,
        stored: Stored::Unknown,
        kms_key: None,
    }
}

/// The folders, given in order, that lie in no other: who lists them lists all.
fn roots(names: &[String]) -> Vec<&str> {
    let mut roots: Vec<&str> = Vec::new();
    for name in names {
        if roots.last().is_none_or(|root| !name.starts_with(root)) {
            roots.push(name);
        }
    }
    roots
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    proptest::proptest! {
        /// Each folder lies in one root, and no root in another.
        #[test]
        fn roots_hold_every_folder_once(
            names in proptest::collection::btree_set("([ab]/){0,4}", 0..12),
        ) {
            let folders = LogFolders::new(&names);
            let roots: BTreeSet<&str> = roots(folders.names()).into_iter().collect();
            for name in &names {
                let holding = roots.iter().filter(|root| name.starts_with(**root)).count();
                proptest::prop_assert_eq!(holding, 1, "{}", name);
            }
        }
    }
}

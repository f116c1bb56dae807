//! The first pass of a run over an organization whose list of accounts is long.
//!
//! AWS lists twenty accounts a page and eight pages a second: 10,000 accounts take a minute, and their
//! tags, where those are wanted, an hour. So the run begins as soon as the first pages are there and
//! looks into their accounts while the list goes on; the others follow when it is whole, while tags are
//! read. The scope is written down when nothing of it is missing, and the accounts that are looked into
//! before that when the pass begins: whoever resumes the run lists them all again, and keeps the cells that
//! ended. Everything after this pass goes on from it as from what another process left.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::archive::chain::Chain;
use crate::archive::shards::ScopeFile;
use crate::archive::starts::Begun;
use crate::archive::store::Store;
use crate::collect::facts::NothingCollected;
use crate::collect::scope::Scope;
use crate::collect::{self, Part};
use crate::config::Config;
use crate::discover::Listing;
use crate::model::ids::hex;
use crate::record::Journal;

use super::beginning::{begin_scope, scope_request};
use super::evidence::Evidence;
use super::facts::Journals;
use super::frozen::Frozen;
use super::known::Watermarks;
use super::running::{Asking, Before, Running};
use super::work::{LISTED, SCOPE, Work};
use super::{RunError, RunOptions, Shell, progress, random};

/// Writes down what must be the same when another process goes on.
pub fn freeze(work: &Work, frozen: &Frozen, begun: &Begun) -> Result<(), RunError> {
    work.write("writer", hex(&random::<4>()?).as_bytes())?;
    work.write(SCOPE, &frozen.to_file(begun)?.to_bytes())
}

/// What the dead process of a run froze. Where it died while the accounts were being listed, they are
/// listed again, and that is frozen.
pub async fn thaw(
    config: &Config,
    asking: &Asking,
    work: &Work,
    begun: &Begun,
) -> Result<Frozen, RunError> {
    let run_id = &begun.start.run_id;
    let (name, file) = match work.read(SCOPE, run_id) {
        Err(RunError::NothingToResume { .. }) => (LISTED, work.read(LISTED, run_id)?),
        file => (SCOPE, file?),
    };
    let path = work.path.join(name).display().to_string();
    let file = ScopeFile::parse(&file).map_err(|detail| RunError::Local {
        path: path.clone(),
        detail,
    })?;
    let other = |was| RunError::OtherThanBegun {
        run_id: run_id.clone(),
        was,
    };
    if file.start_sha256 != begun.file.sha256 {
        return Err(other("another start"));
    }
    let frozen = Frozen::of_file(file, &path)?;
    let date = begun.start.scheduled_for;
    frozen.check_config(config, run_id, date)?;
    if name == SCOPE {
        return Ok(frozen);
    }
    tracing::info!(
        "run {run_id} died while its accounts were being listed: they are listed again, and what was \
         looked at is not looked at again"
    );
    let request = scope_request(config, date)?;
    let listing = begin_scope(request, begun.start.deadline_at, asking).await?;
    let scope = listing
        .finish(asking.aws.as_ref(), &asking.attempts)
        .await?;
    let frozen = frozen.listed_again(scope);
    let frozen = frozen.ok_or_else(|| other("another organization"))?;
    freeze(work, &frozen, begun)?;
    Ok(frozen)
}

/// A run that has begun while the list of its accounts is long.
pub struct Listed<'a> {
    pub shell: &'a Shell,
    pub config: &'a Config,
    pub options: &'a RunOptions,
    pub asking: &'a Asking,
    pub store: &'a dyn Store,
    pub begun: &'a Begun,
    pub chain: &'a Chain,
    pub work: &'a Work,
    /// Freezes a scope.
    pub frozen: &'a (dyn Fn(Scope) -> Frozen + Sync),
}

impl Listed<'_> {
    /// Makes the pass; gives the scope, the facts and what earlier runs know.
    pub async fn first_pass(
        &self,
        listing: Listing,
    ) -> Result<(Frozen, Arc<Journal>, Before), RunError> {
        let shown = progress::show(self.options, &self.asking.attempts);
        let journal = Arc::new(self.work.first_journal()?);
        let early = self.running(listing.early());
        let begins_with = early.frozen.to_file(self.begun)?;
        self.work.write(LISTED, &begins_with.to_bytes())?;
        let taken = &early.frozen.scope;
        let (cloud, attempts) = (self.asking.aws.as_ref(), &self.asking.attempts);
        let first = async {
            let known = self.known(&early).await?;
            let all = (0..taken.accounts.len() as u32).collect();
            self.collect(&early, &journal, Arc::new(known), all).await
        };
        let rest = async {
            let (mut scope, tags) = listing.untagged(cloud, attempts).await?;
            let running = self.running(scope.clone());
            let is_whole = tags.is_none();
            if is_whole {
                freeze(self.work, &running.frozen, self.begun)?;
            }
            let evidence = self.evidence(&self.work.path);
            let before = running.before(&evidence, self.chain).await?;
            let left = running.frozen.scope.accounts.iter().enumerate();
            let left = left.filter(|(_, account)| taken.account(&account.account_id).is_none());
            let left = left.map(|(position, _)| position as u32).collect();
            let tagged = async {
                if let Some(tags) = tags {
                    tags.read(cloud, attempts, &mut scope).await?;
                }
                Ok::<_, RunError>(self.running(scope).frozen)
            };
            let others = self.collect(&running, &journal, before.known.clone(), left);
            let (frozen, ()) = tokio::try_join!(tagged, others)?;
            if !is_whole {
                freeze(self.work, &frozen, self.begun)?;
            }
            Ok((frozen, before))
        };
        let both = tokio::try_join!(first, rest);
        shown.finish();
        if *self.asking.cancelled.borrow() {
            return Err(RunError::Cancelled);
        }
        let ((), (frozen, before)) = both?;
        Ok((frozen, journal, before))
    }

    fn running(&self, scope: Scope) -> Running<'_> {
        Running {
            shell: self.shell,
            config: self.config,
            store: self.store,
            begun: self.begun.clone(),
            frozen: (self.frozen)(scope),
        }
    }

    fn evidence<'e>(&'e self, work: &'e Path) -> Evidence<'e> {
        Evidence {
            fetch: self.store.as_fetch(),
            work,
        }
    }

    /// What earlier runs know of the accounts that are taken first, in a folder of its own.
    async fn known(&self, early: &Running<'_>) -> Result<Watermarks, RunError> {
        let work = self.work.path.join("early");
        std::fs::create_dir(&work).map_err(|e| RunError::local(&work, e))?;
        let (known, _) = early.watermarks(&self.evidence(&work), self.chain).await?;
        Ok(known)
    }

    async fn collect(
        &self,
        running: &Running<'_>,
        journal: &Arc<Journal>,
        known: Arc<Watermarks>,
        positions: BTreeSet<u32>,
    ) -> Result<(), RunError> {
        let place = (Journals::one(journal.clone()), self.work.path.as_path());
        let context = running.context(self.asking, place, known)?;
        let (scope, part) = (&running.frozen.scope, Part::First(positions));
        collect::collect_part(&context, scope, part, &NothingCollected).await?;
        Ok(())
    }
}

//! What happens in an organization in the course of a quarter, beside clusters that come and go.

use super::clusters::Recipe;
use super::rng::Rng;
use super::scenario::Verdict;
use super::{Options, World};

/// Where the account stands that locks its auditor out for a few days, and from where on the last one
/// leaves: management, log archive and auditors stay.
const LOCKS: usize = 2;
const LEAVES_FROM: usize = 3;

impl World {
    /// Generates an organization that lives through a quarter of at least 80 days.
    ///
    /// - Keys that are disabled for a while are so at different times and for different lengths.
    /// - Jobs that do not comply: every third kind is launched with a customer key from some day on,
    ///   every third for the last time, and nobody does anything about the others.
    /// - Of the other clusters that do not comply every second one ends, early or late, without a
    ///   successor.
    /// - The third account locks the auditor out for two days and a half.
    /// - The last of four or more accounts leaves the organization.
    pub fn of_a_quarter(options: &Options) -> Self {
        let mut world = Self::generate(options);
        let mut rng = Rng::stream(options.seed, "turns");
        world.move_outages(&mut rng);
        world.turn_jobs(&mut rng);
        world.end_clusters(&mut rng);
        let from = options.at(rng.between(14, 40), 60);
        if let Some(account) = world.accounts.get_mut(LOCKS) {
            account.locked_out_ms = Some((from, from + options.at(2, 660) - options.at(0, 0)));
        }
        let leaves = options.at(rng.between(50, 75), 720);
        let last = world.accounts.iter_mut().skip(LEAVES_FROM).next_back();
        if let Some(account) = last {
            account.left_ms = Some(leaves);
        }
        world
    }

    fn move_outages(&mut self, rng: &mut Rng) {
        for here in &mut self.account_regions {
            let from = rng.between(4, 60);
            let to = from + rng.between(1, 20);
            let outage = Some((self.options.at(from, 600), self.options.at(to, 600)));
            let moved = here.keys.iter_mut().map(|key| &mut key.outage_ms);
            let of_recipes = here.recipes.iter_mut().map(|r| &mut r.outage_ms);
            for planned in moved.chain(of_recipes).filter(|o| o.is_some()) {
                *planned = outage;
            }
        }
    }

    fn turn_jobs(&mut self, rng: &mut Rng) {
        let mut bad = 0;
        for here in &mut self.account_regions {
            // The last recipe is that of replacements.
            let spare = here.recipes.len().saturating_sub(1);
            for job in 0..spare {
                if !here.recipes[job].is_job || complies(&here.recipes[job]) {
                    continue;
                }
                let from = self.options.at(rng.between(20, 45), 0);
                let turn = bad % 3;
                bad += 1;
                here.change_clusters(|cluster| {
                    let is_later = cluster.recipe == job && cluster.created_ms >= from;
                    if is_later && turn == 0 {
                        cluster.recipe = spare;
                    }
                    !is_later || turn != 1
                });
            }
        }
    }

    fn end_clusters(&mut self, rng: &mut Rng) {
        let mut bad = 0;
        for here in &mut self.account_regions {
            let recipes = here.recipes.clone();
            here.change_clusters(|cluster| {
                let recipe = &recipes[cluster.recipe];
                if cluster.ended_ms.is_none() && !complies(recipe) {
                    let day = if bad % 4 == 0 {
                        rng.between(10, 40)
                    } else {
                        rng.between(64, 78)
                    };
                    if bad % 2 == 0 {
                        cluster.ended_ms = Some(self.options.at(day, 800));
                    }
                    bad += 1;
                }
                true
            });
        }
    }
}

fn complies(recipe: &Recipe) -> bool {
    recipe.scenario.statement(false).verdict != Verdict::NonCompliant
}

#[cfg(test)]
mod tests {
    use super::super::organization::Account;
    use super::*;
    use crate::sandbox::world::DAY_MS;
    use crate::sandbox::world::scenario::Scenario;

    fn options() -> Options {
        Options {
            accounts: 4,
            regions: 2,
            clusters: 6,
            days: 92,
            stories: Some(vec![
                Scenario::NoLogKey,
                Scenario::KeyArn,
                Scenario::KeyDisabledThenMended,
            ]),
            ..Options::default()
        }
    }

    #[test]
    fn a_quarter_has_turns_of_every_kind() {
        let options = options();
        let (calm, world) = (World::generate(&options), World::of_a_quarter(&options));
        let counts = |world: &World| -> Vec<usize> {
            let here = world.account_regions().iter();
            here.map(|here| here.clusters().len()).collect()
        };
        let (before, after) = (counts(&calm), counts(&world));
        assert!(before.iter().zip(&after).any(|(b, a)| a < b), "a job ends");
        let mut mended = 0;
        let mut ended = 0;
        for (was, is) in calm.account_regions().iter().zip(world.account_regions()) {
            for cluster in is.clusters() {
                let before = was.cluster(&cluster.id).expect("the same");
                mended += usize::from(before.recipe != cluster.recipe);
                ended += usize::from(before.ended_ms != cluster.ended_ms);
            }
            for (key, before) in is.keys.iter().zip(&was.keys) {
                assert_eq!(key.outage_ms.is_some(), before.outage_ms.is_some());
                for recipe in is.recipes.iter().filter(|r| r.outage_ms.is_some()) {
                    let named = recipe.log_key.as_deref() == Some(&key.arn());
                    assert!(!named || recipe.outage_ms == key.outage_ms);
                }
            }
        }
        assert!(mended > 20 && ended > 1, "{mended} {ended}");
        let moved = |world: &World| -> Vec<Option<(i64, i64)>> {
            let keys = world.account_regions().iter().flat_map(|h| &h.keys);
            keys.map(|key| key.outage_ms).collect()
        };
        assert_ne!(moved(&calm), moved(&world));
    }

    #[test]
    fn an_account_locks_its_auditor_out_and_one_leaves() {
        let world = World::of_a_quarter(&options());
        let (from, to) = world.accounts[LOCKS].locked_out_ms.expect("locked");
        assert_eq!(to - from, 2 * DAY_MS + 660 * 60_000);
        let left = world.accounts[3].left_ms.expect("left");
        let told = |now: i64| world.truth(now, None);
        let dark = told(from);
        let account = |a: &Account| a.id.clone();
        let locked = account(&world.accounts[LOCKS]);
        let state = dark.accounts.iter().find(|a| a.account_id == locked);
        assert_eq!(state.map(|a| a.reachable), Some(false));
        assert!(told(to).accounts.iter().all(|a| a.reachable));
        assert_eq!(told(left - 1).accounts.len(), 4);
        let after = told(left);
        let gone = account(&world.accounts[3]);
        assert!(after.accounts.iter().all(|a| a.account_id != gone));
        assert!(after.clusters.iter().all(|c| c.account_id != gone));
    }
}

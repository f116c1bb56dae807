//! Puts the parts of a world together: keys and buckets on demand, scenarios dealt to slots.

use std::collections::{HashMap, HashSet};

use super::account_region::AccountRegion;
use super::beside;
use super::bucket_settings::BucketSettings;
use super::buckets::{Bucket, BucketEncryption, BucketKind};
use super::history::History;
use super::keys::{Alias, Key, Purpose};
use super::lifetimes::{self, Lifetime};
use super::organization::{Account, ReaderRole};
use super::recipes;
use super::rng::Rng;
use super::scenario::Scenario;
use super::secrets::Planter;
use super::{DAY_MS, Options, security_configurations};

/// Aliases that AWS predefines in every account-region.
const PREDEFINED: [&str; 4] = [
    "alias/aws/dynamodb",
    "alias/aws/ebs",
    "alias/aws/rds",
    "alias/aws/s3",
];

pub(super) struct Builder<'a> {
    pub options: &'a Options,
    pub accounts: &'a [Account],
    /// Distinguishes names that are global, as bucket names are.
    pub suffix: &'a str,
    pub hosting: &'a [&'static str],
    pub planter: Planter,
    pub log_archive_account: String,
    /// An account outside the organization.
    pub foreign_account: String,
    pub account_regions: Vec<AccountRegion>,
    places: HashMap<(String, &'static str), usize>,
    pub buckets: Vec<Bucket>,
    bucket_names: HashSet<String>,
    /// Buckets of each kind so far.
    bucket_counts: HashMap<BucketKind, usize>,
}

/// One launch template of one account-region, before it has a scenario.
struct Slot {
    account: usize,
    region: &'static str,
    slot: usize,
    place: usize,
    lifetime: Lifetime,
}

impl<'a> Builder<'a> {
    pub fn new(
        options: &'a Options,
        accounts: &'a [Account],
        suffix: &'a str,
        hosting: &'a [&'static str],
        planter: Planter,
    ) -> Self {
        let foreign =
            Rng::stream(options.seed, "foreign").between(900_000_000_000, 999_999_999_999);
        Self {
            options,
            accounts,
            suffix,
            hosting,
            planter,
            log_archive_account: accounts[1.min(accounts.len() - 1)].id.clone(),
            foreign_account: foreign.to_string(),
            account_regions: Vec::new(),
            places: HashMap::new(),
            buckets: Vec::new(),
            bucket_names: HashSet::new(),
            bucket_counts: HashMap::new(),
        }
    }

    /// Fills all account-regions.
    pub fn build(&mut self) {
        let home = self.hosting[0];
        let archive = self.log_archive_account.clone();
        self.bucket(&archive, home, BucketKind::Archive);
        self.key(&archive, home, Purpose::Signing);
        let slots = self.slots();
        let scenarios = self.deal(&slots);
        let mut pairs = slots.iter().zip(scenarios).peekable();
        while let Some((first, scenario)) = pairs.next() {
            let mut place = vec![(first, scenario)];
            while let Some(pair) = pairs.next_if(|(next, _)| next.place == first.place) {
                place.push(pair);
            }
            self.fill(first.account, first.region, &place);
        }
        self.bucket(&archive, home, BucketKind::Trail);
    }

    /// The key of a purpose, made at first use.
    pub fn key(&mut self, account: &str, region: &'static str, purpose: Purpose) -> Key {
        let place = self.place(account, region);
        if let Some(key) = self.account_regions[place]
            .keys
            .iter()
            .find(|key| key.purpose == purpose)
        {
            return key.clone();
        }
        let secret = self.planter.reserve(Key::secrets(purpose));
        let key = Key::generate(self.options, account, region, purpose, secret);
        let name = match purpose {
            Purpose::Logs => Some("alias/team-logs"),
            Purpose::AliasedLogs => Some("alias/emr-logs"),
            Purpose::Central => Some("alias/central-emr-logs"),
            Purpose::Archive => Some("alias/keyproof-archive"),
            Purpose::Signing => Some("alias/keyproof-signing"),
            Purpose::AwsManagedS3 => Some("alias/aws/s3"),
            _ => None,
        };
        let here = &mut self.account_regions[place];
        if let Some(name) = name {
            let known = here.aliases.iter().position(|alias| alias.name == name);
            let alias = Alias {
                name: name.to_owned(),
                target: Some(key.id.clone()),
                created_ms: key.created_ms,
                updated_ms: key.created_ms + 40 * DAY_MS,
            };
            match known {
                Some(index) => here.aliases[index] = alias,
                None => here.aliases.push(alias),
            }
        }
        here.keys.push(key.clone());
        key
    }

    /// Name of the bucket of a kind, made at first use.
    pub fn bucket(&mut self, account: &str, region: &'static str, kind: BucketKind) -> String {
        let suffix = self.suffix;
        let name = match kind {
            BucketKind::ConsoleLogs => format!("aws-logs-{account}-{region}"),
            BucketKind::TeamLogs => format!("emr-logs-{account}-{region}"),
            BucketKind::LegacyLogs => format!("legacy-logs-{account}-{region}"),
            BucketKind::CentralLogs => format!("central-emr-logs-{suffix}-{region}"),
            BucketKind::Partner => format!("partner-exchange-{account}-{region}"),
            BucketKind::Archive => format!("keyproof-evidence-{suffix}"),
            BucketKind::Trail => format!("trail-logs-{suffix}"),
            BucketKind::TeamReports => format!("emr-logs-{account}-{region}-reports"),
            BucketKind::CentralReports => format!("central-emr-logs-{suffix}-{region}-reports"),
        };
        if !self.bucket_names.insert(name.clone()) {
            return name;
        }
        let key = kind
            .default_key()
            .map(|purpose| self.key(account, region, purpose).arn());
        let protected = kind == BucketKind::Archive;
        let secret = self.planter.reserve(BucketSettings::secrets(kind));
        let count = self.bucket_counts.entry(kind).or_default();
        let number = *count;
        *count += 1;
        self.buckets.push(Bucket {
            name: name.clone(),
            kind,
            account_id: account.to_owned(),
            region: region.to_owned(),
            created_ms: self.options.start_ms - 500 * DAY_MS,
            default_encryption: Some(BucketEncryption {
                algorithm: if key.is_some() || kind == BucketKind::LegacyLogs {
                    "aws:kms".to_owned()
                } else {
                    "AES256".to_owned()
                },
                bucket_key: key.is_some(),
                key,
            }),
            versioning: protected || kind == BucketKind::CentralLogs,
            object_lock: protected,
            default_retention: protected.then(|| ("GOVERNANCE".to_owned(), 30)),
            public_access_block: kind != BucketKind::LegacyLogs,
            policy: match kind {
                _ if protected => Some(evidence_policy(&name)),
                BucketKind::CentralLogs => Some(self.member_policy(&name)),
                _ => None,
            },
            ownership: "BucketOwnerEnforced".to_owned(),
            settings: BucketSettings {
                history: History::of(kind, number),
                ..BucketSettings::of(kind, &name, secret)
            },
        });
        if let Some(reports) = kind.reports() {
            self.bucket(account, region, reports);
        }
        name
    }

    /// Lets every member of the organization write, over TLS.
    fn member_policy(&self, bucket: &str) -> String {
        let path = self.accounts.first().map_or("", |account| &account.path);
        let organization = path.split('/').next().unwrap_or_default();
        let objects = format!("arn:aws:s3:::{bucket}/*");
        serde_json::json!({"Version": "2012-10-17", "Statement": [
            {"Sid": "Members", "Effect": "Allow", "Principal": "*", "Action": "s3:PutObject",
             "Resource": objects,
             "Condition": {"StringEquals": {"aws:PrincipalOrgID": organization}}},
            {"Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
             "Resource": objects, "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        ]})
        .to_string()
    }

    /// Another Region in which this account works; the same one if there is none.
    pub fn other_region(&self, account: &str, region: &'static str) -> &'static str {
        let account = self
            .accounts
            .iter()
            .find(|candidate| candidate.id == account);
        let usable = |other: &&&'static str| {
            **other != region
                && account.is_some_and(|account| account.opt_status(other).is_usable())
        };
        self.hosting.iter().find(usable).copied().unwrap_or(region)
    }

    fn place(&mut self, account: &str, region: &'static str) -> usize {
        if let Some(place) = self.places.get(&(account.to_owned(), region)) {
            return *place;
        }
        let mut here = AccountRegion::new(account, region);
        here.aliases = PREDEFINED
            .into_iter()
            .map(|name| Alias {
                name: name.to_owned(),
                target: None,
                created_ms: 0,
                updated_ms: 0,
            })
            .collect();
        self.account_regions.push(here);
        let place = self.account_regions.len() - 1;
        self.places.insert((account.to_owned(), region), place);
        place
    }

    /// Every slot of every account-region that exists, whether or not an audit reaches it.
    fn slots(&self) -> Vec<Slot> {
        let mut slots = Vec::new();
        let mut place = 0;
        for (account, facts) in self.accounts.iter().enumerate() {
            for (region, status) in &facts.opt_statuses {
                if !status.is_usable() {
                    continue;
                }
                slots.extend((0..self.options.clusters).map(|slot| Slot {
                    account,
                    region,
                    slot,
                    place,
                    lifetime: Lifetime::of(place, slot),
                }));
                place += 1;
            }
        }
        slots
    }

    /// Deals scenarios to slots. Among the slots that an audit reaches, about 35 % are troubled;
    /// a small organization tells up to 40 % to have room for the stories that every rule needs.
    fn deal(&self, slots: &[Slot]) -> Vec<Scenario> {
        let mut rng = Rng::stream(self.options.seed, "deal");
        let reached: Vec<bool> = slots.iter().map(|slot| self.is_reached(slot)).collect();
        let total = reached.iter().filter(|reached| **reached).count();
        let stories = Scenario::TROUBLED.len();
        let troubled = (total * 35 / 100).max(stories.min(total * 2 / 5));
        let possible =
            |scenario: &Scenario| self.hosting.len() > 1 || !scenario.needs_two_regions();
        let told = |stories: &[Scenario], count| -> Vec<Scenario> {
            let possible = stories.iter().copied().filter(possible);
            possible.cycle().take(count).collect()
        };
        let mut deck = match &self.options.stories {
            Some(stories) => told(stories, total),
            None => told(&Scenario::TROUBLED, troubled),
        };
        // Empty where the stories are chosen.
        let rest = total - deck.len();
        deck.extend(told(&Scenario::HEALTHY, rest));
        rng.shuffle(&mut deck);

        let mut deck = deck.into_iter();
        let mut dealt: Vec<Scenario> = reached
            .iter()
            .map(|reached| {
                reached
                    .then(|| deck.next())
                    .flatten()
                    .unwrap_or(Scenario::KeyArn)
            })
            .collect();
        // No slot before this one can be exchanged.
        let mut from = 0;
        for index in 0..slots.len() {
            if dealt[index].needs_long_life() && slots[index].lifetime != Lifetime::LongLived {
                let exchange = (from..slots.len()).find(|other| {
                    reached[*other]
                        && slots[*other].lifetime == Lifetime::LongLived
                        && !dealt[*other].needs_long_life()
                });
                from = exchange.unwrap_or(slots.len());
                match exchange {
                    Some(other) => dealt.swap(index, other),
                    None => dealt[index] = Scenario::NoLogKey,
                }
            }
            // An account with one usable Region cannot have a second one to disagree with.
            let slot = &slots[index];
            if dealt[index].needs_two_regions()
                && self.other_region(&self.accounts[slot.account].id, slot.region) == slot.region
            {
                dealt[index] = Scenario::NoLogKey;
                from = from.min(index);
            }
        }
        dealt
    }

    fn is_reached(&self, slot: &Slot) -> bool {
        let account = &self.accounts[slot.account];
        account.state.is_usable()
            && account.reader == ReaderRole::Trusted
            && !account.hides_region(slot.region)
    }

    fn fill(&mut self, account: usize, region: &'static str, slots: &[(&Slot, Scenario)]) {
        let account = self.accounts[account].id.clone();
        let log_key = self.key(&account, region, Purpose::Logs).arn();
        let configurations =
            security_configurations::generate(self.options, &log_key, &mut self.planter);
        let mut rng = Rng::stream(self.options.seed, &format!("clusters/{account}/{region}"));

        let mut recipes = Vec::new();
        for (slot, scenario) in slots {
            let name = Lifetime::base_name(slot.place, slot.slot);
            recipes.push(recipes::recipe(
                self,
                &account,
                region,
                slot.slot,
                name,
                slot.lifetime,
                *scenario,
            ));
        }
        // What a replaced cluster's successor, and the clusters of the past, were launched with.
        let spare = recipes.len();
        recipes.push(recipes::recipe(
            self,
            &account,
            region,
            spare,
            "replacement".to_owned(),
            Lifetime::LongLived,
            Scenario::KeyArn,
        ));

        let mut clusters = Vec::new();
        for (index, (slot, _)) in slots.iter().enumerate() {
            let name = recipes[index].name.clone();
            clusters.extend(lifetimes::clusters(
                self.options,
                &mut rng,
                slot.lifetime,
                &name,
                index,
                spare,
            ));
        }
        clusters.push(lifetimes::almost_forgotten(self.options, &mut rng, spare));
        clusters.push(lifetimes::forgotten(self.options, &mut rng, spare));

        let log_groups = beside::groups(&recipes, &clusters);
        let place = self.place(&account, region);
        let here = &mut self.account_regions[place];
        here.log_groups = log_groups;
        here.security_configurations = configurations;
        here.recipes = recipes;
        here.set_clusters(clusters);
    }
}

/// The policy of an evidence bucket: TLS only, nothing deleted, nothing overwritten
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html>).
fn evidence_policy(bucket: &str) -> String {
    let all = format!("arn:aws:s3:::{bucket}/*");
    let itself = format!("arn:aws:s3:::{bucket}");
    let statement = |sid: &str, action: serde_json::Value, condition: serde_json::Value| {
        serde_json::json!({
            "Sid": sid, "Effect": "Deny", "Principal": "*", "Action": action,
            "Resource": [itself, all], "Condition": condition,
        })
    };
    let mut keep = statement(
        "KeepEverything",
        serde_json::json!([
            "s3:DeleteObject",
            "s3:DeleteObjectVersion",
            "s3:BypassGovernanceRetention"
        ]),
        serde_json::Value::Null,
    );
    if let Some(keep) = keep.as_object_mut() {
        keep.remove("Condition");
    }
    serde_json::json!({"Version": "2012-10-17", "Statement": [
        statement("TlsOnly", "s3:*".into(), serde_json::json!({"Bool": {"aws:SecureTransport": "false"}})),
        statement("CreateOnly", "s3:PutObject".into(), serde_json::json!({
            "Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"},
        })),
        keep,
        statement("KeepSettings", serde_json::json!(["s3:DeleteBucketPolicy", "s3:Put*Configuration",
            "s3:PutBucketPolicy", "s3:PutBucketVersioning"]), serde_json::json!({
            "ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::999900001111:role/log-archive-admin"},
        })),
    ]})
    .to_string()
}

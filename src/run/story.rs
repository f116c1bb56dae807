//! `keyproof explain CLUSTER-ID`: one verdict with its findings and facts, from sealed files whose
//! digests are checked while they are read.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::archive::chain::Chain;
use crate::archive::layout;
use crate::assess::RULES;
use crate::config::Config;
use crate::for_each_dataset;
use crate::model::datasets::{
    Channel, Coverage, EmrCluster, EmrSession, EmrStep, Exception, Finding, Verdict,
};
use crate::model::ids::{AccountId, Region, RunId};
use crate::model::table::{Cell, Dataset};
use crate::report::cluster_story::{ClusterStory, FactRow, File, Sealed, Told, columns};
use crate::seal::RunSeal;
use crate::time::Date;

use super::archive::{AtUrl, find, open_store, read_chain};
use super::evidence::Evidence;
use super::sealed::{self, SealedRun};
use super::work::Work;
use super::{RunError, Shell, memory, random};

/// A cluster as a person names it: its id, or its ARN where an id alone is not enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterName {
    pub cluster_id: String,
    /// Account and Region, from an ARN.
    pub place: Option<(AccountId, Region)>,
}

impl FromStr for ClusterName {
    type Err = ();

    /// `j-…` or `arn:<partition>:elasticmapreduce:<region>:<account>:cluster/j-…`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let is_id = |id: &str| {
            id.strip_prefix("j-").is_some_and(|rest| {
                !rest.is_empty()
                    && rest
                        .bytes()
                        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            })
        };
        if is_id(text) {
            return Ok(Self {
                cluster_id: text.to_owned(),
                place: None,
            });
        }
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", _, "elasticmapreduce", region, account, resource] = parts.as_slice() else {
            return Err(());
        };
        let id = resource.strip_prefix("cluster/").filter(|id| is_id(id));
        Ok(Self {
            cluster_id: id.ok_or(())?.to_owned(),
            place: Some((
                account.parse().map_err(|_| ())?,
                region.parse().map_err(|_| ())?,
            )),
        })
    }
}

/// Which run is to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The newest run of record.
    Newest,
    /// The run of record of a date.
    Of(Date),
    Run(RunId),
}

/// What a sealed run says of a cluster, and why.
///
/// # Errors
/// When there is no such run or cluster, when an id means several clusters, and when a file that is
/// read is not the one that was sealed.
pub async fn story(
    shell: &Shell,
    config: &Config,
    cluster: &ClusterName,
    which: &Which,
) -> Result<ClusterStory, RunError> {
    let store = open_store(shell, config, None).await?;
    let fetch = store.as_fetch();
    if find(fetch).await? != AtUrl::Archive {
        return Err(RunError::NoChain { url: fetch.url() });
    }
    let chain = read_chain(fetch).await?;
    memory::check_to_read(config, &fetch.url(), &chain, None)?;
    let run = choose(&chain, which, fetch.url())?;
    let name = format!("explain-{:08x}", u32::from_be_bytes(random()?));
    let work = Work::create(config, &name)?;
    let evidence = Evidence {
        fetch,
        work: &work.path,
    };
    let verdict = the_verdict(&evidence, &run, cluster).await?;
    let findings = its::<Finding>(&evidence, &run, &verdict).await?;
    let named: BTreeSet<&str> = findings
        .iter()
        .filter_map(|f| f.waived_by.as_deref())
        .collect();
    let waivers = rows_where(&evidence, &run, |w: &Exception| {
        named.contains(w.exception_id.as_str())
    })
    .await?;
    let then = match &verdict.stands_from_run {
        Some(run_id) => {
            let then = sealed::find(&chain, run_id);
            Some(then.ok_or_else(|| RunError::NoSuchRun {
                run_id: run_id.clone(),
                url: fetch.url(),
            })?)
        }
        None => None,
    };
    let facts = facts(&evidence, &run, then.as_ref(), &findings).await?;
    let mut files = Vec::new();
    for dataset in [Verdict::NAME, Channel::NAME, Finding::NAME] {
        let listed = run.files(fetch, dataset, 1).await?;
        files.extend(listed.into_iter().map(|f| File {
            name: f.name,
            sha256: f.sha256,
        }));
    }
    let channels = its::<Channel>(&evidence, &run, &verdict).await?;
    Ok(ClusterStory {
        sealed: vouched(&run, fetch.url())?,
        verdict,
        channels,
        findings: findings.into_iter().map(told).collect(),
        waivers,
        facts,
        files,
    })
}

fn choose(chain: &Chain, which: &Which, url: String) -> Result<SealedRun, RunError> {
    match which {
        Which::Run(run_id) => sealed::find(chain, run_id).ok_or(RunError::NoSuchRun {
            run_id: run_id.clone(),
            url,
        }),
        Which::Of(date) => sealed::of_record(chain)
            .remove(date)
            .ok_or(RunError::NoRunOfRecord { date: *date, url }),
        Which::Newest => {
            let newest = sealed::of_record(chain).pop_last().map(|(_, run)| run);
            newest.ok_or(RunError::NoRuns {
                url,
                sealed: chain.runs().count(),
            })
        }
    }
}

async fn rows_where<D: Dataset>(
    evidence: &Evidence<'_>,
    run: &SealedRun,
    wanted: impl Fn(&D) -> bool,
) -> Result<Vec<D>, RunError> {
    let mut found = Vec::new();
    for row in evidence.rows::<D>(run).await? {
        let row = row?;
        if wanted(&row) {
            found.push(row);
        }
    }
    Ok(found)
}

async fn the_verdict(
    evidence: &Evidence<'_>,
    run: &SealedRun,
    cluster: &ClusterName,
) -> Result<Verdict, RunError> {
    let meant = |v: &Verdict| {
        v.cluster_id == cluster.cluster_id
            && cluster
                .place
                .as_ref()
                .is_none_or(|(account, region)| v.account_id == *account && v.region == *region)
    };
    let found = rows_where(evidence, run, meant).await?;
    only(found, cluster, &run.seal)
}

/// The one verdict that was found.
fn only(
    mut found: Vec<Verdict>,
    cluster: &ClusterName,
    seal: &RunSeal,
) -> Result<Verdict, RunError> {
    let cluster = cluster.cluster_id.clone();
    match found.len() {
        0 => Err(RunError::NoSuchCluster {
            cluster,
            run_id: seal.run_id.clone(),
            date: seal.scheduled_for,
        }),
        1 => Ok(found.remove(0)),
        _ => Err(RunError::AmbiguousCluster {
            cluster,
            arns: found.iter().map(cluster_arn).collect::<Vec<_>>().join(", "),
        }),
    }
}

fn cluster_arn(verdict: &Verdict) -> String {
    format!(
        "arn:{}:elasticmapreduce:{}:{}:cluster/{}",
        verdict.region.partition(),
        verdict.region,
        verdict.account_id,
        verdict.cluster_id
    )
}

/// The rows of a dataset that belong to the verdict's cluster.
async fn its<D: Dataset>(
    evidence: &Evidence<'_>,
    run: &SealedRun,
    verdict: &Verdict,
) -> Result<Vec<D>, RunError> {
    let key = [
        verdict.account_id.as_str(),
        verdict.region.as_str(),
        &verdict.cluster_id,
    ];
    rows_where(evidence, run, |row: &D| {
        let cells = D::KEY.iter().map(|&position| row.cell(position));
        cells.zip(key).all(|(cell, wanted)| is_text(&cell, wanted))
    })
    .await
}

fn is_text(cell: &Cell<'_>, wanted: &str) -> bool {
    matches!(cell, Cell::Text(text) if text == wanted)
}

/// The rows that findings name, each with the file that holds it. Of a cluster that stands on an
/// earlier run, what does not belong to the cluster itself was read there, where that run held it.
async fn facts(
    evidence: &Evidence<'_>,
    run: &SealedRun,
    then: Option<&SealedRun>,
    findings: &[Finding],
) -> Result<Vec<FactRow>, RunError> {
    let mut order: Vec<&str> = Vec::new();
    for id in findings.iter().flat_map(|f| f.facts.split_whitespace()) {
        if !order.contains(&id) {
            order.push(id);
        }
    }
    let mut found: BTreeMap<String, FactRow> = BTreeMap::new();
    macro_rules! look {
        ($($row:ty),+) => { $(
            let wanted: BTreeSet<&str> = order
                .iter()
                .filter_map(|id| id.split_once('/'))
                .filter(|(dataset, _)| *dataset == <$row>::NAME)
                .map(|(_, key)| key)
                .collect();
            if !wanted.is_empty() {
                let its_own = is_of_cluster(<$row>::NAME);
                for run in then.filter(|_| !its_own).into_iter().chain([run]) {
                    look_up::<$row>(evidence, run, &wanted, &mut found).await?;
                }
            }
        )+ };
    }
    for_each_dataset!(look);
    let row = |id: &str| {
        found.remove(id).unwrap_or_else(|| FactRow {
            id: id.to_owned(),
            file: None,
            columns: Vec::new(),
        })
    };
    Ok(order.into_iter().map(row).collect())
}

/// Whether rows of a dataset belong to one cluster, or tell how a look at it ended.
fn is_of_cluster(dataset: &str) -> bool {
    [
        EmrCluster::NAME,
        EmrStep::NAME,
        EmrSession::NAME,
        Coverage::NAME,
    ]
    .contains(&dataset)
}

async fn look_up<D: Dataset>(
    evidence: &Evidence<'_>,
    run: &SealedRun,
    wanted: &BTreeSet<&str>,
    found: &mut BTreeMap<String, FactRow>,
) -> Result<(), RunError> {
    for file in run.files(evidence.fetch, D::NAME, D::VERSION).await? {
        let rows = evidence.rows_in::<D>(std::slice::from_ref(&file)).await?;
        let file = File {
            name: file.name,
            sha256: file.sha256,
        };
        for row in rows {
            let row = row?;
            for key in fact_keys(&row) {
                if wanted.contains(key.as_str()) {
                    let id = format!("{}/{key}", D::NAME);
                    found.entry(id.clone()).or_insert_with(|| FactRow {
                        id,
                        file: Some(file.clone()),
                        columns: columns(&row),
                    });
                }
            }
        }
    }
    Ok(())
}

/// The forms in which findings name a row: its whole primary key, or the last part alone where that is
/// a name the world over (the ARN of a key, the name of a bucket). Blanks part one fact from the next,
/// so inside a name they are escaped.
fn fact_keys<D: Dataset>(row: &D) -> [String; 2] {
    let parts: Vec<String> = D::KEY
        .iter()
        .map(|&position| match row.cell(position) {
            Cell::Text(text) => text.replace('%', "%25").replace(char::is_whitespace, "%20"),
            Cell::Int(number) => number.to_string(),
            _ => String::new(),
        })
        .collect();
    let last = parts.last().cloned().unwrap_or_default();
    [parts.join("/"), last]
}

fn told(finding: Finding) -> Told {
    let rule = RULES.iter().find(|rule| finding.rule == rule.id);
    Told {
        finding,
        rule_name: rule.map(|rule| rule.name),
        supports: rule.map_or(&[], |rule| rule.supports),
    }
}

fn vouched(run: &SealedRun, url: String) -> Result<Sealed, RunError> {
    let entry = run.entry();
    let statement = &entry.statement;
    let manifest = statement.subjects.first();
    let manifest =
        manifest.ok_or_else(|| RunError::Internal("a run without manifest".to_owned()))?;
    Ok(Sealed {
        url,
        run_id: run.seal.run_id.clone(),
        scheduled_for: run.seal.scheduled_for,
        outcome: run.seal.outcome,
        entry: File {
            name: layout::entry(entry.seq),
            sha256: entry.sha256.clone(),
        },
        manifest: File {
            name: manifest.name.clone(),
            sha256: manifest.sha256.clone(),
        },
        rules_version: statement.producer.rules_version.clone(),
        rules_sha256: statement.producer.rules_sha256.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::SampleArchive;

    #[tokio::test]
    async fn an_id_that_means_several_clusters_is_answered_with_their_arns() {
        let (mut archive, memory) = SampleArchive::in_memory();
        archive.run().await.expect("run");
        let chain = archive.chain().await.expect("chain");
        let seal = chain.runs().next().expect("a run").1.clone();
        drop(memory);
        let name: ClusterName = "j-1ABC".parse().expect("an id");
        let verdict = |account: &str| {
            let judged = crate::model::words::Judgement::Unknown;
            let mut verdict = crate::testkit::verdict("j-1ABC", judged, true);
            verdict.account_id = account.parse().expect("account");
            verdict
        };
        let one = only(vec![verdict("111122223333")], &name, &seal).expect("one");
        assert_eq!(one.account_id.as_str(), "111122223333");
        let both = vec![verdict("111122223333"), verdict("444455556666")];
        let said = only(both, &name, &seal).expect_err("two").to_string();
        for account in ["111122223333", "444455556666"] {
            let arn = format!("arn:aws:elasticmapreduce:eu-west-1:{account}:cluster/j-1ABC");
            assert!(said.contains(&arn), "{said}");
        }
        let none = only(Vec::new(), &name, &seal).expect_err("none");
        assert!(matches!(none, RunError::NoSuchCluster { .. }));
    }

    #[test]
    fn clusters_are_told_from_rules_and_files() {
        let id: ClusterName = "j-1ABCDEFGHIJKL".parse().expect("an id");
        assert_eq!(id.place, None);
        let arn = "arn:aws-cn:elasticmapreduce:cn-north-1:111122223333:cluster/j-1ABC";
        let arn: ClusterName = arn.parse().expect("an ARN");
        assert_eq!(arn.cluster_id, "j-1ABC");
        assert_eq!(arn.place.expect("place").1.as_str(), "cn-north-1");
        for no in [
            "",
            "j-",
            "j-1abc",
            "./j-1ABC",
            "j-1.json",
            "EL-01",
            "j-É",
            "arn:aws:elasticmapreduce:eu-west-1:111122223333:cluster/",
            "arn:aws:elasticmapreduce:eu-west-1:1:cluster/j-1ABC",
            "arn:aws:kms:eu-west-1:111122223333:key/j-1ABC",
        ] {
            assert_eq!(no.parse::<ClusterName>(), Err(()), "{no}");
        }
    }
}

//! Names in a trail's bucket
//! (<https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html>,
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-digest-file-structure.html>):
//!
//! ```text
//! [prefix/]AWSLogs/[o-id/]<account>/CloudTrail/<region>/YYYY/MM/DD/<account>_CloudTrail_<region>_<YYYYMMDDTHHmmZ>_<unique>.json.gz
//! [prefix/]AWSLogs/[o-id/]<account>/CloudTrail-Digest/<region>/YYYY/MM/DD/
//!     <account>_CloudTrail-Digest_<region>_<trail>_<home region>_<YYYYMMDDTHHmmssZ>[_backfill].json.gz
//! ```

use chrono::NaiveDateTime;

use crate::model::ids::{AccountId, Region};
use crate::time::{Date, UtcMillis};

const END: &str = ".json.gz";
/// What the names of digest files end in that tell of late files.
const BACKFILL: &str = "_backfill";

/// Where a trail's files lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailPlace {
    pub bucket: String,
    /// Empty, or without a slash at its end.
    pub prefix: String,
    /// Of an organization's trail.
    pub organization: Option<String>,
}

impl TrailPlace {
    /// Folders that an account's files may lie in: that of the organization's trail, then that of the
    /// account's own.
    pub fn folders(&self, account: &AccountId) -> Vec<String> {
        let above = match self.prefix.trim_end_matches('/') {
            "" => "AWSLogs/".to_owned(),
            prefix => format!("{prefix}/AWSLogs/"),
        };
        let of_organization = self.organization.as_ref();
        let of_organization = of_organization.map(|id| format!("{above}{id}/{account}/"));
        of_organization
            .into_iter()
            .chain([format!("{above}{account}/")])
            .collect()
    }

    /// An object as messages name it.
    pub fn url(&self, object: &str) -> String {
        format!("s3://{}/{object}", self.bucket)
    }
}

/// Where the folders of an account's Regions lie: of log files, and of digest files, which are written of
/// quiet Regions, too.
pub fn regions(folder: &str) -> [String; 2] {
    ["CloudTrail/", "CloudTrail-Digest/"].map(|kind| format!("{folder}{kind}"))
}

/// Where log files of an account-region lie.
pub fn logs(folder: &str, region: &Region) -> String {
    format!("{folder}CloudTrail/{region}/")
}

/// Where its digest files lie.
pub fn digests(folder: &str, region: &Region) -> String {
    format!("{folder}CloudTrail-Digest/{region}/")
}

/// The names below `above` from the folder of `first` to that of `last`: all lie between these two.
pub fn days(above: &str, first: Date, last: Date) -> (String, String) {
    let day = |date: Date| date.to_string().replace('-', "/");
    // `0` is the character after the slash.
    (
        format!("{above}{}", day(first)),
        format!("{above}{}0", day(last)),
    )
}

/// The date of the folder that a file lies in.
pub fn folder_date(name: &str) -> Option<Date> {
    let mut parts = name.rsplit('/').skip(1);
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    format!("{year}-{month}-{day}").parse().ok()
}

/// When a log file was delivered, as its name says.
pub fn delivered_at(name: &str) -> Option<UtcMillis> {
    let last = name.rsplit('/').next()?.strip_suffix(END)?;
    let mut parts = last.rsplit('_');
    // Without seconds no time is read: they are put in.
    parts.find_map(|part| instant(&format!("{}00Z", part.strip_suffix('Z')?)))
}

/// The name of a digest file, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestName {
    pub object: String,
    /// Name of the trail.
    pub trail: String,
    /// End of the time that it tells of.
    pub to: UtcMillis,
    /// Whether it tells of files that were delivered late.
    pub is_backfill: bool,
}

impl DigestName {
    /// Reads a name; `None` for what is no digest file.
    pub fn parse(object: &str, region: &Region) -> Option<Self> {
        let last = object.rsplit('/').next()?.strip_suffix(END)?;
        let (last, is_backfill) = match last.strip_suffix(BACKFILL) {
            Some(rest) => (rest, true),
            None => (last, false),
        };
        let (_, rest) = last.split_once(&format!("_CloudTrail-Digest_{region}_"))?;
        let (rest, at) = rest.rsplit_once('_')?;
        let (trail, _) = rest.rsplit_once('_')?;
        Some(Self {
            object: object.to_owned(),
            trail: trail.to_owned(),
            to: instant(at)?,
            is_backfill,
        })
    }
}

fn instant(text: &str) -> Option<UtcMillis> {
    let at = NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%SZ").ok()?;
    Some(UtcMillis(at.and_utc().timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region() -> Region {
        "eu-west-1".parse().expect("a Region")
    }

    #[test]
    fn names_are_those_that_cloudtrail_writes() {
        let place = TrailPlace {
            bucket: "trail".to_owned(),
            prefix: "all".to_owned(),
            organization: Some("o-abc".to_owned()),
        };
        let account = "111122223333".parse().expect("an id");
        let folders = place.folders(&account);
        assert_eq!(
            folders,
            [
                "all/AWSLogs/o-abc/111122223333/",
                "all/AWSLogs/111122223333/"
            ]
        );
        let (after, before) = days(
            &logs(&folders[0], &region()),
            "2026-12-31".parse().expect("a date"),
            "2027-01-01".parse().expect("a date"),
        );
        let name = "all/AWSLogs/o-abc/111122223333/CloudTrail/eu-west-1/2026/12/31/x.json.gz";
        assert!(after.as_str() < name && name < before.as_str());
        for (outside, is_before) in [("2026/12/30/x", true), ("2027/01/02/x", false)] {
            let name = format!("{}{outside}", logs(&folders[0], &region()));
            assert_eq!(name < after, is_before);
            assert_eq!(name > before, !is_before);
        }
        assert_eq!(folder_date(name), "2026-12-31".parse().ok());
        assert_eq!(folder_date("x"), None);
    }

    #[test]
    fn times_stand_in_names() {
        let at = delivered_at("a/111122223333_CloudTrail_eu-west-1_20261003T0415Z_aB1.json.gz");
        assert_eq!(at, "2026-10-03T04:15:00.000Z".parse().ok());
        assert_eq!(delivered_at("a/20261003T0415Z.txt"), None);
        let name = "a/111122223333_CloudTrail-Digest_eu-west-1_my_trail_us-east-1_20261003T050304Z";
        let digest = DigestName::parse(&format!("{name}.json.gz"), &region()).expect("a digest");
        assert_eq!(digest.trail, "my_trail");
        assert_eq!(Some(digest.to), "2026-10-03T05:03:04.000Z".parse().ok());
        assert!(!digest.is_backfill);
        let late = DigestName::parse(&format!("{name}_backfill.json.gz"), &region());
        assert!(late.is_some_and(|late| late.is_backfill));
        for other in [
            "x.json.gz",
            "111_CloudTrail-Digest_eu-west-2_t_r_20261003T050304Z.json.gz",
        ] {
            assert_eq!(DigestName::parse(other, &region()), None, "{other}");
        }
    }
}

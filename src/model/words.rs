//! The words in which conclusions are drawn: outcomes, verdicts, severities. Each has one spelling.

use crate::text_enum;

text_enum! {
    /// How a cell ended. Exactly one of these, for every cell that a run expected.
    pub enum CellOutcome {
        /// Read, and something was there.
        Collected = "collected",
        /// Read, and nothing was there.
        Empty = "empty",
        /// Some items could not be read.
        Partial = "partial",
        /// The Region is not enabled for the account.
        RegionOff = "region_off",
        /// The account's state does not allow access.
        AccountState = "account_state",
        /// Left out by an exception of kind `exclude`.
        Excluded = "excluded",
        /// STS refused the role: it is missing or does not trust the caller.
        DeniedTrust = "denied_trust",
        /// The role lacks a permission.
        DeniedIam = "denied_iam",
        /// A policy of the organization forbids the call: a service control policy, or a resource
        /// control policy.
        DeniedScp = "denied_scp",
        /// AWS throttled until the cell's deadline.
        ThrottledOut = "throttled_out",
        /// The cell's deadline passed for another reason.
        TimedOut = "timed_out",
        /// AWS answered with an error that retrying did not cure.
        Failed = "failed",
        /// The run ended before the cell's turn came.
        NotAttempted = "not_attempted",
    }
}

impl CellOutcome {
    /// Whether the cell was answered, so that a run may be COMPLETE. `partial` needs a closer look
    /// at its missing items and is not an answer by itself.
    pub fn is_answer(self) -> bool {
        matches!(
            self,
            Self::Collected | Self::Empty | Self::RegionOff | Self::AccountState | Self::Excluded
        )
    }

    /// Whether a cell that ended like this needs no further look: an answer, a gap that the
    /// organization accepts, or a look-up whose missing items are locked by themselves.
    pub fn is_settled(self, source: Source, accepted: bool, items_failed: Option<i64>) -> bool {
        self.is_answer()
            || accepted
            || (self == Self::Partial && source.is_lookup() && items_failed == Some(0))
    }
}

text_enum! {
    /// What is asked of a cell.
    pub enum Source {
        /// account ListRegions.
        Regions = "regions",
        /// ListClusters.
        Clusters = "clusters",
        /// DescribeCluster of clusters that are not known yet.
        ClusterSettings = "cluster_settings",
        /// ListSteps of live clusters, and once of ended ones.
        Steps = "steps",
        /// ListSessions of clusters that have sessions enabled.
        Sessions = "sessions",
        /// DescribeLogGroups of log groups that clusters and their sessions name.
        LogGroups = "log_groups",
        /// ListSecurityConfigurations and DescribeSecurityConfiguration.
        SecurityConfigurations = "security_configurations",
        /// ListBuckets, which tells who owns a bucket.
        BucketOwners = "bucket_owners",
        /// DescribeKey, policy, rotation and tags of keys that clusters name.
        Keys = "keys",
        /// Configuration of buckets that clusters name.
        Buckets = "buckets",
        /// GetAccountAuthorizationDetails of accounts that own clusters with logs, or log keys.
        Identities = "identities",
        /// HEADs of sampled log objects.
        LogObjects = "log_objects",
        /// LookupEvents for RunJobFlow.
        Launches = "launches",
        /// LookupEvents for changes of keys and buckets, where log keys and log buckets live.
        ControlEvents = "control_events",
        /// Trails and whether they record.
        Trails = "trails",
        /// What lies in log buckets: inventory reports, metadata tables, or a listing.
        LogHistory = "log_history",
        /// Jobs that re-encrypt what lies in log buckets.
        Reencryption = "reencryption",
    }
}

impl Source {
    /// Whether the source looks items up, so that its cells count items and are listed only where
    /// something was referenced.
    pub fn is_lookup(self) -> bool {
        matches!(
            self,
            Self::ClusterSettings
                | Self::Steps
                | Self::Sessions
                | Self::LogGroups
                | Self::Keys
                | Self::Buckets
                | Self::Identities
                | Self::LogObjects
                | Self::LogHistory
        )
    }
}

text_enum! {
    /// How the look-up of one referenced item (a key, a bucket) ended.
    pub enum Lookup {
        /// AWS described it.
        Found = "found",
        /// AWS says that no such item exists there.
        NotFound = "not_found",
        /// The item's own policy, or the role's, forbids the look.
        Denied = "denied",
        /// Its owner is not an account of the scope.
        OwnerNotInScope = "owner_not_in_scope",
        /// No account of the scope that could be asked owns it, and some could not be asked.
        OwnerUnknown = "owner_unknown",
        /// The reference has none of the documented forms.
        Unparseable = "unparseable",
        /// The call failed for another reason.
        Failed = "failed",
        /// The run ended first.
        NotAttempted = "not_attempted",
    }
}

text_enum! {
    /// Whether this run saw the cluster.
    pub enum Seen {
        /// It stood in a list.
        Listed = "listed",
        /// It was active at the watermark, or its settings were owed, and it stood in no list; one
        /// DescribeCluster told the rest, or that AWS no longer knows it.
        Vanished = "vanished",
        /// Its cell could not be collected; last known alive, or ended with its settings owed.
        NotSeen = "not_seen",
    }
}

text_enum! {
    /// Where a cluster's settings come from.
    pub enum Settings {
        /// DescribeCluster in this run.
        Described = "described",
        /// Copied from the newest sealed run that described it.
        Carried = "carried",
        /// Not read before the deadline or refused; the cluster is UNKNOWN and first in the next run,
        /// also when it has ended meanwhile, until it is described or AWS no longer knows it.
        Deferred = "deferred",
    }
}

text_enum! {
    /// Kind of a rule.
    pub enum RuleKind {
        /// Protects: what is written lies under our key.
        Protects = "P",
        /// Delivers: the key works for the writer.
        Delivers = "D",
        /// Advises.
        Advises = "A",
    }
}

text_enum! {
    /// How bad a failed rule is, mildest first.
    pub enum Severity {
        Low = "low",
        Medium = "medium",
        High = "high",
    }
}

text_enum! {
    /// What one rule concluded for one subject.
    pub enum Outcome {
        Pass = "PASS",
        Fail = "FAIL",
        Unknown = "UNKNOWN",
        NotApplicable = "NOT_APPLICABLE",
    }
}

text_enum! {
    /// What all findings conclude for one cluster.
    pub enum Judgement {
        Compliant = "COMPLIANT",
        NonCompliant = "NON_COMPLIANT",
        Unknown = "UNKNOWN",
        NoLogs = "NO_LOGS",
    }
}

text_enum! {
    /// Whether logs can be written with the key.
    pub enum Delivery {
        Working = "WORKING",
        Broken = "BROKEN",
        Unknown = "UNKNOWN",
        NotApplicable = "NOT_APPLICABLE",
    }
}

text_enum! {
    /// The customer's words for a cluster, from channel C1 alone.
    pub enum Posture {
        /// A customer key is set.
        Active = "ACTIVE",
        /// No key is set: the bucket's default applies.
        PassiveDefault = "PASSIVE_DEFAULT",
        /// An AWS managed key is set.
        PassiveAwsKey = "PASSIVE_AWS_KEY",
        Unknown = "UNKNOWN",
        /// No logs are archived.
        NotArchived = "NOT_ARCHIVED",
    }
}

text_enum! {
    /// Whether AWS keeps copies of a cluster's logs in storage of its own.
    pub enum RetainedCopies {
        Yes = "yes",
        No = "no",
        Unknown = "unknown",
    }
}

text_enum! {
    /// How a channel's content is encrypted, as far as facts prove it.
    pub enum Encryption {
        CustomerKey = "customer_key",
        AwsManagedKey = "aws_managed_key",
        SseS3 = "sse_s3",
        Unknown = "unknown",
        /// The channel carries nothing.
        Nothing = "none",
    }
}

text_enum! {
    /// Why a cluster's verdict is what it is.
    pub enum VerdictBasis {
        /// Judged on settings of this run or carried ones.
        Assessed = "assessed",
        /// Settings were not read in time.
        Deferred = "deferred",
        /// The cell could not be collected; the cluster was alive when last seen.
        Carried = "carried",
    }
}

text_enum! {
    /// Where an owner column's value comes from, nearest first.
    pub enum OwnerSource {
        ClusterTag = "cluster_tag",
        KeyTag = "key_tag",
        AccountTag = "account_tag",
        OrganizationalUnit = "ou",
    }
}

text_enum! {
    /// How much of the scope a run answered.
    pub enum RunOutcome {
        Complete = "COMPLETE",
        Partial = "PARTIAL",
    }
}

text_enum! {
    /// What an exception does.
    pub enum ExceptionKind {
        /// Takes accounts out of the scope.
        Exclude = "exclude",
        /// Accepts that a cell is not answered.
        Gap = "gap",
        /// Accepts a finding.
        Waiver = "waiver",
    }
}

text_enum! {
    /// The result of one check that the archive makes of itself.
    pub enum CheckOutcome {
        Pass = "pass",
        Fail = "fail",
        Unknown = "unknown",
        NotApplicable = "not_applicable",
    }
}

text_enum! {
    /// Where a CloudTrail event was read.
    pub enum EventSource {
        /// cloudtrail LookupEvents of the account and Region.
        LookupEvents = "lookup_events",
        /// A file that a trail delivered to S3, as its digest file says it was delivered.
        OrganizationTrail = "organization_trail",
        /// Such a file of which no signed digest file says so.
        UnvalidatedTrail = "unvalidated_trail",
    }
}

text_enum! {
    /// What was read of a trail's files for a stretch of time.
    pub enum TrailOutcome {
        /// Digest files account for all of it, and every file is as they say.
        Validated = "validated",
        /// What is there was read, and no signed digest file says that it is whole.
        NotValidated = "not_validated",
        /// Files could not be read.
        NotRead = "not_read",
        /// A file or a digest file is missing, or is not the one that was delivered.
        Failed = "failed",
    }
}

text_enum! {
    /// Whether something meets the organization's policy.
    pub enum Meets {
        Yes = "yes",
        No = "no",
        Unknown = "unknown",
    }
}

text_enum! {
    /// What became of an attempt to launch a cluster.
    pub enum LaunchClass {
        /// Accepted; log place and a wanted customer key are set.
        AcceptedCompliant = "accepted_compliant",
        /// Accepted; the key is missing, AWS managed or not ours.
        AcceptedNoncompliant = "accepted_noncompliant",
        /// Accepted without a log place.
        AcceptedNoLogPlace = "accepted_no_log_place",
        /// Accepted; the event lacks the parameters and no run described the cluster.
        AcceptedParamsUnavailable = "accepted_params_unavailable",
        /// Accepted, but the key that it names is not known.
        AcceptedKeyUnknown = "accepted_key_unknown",
        /// Accepted; the cluster ended with an error before it was ever ready.
        AcceptedThenFailed = "accepted_then_failed",
        /// Denied, and its parameters would not have met the policy.
        DeniedNoncompliant = "denied_noncompliant",
        /// Denied, though its parameters would have met the policy.
        DeniedCompliant = "denied_compliant",
        /// Denied; whether its parameters would have met the policy cannot be known.
        DeniedParamsUnavailable = "denied_params_unavailable",
        /// Refused as invalid.
        RejectedInvalid = "rejected_invalid",
        /// Throttled.
        Throttled = "throttled",
        /// Ended with another error.
        OtherError = "other_error",
    }
}

text_enum! {
    /// Where an attempt counts in the measure of launch attempts.
    pub enum AttemptBucket {
        /// Denied by a guardrail of the configuration, whatever its parameters.
        Blocked = "blocked",
        /// Accepted and not compliant.
        Flagged = "flagged",
        /// Accepted, and not known whether compliant; or denied, and not known whether by a guardrail.
        Unknown = "unknown",
        /// Not a hit.
        None = "none",
    }
}

text_enum! {
    /// Whether an accepted launch stands among the clusters that runs saw.
    pub enum Population {
        Seen = "seen",
        NotSeen = "not_seen",
        /// The attempt made no cluster.
        NotApplicable = "not_applicable",
        /// No run listed the clusters of that account and Region since.
        Unknown = "unknown",
    }
}

text_enum! {
    /// Whether the event of a cluster's launch was read.
    pub enum LaunchSeen {
        Found = "found",
        /// The cluster was created in hours whose events were read, and none of them is its launch.
        Missing = "missing",
    }
}

text_enum! {
    /// What a control event does to clusters that log.
    pub enum ControlEffect {
        /// Can turn good clusters bad.
        Breaks = "breaks",
        /// Can repair them.
        Repairs = "repairs",
        /// Either, depending on content that is not stored.
        Changes = "changes",
        /// Stops or narrows a trail.
        Blinds = "blinds",
    }
}

text_enum! {
    /// What shows that logs were re-encrypted.
    pub enum Reencrypted {
        /// The completion report of a job, version by version.
        CompletionReport = "completion_report",
        /// The counts of a job alone: no bytes.
        JobCounts = "job_counts",
        /// Two snapshots compared by key and version.
        Snapshots = "snapshots",
    }
}

-- KPI 4: historical logs moved under a wanted key, for one quarter and every scope, and what remains.
--
-- Runs unchanged in DataFusion, Amazon Athena (Trino), DuckDB and Spark. Reads the views
-- `reencryption`, `log_object_summary`, `log_bucket`, `coverage`, `run` and `account`, which hold rows of
-- runs of record only, and the one-row view `quarter (first_day DATE, end_day DATE, start_ms BIGINT, end_ms BIGINT)`.
--
-- Moved: what runs of the quarter counted. Of a job, or of a pair of snapshots, the run holds that knows
-- most, of equals the newest: a completion report before the job's own counters, and of reports the one that
-- leaves fewest versions unknown; counters of a job that ended before those of one under way. A job that is
-- not found any more, and a report or a key that cannot be read any more, take nothing back. What the runs
-- before the quarter had counted of it already is taken off. So a version counts once, in the quarter in
-- which a run first counted it. (A later correction can make a difference negative.)
--   moved_*: from outside a wanted key to a wanted key. rotated_*: from one wanted key to another, no
--     progress. moved_elsewhere_*: to a key that is not wanted. moved_key_unknown_*: to a KMS key that nobody
--     names (two inventories say KMS, never which key), or of which nobody could say whether it is wanted.
--   unknown_versions: succeeded, but the key before, or the size, is not known. failed_versions.
--   left_behind_bytes: older versions that copies left under their old key.
--   A bucket with jobs is counted by them; what its snapshots show as moved stands in
--     snapshot_only_bytes and is not added, since it may be the same.
--
-- Remaining at quarter end (remaining_*): log objects outside a customer key, as the newest run of the
-- quarter that counted the prefix has them. Where the key cannot be known (S3 Inventory says KMS, never
-- which key), they stand in key_unknown_*. old_*: the part of both that older versions make up; they
-- are no current log object and are not seen by most tools. An object counts under the longest prefix
-- that holds it, so prefixes add up. A source that tells no sizes adds versions and no bytes.
-- prefixes_counted: the prefixes in these sums; prefixes_in_part: those of them of which there is more than
-- was counted, or may be: a listing was cut off by its bound (`--list-objects`), older versions are not
-- listed, or the run did not say.
--
-- buckets: log buckets of the quarter, each once, as it was last looked up; buckets_reported: those whose
-- log objects some run of the quarter counted, from an inventory or a metadata table. What lies in the
-- others nobody knows: it is in none of these sums. Where no bucket is reported, nothing was measured:
-- remaining_*, key_unknown_*, old_*, under_key_* and prefixes_* are NULL. Where no run of the quarter could ask for jobs
-- and no evidence tells of any, moved_*, rotated_* and their like are NULL.
--
-- Buckets belong to accounts: owner, cost centre and business unit are those of the account's tags, the
-- OU its own; without the tag, the innermost unit is the business unit. Integers are summed; the only division is outermost. NULL means not applicable.
WITH
runs AS (
    SELECT
        r.scheduled_for,
        CASE WHEN r.scheduled_for >= q.first_day THEN 1 ELSE 0 END AS in_quarter
    FROM run r
    CROSS JOIN quarter q
    WHERE r.scheduled_for < q.end_day
),
quarter_runs AS (
    SELECT CAST(SUM(in_quarter) AS BIGINT) AS runs_of_record FROM runs
),
-- An account without the tag belongs to the business unit that its innermost organizational unit is, as a
-- cluster does.
accounts AS (
    SELECT
        scheduled_for,
        account_id,
        ou_path,
        COALESCE(business_unit, CASE WHEN inner_ou LIKE 'ou-%' THEN inner_ou END) AS business_unit,
        owner,
        cost_center
    FROM (
        SELECT
            a.*,
            REVERSE(
                SUBSTR(
                    REVERSE(a.ou_path),
                    2,
                    GREATEST(POSITION('/' IN SUBSTR(REVERSE(a.ou_path), 2)) - 1, 0)
                )
            ) AS inner_ou
        FROM account a
    ) AS with_units
),
-- What a run tells of a job or a pair of snapshots in a bucket; a pair may show several keys.
told AS (
    SELECT
        e.account_id,
        e.region,
        e.bucket,
        e.evidence,
        e.scheduled_for,
        MAX(r.in_quarter) AS in_quarter,
        MAX(CASE WHEN e.shown_by = 'snapshots' THEN 1 ELSE 0 END) AS by_snapshots,
        MAX(
            CASE
                WHEN e.shown_by <> 'job_counts' THEN 3
                WHEN e.versions_unknown IS NULL THEN 0
                WHEN e.ended_ms IS NULL THEN 1
                ELSE 2
            END
        ) AS knows,
        SUM(CASE WHEN e.target_wanted THEN COALESCE(e.versions_moved, 0) ELSE 0 END)
            AS moved_versions,
        SUM(CASE WHEN e.target_wanted THEN COALESCE(e.bytes_moved, 0) ELSE 0 END) AS moved_bytes,
        SUM(CASE WHEN NOT e.target_wanted THEN COALESCE(e.versions_moved, 0) ELSE 0 END)
            AS moved_elsewhere_versions,
        SUM(CASE WHEN NOT e.target_wanted THEN COALESCE(e.bytes_moved, 0) ELSE 0 END)
            AS moved_elsewhere_bytes,
        SUM(CASE WHEN e.target_wanted IS NULL THEN COALESCE(e.versions_moved, 0) ELSE 0 END)
            AS moved_key_unknown_versions,
        SUM(CASE WHEN e.target_wanted IS NULL THEN COALESCE(e.bytes_moved, 0) ELSE 0 END)
            AS moved_key_unknown_bytes,
        SUM(COALESCE(e.versions_rotated, 0)) AS rotated_versions,
        SUM(COALESCE(e.bytes_rotated, 0)) AS rotated_bytes,
        SUM(COALESCE(e.versions_unknown, 0)) AS unknown_versions,
        SUM(COALESCE(e.versions_failed, 0)) AS failed_versions,
        SUM(COALESCE(e.bytes_left_behind, 0)) AS left_behind_bytes
    FROM runs r
    JOIN reencryption e ON e.scheduled_for = r.scheduled_for
    GROUP BY e.account_id, e.region, e.bucket, e.evidence, e.scheduled_for
),
-- Once as all runs tell of it, and once, to be taken off, as those before the quarter do.
told_twice AS (
    SELECT t.*, 1 AS sign FROM told t
    UNION ALL
    SELECT t.*, -1 AS sign FROM told t WHERE t.in_quarter = 0
),
ranked AS (
    SELECT
        t.*,
        ROW_NUMBER() OVER (
            PARTITION BY t.sign, t.account_id, t.region, t.bucket, t.evidence
            ORDER BY
                t.knows DESC,
                CASE WHEN t.knows = 3 THEN t.unknown_versions ELSE 0 END,
                t.scheduled_for DESC
        ) AS nth,
        MAX(t.knows) OVER (PARTITION BY t.sign, t.account_id, t.region, t.evidence) AS best,
        MAX(t.scheduled_for) OVER (
            PARTITION BY
                t.account_id, t.region, t.evidence,
                CASE WHEN t.by_snapshots = 1 THEN t.bucket ELSE '' END
        ) AS newest
    FROM told_twice t
),
-- Counters are of the whole job, in whatever buckets its report shows it.
signed AS (
    SELECT r.*
    FROM quarter q
    CROSS JOIN ranked r
    WHERE r.nth = 1 AND r.newest >= q.first_day AND (r.knows = 3 OR r.best < 3)
),
by_bucket AS (
    SELECT
        account_id,
        region,
        bucket,
        by_snapshots,
        MAX(newest) AS newest,
        COUNT(DISTINCT CASE WHEN sign = 1 THEN evidence END) AS evidences,
        SUM(sign * moved_versions) AS moved_versions,
        SUM(sign * moved_bytes) AS moved_bytes,
        SUM(sign * moved_elsewhere_versions) AS moved_elsewhere_versions,
        SUM(sign * moved_elsewhere_bytes) AS moved_elsewhere_bytes,
        SUM(sign * moved_key_unknown_versions) AS moved_key_unknown_versions,
        SUM(sign * moved_key_unknown_bytes) AS moved_key_unknown_bytes,
        SUM(sign * rotated_versions) AS rotated_versions,
        SUM(sign * rotated_bytes) AS rotated_bytes,
        SUM(sign * unknown_versions) AS unknown_versions,
        SUM(sign * failed_versions) AS failed_versions,
        SUM(sign * left_behind_bytes) AS left_behind_bytes,
        MIN(MIN(by_snapshots)) OVER (PARTITION BY account_id, region, bucket) AS only_snapshots
    FROM signed
    GROUP BY account_id, region, bucket, by_snapshots
),
prefixes AS (
    SELECT account_id, region, bucket, prefix, MAX(scheduled_for) AS newest
    FROM quarter q
    CROSS JOIN log_object_summary o
    WHERE o.scheduled_for >= q.first_day AND o.scheduled_for < q.end_day
    GROUP BY account_id, region, bucket, prefix
),
-- Which runs of the quarter could ask an account for its jobs, and which counted all of its buckets.
looked AS (
    SELECT
        c.account_id,
        c.scheduled_for,
        MAX(
            CASE
                WHEN c.source = 'reencryption' AND c.outcome IN ('collected', 'empty', 'partial')
                THEN 1 ELSE 0
            END
        ) AS asked_for_jobs,
        MAX(
            CASE
                WHEN c.source = 'log_history' AND c.outcome IN ('collected', 'empty')
                THEN 1 ELSE 0
            END
        ) AS counted_all
    FROM coverage c
    JOIN runs r ON r.scheduled_for = c.scheduled_for
    WHERE r.in_quarter = 1 AND c.source IN ('reencryption', 'log_history')
    GROUP BY c.account_id, c.scheduled_for
),
asked AS (
    SELECT account_id, MAX(scheduled_for) AS newest
    FROM looked
    WHERE asked_for_jobs = 1
    GROUP BY account_id
),
buckets AS (
    SELECT account_id, newest, is_reported
    FROM (
        SELECT
            account_id,
            scheduled_for AS newest,
            MAX(is_reported) OVER (PARTITION BY bucket) AS is_reported,
            ROW_NUMBER() OVER (
                PARTITION BY bucket ORDER BY scheduled_for DESC, is_reported DESC, account_id
            ) AS nearest
        FROM (
            SELECT
                COALESCE(b.account_id, '(no account)') AS account_id,
                b.bucket,
                b.scheduled_for,
                COALESCE(l.counted_all, 0) AS is_reported
            FROM log_bucket b
            JOIN runs r ON r.scheduled_for = b.scheduled_for
            LEFT JOIN looked l
                ON l.scheduled_for = b.scheduled_for AND l.account_id = b.account_id
            WHERE r.in_quarter = 1
            UNION ALL
            SELECT account_id, bucket, newest, 1 FROM prefixes
        ) AS told_of
    ) AS rows_of_buckets
    WHERE nearest = 1
),
objects AS (
    SELECT
        o.account_id,
        p.newest,
        COALESCE(o.bytes, 0) AS bytes,
        o.versions,
        CASE
            WHEN o.encryption = 'customer_key' THEN 'wanted'
            WHEN o.encryption IN ('kms_key_unknown', 'unknown') THEN 'key_unknown'
            ELSE 'remaining'
        END AS lies,
        CASE WHEN o.is_latest THEN 0 ELSE 1 END AS is_old
    FROM prefixes p
    JOIN log_object_summary o
        ON o.account_id = p.account_id
        AND o.region = p.region
        AND o.bucket = p.bucket
        AND o.prefix = p.prefix
        AND o.scheduled_for = p.newest
),
counted AS (
    SELECT
        o.account_id,
        p.newest,
        MAX(CASE WHEN o.complete THEN 0 ELSE 1 END) AS is_in_part
    FROM prefixes p
    JOIN log_object_summary o
        ON o.account_id = p.account_id
        AND o.region = p.region
        AND o.bucket = p.bucket
        AND o.prefix = p.prefix
        AND o.scheduled_for = p.newest
    GROUP BY o.account_id, o.region, o.bucket, o.prefix, p.newest
),
places AS (
    SELECT
        account_id,
        newest,
        evidences,
        CASE WHEN by_snapshots = only_snapshots THEN moved_versions ELSE 0 END AS moved_versions,
        CASE WHEN by_snapshots = only_snapshots THEN moved_bytes ELSE 0 END AS moved_bytes,
        CASE WHEN by_snapshots = only_snapshots THEN 0 ELSE moved_bytes END
            AS snapshot_only_bytes,
        CASE WHEN by_snapshots = only_snapshots THEN moved_elsewhere_versions ELSE 0 END
            AS moved_elsewhere_versions,
        CASE WHEN by_snapshots = only_snapshots THEN moved_elsewhere_bytes ELSE 0 END
            AS moved_elsewhere_bytes,
        CASE WHEN by_snapshots = only_snapshots THEN moved_key_unknown_versions ELSE 0 END
            AS moved_key_unknown_versions,
        CASE WHEN by_snapshots = only_snapshots THEN moved_key_unknown_bytes ELSE 0 END
            AS moved_key_unknown_bytes,
        CASE WHEN by_snapshots = only_snapshots THEN rotated_versions ELSE 0 END
            AS rotated_versions,
        CASE WHEN by_snapshots = only_snapshots THEN rotated_bytes ELSE 0 END AS rotated_bytes,
        CASE WHEN by_snapshots = only_snapshots THEN unknown_versions ELSE 0 END
            AS unknown_versions,
        failed_versions,
        CASE WHEN by_snapshots = only_snapshots THEN left_behind_bytes ELSE 0 END
            AS left_behind_bytes,
        0 AS remaining_versions, 0 AS remaining_bytes,
        0 AS key_unknown_versions, 0 AS key_unknown_bytes,
        0 AS old_remaining_versions, 0 AS old_remaining_bytes,
        0 AS old_key_unknown_versions, 0 AS old_key_unknown_bytes,
        0 AS under_key_versions, 0 AS under_key_bytes,
        0 AS buckets, 0 AS buckets_reported,
        0 AS prefixes_counted, 0 AS prefixes_in_part, 1 AS asked_for_jobs
    FROM by_bucket
    UNION ALL
    SELECT
        account_id,
        newest,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        CASE WHEN lies = 'remaining' THEN versions ELSE 0 END,
        CASE WHEN lies = 'remaining' THEN bytes ELSE 0 END,
        CASE WHEN lies = 'key_unknown' THEN versions ELSE 0 END,
        CASE WHEN lies = 'key_unknown' THEN bytes ELSE 0 END,
        CASE WHEN lies = 'remaining' THEN is_old * versions ELSE 0 END,
        CASE WHEN lies = 'remaining' THEN is_old * bytes ELSE 0 END,
        CASE WHEN lies = 'key_unknown' THEN is_old * versions ELSE 0 END,
        CASE WHEN lies = 'key_unknown' THEN is_old * bytes ELSE 0 END,
        CASE WHEN lies = 'wanted' THEN versions ELSE 0 END,
        CASE WHEN lies = 'wanted' THEN bytes ELSE 0 END,
        0, 0, 0, 0, 0
    FROM objects
    UNION ALL
    SELECT
        account_id,
        newest,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        1, is_reported, 0, 0, 0
    FROM buckets
    UNION ALL
    SELECT
        account_id,
        newest,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 1, is_in_part, 0
    FROM counted
    UNION ALL
    SELECT
        account_id,
        newest,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 1
    FROM asked
),
scoped AS (
    SELECT
        k.scope_kind,
        CASE k.scope_kind
            WHEN 'organization' THEN '(all)'
            WHEN 'ou' THEN COALESCE(a.ou_path, '(no ou)')
            WHEN 'account' THEN p.account_id
            WHEN 'business_unit' THEN COALESCE(a.business_unit, '(no business unit)')
            WHEN 'owner' THEN COALESCE(a.owner, '(no owner)')
            ELSE COALESCE(a.cost_center, '(no cost center)')
        END AS scope,
        p.evidences, p.moved_versions, p.moved_bytes, p.snapshot_only_bytes,
        p.moved_elsewhere_versions, p.moved_elsewhere_bytes,
        p.moved_key_unknown_versions, p.moved_key_unknown_bytes,
        p.rotated_versions, p.rotated_bytes, p.unknown_versions, p.failed_versions,
        p.left_behind_bytes,
        p.remaining_versions, p.remaining_bytes, p.key_unknown_versions, p.key_unknown_bytes,
        p.old_remaining_versions, p.old_remaining_bytes,
        p.old_key_unknown_versions, p.old_key_unknown_bytes,
        p.under_key_versions, p.under_key_bytes,
        p.buckets, p.buckets_reported, p.prefixes_counted, p.prefixes_in_part, p.asked_for_jobs
    FROM (
        VALUES ('organization'), ('ou'), ('account'), ('business_unit'), ('owner'), ('cost_center')
    ) AS k (scope_kind)
    CROSS JOIN places p
    LEFT JOIN accounts a ON a.scheduled_for = p.newest AND a.account_id = p.account_id
    UNION ALL
    -- The organization has a row even when nothing was recorded.
    SELECT
        'organization', '(all)',
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0
    FROM quarter
),
sums AS (
    SELECT
        scope_kind,
        scope,
        CAST(SUM(evidences) AS BIGINT) AS evidences,
        CAST(SUM(moved_versions) AS BIGINT) AS moved_versions,
        CAST(SUM(moved_bytes) AS BIGINT) AS moved_bytes,
        CAST(SUM(snapshot_only_bytes) AS BIGINT) AS snapshot_only_bytes,
        CAST(SUM(moved_elsewhere_versions) AS BIGINT) AS moved_elsewhere_versions,
        CAST(SUM(moved_elsewhere_bytes) AS BIGINT) AS moved_elsewhere_bytes,
        CAST(SUM(moved_key_unknown_versions) AS BIGINT) AS moved_key_unknown_versions,
        CAST(SUM(moved_key_unknown_bytes) AS BIGINT) AS moved_key_unknown_bytes,
        CAST(SUM(rotated_versions) AS BIGINT) AS rotated_versions,
        CAST(SUM(rotated_bytes) AS BIGINT) AS rotated_bytes,
        CAST(SUM(unknown_versions) AS BIGINT) AS unknown_versions,
        CAST(SUM(failed_versions) AS BIGINT) AS failed_versions,
        CAST(SUM(left_behind_bytes) AS BIGINT) AS left_behind_bytes,
        CAST(SUM(remaining_versions) AS BIGINT) AS remaining_versions,
        CAST(SUM(remaining_bytes) AS BIGINT) AS remaining_bytes,
        CAST(SUM(key_unknown_versions) AS BIGINT) AS key_unknown_versions,
        CAST(SUM(key_unknown_bytes) AS BIGINT) AS key_unknown_bytes,
        CAST(SUM(old_remaining_versions) AS BIGINT) AS old_remaining_versions,
        CAST(SUM(old_remaining_bytes) AS BIGINT) AS old_remaining_bytes,
        CAST(SUM(old_key_unknown_versions) AS BIGINT) AS old_key_unknown_versions,
        CAST(SUM(old_key_unknown_bytes) AS BIGINT) AS old_key_unknown_bytes,
        CAST(SUM(under_key_versions) AS BIGINT) AS under_key_versions,
        CAST(SUM(under_key_bytes) AS BIGINT) AS under_key_bytes,
        CAST(SUM(buckets) AS BIGINT) AS buckets,
        CAST(SUM(buckets_reported) AS BIGINT) AS buckets_reported,
        CAST(SUM(prefixes_counted) AS BIGINT) AS prefixes_counted,
        CAST(SUM(prefixes_in_part) AS BIGINT) AS prefixes_in_part,
        MAX(asked_for_jobs) AS asked_for_jobs
    FROM scoped
    GROUP BY scope_kind, scope
)
SELECT
    q.first_day AS quarter_start,
    s.scope_kind,
    s.scope,
    -- Both instants are midnights: the quotient is whole.
    CAST(CAST(q.end_ms - q.start_ms AS DOUBLE) / CAST(86400000 AS DOUBLE) AS BIGINT)
        AS days_expected,
    COALESCE(e.runs_of_record, 0) AS runs_of_record,
    s.evidences,
    CASE WHEN s.asked_for_jobs = 1 THEN s.moved_versions END AS moved_versions,
    CASE WHEN s.asked_for_jobs = 1 THEN s.moved_bytes END AS moved_bytes,
    CASE WHEN s.asked_for_jobs = 1 THEN s.snapshot_only_bytes END AS snapshot_only_bytes,
    CASE WHEN s.asked_for_jobs = 1 THEN s.moved_elsewhere_versions END AS moved_elsewhere_versions,
    CASE WHEN s.asked_for_jobs = 1 THEN s.moved_elsewhere_bytes END AS moved_elsewhere_bytes,
    CASE WHEN s.asked_for_jobs = 1 THEN s.rotated_versions END AS rotated_versions,
    CASE WHEN s.asked_for_jobs = 1 THEN s.rotated_bytes END AS rotated_bytes,
    CASE WHEN s.asked_for_jobs = 1 THEN s.unknown_versions END AS unknown_versions,
    CASE WHEN s.asked_for_jobs = 1 THEN s.failed_versions END AS failed_versions,
    CASE WHEN s.asked_for_jobs = 1 THEN s.left_behind_bytes END AS left_behind_bytes,
    CASE WHEN s.buckets_reported > 0 THEN s.remaining_versions END AS remaining_versions,
    CASE WHEN s.buckets_reported > 0 THEN s.remaining_bytes END AS remaining_bytes,
    CASE WHEN s.buckets_reported > 0 THEN s.key_unknown_versions END AS key_unknown_versions,
    CASE WHEN s.buckets_reported > 0 THEN s.key_unknown_bytes END AS key_unknown_bytes,
    CASE WHEN s.buckets_reported > 0 THEN s.old_remaining_versions END AS old_remaining_versions,
    CASE WHEN s.buckets_reported > 0 THEN s.old_remaining_bytes END AS old_remaining_bytes,
    CASE WHEN s.buckets_reported > 0 THEN s.old_key_unknown_versions END
        AS old_key_unknown_versions,
    CASE WHEN s.buckets_reported > 0 THEN s.old_key_unknown_bytes END AS old_key_unknown_bytes,
    CASE WHEN s.buckets_reported > 0 THEN s.under_key_versions END AS under_key_versions,
    CASE WHEN s.buckets_reported > 0 THEN s.under_key_bytes END AS under_key_bytes,
    s.buckets,
    s.buckets_reported,
    CASE WHEN s.asked_for_jobs = 1 THEN s.moved_key_unknown_versions END
        AS moved_key_unknown_versions,
    CASE WHEN s.asked_for_jobs = 1 THEN s.moved_key_unknown_bytes END AS moved_key_unknown_bytes,
    CASE WHEN s.buckets_reported > 0 THEN s.prefixes_counted END AS prefixes_counted,
    CASE WHEN s.buckets_reported > 0 THEN s.prefixes_in_part END AS prefixes_in_part,
    CAST(s.under_key_bytes AS DOUBLE)
        / CAST(NULLIF(s.under_key_bytes + s.remaining_bytes + s.key_unknown_bytes, 0) AS DOUBLE)
        AS share_under_key
FROM sums s
CROSS JOIN quarter q
CROSS JOIN quarter_runs e
ORDER BY s.scope_kind, s.scope

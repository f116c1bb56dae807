-- Table `remediation`: the times in which a lineage had clusters that were not compliant, as known at
-- the end of one quarter. KPI 2 (time_to_remediate.sql) counts its rows.
--
-- Runs unchanged in DataFusion, Amazon Athena (Trino), DuckDB and Spark. Reads the views `run`,
-- `verdict` and `coverage`, which hold rows of runs of record only, from the archive's first run on,
-- and the one-row view `quarter (first_day DATE, end_day DATE, start_ms BIGINT, end_ms BIGINT)`.
-- Runs that started after the quarter are left out here, so it does no harm to offer them.
--
-- A lineage is what a team launches again and again: account, Region, and the column `lineage` of the
-- verdict; a cluster without one is a lineage of its own.
--
-- A cluster is bad from the first run that finds it NON_COMPLIANT until
--   fixed_in_place: the first run that finds the same cluster COMPLIANT;
--   replaced: the first run that knows of its end and of a COMPLIANT cluster of the lineage launched
--     after it;
--   ended: its lineage died out: 30 days after the end of the last cluster nothing had been launched,
--     which the first run proves that listed the account's clusters then. Also when changed rules
--     alone find it COMPLIANT. Neither is a remediation.
-- UNKNOWN, NO_LOGS and a date without a run neither open nor close. A cluster that changed rules alone
-- find NON_COMPLIANT (`rule_change`) is not bad before it was COMPLIANT again.
--
-- An interval of a lineage is the time without a break in which some cluster of it was bad; how its
-- last bad clusters ended says how it closed, else it is open. The next one is a new interval.
-- Intervals that closed before the quarter are left out.
--   opened_ms, closed_ms: starts of the runs that found out; opened_on, closed_on: their dates.
--   exposed_since_ms: launch of the first bad cluster.
--   alerted_at: when the first alert about it was sent; NULL where none was.
--   age_ms: to its close, else to the start of the quarter's latest run.
--   number: 1 for the first interval of its lineage; more mean that it was opened again.
-- Organizational unit, owner and the like are those of the cluster that was found bad last.
-- 2592000000 ms are 30 days; 9000000000000000 stands for a time that has not come.
WITH
runs AS (
    SELECT r.scheduled_for, r.started_ms
    FROM run r
    CROSS JOIN quarter q
    WHERE r.started_ms < q.end_ms
),
last_run AS (
    SELECT MAX(started_ms) AS last_ms FROM runs
),
-- Lineages that were ever bad; the others need no further look.
bad_lineages AS (
    SELECT DISTINCT v.account_id, v.region, COALESCE(v.lineage, v.cluster_id) AS lineage
    FROM runs r
    JOIN verdict v ON v.scheduled_for = r.scheduled_for
    WHERE v.verdict = 'NON_COMPLIANT' AND v.rule_change IS NULL
),
seen AS (
    SELECT
        v.account_id,
        v.region,
        v.lineage,
        v.cluster_id,
        v.verdict,
        CASE WHEN v.rule_change IS NULL THEN 0 ELSE 1 END AS by_rules,
        CASE WHEN v.active THEN 1 ELSE 0 END AS alive,
        COALESCE(v.created_ms, r.started_ms) AS created_ms,
        v.ended_ms,
        r.started_ms,
        -- Numbers the times that end with a look that found the cluster COMPLIANT, the last one first.
        SUM(CASE WHEN v.verdict = 'COMPLIANT' THEN 1 ELSE 0 END) OVER (
            PARTITION BY v.account_id, v.region, v.cluster_id
            ORDER BY r.started_ms
            ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
        ) AS spell
    FROM runs r
    JOIN (
        SELECT
            w.scheduled_for, w.account_id, w.region, w.cluster_id, w.verdict, w.rule_change,
            w.active, w.created_ms, w.ended_ms, b.lineage
        FROM bad_lineages b
        JOIN verdict w
            ON w.account_id = b.account_id
            AND w.region = b.region
            AND COALESCE(w.lineage, w.cluster_id) = b.lineage
    ) AS v
        ON v.scheduled_for = r.scheduled_for
),
-- Every run of an account and Region, with the next one that listed its clusters.
cells AS (
    SELECT
        c.account_id,
        c.region,
        r.started_ms,
        CASE WHEN c.outcome IN ('collected', 'empty') THEN r.started_ms END AS listed_ms,
        MIN(CASE WHEN c.outcome IN ('collected', 'empty') THEN r.started_ms END) OVER (
            PARTITION BY c.account_id, c.region
            ORDER BY r.started_ms
            ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
        ) AS next_listed_ms
    FROM runs r
    JOIN coverage c ON c.scheduled_for = r.scheduled_for
    WHERE c.source = 'clusters'
),
lives AS (
    SELECT
        account_id,
        region,
        lineage,
        cluster_id,
        MIN(created_ms) AS created_ms,
        MAX(ended_ms) AS ended_ms,
        MAX(started_ms) AS last_ms,
        MIN(CASE WHEN alive = 0 THEN started_ms END) AS known_ended_ms,
        -- A cluster that changed rules alone made COMPLIANT replaces nothing.
        NULLIF(
            MIN(CASE WHEN verdict = 'COMPLIANT' THEN started_ms END),
            MIN(CASE WHEN verdict = 'COMPLIANT' AND by_rules = 1 THEN started_ms END)
        ) AS compliant_ms
    FROM seen
    GROUP BY account_id, region, lineage, cluster_id
),
-- A cluster that a later list does not show any more is gone.
clusters AS (
    SELECT
        l.account_id,
        l.region,
        l.lineage,
        l.cluster_id,
        l.created_ms,
        COALESCE(l.known_ended_ms, c.next_listed_ms) AS known_ended_ms,
        CASE
            WHEN COALESCE(l.known_ended_ms, c.next_listed_ms) IS NULL THEN 9000000000000000
            ELSE COALESCE(l.ended_ms, l.known_ended_ms, c.next_listed_ms) + 2592000000
        END AS survives_ms,
        -- The first run that knows of a COMPLIANT cluster launched later.
        MIN(l.compliant_ms) OVER (
            PARTITION BY l.account_id, l.region, l.lineage
            ORDER BY l.created_ms, l.cluster_id
            ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
        ) AS successor_ms
    FROM lives l
    LEFT JOIN cells c
        ON c.account_id = l.account_id
        AND c.region = l.region
        AND c.started_ms = l.last_ms
),
-- Clusters of a lineage, numbered by the times that it died out before they were launched.
successions AS (
    SELECT
        account_id, region, lineage, cluster_id, created_ms, known_ended_ms, survives_ms,
        successor_ms,
        SUM(CASE WHEN created_ms > before_ms THEN 1 ELSE 0 END) OVER (
            PARTITION BY account_id, region, lineage
            ORDER BY created_ms, cluster_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS succession
    FROM (
        SELECT
            c.*,
            MAX(survives_ms) OVER (
                PARTITION BY account_id, region, lineage
                ORDER BY created_ms, cluster_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS before_ms
        FROM clusters c
    ) AS ordered
),
died_out AS (
    SELECT
        s.account_id,
        s.region,
        s.lineage,
        s.succession,
        MIN(c.listed_ms) AS died_out_ms
    FROM (
        SELECT account_id, region, lineage, succession, MAX(survives_ms) AS survives_ms
        FROM successions
        GROUP BY account_id, region, lineage, succession
    ) AS s
    JOIN cells c
        ON c.account_id = s.account_id
        AND c.region = s.region
        AND c.listed_ms >= s.survives_ms
    GROUP BY s.account_id, s.region, s.lineage, s.succession
),
-- The times in which one cluster was bad.
spells AS (
    SELECT
        account_id,
        region,
        lineage,
        cluster_id,
        spell,
        MIN(CASE WHEN verdict = 'NON_COMPLIANT' AND by_rules = 0 THEN started_ms END)
            AS opened_ms,
        MAX(CASE WHEN verdict = 'NON_COMPLIANT' THEN started_ms END) AS last_bad_ms,
        MIN(CASE WHEN verdict = 'NON_COMPLIANT' AND by_rules = 1 THEN started_ms END)
            AS excused_ms,
        MIN(CASE WHEN verdict = 'COMPLIANT' THEN started_ms END) AS healed_ms,
        MAX(CASE WHEN verdict = 'COMPLIANT' THEN by_rules ELSE 0 END) AS healed_by_rules
    FROM seen
    GROUP BY account_id, region, lineage, cluster_id, spell
),
closings AS (
    SELECT
        p.account_id,
        p.region,
        p.lineage,
        p.cluster_id,
        p.opened_ms,
        p.last_bad_ms,
        s.created_ms,
        COALESCE(p.healed_ms, 9000000000000000) AS healed_ms,
        p.healed_by_rules,
        COALESCE(
            CASE
                WHEN s.successor_ms > s.known_ended_ms THEN s.successor_ms
                WHEN s.successor_ms IS NOT NULL THEN s.known_ended_ms
            END,
            9000000000000000
        ) AS replaced_ms,
        COALESCE(d.died_out_ms, 9000000000000000) AS died_out_ms
    FROM spells p
    JOIN successions s
        ON s.account_id = p.account_id
        AND s.region = p.region
        AND s.cluster_id = p.cluster_id
    LEFT JOIN died_out d
        ON d.account_id = s.account_id
        AND d.region = s.region
        AND d.lineage = s.lineage
        AND d.succession = s.succession
    WHERE p.opened_ms IS NOT NULL
        AND (p.excused_ms IS NULL OR p.opened_ms < p.excused_ms)
),
-- 3 fixed in place, 2 replaced, 1 ended, 0 still open.
closed AS (
    SELECT
        account_id, region, lineage, cluster_id, opened_ms, last_bad_ms, created_ms,
        LEAST(healed_ms, replaced_ms, died_out_ms) AS closed_ms,
        CASE
            WHEN LEAST(healed_ms, replaced_ms, died_out_ms) = 9000000000000000 THEN 0
            WHEN healed_ms <= LEAST(replaced_ms, died_out_ms) AND healed_by_rules = 0 THEN 3
            WHEN healed_ms <= LEAST(replaced_ms, died_out_ms) THEN 1
            WHEN replaced_ms <= died_out_ms THEN 2
            ELSE 1
        END AS way
    FROM closings
),
numbered AS (
    SELECT
        o.*,
        SUM(CASE WHEN before_ms IS NULL OR opened_ms > before_ms THEN 1 ELSE 0 END) OVER (
            PARTITION BY account_id, region, lineage
            ORDER BY opened_ms, created_ms, cluster_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS ordinal
    FROM (
        SELECT
            c.*,
            MAX(closed_ms) OVER (
                PARTITION BY account_id, region, lineage
                ORDER BY opened_ms, created_ms, cluster_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS before_ms
        FROM closed c
    ) AS o
),
placed AS (
    SELECT
        n.*,
        MAX(closed_ms) OVER (
            PARTITION BY account_id, region, lineage, ordinal
        ) AS end_ms,
        ROW_NUMBER() OVER (
            PARTITION BY account_id, region, lineage, ordinal
            ORDER BY opened_ms, created_ms, cluster_id
        ) AS from_first,
        ROW_NUMBER() OVER (
            PARTITION BY account_id, region, lineage, ordinal
            ORDER BY last_bad_ms DESC, created_ms DESC, cluster_id DESC
        ) AS from_last
    FROM numbered n
),
intervals AS (
    SELECT
        account_id,
        region,
        lineage,
        ordinal,
        MIN(opened_ms) AS opened_ms,
        MAX(end_ms) AS closed_ms,
        MAX(way) AS way,
        MAX(exposed_since_ms) AS exposed_since_ms,
        COUNT(*) AS clusters,
        MAX(last_cluster_id) AS last_cluster_id,
        MAX(last_bad_ms) AS last_bad_ms
    FROM (
        SELECT
            account_id,
            region,
            lineage,
            ordinal,
            MIN(opened_ms) AS opened_ms,
            MAX(end_ms) AS end_ms,
            MAX(CASE WHEN closed_ms = end_ms THEN way ELSE 0 END) AS way,
            MAX(CASE WHEN from_first = 1 THEN created_ms END) AS exposed_since_ms,
            MAX(CASE WHEN from_last = 1 THEN cluster_id END) AS last_cluster_id,
            MAX(CASE WHEN from_last = 1 THEN last_bad_ms END) AS last_bad_ms
        FROM placed
        GROUP BY account_id, region, lineage, ordinal, cluster_id
    ) AS of_clusters
    GROUP BY account_id, region, lineage, ordinal
)
SELECT
    q.first_day AS quarter_start,
    i.account_id,
    i.region,
    i.lineage,
    CAST(i.ordinal AS BIGINT) AS number,
    CASE i.way
        WHEN 3 THEN 'fixed_in_place'
        WHEN 2 THEN 'replaced'
        WHEN 1 THEN 'ended'
        ELSE 'open'
    END AS how,
    o.scheduled_for AS opened_on,
    i.opened_ms,
    z.scheduled_for AS closed_on,
    NULLIF(i.closed_ms, 9000000000000000) AS closed_ms,
    i.exposed_since_ms,
    CAST(NULL AS TIMESTAMP) AS alerted_at,
    LEAST(i.closed_ms, l.last_ms) - i.opened_ms AS age_ms,
    CAST(i.clusters AS BIGINT) AS clusters,
    i.last_cluster_id,
    v.ou_path,
    v.owner,
    v.cost_center,
    v.business_unit
FROM intervals i
CROSS JOIN quarter q
CROSS JOIN last_run l
JOIN runs o ON o.started_ms = i.opened_ms
JOIN runs b ON b.started_ms = i.last_bad_ms
LEFT JOIN runs z ON z.started_ms = i.closed_ms
JOIN verdict v
    ON v.scheduled_for = b.scheduled_for
    AND v.account_id = i.account_id
    AND v.region = i.region
    AND v.cluster_id = i.last_cluster_id
WHERE i.closed_ms >= q.start_ms
ORDER BY i.account_id, i.region, i.lineage, i.ordinal

-- KPI 3: attempts to launch clusters, for one quarter and every scope.
--
-- Runs unchanged in DataFusion, Amazon Athena (Trino), DuckDB and Spark. Reads the views `launch`,
-- `coverage`, `verdict`, `run` and `account`, which hold rows of runs of record only, also of runs
-- after the quarter: they bring late events. Of sealed backfills the views `backfilled_launch` and
-- `trail_reading`. And the one-row view
-- `quarter (first_day DATE, end_day DATE, start_ms BIGINT, end_ms BIGINT)`, half open.
--
-- One event counts once, as the newest run has it that saw its cluster, else as the newest has it: what
-- happens to a cluster later takes nothing back of what was known of its launch. What runs do not have
-- counts as a backfill has it: from a validated file, else from another, of these the newest. A backfilled
-- launch is seen where any run judged its cluster. Events of one caller for one name within 15 minutes are
-- one attempt (`attempt_id`): pipelines and SDKs repeat what failed.
--   blocked: denied by a guardrail of the configuration, whatever its parameters; beside it what these
--     would have been. A block by a CloudFormation hook leaves no event: not observed.
--   flagged: accepted and not compliant. unknown: accepted, and not known whether compliant.
--   An attempt with events in several buckets or classes counts in each of them.
--   approved_*: whether the security configuration of an accepted launch is approved, by content. It
--     says nothing about logs, and decides nothing here.
-- Reconciled both ways: accepted launches that no run saw as a cluster, and clusters launched in the
--   quarter without a launch event.
-- unobserved_ms: the time whose events nobody read, summed over the accounts and Regions that runs of
--   the quarter were to read: no events then do not mean no attempts. In a quarter that is still going
--   on, what is to come counts. An account or Region that runs began or ceased to expect counts from
--   the run before, or to the run after. Only an organization, an OU and an account have it. What a
--   backfill read counts as observed where the trail's digest files validate it, and nowhere else.
--   In a quarter without runs the whole quarter was to be read in what the newest run before it was to
--   read, else the first after it, and in what a backfill read; nobody knows the units then: '(no ou)'.
--   On dates on which nobody could list an account's Regions, those are expected that other runs of the
--   quarter named; where none did, the account counts as one cell of Region `global`.
--
-- A scope of kind `ou` is the full path of the account's own unit. Integers are summed; the only
-- divisions are outermost.
WITH
quarter_runs AS (
    SELECT
        r.scheduled_for,
        r.started_ms,
        LAG(r.started_ms) OVER (ORDER BY r.started_ms) AS previous_ms,
        LEAD(r.started_ms) OVER (ORDER BY r.started_ms) AS next_ms
    FROM run r
    CROSS JOIN quarter q
    WHERE r.scheduled_for >= q.first_day AND r.scheduled_for < q.end_day
),
read_times AS (
    SELECT account_id, region, observed_from_ms AS from_ms, observed_to_ms AS to_ms
    FROM coverage
    WHERE source = 'launches'
    UNION ALL
    SELECT account_id, region, from_ms, to_ms
    FROM trail_reading
    WHERE outcome = 'validated'
),
counted_runs AS (
    SELECT CAST(COUNT(*) AS BIGINT) AS runs_of_record FROM quarter_runs
),
-- Of each event of the quarter that runs tell of, the run whose row counts.
told AS (
    SELECT
        account_id,
        region,
        event_id,
        COALESCE(
            MAX(CASE
                WHEN read_from <> 'unvalidated_trail' AND population = 'seen' THEN scheduled_for
            END),
            MAX(CASE WHEN read_from <> 'unvalidated_trail' THEN scheduled_for END),
            MAX(CASE WHEN population = 'seen' THEN scheduled_for END),
            MAX(scheduled_for)
        ) AS scheduled_for
    FROM launch
    WHERE event_ms >= (SELECT start_ms FROM quarter) AND event_ms < (SELECT end_ms FROM quarter)
    GROUP BY account_id, region, event_id
),
-- The same of events that backfills alone tell of. The last columns make the choice the same everywhere.
backfilled AS (
    SELECT
        l.*,
        ROW_NUMBER() OVER (
            PARTITION BY l.account_id, l.region, l.event_id
            ORDER BY
                CASE WHEN l.read_from = 'unvalidated_trail' THEN 1 ELSE 0 END,
                CASE WHEN l.population = 'seen' THEN 0 ELSE 1 END,
                l.scheduled_for DESC, l.read_from DESC,
                l.class, l.bucket, l.parameters_meet, l.population, l.attempt_id,
                COALESCE(l.ou_path, ''), COALESCE(l.business_unit, ''),
                COALESCE(l.owner, ''), COALESCE(l.cost_center, ''),
                CASE
                    WHEN l.security_configuration_approved IS NULL THEN 0
                    WHEN l.security_configuration_approved THEN 1
                    ELSE 2
                END
        ) AS newest
    FROM (
        SELECT
            b.account_id, b.region, b.event_id, b.ou_path, b.business_unit, b.owner, b.cost_center,
            b.attempt_id, b.bucket, b.class, b.parameters_meet,
            CASE WHEN s.cluster_id IS NULL THEN b.population ELSE 'seen' END AS population,
            b.read_from, b.security_configuration_approved, b.scheduled_for
        FROM quarter q
        CROSS JOIN backfilled_launch b
        LEFT JOIN (
            SELECT DISTINCT v.account_id, v.region, v.cluster_id
            FROM backfilled_launch f
            JOIN verdict v
                ON v.account_id = f.account_id
                AND v.region = f.region
                AND v.cluster_id = f.cluster_id
        ) AS s
            ON s.account_id = b.account_id
            AND s.region = b.region
            AND s.cluster_id = b.cluster_id
        LEFT JOIN told t
            ON t.account_id = b.account_id
            AND t.region = b.region
            AND t.event_id = b.event_id
        WHERE b.event_ms >= q.start_ms AND b.event_ms < q.end_ms AND t.event_id IS NULL
    ) AS l
),
events AS (
    SELECT
        account_id, ou_path, business_unit, owner, cost_center,
        attempt_id, bucket, class, parameters_meet, population, read_from,
        CASE
            WHEN class IN (
                'accepted_compliant', 'accepted_noncompliant', 'accepted_no_log_place',
                'accepted_params_unavailable', 'accepted_key_unknown', 'accepted_then_failed'
            )
            THEN 1 ELSE 0
        END AS accepted,
        CASE
            WHEN security_configuration_approved IS NULL THEN 'unknown'
            WHEN security_configuration_approved THEN 'yes'
            ELSE 'no'
        END AS approval
    FROM (
        SELECT
            l.account_id, l.ou_path, l.business_unit, l.owner, l.cost_center,
            l.attempt_id, l.bucket, l.class, l.parameters_meet, l.population, l.read_from,
            l.security_configuration_approved
        FROM told t
        JOIN launch l
            ON l.account_id = t.account_id
            AND l.region = t.region
            AND l.event_id = t.event_id
            AND l.scheduled_for = t.scheduled_for
        UNION ALL
        SELECT
            account_id, ou_path, business_unit, owner, cost_center,
            attempt_id, bucket, class, parameters_meet, population, read_from,
            security_configuration_approved
        FROM backfilled
        WHERE newest = 1
    ) AS counted
),
-- What the events of an attempt come to, by whom they belong to.
belonging AS (
    SELECT
        account_id, ou_path, business_unit, owner, cost_center, attempt_id,
        COUNT(*) AS events,
        SUM(CASE WHEN bucket = 'blocked' THEN 1 ELSE 0 END) AS blocked,
        SUM(CASE WHEN bucket = 'flagged' THEN 1 ELSE 0 END) AS flagged,
        SUM(CASE WHEN bucket = 'unknown' THEN 1 ELSE 0 END) AS unknown,
        SUM(CASE WHEN bucket = 'blocked' AND parameters_meet = 'no' THEN 1 ELSE 0 END)
            AS blocked_failing,
        SUM(CASE WHEN bucket = 'blocked' AND parameters_meet = 'yes' THEN 1 ELSE 0 END)
            AS blocked_meeting,
        SUM(CASE WHEN bucket = 'blocked' AND parameters_meet = 'unknown' THEN 1 ELSE 0 END)
            AS blocked_params_unknown,
        SUM(CASE WHEN class = 'accepted_compliant' THEN 1 ELSE 0 END) AS accepted_compliant,
        SUM(CASE WHEN class = 'accepted_noncompliant' THEN 1 ELSE 0 END) AS accepted_noncompliant,
        SUM(CASE WHEN class = 'accepted_no_log_place' THEN 1 ELSE 0 END) AS accepted_no_log_place,
        SUM(CASE WHEN class = 'accepted_params_unavailable' THEN 1 ELSE 0 END)
            AS accepted_params_unavailable,
        SUM(CASE WHEN class = 'accepted_key_unknown' THEN 1 ELSE 0 END) AS accepted_key_unknown,
        SUM(CASE WHEN class = 'accepted_then_failed' THEN 1 ELSE 0 END) AS accepted_then_failed,
        SUM(CASE WHEN class = 'denied_noncompliant' THEN 1 ELSE 0 END) AS denied_noncompliant,
        SUM(CASE WHEN class = 'denied_compliant' THEN 1 ELSE 0 END) AS denied_compliant,
        SUM(CASE WHEN class = 'denied_params_unavailable' THEN 1 ELSE 0 END)
            AS denied_params_unavailable,
        SUM(CASE WHEN class = 'rejected_invalid' THEN 1 ELSE 0 END) AS rejected_invalid,
        SUM(CASE WHEN class = 'throttled' THEN 1 ELSE 0 END) AS throttled,
        SUM(CASE WHEN class = 'other_error' THEN 1 ELSE 0 END) AS other_error,
        SUM(CASE WHEN accepted = 1 AND approval = 'yes' THEN 1 ELSE 0 END) AS approved_events,
        SUM(CASE WHEN accepted = 1 AND approval = 'no' THEN 1 ELSE 0 END) AS not_approved_events,
        SUM(CASE WHEN accepted = 1 AND approval = 'unknown' THEN 1 ELSE 0 END)
            AS approval_unknown_events,
        SUM(CASE WHEN population = 'seen' THEN 1 ELSE 0 END) AS launches_seen,
        SUM(CASE WHEN population = 'not_seen' THEN 1 ELSE 0 END) AS launches_not_seen,
        SUM(CASE WHEN population = 'unknown' THEN 1 ELSE 0 END) AS launches_population_unknown,
        SUM(CASE WHEN read_from = 'lookup_events' THEN 0 ELSE 1 END) AS trail_events
    FROM events
    GROUP BY account_id, ou_path, business_unit, owner, cost_center, attempt_id
),
-- Attempts whose events belong to more than one owner or the like; most do not.
several AS (
    SELECT attempt_id FROM belonging GROUP BY attempt_id HAVING COUNT(*) > 1
),
-- Of those once for each scope, where the attempt counts once; the others (scope_kind empty) as they stand,
-- since they can be counted before there are scopes.
attempts AS (
    SELECT
        '' AS scope_kind, '' AS scope,
        b.account_id, b.ou_path, b.business_unit, b.owner, b.cost_center,
        b.events, b.blocked, b.flagged, b.unknown, b.blocked_failing, b.blocked_meeting,
        b.blocked_params_unknown, b.accepted_compliant, b.accepted_noncompliant,
        b.accepted_no_log_place, b.accepted_params_unavailable, b.accepted_key_unknown,
        b.accepted_then_failed, b.denied_noncompliant, b.denied_compliant,
        b.denied_params_unavailable, b.rejected_invalid, b.throttled, b.other_error,
        b.approved_events, b.not_approved_events, b.approval_unknown_events, b.launches_seen,
        b.launches_not_seen, b.launches_population_unknown, b.trail_events
    FROM several s
    RIGHT JOIN belonging b ON b.attempt_id = s.attempt_id
    WHERE s.attempt_id IS NULL
    UNION ALL
    SELECT
        scope_kind, scope, NULL, NULL, NULL, NULL, NULL,
        SUM(events), SUM(blocked), SUM(flagged), SUM(unknown), SUM(blocked_failing),
        SUM(blocked_meeting), SUM(blocked_params_unknown), SUM(accepted_compliant),
        SUM(accepted_noncompliant), SUM(accepted_no_log_place), SUM(accepted_params_unavailable),
        SUM(accepted_key_unknown), SUM(accepted_then_failed), SUM(denied_noncompliant),
        SUM(denied_compliant), SUM(denied_params_unavailable), SUM(rejected_invalid),
        SUM(throttled), SUM(other_error), SUM(approved_events), SUM(not_approved_events),
        SUM(approval_unknown_events), SUM(launches_seen), SUM(launches_not_seen),
        SUM(launches_population_unknown), SUM(trail_events)
    FROM (
        SELECT
            k.scope_kind,
            CASE k.scope_kind
                WHEN 'organization' THEN '(all)'
                WHEN 'ou' THEN COALESCE(b.ou_path, '(no ou)')
                WHEN 'account' THEN b.account_id
                WHEN 'business_unit' THEN COALESCE(b.business_unit, '(no business unit)')
                WHEN 'owner' THEN COALESCE(b.owner, '(no owner)')
                ELSE COALESCE(b.cost_center, '(no cost center)')
            END AS scope,
            b.*
        FROM (
            VALUES
                ('organization'), ('ou'), ('account'), ('business_unit'), ('owner'), ('cost_center')
        ) AS k (scope_kind)
        CROSS JOIN several s
        JOIN belonging b ON b.attempt_id = s.attempt_id
    ) AS in_scopes
    GROUP BY scope_kind, scope, attempt_id
),
clusters AS (
    SELECT
        c.account_id,
        COALESCE(c.ou_path, '(no ou)') AS ou,
        COALESCE(c.business_unit, '(no business unit)') AS business_unit,
        COALESCE(c.owner, '(no owner)') AS owner,
        COALESCE(c.cost_center, '(no cost center)') AS cost_center,
        CASE WHEN l.cluster_id IS NULL THEN 1 ELSE 0 END AS without_event
    FROM (
        SELECT v.account_id, v.region, v.cluster_id, MAX(v.scheduled_for) AS newest
        FROM verdict v
        WHERE v.created_ms >= (SELECT start_ms FROM quarter)
            AND v.created_ms < (SELECT end_ms FROM quarter)
        GROUP BY v.account_id, v.region, v.cluster_id
    ) AS n
    JOIN verdict c
        ON c.account_id = n.account_id
        AND c.region = n.region
        AND c.cluster_id = n.cluster_id
        AND c.scheduled_for = n.newest
    LEFT JOIN (
        SELECT account_id, region, cluster_id FROM launch WHERE cluster_id IS NOT NULL
        UNION
        SELECT account_id, region, cluster_id FROM backfilled_launch WHERE cluster_id IS NOT NULL
    ) AS l
        ON l.account_id = c.account_id
        AND l.region = c.region
        AND l.cluster_id = c.cluster_id
),
cluster_places AS (
    SELECT
        account_id, ou, business_unit, owner, cost_center,
        COUNT(*) AS launched,
        SUM(without_event) AS without_event
    FROM clusters
    GROUP BY account_id, ou, business_unit, owner, cost_center
),
-- Of a quarter without runs, the run that tells what was to be read.
nearest AS (
    SELECT
        COALESCE(
            MAX(CASE WHEN r.scheduled_for < q.first_day THEN r.scheduled_for END),
            MIN(CASE WHEN r.scheduled_for >= q.end_day THEN r.scheduled_for END)
        ) AS scheduled_for
    FROM run r
    CROSS JOIN quarter q
    CROSS JOIN counted_runs n
    WHERE n.runs_of_record = 0
),
named_cells AS (
    SELECT c.account_id, c.region, c.scheduled_for
    FROM quarter_runs r
    JOIN coverage c ON c.scheduled_for = r.scheduled_for
    WHERE c.source = 'launches'
        AND c.outcome NOT IN ('region_off', 'account_state', 'excluded')
),
-- Dates on which launches were to be read in an account, and nobody could list its Regions: nobody
-- could enter it, above all. What is read of launches says the account's cell `trails`.
dark_dates AS (
    SELECT c.account_id, c.scheduled_for
    FROM quarter_runs r
    JOIN coverage c ON c.scheduled_for = r.scheduled_for
    WHERE c.source IN ('regions', 'trails')
        AND c.outcome NOT IN ('region_off', 'account_state', 'excluded')
    GROUP BY c.account_id, c.scheduled_for
    HAVING SUM(CASE WHEN c.source = 'trails' THEN 1 ELSE 0 END) > 0
        AND SUM(
            CASE
                WHEN c.source = 'regions' AND c.outcome NOT IN ('collected', 'empty')
                THEN 1 ELSE 0
            END
        ) > 0
),
to_be_read AS (
    SELECT account_id, region, scheduled_for FROM named_cells
    UNION ALL
    SELECT d.account_id, COALESCE(k.region, 'global'), d.scheduled_for
    FROM dark_dates d
    LEFT JOIN (SELECT DISTINCT account_id, region FROM named_cells) AS k
        ON k.account_id = d.account_id
),
-- From when to when the launches of an account and Region were to be read.
cells AS (
    SELECT
        e.account_id,
        e.region,
        e.last_date,
        COALESCE(f.previous_ms, q.start_ms) AS from_ms,
        COALESCE(t.next_ms, q.end_ms) AS to_ms
    FROM (
        SELECT
            c.account_id,
            c.region,
            MIN(c.scheduled_for) AS first_date,
            MAX(c.scheduled_for) AS last_date
        FROM to_be_read c
        GROUP BY c.account_id, c.region
    ) AS e
    CROSS JOIN quarter q
    JOIN quarter_runs f ON f.scheduled_for = e.first_date
    JOIN quarter_runs t ON t.scheduled_for = e.last_date
    UNION ALL
    SELECT p.account_id, p.region, CAST(NULL AS DATE), q.start_ms, q.end_ms
    FROM (
        SELECT c.account_id, c.region
        FROM coverage c
        JOIN nearest r ON r.scheduled_for = c.scheduled_for
        WHERE c.source = 'launches'
            AND c.outcome NOT IN ('region_off', 'account_state', 'excluded')
        UNION
        SELECT t.account_id, t.region
        FROM trail_reading t
        CROSS JOIN quarter b
        CROSS JOIN counted_runs n
        WHERE n.runs_of_record = 0
            AND t.region <> 'global'
            AND t.from_ms < b.end_ms
            AND t.to_ms > b.start_ms
    ) AS p
    CROSS JOIN quarter q
),
windows AS (
    SELECT
        e.account_id,
        e.region,
        GREATEST(c.from_ms, e.from_ms) AS from_ms,
        LEAST(c.to_ms, e.to_ms) AS to_ms
    FROM cells e
    JOIN read_times c ON c.account_id = e.account_id AND c.region = e.region
    WHERE c.from_ms < e.to_ms AND c.to_ms > e.from_ms
),
observed AS (
    SELECT
        account_id,
        region,
        SUM(GREATEST(0, to_ms - GREATEST(from_ms, COALESCE(before_ms, from_ms)))) AS observed_ms
    FROM (
        SELECT
            w.*,
            MAX(to_ms) OVER (
                PARTITION BY account_id, region
                ORDER BY from_ms, to_ms
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS before_ms
        FROM windows w
    ) AS ordered
    GROUP BY account_id, region
),
cell_places AS (
    SELECT
        e.account_id,
        COALESCE(a.ou_path, '(no ou)') AS ou,
        COUNT(*) AS cells,
        SUM(e.to_ms - e.from_ms) AS expected_ms,
        SUM(e.to_ms - e.from_ms - COALESCE(o.observed_ms, 0)) AS unobserved_ms
    FROM cells e
    LEFT JOIN observed o ON o.account_id = e.account_id AND o.region = e.region
    LEFT JOIN account a ON a.scheduled_for = e.last_date AND a.account_id = e.account_id
    GROUP BY e.account_id, COALESCE(a.ou_path, '(no ou)')
),
counted_attempts AS (
    SELECT
        scope_kind, scope, account_id, ou_path, business_unit, owner, cost_center,
        SUM(events) AS events,
        COUNT(*) AS attempts,
        SUM(blocked) AS blocked_events,
        SUM(CASE WHEN blocked > 0 THEN 1 ELSE 0 END) AS blocked_attempts,
        SUM(flagged) AS flagged_events,
        SUM(CASE WHEN flagged > 0 THEN 1 ELSE 0 END) AS flagged_attempts,
        SUM(unknown) AS unknown_events,
        SUM(CASE WHEN unknown > 0 THEN 1 ELSE 0 END) AS unknown_attempts,
        SUM(blocked_failing) AS blocked_failing_events,
        SUM(CASE WHEN blocked_failing > 0 THEN 1 ELSE 0 END) AS blocked_failing_attempts,
        SUM(blocked_meeting) AS blocked_meeting_events,
        SUM(CASE WHEN blocked_meeting > 0 THEN 1 ELSE 0 END) AS blocked_meeting_attempts,
        SUM(blocked_params_unknown) AS blocked_params_unknown_events,
        SUM(CASE WHEN blocked_params_unknown > 0 THEN 1 ELSE 0 END)
            AS blocked_params_unknown_attempts,
        SUM(accepted_compliant) AS accepted_compliant_events,
        SUM(CASE WHEN accepted_compliant > 0 THEN 1 ELSE 0 END) AS accepted_compliant_attempts,
        SUM(accepted_noncompliant) AS accepted_noncompliant_events,
        SUM(CASE WHEN accepted_noncompliant > 0 THEN 1 ELSE 0 END)
            AS accepted_noncompliant_attempts,
        SUM(accepted_no_log_place) AS accepted_no_log_place_events,
        SUM(CASE WHEN accepted_no_log_place > 0 THEN 1 ELSE 0 END)
            AS accepted_no_log_place_attempts,
        SUM(accepted_params_unavailable) AS accepted_params_unavailable_events,
        SUM(CASE WHEN accepted_params_unavailable > 0 THEN 1 ELSE 0 END)
            AS accepted_params_unavailable_attempts,
        SUM(accepted_key_unknown) AS accepted_key_unknown_events,
        SUM(CASE WHEN accepted_key_unknown > 0 THEN 1 ELSE 0 END) AS accepted_key_unknown_attempts,
        SUM(accepted_then_failed) AS accepted_then_failed_events,
        SUM(CASE WHEN accepted_then_failed > 0 THEN 1 ELSE 0 END) AS accepted_then_failed_attempts,
        SUM(denied_noncompliant) AS denied_noncompliant_events,
        SUM(CASE WHEN denied_noncompliant > 0 THEN 1 ELSE 0 END) AS denied_noncompliant_attempts,
        SUM(denied_compliant) AS denied_compliant_events,
        SUM(CASE WHEN denied_compliant > 0 THEN 1 ELSE 0 END) AS denied_compliant_attempts,
        SUM(denied_params_unavailable) AS denied_params_unavailable_events,
        SUM(CASE WHEN denied_params_unavailable > 0 THEN 1 ELSE 0 END)
            AS denied_params_unavailable_attempts,
        SUM(rejected_invalid) AS rejected_invalid_events,
        SUM(CASE WHEN rejected_invalid > 0 THEN 1 ELSE 0 END) AS rejected_invalid_attempts,
        SUM(throttled) AS throttled_events,
        SUM(CASE WHEN throttled > 0 THEN 1 ELSE 0 END) AS throttled_attempts,
        SUM(other_error) AS other_error_events,
        SUM(CASE WHEN other_error > 0 THEN 1 ELSE 0 END) AS other_error_attempts,
        SUM(approved_events) AS approved_events,
        SUM(not_approved_events) AS not_approved_events,
        SUM(approval_unknown_events) AS approval_unknown_events,
        SUM(launches_seen) AS launches_seen,
        SUM(launches_not_seen) AS launches_not_seen,
        SUM(launches_population_unknown) AS launches_population_unknown,
        SUM(trail_events) AS trail_events
    FROM attempts
    GROUP BY scope_kind, scope, account_id, ou_path, business_unit, owner, cost_center
),
scoped AS (
    SELECT
        k.scope_kind,
        CASE
            WHEN c.scope_kind = k.scope_kind THEN c.scope
            WHEN k.scope_kind = 'organization' THEN '(all)'
            WHEN k.scope_kind = 'ou' THEN COALESCE(c.ou_path, '(no ou)')
            WHEN k.scope_kind = 'account' THEN c.account_id
            WHEN k.scope_kind = 'business_unit' THEN COALESCE(c.business_unit, '(no business unit)')
            WHEN k.scope_kind = 'owner' THEN COALESCE(c.owner, '(no owner)')
            ELSE COALESCE(c.cost_center, '(no cost center)')
        END AS scope,
        c.events, c.attempts, c.blocked_events, c.blocked_attempts, c.flagged_events,
        c.flagged_attempts, c.unknown_events, c.unknown_attempts, c.blocked_failing_events,
        c.blocked_failing_attempts, c.blocked_meeting_events, c.blocked_meeting_attempts,
        c.blocked_params_unknown_events, c.blocked_params_unknown_attempts,
        c.accepted_compliant_events, c.accepted_compliant_attempts,
        c.accepted_noncompliant_events, c.accepted_noncompliant_attempts,
        c.accepted_no_log_place_events, c.accepted_no_log_place_attempts,
        c.accepted_params_unavailable_events, c.accepted_params_unavailable_attempts,
        c.accepted_key_unknown_events, c.accepted_key_unknown_attempts,
        c.accepted_then_failed_events, c.accepted_then_failed_attempts,
        c.denied_noncompliant_events, c.denied_noncompliant_attempts,
        c.denied_compliant_events, c.denied_compliant_attempts,
        c.denied_params_unavailable_events, c.denied_params_unavailable_attempts,
        c.rejected_invalid_events, c.rejected_invalid_attempts, c.throttled_events,
        c.throttled_attempts, c.other_error_events, c.other_error_attempts,
        c.approved_events, c.not_approved_events, c.approval_unknown_events,
        c.launches_seen, c.launches_not_seen, c.launches_population_unknown, c.trail_events,
        0 AS clusters_launched,
        0 AS clusters_without_event,
        CAST(NULL AS BIGINT) AS cells,
        CAST(NULL AS BIGINT) AS expected_ms,
        CAST(NULL AS BIGINT) AS unobserved_ms
    FROM (
        VALUES ('organization'), ('ou'), ('account'), ('business_unit'), ('owner'), ('cost_center')
    ) AS k (scope_kind)
    CROSS JOIN counted_attempts c
    WHERE c.scope_kind = '' OR c.scope_kind = k.scope_kind
    UNION ALL
    SELECT
        k.scope_kind,
        CASE k.scope_kind
            WHEN 'organization' THEN '(all)'
            WHEN 'ou' THEN c.ou
            WHEN 'account' THEN c.account_id
            WHEN 'business_unit' THEN c.business_unit
            WHEN 'owner' THEN c.owner
            ELSE c.cost_center
        END,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        c.launched, c.without_event,
        CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), CAST(NULL AS BIGINT)
    FROM (
        VALUES ('organization'), ('ou'), ('account'), ('business_unit'), ('owner'), ('cost_center')
    ) AS k (scope_kind)
    CROSS JOIN cluster_places c
    UNION ALL
    SELECT
        k.scope_kind,
        CASE k.scope_kind
            WHEN 'organization' THEN '(all)'
            WHEN 'ou' THEN p.ou
            ELSE p.account_id
        END,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0,
        p.cells, p.expected_ms, p.unobserved_ms
    FROM (VALUES ('organization'), ('ou'), ('account')) AS k (scope_kind)
    CROSS JOIN cell_places p
    UNION ALL
    -- The organization has a row even when nothing was recorded.
    SELECT
        'organization', '(all)',
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0,
        0, 0, 0
    FROM quarter
),
sums AS (
    SELECT
        scope_kind,
        scope,
        CAST(SUM(events) AS BIGINT) AS events,
        CAST(SUM(attempts) AS BIGINT) AS attempts,
        CAST(SUM(blocked_events) AS BIGINT) AS blocked_events,
        CAST(SUM(blocked_attempts) AS BIGINT) AS blocked_attempts,
        CAST(SUM(flagged_events) AS BIGINT) AS flagged_events,
        CAST(SUM(flagged_attempts) AS BIGINT) AS flagged_attempts,
        CAST(SUM(unknown_events) AS BIGINT) AS unknown_events,
        CAST(SUM(unknown_attempts) AS BIGINT) AS unknown_attempts,
        CAST(SUM(blocked_failing_events) AS BIGINT) AS blocked_failing_events,
        CAST(SUM(blocked_failing_attempts) AS BIGINT) AS blocked_failing_attempts,
        CAST(SUM(blocked_meeting_events) AS BIGINT) AS blocked_meeting_events,
        CAST(SUM(blocked_meeting_attempts) AS BIGINT) AS blocked_meeting_attempts,
        CAST(SUM(blocked_params_unknown_events) AS BIGINT) AS blocked_params_unknown_events,
        CAST(SUM(blocked_params_unknown_attempts) AS BIGINT) AS blocked_params_unknown_attempts,
        CAST(SUM(accepted_compliant_events) AS BIGINT) AS accepted_compliant_events,
        CAST(SUM(accepted_compliant_attempts) AS BIGINT) AS accepted_compliant_attempts,
        CAST(SUM(accepted_noncompliant_events) AS BIGINT) AS accepted_noncompliant_events,
        CAST(SUM(accepted_noncompliant_attempts) AS BIGINT) AS accepted_noncompliant_attempts,
        CAST(SUM(accepted_no_log_place_events) AS BIGINT) AS accepted_no_log_place_events,
        CAST(SUM(accepted_no_log_place_attempts) AS BIGINT) AS accepted_no_log_place_attempts,
        CAST(SUM(accepted_params_unavailable_events) AS BIGINT)
            AS accepted_params_unavailable_events,
        CAST(SUM(accepted_params_unavailable_attempts) AS BIGINT)
            AS accepted_params_unavailable_attempts,
        CAST(SUM(accepted_key_unknown_events) AS BIGINT) AS accepted_key_unknown_events,
        CAST(SUM(accepted_key_unknown_attempts) AS BIGINT) AS accepted_key_unknown_attempts,
        CAST(SUM(accepted_then_failed_events) AS BIGINT) AS accepted_then_failed_events,
        CAST(SUM(accepted_then_failed_attempts) AS BIGINT) AS accepted_then_failed_attempts,
        CAST(SUM(denied_noncompliant_events) AS BIGINT) AS denied_noncompliant_events,
        CAST(SUM(denied_noncompliant_attempts) AS BIGINT) AS denied_noncompliant_attempts,
        CAST(SUM(denied_compliant_events) AS BIGINT) AS denied_compliant_events,
        CAST(SUM(denied_compliant_attempts) AS BIGINT) AS denied_compliant_attempts,
        CAST(SUM(denied_params_unavailable_events) AS BIGINT) AS denied_params_unavailable_events,
        CAST(SUM(denied_params_unavailable_attempts) AS BIGINT)
            AS denied_params_unavailable_attempts,
        CAST(SUM(rejected_invalid_events) AS BIGINT) AS rejected_invalid_events,
        CAST(SUM(rejected_invalid_attempts) AS BIGINT) AS rejected_invalid_attempts,
        CAST(SUM(throttled_events) AS BIGINT) AS throttled_events,
        CAST(SUM(throttled_attempts) AS BIGINT) AS throttled_attempts,
        CAST(SUM(other_error_events) AS BIGINT) AS other_error_events,
        CAST(SUM(other_error_attempts) AS BIGINT) AS other_error_attempts,
        CAST(SUM(approved_events) AS BIGINT) AS approved_events,
        CAST(SUM(not_approved_events) AS BIGINT) AS not_approved_events,
        CAST(SUM(approval_unknown_events) AS BIGINT) AS approval_unknown_events,
        CAST(SUM(launches_seen) AS BIGINT) AS launches_seen,
        CAST(SUM(launches_not_seen) AS BIGINT) AS launches_not_seen,
        CAST(SUM(launches_population_unknown) AS BIGINT) AS launches_population_unknown,
        CAST(SUM(trail_events) AS BIGINT) AS trail_events,
        CAST(SUM(clusters_launched) AS BIGINT) AS clusters_launched,
        CAST(SUM(clusters_without_event) AS BIGINT) AS clusters_without_event,
        CAST(SUM(cells) AS BIGINT) AS cells,
        CAST(SUM(expected_ms) AS BIGINT) AS expected_ms,
        CAST(SUM(unobserved_ms) AS BIGINT) AS unobserved_ms
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
    e.runs_of_record,
    s.events, s.attempts, s.blocked_events, s.blocked_attempts, s.flagged_events,
    s.flagged_attempts, s.unknown_events, s.unknown_attempts, s.blocked_failing_events,
    s.blocked_failing_attempts, s.blocked_meeting_events, s.blocked_meeting_attempts,
    s.blocked_params_unknown_events, s.blocked_params_unknown_attempts,
    s.accepted_compliant_events, s.accepted_compliant_attempts, s.accepted_noncompliant_events,
    s.accepted_noncompliant_attempts, s.accepted_no_log_place_events,
    s.accepted_no_log_place_attempts, s.accepted_params_unavailable_events,
    s.accepted_params_unavailable_attempts, s.accepted_key_unknown_events,
    s.accepted_key_unknown_attempts, s.accepted_then_failed_events,
    s.accepted_then_failed_attempts, s.denied_noncompliant_events,
    s.denied_noncompliant_attempts, s.denied_compliant_events, s.denied_compliant_attempts,
    s.denied_params_unavailable_events, s.denied_params_unavailable_attempts,
    s.rejected_invalid_events, s.rejected_invalid_attempts, s.throttled_events,
    s.throttled_attempts, s.other_error_events, s.other_error_attempts, s.approved_events,
    s.not_approved_events, s.approval_unknown_events, s.launches_seen, s.launches_not_seen,
    s.launches_population_unknown, s.trail_events, s.clusters_launched, s.clusters_without_event,
    s.cells, s.expected_ms, s.unobserved_ms,
    CAST(s.blocked_attempts AS DOUBLE)
        / CAST(NULLIF(s.blocked_attempts + s.flagged_attempts + s.unknown_attempts, 0) AS DOUBLE)
        AS share_blocked,
    CAST(s.unobserved_ms AS DOUBLE) / CAST(NULLIF(s.expected_ms, 0) AS DOUBLE)
        AS share_unobserved
FROM sums s
CROSS JOIN quarter q
CROSS JOIN counted_runs e
ORDER BY s.scope_kind, s.scope

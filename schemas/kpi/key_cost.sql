-- Cost: what log keys cost a month, and what the audit itself cost, for one quarter and every scope.
--
-- Runs unchanged in DataFusion, Amazon Athena (Trino), DuckDB and Spark. Reads the views `kms_key`,
-- `channel`, `verdict`, `log_bucket`, `coverage`, `run` and `account`, which hold rows of runs of record
-- only, the one-row view `quarter (first_day DATE, end_day DATE, start_ms BIGINT, end_ms BIGINT)`, and
-- the table `price (item, valid_from, nano_usd, unit)`: of an item the newest price that is valid on
-- the quarter's first day holds, else the oldest. Amounts are in 0.000000001 USD.
--
-- Log keys: customer keys that clusters of the quarter named, each once, as the newest run that was
--   told of it has it, in any account of the organization. keys_pending_deletion are not charged and
--   not among log_keys; keys_unknown could not be described, and are not among them either.
--   The price is that of one key a month. Key material of earlier rotations, requests and replicas in
--   other Regions come on top, and no fact tells of them.
-- idle_keys: log keys that no channel of a cluster active at the quarter's latest run names.
-- buckets_without_bucket_key: log buckets, as last read in the quarter, whose S3 Bucket Key is off, so
--   that each object is a request to KMS. buckets_unknown could not be read.
-- The audit: calls of the quarter's runs of record, priced by source (`calls/<source>`); calls of other
--   runs, storage and signing come on top. Only an organization, an OU and an account have cells; for
--   other scopes these columns are NULL.
--
-- Owner, cost centre and business unit are those of the key's tags, else of its account's; those of a
-- bucket are its account's; without a tag, the account's innermost OU is the business unit. Integers are summed; nothing is divided.
WITH
runs AS (
    SELECT r.scheduled_for, r.started_ms
    FROM run r
    CROSS JOIN quarter q
    WHERE r.scheduled_for >= q.first_day AND r.scheduled_for < q.end_day
),
quarter_runs AS (
    SELECT MAX(scheduled_for) AS end_date, CAST(COUNT(*) AS BIGINT) AS runs_of_record FROM runs
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
prices AS (
    SELECT item, nano_usd
    FROM (
        SELECT
            p.item,
            p.nano_usd,
            ROW_NUMBER() OVER (
                PARTITION BY p.item
                ORDER BY
                    CASE WHEN p.valid_from <= q.first_day THEN 0 ELSE 1 END,
                    CASE WHEN p.valid_from <= q.first_day THEN p.valid_from END DESC NULLS LAST,
                    p.valid_from
            ) AS nearest
        FROM price p
        CROSS JOIN quarter q
    ) AS ordered
    WHERE nearest = 1
),
key_price AS (
    SELECT COALESCE(MAX(nano_usd), 0) AS nano_usd FROM prices WHERE item = 'kms_key_month'
),
-- Keys by their ARN; what was never described stands under the name that clusters use.
keys AS (
    SELECT
        account_id,
        key_id,
        ou,
        business_unit,
        owner,
        cost_center,
        CASE
            WHEN lookup = 'not_found' THEN 'none'
            WHEN manager = 'AWS' THEN 'none'
            WHEN state = 'PendingDeletion' OR state = 'PendingReplicaDeletion' THEN 'pending'
            WHEN manager = 'CUSTOMER' OR customer_proof IS NOT NULL THEN 'charged'
            ELSE 'unknown'
        END AS standing
    FROM (
        SELECT
            k.account_id,
            COALESCE(k.key_arn, k.key_reference) AS key_id,
            COALESCE(a.ou_path, '(no ou)') AS ou,
            COALESCE(k.business_unit, a.business_unit, '(no business unit)') AS business_unit,
            COALESCE(k.owner, a.owner, '(no owner)') AS owner,
            COALESCE(k.cost_center, a.cost_center, '(no cost center)') AS cost_center,
            k.lookup,
            k.manager,
            k.state,
            k.customer_proof,
            ROW_NUMBER() OVER (
                PARTITION BY COALESCE(k.key_arn, k.key_reference)
                ORDER BY k.scheduled_for DESC, k.key_reference
            ) AS newest
        FROM runs r
        JOIN kms_key k ON k.scheduled_for = r.scheduled_for
        LEFT JOIN accounts a
            ON a.scheduled_for = k.scheduled_for AND a.account_id = k.account_id
    ) AS rows_of_keys
    WHERE newest = 1
),
used AS (
    SELECT DISTINCT COALESCE(c.key_arn, c.key_reference) AS key_id
    FROM channel c
    JOIN quarter_runs e ON e.end_date = c.scheduled_for
    JOIN verdict v
        ON v.scheduled_for = c.scheduled_for
        AND v.account_id = c.account_id
        AND v.region = c.region
        AND v.cluster_id = c.cluster_id
    WHERE v.active AND COALESCE(c.key_arn, c.key_reference) IS NOT NULL
),
buckets AS (
    SELECT
        account_id,
        ou,
        business_unit,
        owner,
        cost_center,
        CASE WHEN lookup = 'found' THEN 1 ELSE 0 END AS is_known,
        CASE WHEN lookup = 'found' AND bucket_key THEN 1 ELSE 0 END AS has_bucket_key
    FROM (
        SELECT
            COALESCE(b.account_id, '(no account)') AS account_id,
            COALESCE(a.ou_path, '(no ou)') AS ou,
            COALESCE(a.business_unit, '(no business unit)') AS business_unit,
            COALESCE(a.owner, '(no owner)') AS owner,
            COALESCE(a.cost_center, '(no cost center)') AS cost_center,
            b.lookup,
            COALESCE(b.bucket_key, FALSE) AS bucket_key,
            ROW_NUMBER() OVER (
                PARTITION BY b.bucket ORDER BY b.scheduled_for DESC
            ) AS newest
        FROM runs r
        JOIN log_bucket b ON b.scheduled_for = r.scheduled_for
        LEFT JOIN accounts a
            ON a.scheduled_for = b.scheduled_for AND a.account_id = b.account_id
    ) AS rows_of_buckets
    WHERE newest = 1
),
places AS (
    SELECT
        k.account_id, k.ou, k.business_unit, k.owner, k.cost_center,
        CASE WHEN k.standing = 'charged' THEN 1 ELSE 0 END AS log_keys,
        CASE WHEN k.standing = 'charged' THEN p.nano_usd ELSE 0 END AS key_month_nano_usd,
        CASE WHEN k.standing = 'charged' AND u.key_id IS NULL THEN 1 ELSE 0 END AS idle_keys,
        CASE WHEN k.standing = 'charged' AND u.key_id IS NULL THEN p.nano_usd ELSE 0 END
            AS idle_key_month_nano_usd,
        CASE WHEN k.standing = 'pending' THEN 1 ELSE 0 END AS keys_pending_deletion,
        CASE WHEN k.standing = 'unknown' THEN 1 ELSE 0 END AS keys_unknown,
        0 AS buckets,
        0 AS buckets_without_bucket_key,
        0 AS buckets_unknown
    FROM key_price p
    CROSS JOIN keys k
    LEFT JOIN used u ON u.key_id = k.key_id
    UNION ALL
    SELECT
        account_id, ou, business_unit, owner, cost_center,
        0, 0, 0, 0, 0, 0,
        1, is_known - has_bucket_key, 1 - is_known
    FROM buckets
),
calls AS (
    SELECT
        c.account_id,
        COALESCE(a.ou_path, '(no ou)') AS ou,
        SUM(c.calls) AS audit_calls,
        SUM(c.calls * COALESCE(p.nano_usd, 0)) AS audit_nano_usd
    FROM runs r
    JOIN coverage c ON c.scheduled_for = r.scheduled_for
    LEFT JOIN accounts a
        ON a.scheduled_for = c.scheduled_for AND a.account_id = c.account_id
    LEFT JOIN prices p ON p.item = CONCAT('calls/', c.source)
    GROUP BY c.account_id, COALESCE(a.ou_path, '(no ou)')
),
scoped AS (
    SELECT
        k.scope_kind,
        CASE k.scope_kind
            WHEN 'organization' THEN '(all)'
            WHEN 'ou' THEN p.ou
            WHEN 'account' THEN p.account_id
            WHEN 'business_unit' THEN p.business_unit
            WHEN 'owner' THEN p.owner
            ELSE p.cost_center
        END AS scope,
        p.log_keys, p.key_month_nano_usd, p.idle_keys, p.idle_key_month_nano_usd,
        p.keys_pending_deletion, p.keys_unknown,
        p.buckets, p.buckets_without_bucket_key, p.buckets_unknown,
        CAST(NULL AS BIGINT) AS audit_calls,
        CAST(NULL AS BIGINT) AS audit_nano_usd
    FROM (
        VALUES ('organization'), ('ou'), ('account'), ('business_unit'), ('owner'), ('cost_center')
    ) AS k (scope_kind)
    CROSS JOIN places p
    UNION ALL
    SELECT
        k.scope_kind,
        CASE k.scope_kind
            WHEN 'organization' THEN '(all)'
            WHEN 'ou' THEN c.ou
            ELSE c.account_id
        END,
        0, 0, 0, 0, 0, 0, 0, 0, 0,
        c.audit_calls, c.audit_nano_usd
    FROM (VALUES ('organization'), ('ou'), ('account')) AS k (scope_kind)
    CROSS JOIN calls c
    UNION ALL
    -- The organization has a row even when nothing was recorded.
    SELECT 'organization', '(all)', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM quarter
),
sums AS (
    SELECT
        scope_kind,
        scope,
        CAST(SUM(log_keys) AS BIGINT) AS log_keys,
        CAST(SUM(key_month_nano_usd) AS BIGINT) AS key_month_nano_usd,
        CAST(SUM(idle_keys) AS BIGINT) AS idle_keys,
        CAST(SUM(idle_key_month_nano_usd) AS BIGINT) AS idle_key_month_nano_usd,
        CAST(SUM(keys_pending_deletion) AS BIGINT) AS keys_pending_deletion,
        CAST(SUM(keys_unknown) AS BIGINT) AS keys_unknown,
        CAST(SUM(buckets) AS BIGINT) AS buckets,
        CAST(SUM(buckets_without_bucket_key) AS BIGINT) AS buckets_without_bucket_key,
        CAST(SUM(buckets_unknown) AS BIGINT) AS buckets_unknown,
        CAST(SUM(audit_calls) AS BIGINT) AS audit_calls,
        CAST(SUM(audit_nano_usd) AS BIGINT) AS audit_nano_usd
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
    s.log_keys, s.key_month_nano_usd, s.idle_keys, s.idle_key_month_nano_usd,
    s.keys_pending_deletion, s.keys_unknown,
    s.buckets, s.buckets_without_bucket_key, s.buckets_unknown,
    s.audit_calls, s.audit_nano_usd
FROM sums s
CROSS JOIN quarter q
CROSS JOIN quarter_runs e
ORDER BY s.scope_kind, s.scope

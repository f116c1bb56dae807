-- Log keys of the runs in view that no channel of a cluster active at the newest one names, each once: they
-- cost money every month, and old logs may still need them. Keys that await deletion are left out.
-- For: FinOps engineers.
-- Runs: every
WITH
keys AS (
    SELECT
        k.scheduled_for,
        COALESCE(k.key_arn, k.key_reference) AS key_id,
        k.account_id,
        k.region,
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
    FROM kms_key k
    LEFT JOIN account a
        ON a.scheduled_for = k.scheduled_for AND a.account_id = k.account_id
),
used AS (
    SELECT DISTINCT COALESCE(c.key_arn, c.key_reference) AS key_id
    FROM channel c
    JOIN verdict v
        ON v.scheduled_for = c.scheduled_for
        AND v.account_id = c.account_id
        AND v.region = c.region
        AND v.cluster_id = c.cluster_id
    WHERE v.active
        AND c.scheduled_for = (SELECT MAX(r.scheduled_for) FROM run r)
        AND COALESCE(c.key_arn, c.key_reference) IS NOT NULL
)
SELECT
    k.key_id,
    k.account_id,
    k.region,
    k.owner,
    k.cost_center,
    k.state,
    k.scheduled_for AS last_named
FROM keys k
LEFT JOIN used u ON u.key_id = k.key_id
WHERE k.newest = 1
    AND u.key_id IS NULL
    AND k.lookup <> 'not_found'
    AND (k.manager = 'CUSTOMER' OR (k.manager IS NULL AND k.customer_proof IS NOT NULL))
    AND COALESCE(k.state, '') NOT IN ('PendingDeletion', 'PendingReplicaDeletion')
ORDER BY k.key_id

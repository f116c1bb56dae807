-- Active clusters of the newest date in view whose archived logs get no key of the organization's: the
-- bucket's default, or a key that AWS manages. A security configuration does not encrypt logs.
-- For: security leads and the teams that own the clusters.
-- Runs: newest
SELECT
    v.account_id,
    v.region,
    v.cluster_id,
    v.posture,
    v.name,
    COALESCE(v.owner, '(no owner)') AS owner,
    c.log_uri,
    c.log_key,
    c.security_configuration,
    v.created_at,
    v.scheduled_for
FROM verdict v
LEFT JOIN emr_cluster c
    ON c.scheduled_for = v.scheduled_for
    AND c.account_id = v.account_id
    AND c.region = v.region
    AND c.cluster_id = v.cluster_id
WHERE v.scheduled_for = (SELECT MAX(r.scheduled_for) FROM run r)
    AND v.active
    AND v.posture IN ('PASSIVE_DEFAULT', 'PASSIVE_AWS_KEY')
ORDER BY v.account_id, v.region, v.cluster_id

-- Active clusters of the newest date in view by what their security configuration encrypts (EMRFS data in
-- S3) and what their archived logs lie under. A row with a mode on the left and no customer key on the
-- right is a team that followed a policy about security configurations and has unprotected logs.
-- `(none)`: no security configuration. `(not read)`: it could not be read. `(not in S3)`: it encrypts
-- nothing in S3.
-- For: security leads who plan a migration, auditors who are shown security configurations.
-- Runs: newest
SELECT
    v.scheduled_for,
    CASE
        WHEN c.security_configuration IS NULL THEN '(none)'
        WHEN s.name IS NULL THEN '(not read)'
        WHEN s.at_rest AND s.s3_mode IS NOT NULL THEN s.s3_mode
        ELSE '(not in S3)'
    END AS emrfs_mode,
    COALESCE(l.effective_encryption, '(not archived)') AS logs_under,
    CAST(COUNT(*) AS BIGINT) AS active,
    CAST(SUM(CASE WHEN v.verdict = 'COMPLIANT' THEN 1 ELSE 0 END) AS BIGINT) AS compliant,
    CAST(SUM(CASE WHEN v.verdict = 'NON_COMPLIANT' THEN 1 ELSE 0 END) AS BIGINT) AS non_compliant,
    CAST(COUNT(DISTINCT v.account_id) AS BIGINT) AS accounts
FROM verdict v
JOIN emr_cluster c
    ON c.scheduled_for = v.scheduled_for
    AND c.account_id = v.account_id
    AND c.region = v.region
    AND c.cluster_id = v.cluster_id
LEFT JOIN emr_security_configuration s
    ON s.scheduled_for = c.scheduled_for
    AND s.account_id = c.account_id
    AND s.region = c.region
    AND s.name = c.security_configuration
LEFT JOIN channel l
    ON l.scheduled_for = v.scheduled_for
    AND l.account_id = v.account_id
    AND l.region = v.region
    AND l.cluster_id = v.cluster_id
    AND l.channel = 'C1'
WHERE v.scheduled_for = (SELECT MAX(r.scheduled_for) FROM run r)
    AND v.active
GROUP BY
    v.scheduled_for,
    CASE
        WHEN c.security_configuration IS NULL THEN '(none)'
        WHEN s.name IS NULL THEN '(not read)'
        WHEN s.at_rest AND s.s3_mode IS NOT NULL THEN s.s3_mode
        ELSE '(not in S3)'
    END,
    COALESCE(l.effective_encryption, '(not archived)')
ORDER BY emrfs_mode, logs_under

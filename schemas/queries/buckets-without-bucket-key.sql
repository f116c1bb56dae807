-- Log buckets of the newest run in view whose S3 Bucket Key is off, so that each object is a request to KMS;
-- and those of which nobody could tell.
-- For: FinOps engineers.
-- Runs: newest
SELECT
    b.scheduled_for,
    b.bucket,
    b.account_id,
    b.region,
    COALESCE(a.owner, '(no owner)') AS owner,
    COALESCE(a.cost_center, '(no cost center)') AS cost_center,
    CASE WHEN b.lookup = 'found' THEN 'off' ELSE 'unknown' END AS bucket_key,
    b.default_algorithm,
    b.lookup,
    b.error_code
FROM log_bucket b
LEFT JOIN account a
    ON a.scheduled_for = b.scheduled_for AND a.account_id = b.account_id
WHERE b.scheduled_for = (SELECT MAX(r.scheduled_for) FROM run r)
    AND NOT (b.lookup = 'found' AND COALESCE(b.bucket_key, FALSE))
ORDER BY b.bucket

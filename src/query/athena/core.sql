-- The signed entries of the chain, as far as SQL can tell: entry 1 is the pinned one, and each later entry
-- belongs to the same archive, stands in the slot that it was signed for, and links to the entry before it
-- by digest; slots between the two are burnt, as many as it names, and nothing links to them. Where a link is
-- missing the chain ends: what comes after a gap counts for nothing. SQL cannot check signatures:
-- `keyproof verify` does.
CREATE OR REPLACE VIEW keyproof_raw.entry AS
WITH
slot AS (
    SELECT
        TRY(CAST(regexp_extract("$path", '/chain/([0-9]{10})[.]dsse[.]json$', 1) AS bigint)) AS seq,
        MIN(line) AS line
    FROM keyproof_raw.chain
    WHERE "$path" LIKE 's3://{{bucket}}/chain/__________.dsse.json'
    GROUP BY "$path"
    HAVING COUNT(*) = 1
),
decoded AS (
    SELECT
        seq,
        lower(to_hex(sha256(to_utf8(line || chr(10))))) AS sha256,
        TRY(from_utf8(from_base64(json_extract_scalar(line, '$.payload')))) AS payload
    FROM slot
    WHERE seq IS NOT NULL
),
told AS (
    SELECT
        seq,
        sha256,
        payload,
        TRY(json_extract_scalar(payload, '$.predicate.archive_id')) AS archive_id,
        TRY(json_extract_scalar(payload, '$.predicate.previous_sha256')) AS previous_sha256,
        TRY(CAST(json_extract(payload, '$.predicate.burnt_slots') AS ARRAY(varchar))) AS burnt_slots
    FROM decoded
    WHERE TRY(json_extract_scalar(payload, '$.predicateType')) = 'urn:keyproof:seal:v1'
        AND TRY(json_extract_scalar(payload, '$.predicate.seq')) = CAST(seq AS varchar)
),
ours AS (
    SELECT t.seq, t.sha256, t.payload, t.previous_sha256, t.burnt_slots
    FROM told t
    JOIN told g ON g.archive_id = t.archive_id
    WHERE g.seq = 1 AND g.sha256 = '{{pin}}'
),
link AS (
    SELECT o.seq, p.seq AS previous_seq
    FROM ours o
    JOIN ours p ON p.sha256 = o.previous_sha256
    WHERE o.seq = p.seq + 1 + cardinality(o.burnt_slots)
),
burner AS (
    SELECT l.seq, l.previous_seq
    FROM link l
    LEFT JOIN link n ON n.previous_seq > l.previous_seq AND n.previous_seq < l.seq
    WHERE n.seq IS NULL AND l.seq > l.previous_seq + 1
),
burnt AS (
    SELECT DISTINCT o.seq
    FROM ours o
    JOIN burner b ON o.seq > b.previous_seq AND o.seq < b.seq
),
linked AS (
    SELECT
        o.seq,
        o.sha256,
        o.payload,
        CASE
            WHEN o.seq = 1 THEN 0
            WHEN o.previous_sha256 = LAG(o.sha256) OVER (ORDER BY o.seq)
                AND o.seq = LAG(o.seq) OVER (ORDER BY o.seq) + 1 + cardinality(o.burnt_slots)
            THEN 0
            ELSE 1
        END AS broken
    FROM ours o
    LEFT JOIN burnt b ON b.seq = o.seq
    WHERE b.seq IS NULL
),
counted AS (
    SELECT seq, sha256, payload, SUM(broken) OVER (ORDER BY seq) AS breaks
    FROM linked
)
SELECT seq, sha256, payload
FROM counted
WHERE breaks = 0;

-- Every sealed run, and which of them is the run of record of its date: of the runs that looked at the whole
-- scope and began within 36 h of the date's start, the first COMPLETE one, else the first PARTIAL one.
CREATE OR REPLACE VIEW keyproof.sealed_run AS
WITH
told AS (
    SELECT
        seq AS chain_seq,
        sha256 AS chain_sha256,
        json_extract_scalar(payload, '$.predicate.run.run_id') AS run_id,
        TRY(CAST(json_extract_scalar(payload, '$.predicate.run.scheduled_for') AS date)) AS scheduled_for,
        json_extract_scalar(payload, '$.predicate.run.started_at') AS started,
        json_extract_scalar(payload, '$.predicate.run.outcome') AS outcome,
        json_extract_scalar(payload, '$.predicate.run.late') = 'true' AS late,
        json_extract_scalar(payload, '$.predicate.run.full_scope') = 'true' AS full_scope,
        TRY(CAST(json_extract_scalar(payload, '$.predicate.run.accounts_in_scope') AS bigint))
            AS accounts_in_scope,
        TRY(CAST(json_extract_scalar(payload, '$.predicate.run.cells') AS bigint)) AS cells,
        TRY(CAST(json_extract_scalar(payload, '$.predicate.run.cells_open') AS bigint)) AS cells_open,
        TRY(CAST(json_extract_scalar(payload, '$.predicate.run.clusters') AS bigint)) AS clusters,
        json_extract_scalar(payload, '$.predicate.producer.version') AS program_version,
        json_extract_scalar(payload, '$.predicate.producer.rules_version') AS rules_version,
        json_extract_scalar(payload, '$.subject[0].name') AS manifest_name,
        json_extract_scalar(payload, '$.subject[0].digest.sha256') AS manifest_sha256
    FROM keyproof_raw.entry
    WHERE json_extract_scalar(payload, '$.predicate.kind') = 'run'
),
timed AS (
    SELECT
        t.*,
        CAST(date_diff('day', DATE '1970-01-01', t.scheduled_for) AS bigint) * 86400000
            AS scheduled_ms,
        TRY(
            CAST(date_diff('day', DATE '1970-01-01', CAST(substr(t.started, 1, 10) AS date)) AS bigint)
            * 86400000
            + CAST(substr(t.started, 12, 2) AS bigint) * 3600000
            + CAST(substr(t.started, 15, 2) AS bigint) * 60000
            + CAST(substr(t.started, 18, 2) AS bigint) * 1000
            + CAST(substr(t.started, 21, 3) AS bigint)
        ) AS started_ms
    FROM told t
),
ranked AS (
    SELECT
        t.*,
        t.full_scope AND NOT t.late
            AND t.started_ms BETWEEN t.scheduled_ms AND t.scheduled_ms + 129600000 AS may_speak,
        ROW_NUMBER() OVER (
            PARTITION BY
                t.scheduled_for,
                t.full_scope AND NOT t.late
                AND t.started_ms BETWEEN t.scheduled_ms AND t.scheduled_ms + 129600000
            ORDER BY CASE WHEN t.outcome = 'COMPLETE' THEN 0 ELSE 1 END, t.chain_seq
        ) AS turn
    FROM timed t
)
SELECT
    chain_seq,
    chain_sha256,
    run_id,
    scheduled_for,
    scheduled_ms,
    TRY(CAST(from_iso8601_timestamp(started) AS timestamp(3))) AS started_at,
    started_ms,
    outcome,
    late,
    full_scope,
    may_speak AND turn = 1 AS of_record,
    accounts_in_scope,
    cells,
    cells_open,
    clusters,
    program_version,
    rules_version,
    manifest_name,
    manifest_sha256
FROM ranked;

-- Every evidence file of a run of record, and of a sealed backfill: listed in a manifest whose digest the
-- chain names. A manifest is
-- one line, so the digest of its file can be computed from that line.
CREATE OR REPLACE VIEW keyproof.evidence_file AS
SELECT
    f.sha256 AS file_sha256,
    f.name,
    split_part(f.name, '/', 2) AS dataset,
    r.run_id,
    r.scheduled_for,
    r.chain_seq,
    r.chain_sha256
FROM (
    SELECT run_id, scheduled_for, chain_seq, chain_sha256, manifest_name, manifest_sha256
    FROM keyproof.sealed_run
    WHERE of_record
    UNION ALL
    SELECT
        json_extract_scalar(payload, '$.predicate.backfill.run_id') AS run_id,
        TRY(CAST(json_extract_scalar(payload, '$.predicate.backfill.scheduled_for') AS date))
            AS scheduled_for,
        seq AS chain_seq,
        sha256 AS chain_sha256,
        json_extract_scalar(payload, '$.subject[0].name') AS manifest_name,
        json_extract_scalar(payload, '$.subject[0].digest.sha256') AS manifest_sha256
    FROM keyproof_raw.entry
    WHERE json_extract_scalar(payload, '$.predicate.kind') = 'backfill'
) r
JOIN keyproof_raw.manifest m
    ON m."$path" = 's3://{{bucket}}/' || r.manifest_name
    AND lower(to_hex(sha256(to_utf8(m.line || chr(10))))) = r.manifest_sha256
CROSS JOIN UNNEST(
    TRY(CAST(json_extract(m.line, '$.files') AS ARRAY(ROW(name varchar, sha256 varchar))))
) AS f (name, sha256)
WHERE f.name LIKE 'evidence/%';

-- Every file of a sealed rollup, of every quarter and edition, listed in a manifest whose digest the chain
-- names.
CREATE OR REPLACE VIEW keyproof.rollup_file AS
WITH
told AS (
    SELECT
        seq AS chain_seq,
        sha256 AS chain_sha256,
        json_extract_scalar(payload, '$.predicate.rollup.run_id') AS run_id,
        json_extract_scalar(payload, '$.predicate.rollup.quarter') AS quarter,
        TRY(CAST(json_extract_scalar(payload, '$.predicate.rollup.edition') AS bigint)) AS edition,
        TRY(CAST(json_extract_scalar(payload, '$.predicate.rollup.chain_from') AS bigint)) AS chain_from,
        TRY(CAST(json_extract_scalar(payload, '$.predicate.rollup.chain_to') AS bigint)) AS chain_to,
        json_extract_scalar(payload, '$.predicate.rollup.unfinished') AS unfinished,
        substr(json_extract_scalar(payload, '$.predicate.at'), 1, 10) AS signed_on,
        json_extract_scalar(payload, '$.subject[0].name') AS manifest_name,
        json_extract_scalar(payload, '$.subject[0].digest.sha256') AS manifest_sha256
    FROM keyproof_raw.entry
    WHERE json_extract_scalar(payload, '$.predicate.kind') = 'rollup'
),
editions AS (
    SELECT
        t.*,
        MAX(t.chain_seq) OVER (PARTITION BY t.quarter) AS newest_seq,
        -- Where the seal does not say, when it was signed does.
        CASE
            WHEN t.unfinished IS NOT NULL THEN t.unfinished = 'true'
            ELSE t.signed_on < CASE substr(t.quarter, 6, 1)
                WHEN '1' THEN substr(t.quarter, 1, 4) || '-04-01'
                WHEN '2' THEN substr(t.quarter, 1, 4) || '-07-01'
                WHEN '3' THEN substr(t.quarter, 1, 4) || '-10-01'
                ELSE substr(t.quarter, 1, 4) || '-12-32'
            END
        END AS is_unfinished
    FROM told t
)
SELECT
    f.sha256 AS file_sha256,
    f.name,
    split_part(f.name, '/', 2) AS measure,
    e.quarter,
    e.edition,
    e.chain_seq = e.newest_seq AS newest_edition,
    e.is_unfinished AS unfinished,
    e.run_id,
    e.chain_from,
    e.chain_to,
    e.chain_seq,
    e.chain_sha256
FROM editions e
JOIN keyproof_raw.rollup_manifest m
    ON m."$path" = 's3://{{bucket}}/' || e.manifest_name
    AND lower(to_hex(sha256(to_utf8(m.line || chr(10))))) = e.manifest_sha256
CROSS JOIN UNNEST(
    TRY(CAST(json_extract(m.line, '$.files') AS ARRAY(ROW(name varchar, sha256 varchar))))
) AS f (name, sha256)
WHERE f.name LIKE 'rollup/%';

-- What the named queries are asked for: edit dates, seed and size, and run this again.
CREATE OR REPLACE VIEW keyproof.asked AS
SELECT
    DATE '2026-01-01' AS first_day,
    DATE '9999-12-31' AS end_day,
    CAST(7 AS bigint) AS seed,
    CAST(25 AS bigint) AS n;

-- The quarter that the KPI queries are about: edit first_day and end_day (the first day after it), and run
-- this again.
CREATE OR REPLACE VIEW keyproof.quarter AS
SELECT
    first_day,
    end_day,
    CAST(date_diff('day', DATE '1970-01-01', first_day) AS bigint) * 86400000 AS start_ms,
    CAST(date_diff('day', DATE '1970-01-01', end_day) AS bigint) * 86400000 AS end_ms
FROM (SELECT DATE '2026-10-01' AS first_day, DATE '2027-01-01' AS end_day) q;

#!/usr/bin/env python3
"""Reads a Keyproof archive with DuckDB, sharing no code with the program that wrote it.

For every data file that a sealed manifest names: columns and types as schemas/ describes them, row
count, SHA-256 of the rows as canonical JSON lines, primary keys in order and unique, UTC instants,
`*_ms` equal to `*_at`, nulls only where they may be. Every dataset has a file in every run and, over
all runs, rows (`exception` need not). For every rollup: the SQL of schemas/kpi/ on the same runs of
record gives the same rows. Prints `N passed, N failed`; exit 1 when anything failed.

DuckDB filters; only `keyproof verify` proves.

Usage: duckdb_read.py --archive DIR        DIR is the root of a local archive (with evidence/ in it)
"""

import argparse
import base64
import datetime
import hashlib
import json
import pathlib
import re
import sys

import duckdb

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
EPOCH = datetime.date(1970, 1, 1)
# What backfills write, and no run does.
BACKFILLED = {"backfilled_control_event", "backfilled_launch", "trail_reading"}
SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "schemas"
TYPES = {
    "BOOLEAN": "BOOLEAN",
    "DATE": "DATE",
    "INT64": "BIGINT",
    "TIMESTAMP(MILLIS, UTC)": "TIMESTAMP WITH TIME ZONE",
    "UTF8": "VARCHAR",
}
DATASET = re.compile(r"^(evidence|rollup)/([a-z0-9_]+)/v\d+/")


class Checks:
    """Counts what held and says what did not."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def expect(self, what, found, expected):
        if found == expected:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {what}: found {found!r}, expected {expected!r}")


def connect():
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'")
    return db


def files(paths):
    """A table function over Parquet files; `dt=` in a path is not a column of ours."""
    names = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    return f"read_parquet([{names}], hive_partitioning = false, union_by_name = true)"


def sealed_entries(root):
    """Signed statements of the chain, oldest first: sequence number, names of their subjects."""
    entries = []
    for path in sorted(root.glob("chain/*.dsse.json")):
        envelope = json.loads(path.read_text())
        statement = json.loads(base64.b64decode(envelope["payload"]))
        subjects = {subject["name"] for subject in statement.get("subject", [])}
        entries.append((int(path.name.split(".")[0]), subjects))
    return entries


def manifests(root, entries):
    """Manifests that an entry names: sequence number, name, files."""
    found = []
    for seq, subjects in entries:
        for name in sorted(subjects):
            if name.startswith("manifest/") and (root / name).is_file():
                found.append((seq, name, json.loads((root / name).read_text())["files"]))
    return found


def described(dataset):
    """What schemas/ says of a dataset: columns with DuckDB's types, primary key, columns never null."""
    path = next(SCHEMAS.glob(f"*/{dataset}.md"))
    text = path.read_text()
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.startswith("| `")]
    columns = [(row[1].strip("`"), TYPES[row[2]]) for row in rows]
    key = re.search(r"^Primary key: (.*?)\. ", text, re.MULTILINE).group(1)
    required = [row[1].strip("`") for row in rows if not row[4]]
    return columns, re.findall(r"`(\w+)`", key), required


def columns_of(db, path):
    rows = db.execute(f"DESCRIBE SELECT * FROM {files([path])}").fetchall()
    return [(row[0], row[1]) for row in rows]


def canonical_lines(db, path, columns):
    """The rows in file order as canonical JSON: keys sorted, instants in ms, dates as text."""
    picked = []
    for name, kind in columns:
        quoted = f'"{name}"'
        if kind.startswith("TIMESTAMP"):
            quoted = f"epoch_ms({quoted})"
        elif kind == "DATE":
            quoted = f"strftime({quoted}, '%Y-%m-%d')"
        picked.append(f'{quoted} AS "{name}"')
    cursor = db.execute(f"SELECT {', '.join(picked)} FROM {files([path])}")
    names = [name for name, _ in columns]
    while True:
        rows = cursor.fetchmany(10_000)
        if not rows:
            return
        for row in rows:
            yield json.dumps(
                dict(zip(names, row)), sort_keys=True, separators=(",", ":"), ensure_ascii=False
            )


def check_file(checks, db, root, dataset, entry):
    name = entry["name"]
    path = root / name
    try:
        columns = columns_of(db, path)
    except duckdb.Error as error:
        checks.expect(f"{name}: readable", str(error), "")
        return
    expected, key, required = described(dataset)
    checks.expect(f"{name}: columns", columns, expected)
    (rows,) = db.execute(f"SELECT count(*) FROM {files([path])}").fetchone()
    checks.expect(f"{name}: rows", rows, int(entry["rows"]))
    if columns != expected:
        return
    keys = db.execute(f"SELECT {', '.join(key)} FROM {files([path])}").fetchall()
    ordered = sorted(keys, key=lambda row: [(value is not None, value or "") for value in row])
    checks.expect(f"{name}: keys in order", keys == ordered, True)
    checks.expect(f"{name}: keys are unique", len(set(keys)), rows)
    nulls = " OR ".join(f'"{column}" IS NULL' for column in required)
    empty = db.execute(f"SELECT count(*) FROM {files([path])} WHERE {nulls}").fetchone()[0]
    checks.expect(f"{name}: rows with a null where none may be", empty, 0)

    digest = hashlib.sha256()
    for line in canonical_lines(db, path, columns):
        digest.update(line.encode() + b"\n")
    checks.expect(f"{name}: rows_sha256", digest.hexdigest(), entry["rows_sha256"])

    kinds = dict(columns)
    for column, kind in columns:
        if column.endswith("_at"):
            checks.expect(f"{name}: type of {column}", kind, "TIMESTAMP WITH TIME ZONE")
            ms = column[: -len("_at")] + "_ms"
            if ms in kinds:
                sql = f"SELECT count(*) FROM {files([path])} WHERE epoch_ms({column}) IS DISTINCT FROM {ms}"
                checks.expect(f"{name}: {ms} equals {column}", db.execute(sql).fetchone()[0], 0)
    if "scheduled_for" in kinds:
        date = re.search(r"/dt=(\d{4}-\d{2}-\d{2})/", name)
        sql = f"SELECT DISTINCT strftime(scheduled_for, '%Y-%m-%d') FROM {files([path])}"
        dates = [row[0] for row in db.execute(sql).fetchall()]
        checks.expect(f"{name}: dates", dates, [date.group(1)] if date and rows else [])


def data_files(manifest_files, kind):
    """Files of a manifest that are tables: dataset, entry."""
    for entry in manifest_files:
        match = DATASET.match(entry["name"])
        if match and match.group(1) == kind and entry["name"].endswith(".parquet"):
            yield match.group(2), entry


def runs_of_record(db, root, sealed):
    """For each date the files of the run that speaks for it: dataset -> paths."""
    candidates = {}
    for _, _, manifest_files in sealed:
        tables = {}
        for dataset, entry in data_files(manifest_files, "evidence"):
            tables.setdefault(dataset, []).append(root / entry["name"])
        if "run" not in tables:
            continue
        sql = f"SELECT strftime(scheduled_for, '%Y-%m-%d'), started_ms, outcome FROM {files(tables['run'])}"
        date, started_ms, outcome = db.execute(sql).fetchone()
        start_of_date = (datetime.date.fromisoformat(date) - EPOCH).days * DAY_MS
        if started_ms < start_of_date + 36 * HOUR_MS:
            rank = (0 if outcome == "COMPLETE" else 1, started_ms)
            candidates.setdefault(date, []).append((rank, tables))
    return {date: min(runs, key=lambda run: run[0])[1] for date, runs in candidates.items()}


def quarter_bounds(text):
    year, number = int(text[:4]), int(text[5])
    first = datetime.date(year, number * 3 - 2, 1)
    end = datetime.date(year + (number == 4), number % 4 * 3 + 1, 1)
    return first, end


def measures_read():
    """The datasets that the SQL of some measure reads."""
    text = "\n".join(path.read_text() for path in sorted((SCHEMAS / "kpi").glob("*.sql")))
    named = set(re.findall(r"\b(?:FROM|JOIN) (\w+)", text))
    return sorted(path.stem for path in (SCHEMAS / "datasets").glob("*.md") if path.stem in named)


def columns(dataset):
    """The columns of a dataset, as the tables for Athena declare them."""
    text = (SCHEMAS / "tables.sql").read_text()
    table = text.split(f"keyproof_raw.{dataset}_v1 (\n", 1)[1].split("\n)", 1)[0]
    found = re.findall(r"^ *`(\w+)` (\w+)", table, re.M)
    return ", ".join(f'"{name}" {"VARCHAR" if kind == "string" else kind}' for name, kind in found)


def check_rollup(checks, root, tables, quarter, sealed):
    """Runs the SQL of every measure of one rollup on the runs of record and compares row by row.
    `tables` are the rollup's own files: measure -> entry."""
    first, end = quarter_bounds(quarter)
    db = connect()
    records = [tables for _, tables in sorted(runs_of_record(db, root, sealed).items())]
    for dataset in measures_read():
        paths = [path for run in records for path in run.get(dataset, [])]
        if not paths and dataset in BACKFILLED:
            db.execute(f"CREATE TABLE {dataset} ({columns(dataset)})")
            continue
        if not paths:
            checks.expect(f"{quarter}: files of {dataset}", 0, "at least one")
            return
        db.execute(f"CREATE VIEW {dataset} AS SELECT * FROM {files(paths)}")
    days = [(date - EPOCH).days * DAY_MS for date in (first, end)]
    db.execute(
        f"CREATE VIEW quarter AS SELECT DATE '{first}' AS first_day, DATE '{end}' AS end_day,"
        f" CAST({days[0]} AS BIGINT) AS start_ms, CAST({days[1]} AS BIGINT) AS end_ms"
    )
    # Prices are no evidence of a run: they were sealed with the rollup.
    db.execute(f"CREATE VIEW price AS SELECT * FROM {files([root / tables['price']['name']])}")
    # One measure reads another's rows.
    for measure in sorted(set(tables) - {"price"}, key=lambda name: (name != "remediation", name)):
        sql = (SCHEMAS / "kpi" / f"{measure}.sql").read_text()
        check_measure(checks, db, root, tables[measure]["name"], sql)
        if measure == "remediation":
            db.execute(f"CREATE TABLE {measure} AS {sql}")


def check_measure(checks, db, root, name, sql):
    stored = db.execute(f"SELECT * FROM {files([root / name])}")
    names = [column[0] for column in stored.description]
    stored = stored.fetchall()
    result = db.execute(sql)
    places = {column[0]: i for i, column in enumerate(result.description)}
    checks.expect(f"{name}: columns that the SQL lacks", [n for n in names if n not in places], [])
    if any(n not in places for n in names):
        return
    again = [tuple(row[places[n]] for n in names) for row in result.fetchall()]
    checks.expect(f"{name}: rows of the SQL", len(again), len(stored))
    for computed, kept in zip(again, stored):
        checks.expect(f"{name}: {kept[1:4]}", dict(zip(names, computed)), dict(zip(names, kept)))


def check_datasets(checks, sealed):
    """Every run has a file of every dataset; over all runs every dataset has rows."""
    expected = {path.stem for path in (SCHEMAS / "datasets").glob("*.md")} - BACKFILLED
    total = {}
    for _, name, manifest_files in sealed:
        if "/dt=" not in name:
            continue
        tables = list(data_files(manifest_files, "evidence"))
        checks.expect(f"{name}: datasets", {dataset for dataset, _ in tables}, expected)
        for dataset, entry in tables:
            total[dataset] = total.get(dataset, 0) + int(entry["rows"])
    empty = {dataset for dataset in expected if not total.get(dataset)}
    # Exceptions, samples and counts of log objects, changes of keys and buckets are there only where somebody asked for them.
    unasked = {"control_event", "exception", "log_object_sample", "log_object_summary"}
    checks.expect("datasets without a row", empty - unasked, set())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", required=True, type=pathlib.Path, help="root of a local archive")
    arguments, _ = parser.parse_known_args()
    root = arguments.archive
    if not (root / "evidence").is_dir():
        parser.error(f"{root} has no evidence/ in it")
    checks = Checks()
    db = connect()
    entries = sealed_entries(root)
    sealed = manifests(root, entries)
    check_datasets(checks, sealed)
    listed = set()
    for _, _, manifest_files in sealed:
        for kind in ("evidence", "rollup"):
            for dataset, entry in data_files(manifest_files, kind):
                listed.add(entry["name"])
                check_file(checks, db, root, dataset, entry)
    rollups = 0
    for seq, name, manifest_files in sealed:
        tables = dict(data_files(manifest_files, "rollup"))
        if tables:
            rollups += 1
            kpis = {path.stem for path in (SCHEMAS / "kpi").glob("*.sql")} | {"price"}
            checks.expect(f"{name}: measures", set(tables), kpis)
            quarter = re.search(r"/quarter=(\d{4}Q[1-4])/", name).group(1)
            check_rollup(checks, root, tables, quarter, [m for m in sealed if m[0] < seq])
    checks.expect("a rollup is there", rollups > 0, True)
    print(f"{len(entries)} chain entries, {len(sealed)} manifests, {len(listed)} files, {rollups} rollups")
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 0 if checks.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())

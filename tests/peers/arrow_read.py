#!/usr/bin/env python3
"""Reads a Keyproof archive with pyarrow and compares it with what DuckDB reads.

For every data file that a sealed manifest names: pyarrow's types are those that schemas/ describes, its
row count is the manifest's and DuckDB's, and every column has the same values in the same order in
both; instants are compared as milliseconds, dates as days. Prints `N passed, N failed`; exit 1 when
anything failed.

Usage: arrow_read.py --archive DIR        DIR is the root of a local archive (with evidence/ in it)
"""

import argparse
import pathlib
import sys

import pyarrow as pa
import pyarrow.parquet as pq

import duckdb_read as duck

# By DuckDB's name of the type that schemas/ describes: pyarrow's type, and how both give plain numbers.
TYPES = {
    "BOOLEAN": (pa.bool_(), None, '"{}"'),
    "DATE": (pa.date32(), pa.int32(), "date_diff('day', DATE '1970-01-01', \"{}\")"),
    "BIGINT": (pa.int64(), None, '"{}"'),
    "TIMESTAMP WITH TIME ZONE": (pa.timestamp("ms", tz="UTC"), pa.int64(), 'epoch_ms("{}")'),
    "VARCHAR": (pa.string(), None, '"{}"'),
}


def check_file(checks, db, root, dataset, entry):
    """Gives the number of instants that were compared."""
    name, path, failed = entry["name"], root / entry["name"], checks.failed
    with pq.ParquetFile(path) as file:
        table = file.read()
        checks.expect(f"{name}: rows by its footer", file.metadata.num_rows, int(entry["rows"]))
    described, _, _ = duck.described(dataset)
    expected = [(column, TYPES[kind][0]) for column, kind in described]
    checks.expect(f"{name}: types", [(field.name, field.type) for field in table.schema], expected)
    checks.expect(f"{name}: DuckDB's types", duck.columns_of(db, path), described)
    if checks.failed > failed:
        return 0
    instants = 0
    for column, kind in described:
        _, plain, sql = TYPES[kind]
        theirs = table.column(column)
        theirs = (theirs.cast(plain) if plain else theirs).to_pylist()
        ours = db.execute(f"SELECT {sql.format(column)} FROM {duck.files([path])}").fetchall()
        ours = [value for (value,) in ours]
        checks.expect(f"{name}: rows of {column}", len(theirs), len(ours))
        different = [pair for pair in zip(theirs, ours) if pair[0] != pair[1]]
        checks.expect(f"{name}: values of {column} that differ, pyarrow and DuckDB", different[:3], [])
        if kind.startswith("TIMESTAMP"):
            instants += sum(value is not None for value in theirs)
    return instants


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", required=True, type=pathlib.Path, help="root of a local archive")
    arguments, _ = parser.parse_known_args()
    root = arguments.archive
    checks = duck.Checks()
    db = duck.connect()
    listed = [
        found
        for _, _, manifest_files in duck.manifests(root, duck.sealed_entries(root))
        for kind in ("evidence", "rollup")
        for found in duck.data_files(manifest_files, kind)
    ]
    instants = sum(check_file(checks, db, root, dataset, entry) for dataset, entry in listed)
    stored = {str(path.relative_to(root)) for path in root.rglob("*.parquet")}
    unlisted = stored - {entry["name"] for _, entry in listed}
    checks.expect("files that no manifest names", unlisted, set())
    checks.expect("instants are there", instants > 0, True)
    print(f"{len(listed)} files, {sum(int(entry['rows']) for _, entry in listed)} rows, {instants} instants")
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 0 if checks.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Runs the views of schemas/views.sql, which are written for Athena, on Spark, and compares their answers
with `keyproof query` and with the sealed rollup: on an archive as it is, and with planted files, burnt
slots, junk under chain/, a changed manifest and a gap in the chain.

sqlglot translates the text; beside it these things are changed, since Spark is not Athena:
`"$path"` and `dt` come from the files' metadata, views are temporary ones without a database, Spark's
sha2() gives hex and not bytes, an array of rows is unnested by inline() and not explode(), and TRY() is
left out: Spark without ANSI mode answers NULL by itself where Athena needs it.

Needs Java 17 or newer. Prints `N passed, N failed`; exit 1 when anything failed.

Usage: athena_spark.py --binary KEYPROOF --archive DIR
"""

import argparse
import base64
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import sqlglot
from pyspark.sql import SparkSession
from sqlglot import exp

from support.evidence import SCHEMAS, Checks, ask, entries, named, plain, quarter_of, sealed_runs
from support.evidence import sha256, statements

MEASURES = sorted(path.stem for path in (SCHEMAS / "rollups").glob("*.md"))
DATASETS = sorted(path.stem for path in (SCHEMAS / "datasets").glob("*.md"))
# Of these backfills write files, and runs do not.
BACKFILLED = {"backfilled_control_event", "backfilled_launch", "trail_reading"}
# Every view over rows is built on this one.
FILES = "SELECT name, file_sha256 FROM evidence_file ORDER BY name"
COUNTS = "SELECT scheduled_for, COUNT(*) AS n FROM verdict GROUP BY scheduled_for ORDER BY scheduled_for"


def session():
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.structuredLogging.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.ansi.enabled": "false",
        "spark.sql.legacy.codingErrorAction": "true",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.codegen.wholeStage": "false",
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    return spark


def raw_table(spark, name, frame, root):
    """A raw table: its rows, `$path` as Athena gives it, `dt` from the path."""
    path = "regexp_replace(_metadata.file_path, '^file:/+', 'file:///') AS `$path`"
    dt = "regexp_extract(_metadata.file_path, '/dt=([0-9-]+)/', 1) AS dt"
    frame.selectExpr("*", path, dt).createOrReplaceTempView(f"keyproof_raw_{name}")


def spark_sql(text, root, pin):
    """The statements of a text for Athena, for Spark."""
    text = text.replace("{{pin}}", pin).replace("s3://{{bucket}}", f"file://{root}")
    for statement in statements(text):
        tree = sqlglot.parse_one(statement, read="athena")
        if isinstance(tree, exp.Create) and tree.kind != "VIEW":
            continue
        tree = tree.transform(lambda node: node.this if isinstance(node, exp.Try) else node)
        for table in tree.find_all(exp.Table):
            if table.db:
                raw = "keyproof_raw_" if table.db == "keyproof_raw" else ""
                table.replace(exp.table_(raw + table.name, alias=table.alias or None))
        sql = tree.sql("spark", comments=False)
        sql = sql.replace("CREATE OR REPLACE VIEW", "CREATE OR REPLACE TEMPORARY VIEW")
        yield sql.replace("HEX(SHA2(", "(SHA2(").replace("EXPLODE(FROM_JSON", "INLINE(FROM_JSON")


def open_views(spark, root, pin, first, end):
    """Every view over an archive as it stands now."""
    lines = spark.read.option("recursiveFileLookup", "true")
    for name, folder in (("chain", "chain"), ("manifest", "manifest/v1"), ("rollup_manifest", "manifest/v1")):
        frame = lines.text(f"file://{root}/{folder}").withColumnRenamed("value", "line")
        raw_table(spark, name, frame, root)
    for dataset in DATASETS:
        folder = root / "evidence" / dataset / "v1"
        if not folder.is_dir() and dataset in BACKFILLED:
            # Athena's table over such a folder is empty.
            columns = ", ".join(f"CAST(NULL AS {kind}) AS `{column}`" for column, kind in raw_columns(dataset))
            empty = spark.sql(f"SELECT {columns} WHERE 1 = 0")
            empty.createOrReplaceTempView(f"keyproof_raw_{dataset}_v1")
            continue
        raw_table(spark, f"{dataset}_v1", lines.parquet(f"file://{folder}"), root)
    for measure in MEASURES:
        frame = lines.parquet(f"file://{root}/rollup/{measure}/v1")
        raw_table(spark, f"rollup_{measure}_v1", frame, root)
    for sql in spark_sql((SCHEMAS / "views.sql").read_text(), root, pin):
        spark.sql(sql)
        for view in ("keyproof_raw_entry", "sealed_run", "evidence_file", "rollup_file"):
            if f" VIEW {view} " in sql:
                # Computed once, and not again for each of the views that are built on it.
                spark.table(view).localCheckpoint().createOrReplaceTempView(view)
    spark.sql(
        f"CREATE OR REPLACE TEMPORARY VIEW asked AS SELECT DATE '{first}' AS first_day,"
        f" DATE '{end}' AS end_day, CAST(7 AS BIGINT) AS seed, CAST(25 AS BIGINT) AS n"
    )
    days = [(day - type(day)(1970, 1, 1)).days * 86_400_000 for day in (first, end)]
    spark.sql(
        f"CREATE OR REPLACE TEMPORARY VIEW quarter AS SELECT DATE '{first}' AS first_day,"
        f" DATE '{end}' AS end_day, CAST({days[0]} AS BIGINT) AS start_ms, CAST({days[1]} AS BIGINT) AS end_ms"
    )


def raw_columns(dataset):
    """The columns of a raw table and their types, from its page."""
    page = (SCHEMAS / "datasets" / f"{dataset}.md").read_text()
    kinds = {"BOOLEAN": "BOOLEAN", "DATE": "DATE", "INT64": "BIGINT", "TIMESTAMP(MILLIS, UTC)": "TIMESTAMP"}
    columns = [line.split("|")[1:3] for line in page.splitlines() if line.startswith("| `")]
    columns = [(name.strip(" `"), kinds.get(kind.strip(), "STRING")) for name, kind in columns]
    return columns + [("$path", "STRING"), ("dt", "STRING")]


def rows(spark, sql):
    return [plain(row.asDict()) for row in spark.sql(sql).collect()]


def envelope(statement, like):
    """A statement that nobody signed, in the form of an entry."""
    copied = json.loads(like.read_text())
    payload = json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    copied["payload"] = base64.b64encode(payload.encode()).decode()
    return json.dumps(copied, separators=(",", ":")) + "\n"


def slot(root, seq):
    return root / "chain" / f"{seq:010}.dsse.json"


def plant(root, program):
    """Puts what nothing vouches for everywhere, and seals a note behind a burnt slot."""
    runs = sealed_runs(root)
    last = runs[-1]
    evidence = [root / file["name"] for file in last["files"] if "/verdict/" in file["name"]][0]
    text = str(evidence)
    planted = [
        text.rsplit("-", 1)[0] + "-0000.parquet",
        text.replace(last["run_id"], "20991231T235959Z-0badc0de"),
    ]
    for path in planted:
        shutil.copy(evidence, path)
    # A manifest that no entry names, listing the planted files with their true digests.
    manifest = root / last["manifest_name"]
    content = json.loads(manifest.read_text())
    names = [str(pathlib.Path(path).relative_to(root)) for path in planted]
    content["files"] = [{"bytes": 1, "name": name, "sha256": sha256(root / name)} for name in names]
    content["run_id"] = "20991231T235959Z-0badc0de"
    line = json.dumps(content, sort_keys=True, separators=(",", ":")) + "\n"
    forged_manifest = manifest.with_name("20991231T235959Z-0badc0de.json")
    forged_manifest.write_text(line)
    manifest.with_name("junk.json").write_bytes(b"\x00\xff{[junk\n\n\n")

    chain = entries(root)
    seq, digest, statement = chain[-1]
    # A good-looking run in the next slot: only its signature is wrong, and it names the planted files. The
    # next signed entry names the slot as burnt.
    forged = json.loads(json.dumps([entry for _, _, entry in chain if "run" in entry["predicate"]][-1]))
    forged["predicate"].update(seq=str(seq + 1), previous_sha256=digest)
    forged["predicate"]["run"]["run_id"] = content["run_id"]
    forged["subject"][0] = {
        "digest": {"sha256": sha256(forged_manifest)},
        "name": str(forged_manifest.relative_to(root)),
    }
    slot(root, seq + 1).write_text(envelope(forged, slot(root, seq)))
    slot(root, seq + 2).write_bytes(b"")
    slot(root, seq + 3).write_bytes(b"\x00\xff\xfejunk \n\r\n" * 50)
    slot(root, seq + 4).write_text('{"payload": "@@@ no base64 @@@"}\n')
    slot(root, seq + 5).write_text('{"payload": 17, "payloadType": []}\n')
    slot(root, seq + 6).write_text(json.dumps({"payload": base64.b64encode(b"{junk").decode()}) + "\n")
    slot(root, seq + 7).write_bytes(slot(root, 3).read_bytes())
    twice = envelope({**forged, "predicate": {**forged["predicate"], "seq": str(seq + 8)}}, slot(root, seq))
    slot(root, seq + 8).write_text(twice + twice)
    other = {**forged, "predicate": {**forged["predicate"], "seq": str(seq + 9), "archive_id": "0" * 32}}
    slot(root, seq + 9).write_text(envelope(other, slot(root, seq)))
    program("note", "behind burnt slots", "--entry", str(seq))
    note = sealed(root, seq + 10)
    # Behind the head: one that links to it, which SQL cannot tell from a signed one, with values that are
    # none; an unlinked one; one beyond a gap; and things that are no slot.
    odd = json.loads(json.dumps(forged))
    odd["predicate"].update(seq=str(seq + 11), previous_sha256=note)
    odd["predicate"]["run"].update(scheduled_for="2026-13-99", started_at="junk", cells="many")
    slot(root, seq + 11).write_text(envelope(odd, slot(root, seq)))
    unlinked = {**forged, "predicate": {**forged["predicate"], "seq": str(seq + 12)}}
    slot(root, seq + 12).write_text(envelope(unlinked, slot(root, seq)))
    # Three that name entries which count as burnt: one that links to nothing, one that links to an early
    # entry and claims everything since, one that links to the head and names other slots than those between.
    early_seq, early, _ = chain[1]
    claims = [str(number) for number in range(early_seq + 1, seq + 14)]
    for number, link, burnt in (
        (seq + 13, "0" * 64, [str(early_seq + 1)]),
        (seq + 14, early, claims),
        (seq + 15, note, [str(early_seq + 1)]),
    ):
        words = {"seq": str(number), "previous_sha256": link, "burnt_slots": burnt}
        burner = {**forged, "predicate": {**forged["predicate"], **words}}
        slot(root, number).write_text(envelope(burner, slot(root, seq)))
    far = {**forged, "predicate": {**forged["predicate"], "seq": "9999999999", "previous_sha256": note}}
    slot(root, 9_999_999_999).write_text(envelope(far, slot(root, seq)))
    (root / "chain" / "readme.txt").write_text("hello\n")
    (root / "chain" / "chain").mkdir()
    shutil.copy(slot(root, seq + 11), root / "chain" / "chain" / slot(root, 2).name)
    return [*(number for number, _, _ in chain), seq + 10, seq + 11]


def sealed(root, seq):
    """The digest of an entry that must be there."""
    if not slot(root, seq).is_file():
        raise SystemExit(f"FAILED: nothing was sealed in slot {seq}")
    return sha256(slot(root, seq))


def compare(checks, spark, what, expected, kpi, quarter):
    for name, text in named().items():
        checks.expect(f"{what}: {name}", rows(spark, text), expected[name])
    found = rows(spark, (SCHEMAS / "kpi" / "compliant_share.sql").read_text())
    found = [{name: row[name] for name in kpi[0]} for row in found]
    checks.expect(f"{what}: compliant_share", found, kpi)
    # Every measure and its sealed rows, each as the view over the newest edition has them.
    for measure in sorted(set(MEASURES) - {"price"}):
        sealed = rows(spark, f"SELECT * FROM rollup_{measure} WHERE newest_edition")
        checks.expect(f"{what}: rollup_{measure}: rows", bool(sealed) or measure == "remediation", True)
        if not sealed:
            continue
        if {row["quarter"] for row in sealed} != {quarter}:
            continue
        own = set(sealed[0]) - {"quarter", "edition", "newest_edition", "unfinished", "file_sha256"}
        key = lambda row: json.dumps(row, sort_keys=True, default=str)
        again = rows(spark, (SCHEMAS / "kpi" / f"{measure}.sql").read_text())
        again = sorted(({name: row[name] for name in own} for row in again), key=key)
        sealed = sorted(({name: row[name] for name in own} for row in sealed), key=key)
        checks.expect(f"{what}: {measure} as sealed", again, sealed)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True, type=pathlib.Path)
    parser.add_argument("--archive", required=True, type=pathlib.Path)
    arguments, _ = parser.parse_known_args()
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder).resolve()
        root = folder / "archive"
        shutil.copytree(arguments.archive, root)
        key = arguments.archive.resolve().parent / "signing-key.pem"

        def program(*words):
            where = ["--archive", root, "--state-dir", folder / "state", "--signing-key", key]
            command = [str(part) for part in (arguments.binary.resolve(), *words, *where)]
            done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
            if done.returncode != 0:
                raise SystemExit(f"FAILED {command}: exit {done.returncode}\n{done.stderr}")

        runs = sealed_runs(root)
        quarter, first, end = quarter_of(runs[-1]["scheduled_for"])
        pin = sha256(slot(root, 1))
        expected = {
            name: ask(arguments.binary, root, folder / "state", "--quarter", quarter, "--named", name)
            for name in named()
        }
        counts = ask(arguments.binary, root, folder / "state", "--quarter", quarter, COUNTS)
        spark = session()
        rollup = sorted(root.glob("rollup/compliant_share/v1/*/*.parquet"))[-1]
        kpi = spark.read.parquet(f"file://{rollup}")
        kpi = [plain(row.asDict()) for row in kpi.collect()]

        open_views(spark, root, pin, first, end)
        checks.expect("as it is", rows(spark, COUNTS), counts)
        files = rows(spark, FILES)
        checks.expect("files", len(files), sum(run["of_record"] for run in runs) * len(set(DATASETS) - BACKFILLED))

        good = plant(root, program)
        open_views(spark, root, pin, first, end)
        found = [row["seq"] for row in rows(spark, "SELECT seq FROM keyproof_raw_entry ORDER BY seq")]
        checks.expect("planted: entries that count", found, good)
        checks.expect("planted: files", rows(spark, FILES), files)
        compare(checks, spark, "planted", expected, kpi, quarter)
        planted = ask(arguments.binary, root, folder / "state", "--quarter", quarter, COUNTS)
        checks.expect("planted: keyproof query", planted, counts)

        open_views(spark, root, "0" * 64, first, end)
        checks.expect("another pin", rows(spark, COUNTS), [])

        manifest = root / runs[-1]["manifest_name"]
        line = manifest.read_text()
        manifest.write_text(line.replace("-0000.parquet", "-0001.parquet").replace('"bytes":', '"bytes":1', 1))
        open_views(spark, root, pin, first, end)
        checks.expect("changed manifest", rows(spark, COUNTS), counts[:-1])
        manifest.write_text(line)

        gone = runs[1]["chain_seq"]
        slot(root, gone).unlink()
        open_views(spark, root, pin, first, end)
        checks.expect("a gap in the chain", rows(spark, COUNTS), counts[:1])
        command = [arguments.binary, "query", "--archive", root, "--state-dir", folder / "elsewhere", COUNTS]
        refused = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        checks.expect("a gap in the chain: keyproof query refuses", refused.returncode, 5)
        spark.stop()
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

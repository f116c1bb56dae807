"""What the SQL peers share: the chain, runs of record, and answers of `keyproof query`; no test itself.

Shares no code with the program. It looks at no signature: `keyproof verify` does."""

import base64
import datetime
import hashlib
import json
import pathlib
import re
import subprocess

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
EPOCH = datetime.date(1970, 1, 1)
SCHEMAS = pathlib.Path(__file__).resolve().parents[3] / "schemas"


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
            print(f"FAILED {what}:\n  found    {str(found)[:600]}\n  expected {str(expected)[:600]}")

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed")
        return 0 if self.failed == 0 else 1


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def entries(root):
    """Chain files in order: sequence number, digest, statement."""
    found = []
    for path in sorted((root / "chain").glob("*.dsse.json")):
        statement = json.loads(base64.b64decode(json.loads(path.read_text())["payload"]))
        found.append((int(path.name[:10]), sha256(path), statement))
    return found


def ms(text):
    instant = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round(instant.timestamp() * 1000)


def day_ms(date):
    return (datetime.date.fromisoformat(date) - EPOCH).days * DAY_MS


def sealed_runs(root):
    """Rows of the view `sealed_run`, each with its manifest's files."""
    rows = []
    for seq, digest, statement in entries(root):
        run = statement["predicate"].get("run")
        if run is None:
            continue
        subject = statement["subject"][0]
        start = day_ms(run["scheduled_for"])
        speaks = run["full_scope"] and not run["late"]
        speaks = speaks and 0 <= ms(run["started_at"]) - start <= 36 * HOUR_MS
        rows.append(
            {
                "chain_seq": seq,
                "chain_sha256": digest,
                "run_id": run["run_id"],
                "scheduled_for": run["scheduled_for"],
                "scheduled_ms": start,
                "started_at": run["started_at"],
                "started_ms": ms(run["started_at"]),
                "outcome": run["outcome"],
                "late": run["late"],
                "full_scope": run["full_scope"],
                "of_record": speaks,
                "cells": int(run["cells"]),
                "cells_open": int(run["cells_open"]),
                "manifest_name": subject["name"],
                "files": json.loads((root / subject["name"]).read_text())["files"],
            }
        )
    for date in {row["scheduled_for"] for row in rows}:
        may = [row for row in rows if row["of_record"] and row["scheduled_for"] == date]
        may.sort(key=lambda row: (row["outcome"] != "COMPLETE", row["chain_seq"]))
        for row in may[1:]:
            row["of_record"] = False
    return rows


def quarter_of(date):
    first = datetime.date.fromisoformat(date)
    number = (first.month - 1) // 3 + 1
    begin = datetime.date(first.year, number * 3 - 2, 1)
    end = datetime.date(first.year + (number == 4), number % 4 * 3 + 1, 1)
    return f"{first.year}Q{number}", begin, end


def statements(text):
    """The statements of a file, without the lines that only comment. sqlglot's Athena reads one at a time:
    it takes its grammar from the first words."""
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    return [part for part in re.split(r";\n", "\n".join(lines) + "\n") if part.strip()]


def named():
    """The named queries: name, text."""
    return {path.stem: path.read_text() for path in sorted((SCHEMAS / "queries").glob("*.sql"))}


def ask(binary, root, state, *arguments):
    """The answer of `keyproof query`, as rows."""
    command = [binary, "query", "--archive", root, "--state-dir", state, "--format", "json", *arguments]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"FAILED {command}: exit {done.returncode}\n{done.stderr}")
    return [plain(row) for row in json.loads(done.stdout)]


INSTANT = re.compile(r"^\d{4}-\d{2}-\d{2}T[\d:.]+Z$")


def plain(row):
    """A row as every engine can give it: instants as ms since 1970, dates as text."""

    def value(found):
        if isinstance(found, datetime.datetime):
            if found.tzinfo is None:
                found = found.replace(tzinfo=datetime.timezone.utc)
            return round(found.timestamp() * 1000)
        if isinstance(found, datetime.date):
            return found.isoformat()
        if isinstance(found, str) and INSTANT.match(found):
            return ms(found)
        return found

    return {name: value(found) for name, found in row.items()}

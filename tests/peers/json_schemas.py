#!/usr/bin/env python3
"""Compares a real archive and real configuration with the JSON Schemas of schemas/json/.

Every payload of the chain and every manifest is valid, and not any more once a field is added, taken away
or misspelt. Configurations that the program takes are valid; those that it refuses for their form are not.
Prints `N passed, N failed`; exit 1 when anything failed.

Usage: json_schemas.py --binary KEYPROOF --archive DIR
"""

import argparse
import copy
import json
import pathlib
import subprocess
import sys
import tempfile
import tomllib

import jsonschema

from support.evidence import SCHEMAS, Checks, entries

GOOD = [
    "",
    'archive = "s3://org-emr-evidence/keyproof"\nrole_name = "keyproof-reader"\nregions = ["eu-west-1"]\n',
    'concurrency = 8\nquota_share = 0.5\nsingle_account = true\n[tags]\nowner = "owner"\n',
    '[[exception]]\nkind = "gap"\nregions = ["ap-south-1"]\noutcomes = ["denied_scp"]\nreason = "fenced"\n'
    'approver = "ciso@example.org"\nexpires = "2027-03-31"\n',
    '[[exception]]\nid = "old-keys"\nkind = "waiver"\nrules = ["EL-01"]\nreason = "r"\napprover = "a"\n'
    'expires = "2027-03-31"\n',
]
BAD = [
    'archvie = "x"\n',
    '[tags]\nownr = "x"\n',
    'exception = 3\n',
    '[[exception]]\nkind = "gap"\nregions = ["ap-south-1"]\nreason = "r"\napprover = "a"\n',
    '[[exception]]\nkind = "gape"\nregions = ["x"]\nreason = "r"\napprover = "a"\nexpires = "2027-03-31"\n',
    '[[exception]]\nkind = "gap"\naccounts = ["12"]\nreason = "r"\napprover = "a"\nexpires = "2027-03-31"\n',
    '[[exception]]\nkind = "gap"\nregions = []\nreason = "r"\napprover = "a"\nexpires = "2027-03-31"\n',
    '[[exception]]\nkind = "waiver"\nrules = ["EL-99"]\nreason = "r"\napprover = "a"\nexpires = "2027-03-31"\n',
    '[[exception]]\nkind = "gap"\nregions = ["eu-west-1"]\noutcomes = ["denied"]\nreason = "r"\n'
    'approver = "a"\nexpires = "2027-03-31"\n',
]


def schema(name):
    found = json.loads((SCHEMAS / "json" / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


def problems(validator, value):
    return [error.message[:200] for error in validator.iter_errors(value)]


def damaged(value):
    """The same with a field too many, one too few and one of another type, anywhere."""
    for change in ("more", "less", "other"):
        for place in places(value):
            copied = copy.deepcopy(value)
            node = copied
            for step in place:
                node = node[step]
            if change == "more":
                node["unknown"] = "x"
                yield f"{change} at {place}", copied
                continue
            for field in list(node):
                again = copy.deepcopy(copied)
                inner = again
                for step in place:
                    inner = inner[step]
                if change == "less":
                    del inner[field]
                else:
                    inner[field] = {"x": [1.5]}
                yield f"{change} {field} at {place}", again


def places(value, path=()):
    if isinstance(value, dict):
        # Rows by name have names of any kind, and none of them is due.
        if not path or path[-1] != "rows":
            yield path
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value[:1]):
            yield from places(inner, (*path, number))


# What may be left out of an entry or a manifest; inside these two also what is required elsewhere.
OPTIONAL = {
    "binary_sha256", "bucket_key", "caller_arn", "clock_offset_ms", "kms_key", "organization_id",
    "lacking", "failed", "unknown", "recovery_keyid", "retention_days", "stored",
    "unfinished",
}
OPTIONAL_INSIDE = {"version": "stored", "run_id": "died_runs"}


def may_lack(what):
    change, field, _, place = what.split(" ", 3) if what.startswith("less") else ("", "", "", "")
    inside = OPTIONAL_INSIDE.get(field)
    return change == "less" and (field in OPTIONAL or (inside is not None and inside in place))


def check(checks, name, validator, value, deep):
    checks.expect(name, problems(validator, value), [])
    if not deep:
        return
    for what, changed in damaged(value):
        if not may_lack(what):
            checks.expect(f"{name}: {what}", bool(problems(validator, changed)), True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True, type=pathlib.Path)
    parser.add_argument("--archive", required=True, type=pathlib.Path)
    arguments, _ = parser.parse_known_args()
    root = arguments.archive.resolve()
    checks = Checks()
    seal, manifest, configuration = schema("seal"), schema("manifest"), schema("configuration")
    kinds = set()
    for seq, _, statement in entries(root):
        kind = statement["predicate"]["kind"]
        check(checks, f"entry {seq}", seal, statement, kind not in kinds)
        kinds.add(kind)
    checks.expect("kinds of entries", {"genesis", "rollup", "run"} <= kinds, True)
    deep = True
    for path in sorted((root / "manifest").rglob("*.json")):
        check(checks, str(path.relative_to(root)), manifest, json.loads(path.read_text()), deep)
        deep = False
    with tempfile.TemporaryDirectory() as folder:
        for good, texts in ((True, GOOD), (False, BAD)):
            for text in texts:
                file = pathlib.Path(folder) / "keyproof.toml"
                file.write_text(text)
                done = subprocess.run(
                    [arguments.binary, "config", "--config", file], capture_output=True, cwd=folder,
                    env={"HOME": folder},
                )
                checks.expect(f"program takes {text!r}", done.returncode == 0, good)
                found = problems(configuration, tomllib.loads(text))
                checks.expect(f"schema takes {text!r}: {found}", not found, good)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())

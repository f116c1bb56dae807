#!/usr/bin/env python3
"""Verifies a Keyproof archive's signatures with @sigstore/verify (npm).

For every entry of chain/: it accepts the envelope under the public keys of keys/, and refuses it with
one bit of its payload or of its signature flipped, with another payload type, under another key and
without a key. Prints `N passed, N failed`; exit 1 when anything failed.

Usage: sigstore_read.py --archive DIR        DIR is the root of a local archive (with chain/ in it)

Needs Node.js 20 or newer with npm; installs the package below KEYPROOF_BUILD (default: build/).
"""

import argparse
import base64
import json
import pathlib
import subprocess
import sys

from support import npm

PACKAGES = [
    "@sigstore/verify@3.1.0",
    "@sigstore/bundle@4.0.0",
    "@sigstore/core@3.2.1",
    "@sigstore/protobuf-specs@0.5.2",
]
READER = pathlib.Path(__file__).with_suffix(".mjs")
ACCEPTED, BAD_SIGNATURE, NO_KEY = (True, None), (False, "SIGNATURE_ERROR"), (False, "PUBLIC_KEY_ERROR")
# A P-256 key of nobody's: G, the base point of the curve (SEC 2, 2.4.2).
OTHER_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
"""


def flipped(text, at):
    """Base64 of the same bytes with the lowest bit of byte `at` changed."""
    data = bytearray(base64.b64decode(text))
    data[at] ^= 1
    return base64.b64encode(data).decode()


def questions(name, envelope, keys):
    """What is asked of one entry: title, keys, envelope, the answer that must come."""
    (signature,) = envelope["signatures"]
    size = len(base64.b64decode(envelope["payload"]))
    yield f"{name}: accepted", keys, envelope, ACCEPTED
    for at in (0, size // 2, size - 1):
        changed = {**envelope, "payload": flipped(envelope["payload"], at)}
        yield f"{name}: payload byte {at} flipped", keys, changed, BAD_SIGNATURE
    changed = {**envelope, "signatures": [{**signature, "sig": flipped(signature["sig"], -1)}]}
    yield f"{name}: signature flipped", keys, changed, BAD_SIGNATURE
    changed = {**envelope, "payloadType": envelope["payloadType"] + "x"}
    yield f"{name}: another payload type", keys, changed, BAD_SIGNATURE
    yield f"{name}: another key under its name", {signature["keyid"]: OTHER_KEY}, envelope, BAD_SIGNATURE
    yield f"{name}: no key", {}, envelope, NO_KEY


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", required=True, type=pathlib.Path, help="root of a local archive")
    arguments, _ = parser.parse_known_args()
    keys = {path.stem: path.read_text() for path in arguments.archive.glob("keys/*.pem")}
    entries = sorted(arguments.archive.glob("chain/*.dsse.json"))
    if not keys or len(entries) < 2:
        parser.error(f"{arguments.archive} has {len(keys)} keys and {len(entries)} entries")
    asked = [question for path in entries for question in questions(path.name, json.loads(path.read_text()), keys)]
    text = "".join(json.dumps({"pem": pem, "envelope": envelope}) + "\n" for _, pem, envelope, _ in asked)
    modules = npm.install("peers-sigstore", PACKAGES)
    done = subprocess.run(["node", READER, modules], input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"FAILED: node ended with {done.returncode}: {done.stderr[-2000:]}")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    failed = abs(len(asked) - len(answers))
    for (title, _, _, expected), answer in zip(asked, answers):
        if (answer["accepted"], answer.get("why")) != expected:
            failed += 1
            print(f"FAILED {title}: {answer}, expected {expected}")
    print(f"{len(entries)} entries, {len(keys)} keys")
    print(f"{len(asked) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

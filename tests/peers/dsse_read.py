#!/usr/bin/env python3
"""Verifies a Keyproof archive's signatures with securesystemslib's DSSE and with the openssl command.

For every entry of chain/: securesystemslib verifies the envelope with the public key of keys/, openssl
verifies the same signature over the bytes that DSSE says are signed, and both refuse the entry with
one bit of its payload or of its signature flipped, and under another key. The payload is an in-toto
statement of media type application/vnd.in-toto+json, and the key's name is the SHA-256 of its DER.
Prints `N passed, N failed`; exit 1 when anything failed.

Usage: dsse_read.py --archive DIR        DIR is the root of a local archive (with chain/ in it)
"""

import argparse
import base64
import copy
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

MEDIA_TYPE = "application/vnd.in-toto+json"
PASSED, FAILED = [], []


def check(name, holds, detail=""):
    (PASSED if holds else FAILED).append(name)
    if not holds:
        print(f"FAILED {name}: {detail}")


def key_of(public, keyid):
    """securesystemslib's form of a `cryptography` key, by the key id that envelopes name."""
    key = SSlibKey.from_crypto(public, keyid=keyid)
    check("key type and scheme", (key.keytype, key.scheme) == ("ecdsa", "ecdsa-sha2-nistp256"), (key.keytype, key.scheme))
    return key


def dsse_accepts(envelope, key):
    try:
        Envelope.from_dict(copy.deepcopy(envelope)).verify([key], 1)
        return True
    except VerificationError:
        return False


def openssl_accepts(envelope, pem, work):
    """The pre-authentication encoding is spelled out here, from DSSE's protocol.md."""
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    (work / "signed").write_bytes(signed)
    (work / "signature").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-verify", pem, "-signature", work / "signature", work / "signed"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.strip() == "Verified OK"


def flipped(text, at):
    """Base64 of the same bytes with the lowest bit of byte `at` changed."""
    data = bytearray(base64.b64decode(text))
    data[at] ^= 1
    return base64.b64encode(data).decode()


def check_entry(name, envelope, key, other, pem, work):
    check(f"{name}: media type", envelope["payloadType"] == MEDIA_TYPE, envelope["payloadType"])
    check(f"{name}: one signature, by the archive's key",
          [s["keyid"] for s in envelope["signatures"]] == [key.keyid], envelope["signatures"])
    statement = json.loads(base64.b64decode(envelope["payload"]))
    check(f"{name}: in-toto statement", statement["_type"] == "https://in-toto.io/Statement/v1" and statement["subject"], statement)
    check(f"{name}: DSSE verifies", dsse_accepts(envelope, key))
    check(f"{name}: openssl verifies", openssl_accepts(envelope, pem, work))
    check(f"{name}: not under another key", not dsse_accepts(envelope, other))
    payload_changed = {**envelope, "payload": flipped(envelope["payload"], len(envelope["payload"]) // 2)}
    signature = envelope["signatures"][0]
    signature_changed = {**envelope, "signatures": [{**signature, "sig": flipped(signature["sig"], -1)}]}
    type_changed = {**envelope, "payloadType": MEDIA_TYPE + "x"}
    for what, bad in (("payload", payload_changed), ("signature", signature_changed), ("type", type_changed)):
        check(f"{name}: DSSE refuses a changed {what}", not dsse_accepts(bad, key))
        check(f"{name}: openssl refuses a changed {what}", not openssl_accepts(bad, pem, work))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", required=True, type=pathlib.Path, help="root of a local archive")
    arguments, _ = parser.parse_known_args()
    entries = sorted(arguments.archive.glob("chain/*.dsse.json"))
    keys = list(arguments.archive.glob("keys/*.pem"))
    check("entries are there", len(entries) > 1, entries)
    check("one key is there", len(keys) == 1, keys)
    if FAILED:
        return 1
    pem = keys[0]
    public = serialization.load_pem_public_key(pem.read_bytes())
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    by_openssl = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", pem, "-outform", "DER"], check=True, capture_output=True).stdout
    check("openssl and cryptography read the same key", by_openssl == der)
    keyid = hashlib.sha256(der).hexdigest()
    check("the key's name is the SHA-256 of its DER", pem.stem == keyid, keyid)
    key = key_of(public, keyid)
    other = key_of(ec.generate_private_key(ec.SECP256R1()).public_key(), keyid)
    with tempfile.TemporaryDirectory(prefix="keyproof-dsse-") as work:
        for path in entries:
            check_entry(path.name, json.loads(path.read_text()), key, other, pem, pathlib.Path(work))
    print(f"{len(entries)} entries")
    print(f"{len(PASSED)} passed, {len(FAILED)} failed")
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main())

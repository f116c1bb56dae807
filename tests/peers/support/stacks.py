"""Templates of scripts/deploy deployed with moto's CloudFormation, in this process, so that stacks can be
looked into. No test itself."""

import ast
import contextlib
import logging
import os
import pathlib
import warnings

from moto.cloudformation.models import cloudformation_backends
from moto.cloudformation.parsing import clean_json
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from support import loopback, moto
from support.moto import ACCOUNT, REGION, check

TEMPLATES = pathlib.Path(__file__).resolve().parents[3] / "scripts" / "deploy"


@contextlib.contextmanager
def serving(ignored):
    """A moto that answers on loopback; gives its endpoint. `ignored`: types of resources, as a regular
    expression, that it is known not to have."""
    os.environ.update(moto.CREDENTIALS)
    # Its requests, and the listing that it answers with 500.
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    logging.getLogger("moto").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", message=f"Tried to parse ({ignored})")
    port = loopback.free_port()
    # Where its Step Functions finds its other services.
    os.environ["MOTO_PORT"] = str(port)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


def role(account, name):
    return f"arn:aws:iam::{account}:role/{name}"


class Clients:
    """boto3 clients of one account on the loopback endpoint."""

    def __init__(self, endpoint, account):
        self.endpoint = endpoint
        own = account == ACCOUNT
        self.credentials = None if own else moto.assume(endpoint, role(account, "deployer"))

    def of(self, service):
        return moto.client(self.endpoint, service, self.credentials)


class Stack:
    """A deployed template, with the properties of its resources as moto resolved them."""

    def __init__(self, clients, account, file, parameters, change=lambda template: template):
        name = f"keyproof-{file}"
        cloudformation = clients.of("cloudformation")
        cloudformation.create_stack(
            StackName=name,
            TemplateBody=change((TEMPLATES / f"{file}.yaml").read_text()),
            Parameters=[{"ParameterKey": key, "ParameterValue": value}
                        for key, value in parameters.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        check(stack["StackStatus"] == "CREATE_COMPLETE", f"{name} is {stack['StackStatus']}")
        self.outputs = {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}
        stacks = cloudformation_backends[account][REGION].stacks.values()
        self.map = next(s for s in stacks if s.name == name).resource_map
        made = cloudformation.list_stack_resources(StackName=name)["StackResourceSummaries"]
        self.made = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in made}

    def properties(self, resource):
        return without_none(clean_json(self.map._resource_json_map[resource], self.map)["Properties"])


def without_none(value):
    """moto leaves None where AWS::NoValue stood."""
    if isinstance(value, dict):
        return {k: without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [without_none(v) for v in value if v is not None]
    return value


def statements(iam, role_name):
    """What a role is allowed, by its own and its attached policies."""
    documents = [
        iam.get_role_policy(RoleName=role_name, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role_name)["PolicyNames"]
    ]
    for policy in iam.list_attached_role_policies(RoleName=role_name)["AttachedPolicies"]:
        version = iam.get_policy(PolicyArn=policy["PolicyArn"])["Policy"]["DefaultVersionId"]
        documents.append(iam.get_policy_version(
            PolicyArn=policy["PolicyArn"], VersionId=version)["PolicyVersion"]["Document"])
    # A managed policy of a template moto answers in Python's notation, not in JSON.
    documents = [ast.literal_eval(d) if isinstance(d, str) else d for d in documents]
    return [s for document in documents for s in document["Statement"]]

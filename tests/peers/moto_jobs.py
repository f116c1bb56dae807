#!/usr/bin/env python3
"""Deploys the templates of the scheduled jobs (scripts/deploy/job-base.yaml, daily-job.yaml, batch-job.yaml)
with moto's CloudFormation, and lets moto's Step Functions go through one run.

moto resolves the templates and makes roles, key, log group, task definition, job queue, job definitions and
state machine. What it cannot do is done here or elsewhere:

- it has no AWS::CloudWatch::Alarm and no AWS::Scheduler::Schedule in templates: both are put through the
  services' APIs, as moto resolved them;
- its compute environment wants a service role, which AWS makes by itself: some role is written into the template;
- of a log group it takes no key, of a task definition containers and volumes alone, of a job definition no
  platform: those are read from the resolved templates;
- its Step Functions hands names to Batch in a case that Batch does not have: they are changed on the way;
- the start of an execution is no text in it: it is handed over as input, in AWS's form;
- its Batch starts no containers and knows no exit codes: that the commands are the program's is tested in
  tests/it/scheduled.rs, and how the state machine tells exit code 4 from others is tried with a job that
  moto is told to fail.

Usage: moto_jobs.py
"""

import json
import os
import re
import time

from moto.core.config import default_user_config
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_batch import (
    StateTaskServiceBatch,
)

from support import stacks
from support.moto import ACCOUNT, REGION, check
from support.stacks import Clients, Stack, role, statements

ARCHIVE = "s3://org-evidence/keyproof"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/3d3d3d3d-1111-4222-8333-444444444444"
SIGNING_KEY = f"arn:aws:kms:{REGION}:210987654321:key/1234abcd-1111-4222-8333-444444444444"
COLLECTOR, SEALER = role(ACCOUNT, "keyproof-collector"), role(ACCOUNT, "keyproof-sealer")
DIGEST = "sha256:" + "5a" * 32
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/keyproof@{DIGEST}"
SHARDS = 4
STARTED, RUN_ID = "2026-11-24T02:15:03.127Z", re.compile(r"20261124T021503Z-[0-9a-f]{8}")


def renamed(value, case):
    """Names of members in another case of their first letter."""
    if isinstance(value, dict):
        return {case(name[0]) + name[1:]: renamed(v, case) for name, v in value.items()}
    if isinstance(value, list):
        return [renamed(v, case) for v in value]
    return value


class BatchOfStepFunctions:
    """Step Functions has its own case of Batch's names, which moto leaves as they are."""

    @staticmethod
    def parameters(_self, parameters, *_, **__):
        changed = renamed(parameters, str.lower)
        parameters.clear()
        parameters.update(changed)

    @staticmethod
    def response(_self, response, *_, **__):
        changed = renamed(response, str.upper)
        response.clear()
        response.update(changed)


def policy(clients, name):
    """What a role is allowed: statement by its Sid."""
    return {s["Sid"]: s for s in statements(clients.of("iam"), name)}


def trusts(clients, name):
    document = clients.of("iam").get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    [statement] = document["Statement"]
    check(statement["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}, f"{name}: {statement}")
    return statement["Principal"]["Service"]


def base(clients):
    topic = clients.of("sns").create_topic(Name="alarms")["TopicArn"]
    stack = Stack(clients, ACCOUNT, "job-base", {
        "Archive": ARCHIVE, "AdministratorRoleArn": role(ACCOUNT, "administrator"), "AlarmTopicArn": topic})
    [group] = clients.of("logs").describe_log_groups()["logGroups"]
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{stack.made['LogKey']}"
    check(group["logGroupName"] == stack.outputs["LogGroupName"] == "/keyproof/job", f"{group}")
    check(stack.properties("LogGroup")["KmsKeyId"] == key, "the log lies under the key")
    [service] = [s for s in stack.properties("LogKey")["KeyPolicy"]["Statement"] if "Service" in s["Principal"]]
    check(service["Condition"]["ArnEquals"] == {"kms:EncryptionContext:aws:logs:arn": group["arn"].removesuffix(":*")},
          f"the key serves that group alone: {service}")

    check(trusts(clients, "keyproof-execution") == "ecs-tasks.amazonaws.com", "ECS starts containers")
    may = policy(clients, "keyproof-execution")
    check(may["Image"]["Resource"] == [f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/keyproof"], f"{may['Image']}")
    check(may["Log"]["Resource"] == [f"{group['arn'].removesuffix(':*')}:log-stream:*"], f"{may['Log']}")
    check([sid for sid, s in may.items() if s["Resource"] == "*"] == ["Registry"], f"{may}")

    cloudwatch = clients.of("cloudwatch")
    for name in ("MissedRun", "UnseenChanged"):
        alarm = stack.properties(name)
        for number in ("Period", "EvaluationPeriods", "DatapointsToAlarm", "Threshold"):
            if number in alarm:
                alarm[number] = int(alarm[number])
        cloudwatch.put_metric_alarm(**alarm)
    alarms = {a["MetricName"]: a for a in cloudwatch.describe_alarms()["MetricAlarms"]}
    for alarm in alarms.values():
        check(alarm["Namespace"] == "Keyproof" and alarm["AlarmActions"] == [topic], f"{alarm}")
        check(alarm["Dimensions"] == [{"Name": "Archive", "Value": ARCHIVE}], f"{alarm['Dimensions']}")
        # The longest that CloudWatch looks back with periods of an hour or more.
        check(alarm["Period"] * alarm["EvaluationPeriods"] <= 7 * 86400, f"{alarm}")
    missed, changed = alarms["RunSealed"], alarms["UnseenChanged"]
    check(missed["TreatMissingData"] == "breaching", "no run is an alarm")
    check((missed["EvaluationPeriods"], missed["DatapointsToAlarm"], missed["Period"]) == (26, 26, 3600),
          "it looks at 26 hours as a whole")
    check((missed["Statistic"], missed["ComparisonOperator"], missed["Threshold"]) == ("Sum", "LessThanThreshold", 1),
          f"{missed}")
    check(changed["TreatMissingData"] == "notBreaching", "no run says nothing of what is unseen")
    check((changed["Statistic"], changed["ComparisonOperator"], changed["Threshold"]) == (
        "Maximum", "GreaterThanOrEqualToThreshold", 1), f"{changed}")
    return stack


def parameters(clients, stack, **more):
    """What both kinds of job are given. The network is moto's default one."""
    ec2 = clients.of("ec2")
    subnets = sorted(s["SubnetId"] for s in ec2.describe_subnets()["Subnets"])[:2]
    groups = [g["GroupId"] for g in ec2.describe_security_groups()["SecurityGroups"]][:1]
    return {
        "Archive": ARCHIVE, "ArchiveKeyArn": KEY, "SigningKeyArn": SIGNING_KEY, "CollectorRoleArn": COLLECTOR,
        "ExecutionRoleArn": stack.outputs["ExecutionRoleArn"], "LogGroupName": stack.outputs["LogGroupName"],
        "ImageDigest": DIGEST, "SubnetIds": ",".join(subnets), "SecurityGroupIds": ",".join(groups), **more}


def environment(items):
    return {item["Name"]: item["Value"] for item in items}


def schedule(clients, stack, role_name, target):
    """Puts the schedule as moto resolved it, and looks at whom it begins what as."""
    check(trusts(clients, role_name) == "scheduler.amazonaws.com", f"{role_name} is the scheduler's")
    made = stack.properties("DailySchedule")
    made["Target"]["RetryPolicy"] = {k: int(v) for k, v in made["Target"]["RetryPolicy"].items()}
    if "EcsParameters" in made["Target"]:
        ecs = made["Target"]["EcsParameters"]
        ecs["TaskCount"] = int(ecs["TaskCount"])
        # Its API writes this one name otherwise than CloudFormation.
        ecs["NetworkConfiguration"] = {"awsvpcConfiguration": ecs["NetworkConfiguration"]["AwsvpcConfiguration"]}
    scheduler = clients.of("scheduler")
    scheduler.create_schedule(**made)
    put = scheduler.get_schedule(Name=made["Name"])
    check(put["ScheduleExpression"] == "cron(15 2 * * ? *)" and put["ScheduleExpressionTimezone"] == "UTC", f"{put}")
    check(put["FlexibleTimeWindow"] == {"Mode": "OFF"} and put["State"] == "ENABLED", f"{put}")
    check(put["Target"]["Arn"] == target and put["Target"]["RoleArn"] == role(ACCOUNT, role_name), f"{put['Target']}")
    return put["Target"]


def daily(clients, on):
    given = parameters(clients, on)
    stack = Stack(clients, ACCOUNT, "daily-job", given)
    task = stack.properties("TaskDefinition")
    check((task["TaskRoleArn"], task["ExecutionRoleArn"]) == (COLLECTOR, on.outputs["ExecutionRoleArn"]), f"{task}")
    made = clients.of("ecs").describe_task_definition(taskDefinition="keyproof-run")["taskDefinition"]
    [container] = made["containerDefinitions"]
    check(container["image"] == IMAGE, f"{container['image']}")
    check(container["command"] == ["run", "--log-format", "json"], f"{container['command']}")
    options = container["logConfiguration"]["options"]
    check((container["logConfiguration"]["logDriver"], options["awslogs-group"]) == ("awslogs", "/keyproof/job"),
          f"its lines reach {options}")
    [resolved] = task["ContainerDefinitions"]
    check(environment(resolved["Environment"]) == {
        "KEYPROOF_ARCHIVE": ARCHIVE, "KEYPROOF_ARCHIVE_KMS_KEY": KEY, "KEYPROOF_ARCHIVE_OWNER": ACCOUNT,
        "KEYPROOF_SIGNING_KEY": SIGNING_KEY}, f"{resolved['Environment']}")
    check(resolved["ReadonlyRootFilesystem"] in (True, "true") and resolved["MountPoints"][0]["ContainerPath"] == "/work",
          "it writes below /work alone")
    may = policy(clients, "keyproof-daily-schedule")
    check(may["Task"]["Resource"] == [stack.outputs["TaskDefinitionArn"]], f"{may['Task']}")
    check(may["Task"]["Condition"] == {"ArnEquals": {"ecs:cluster": stack.outputs["ClusterArn"]}}, f"{may['Task']}")
    check(set(may["Roles"]["Resource"]) == {COLLECTOR, on.outputs["ExecutionRoleArn"]}, f"{may['Roles']}")
    check(may["Roles"]["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
          f"{may['Roles']}")
    target = schedule(clients, stack, "keyproof-daily-schedule", stack.outputs["ClusterArn"])
    check(target["EcsParameters"]["TaskDefinitionArn"] == stack.outputs["TaskDefinitionArn"], f"{target}")
    network = target["EcsParameters"]["NetworkConfiguration"]["awsvpcConfiguration"]
    check(network["Subnets"] == given["SubnetIds"].split(",") and network["AssignPublicIp"] == "DISABLED", f"{network}")


def batch(clients, on):
    service_role = ("      Type: MANAGED\n",
                    f"      Type: MANAGED\n      ServiceRole: {role(ACCOUNT, 'keyproof-execution')}\n")
    stack = Stack(clients, ACCOUNT, "batch-job", parameters(clients, on, SealerRoleArn=SEALER, Shards=str(SHARDS)),
                  change=lambda template: template.replace(*service_role))
    definitions = {}
    for name, runs_as in (("Prepare", COLLECTOR), ("Collect", COLLECTOR), ("Assess", COLLECTOR), ("Seal", SEALER)):
        properties = stack.properties(f"{name}Job")
        container = properties["ContainerProperties"]
        check(properties["PlatformCapabilities"] == ["FARGATE"], f"{name} runs on Fargate")
        check((container["JobRoleArn"], container["Image"]) == (runs_as, IMAGE), f"{name}: {container}")
        check(container["Command"][0] == name.lower(), f"{name}: {container['Command']}")
        given = environment(container["Environment"])
        check(("KEYPROOF_SIGNING_KEY" in given) == (name == "Seal"), f"the sealer alone knows the key: {given}")
        definitions[name] = stack.made[f"{name}Job"]
    may = policy(clients, "keyproof-batch-run")
    check(set(may["Submit"]["Resource"]) == {*definitions.values(), stack.made["JobQueue"]}, f"{may['Submit']}")
    check([sid for sid, s in may.items() if s["Resource"] == "*"] == ["Look"], f"{may}")
    check(trusts(clients, "keyproof-batch-run") == "states.amazonaws.com", "Step Functions submits")
    machine = stack.outputs["MachineArn"]
    check(policy(clients, "keyproof-batch-schedule")["Execution"]["Resource"] == [machine], "one machine is begun")
    schedule(clients, stack, "keyproof-batch-schedule", machine)
    return stack, definitions


def execute(states, definition, name):
    """Goes through the definition once; gives its status and the names of the states that it entered."""
    # AWS's own form of the time, which moto has as no text.
    definition = definition.replace("$$.Execution.StartTime", "$.started")
    machine = states.create_state_machine(
        name=name, definition=definition, roleArn=role(ACCOUNT, "keyproof-batch-run"))["stateMachineArn"]
    execution = states.start_execution(
        stateMachineArn=machine, name=name, input=json.dumps({"started": STARTED}))["executionArn"]
    for _ in range(300):
        found = states.describe_execution(executionArn=execution)
        if found["status"] != "RUNNING":
            break
        time.sleep(0.1)
    events = states.get_execution_history(executionArn=execution, maxResults=1000)["events"]
    entered = [e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e]
    return found, entered


def executions(clients, stack, definitions):
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    default_user_config["batch"] = {"use_docker": False}
    StateTaskServiceBatch._normalise_parameters = BatchOfStepFunctions.parameters
    StateTaskServiceBatch._normalise_response = BatchOfStepFunctions.response
    states, jobs = clients.of("stepfunctions"), clients.of("batch")
    definition = stack.properties("Machine")["DefinitionString"]
    found, entered = execute(states, definition, "through")
    check(found["status"] == "SUCCEEDED", f"the run ended {found}")
    check(entered == ["Split", "Name", "Prepare", "Collect", "Assess", "Seal", "Sealed"], f"{entered}")

    # What was submitted, as Batch has it.
    listed = jobs.list_jobs(jobQueue=stack.made["JobQueue"])["jobSummaryList"]
    submitted = [job["jobId"] for job in listed if ":" not in job["jobId"]]
    by_name = {job["jobName"]: job for job in jobs.describe_jobs(jobs=submitted)["jobs"]}
    check(len(submitted) == len(by_name) == 4, f"{submitted}")
    ids = {job["parameters"]["run_id"] for job in by_name.values()}
    check("$$.Execution.StartTime" in definition, "the run is named by its start")
    check(len(ids) == 1 and RUN_ID.fullmatch(*ids), f"one run id, like the program's own: {ids}")
    for name, arn in definitions.items():
        check(by_name[f"keyproof-{name.lower()}"]["jobDefinition"] == arn, f"{name} is of its definition")
    check(by_name["keyproof-prepare"]["parameters"]["shards"] == str(SHARDS), "prepare is told how many")
    children = [job for job in listed if job["jobId"].startswith(by_name["keyproof-collect"]["jobId"] + ":")]
    size = by_name["keyproof-collect"].get("arrayProperties", {}).get("size", len(children))
    check(size == SHARDS, f"as many collect: {size}")

    # A job that fails: shards are a hole, everything else ends the run.
    os.environ["MOTO_SIMPLE_BATCH_FAIL_AFTER"] = "0"
    try:
        machine = json.loads(definition)
        for first, rest in (("Prepare", []), ("Collect", ["Assess"]), ("Assess", []), ("Seal", ["How", "NotSealed"])):
            machine["States"]["Name"]["Next"] = first
            found, entered = execute(states, json.dumps(machine), f"{first}-fails")
            check((found["status"], entered) == ("FAILED", ["Split", "Name", first, *rest]), f"{first}: {entered}")
    finally:
        del os.environ["MOTO_SIMPLE_BATCH_FAIL_AFTER"]

    # How a failed job's exit code is told, in Step Functions' words.
    machine = json.loads(definition)
    machine["StartAt"] = "Caught"
    for code, ends in ((3, "SUCCEEDED"), (4, "SUCCEEDED"), (1, "FAILED"), (40, "FAILED"), (14, "FAILED")):
        for cause in ({"Container": {"ExitCode": code, "LogStreamName": "seal/x"}, "Status": "FAILED"},
                      {"Attempts": [{"Container": {"ExitCode": code}}], "Status": "FAILED"}):
            text = json.dumps(cause, separators=(",", ":"))
            machine["States"]["Caught"] = {
                "Type": "Pass", "Result": {"failed": {"Error": "States.TaskFailed", "Cause": text}}, "Next": "How"}
            found, _ = execute(states, json.dumps(machine), f"exit-{code}-{len(text)}")
            check(found["status"] == ends, f"exit {code}: {found['status']}")


def main():
    with stacks.serving(ignored="AWS::CloudWatch::Alarm|AWS::Scheduler::Schedule") as endpoint:
        clients = Clients(endpoint, ACCOUNT)
        on = base(clients)
        daily(clients, on)
        stack, definitions = batch(clients, on)
        executions(clients, stack, definitions)
    print("moto deployed the three templates, and went through a run and its failures")


if __name__ == "__main__":
    main()

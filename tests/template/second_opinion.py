"""Runs a command against moto with the permissions that the template gives to a function or program, enforced.

    python tests/template/second_opinion.py --param RecordingBuckets=B --param KeepRenditions=highest -- COMMAND ...
    python tests/template/second_opinion.py --function fail-over --param Pair=show ... -- COMMAND ...
    python tests/template/second_opinion.py --param ... --list                       the statements, one Sid a line
    python tests/template/second_opinion.py --param ... --without SID -- COMMAND ... one statement left out
    python tests/template/second_opinion.py --param ... --without nothing --without SID -- COMMAND ...
                                                                                     the command twice, on one server
    python tests/template/second_opinion.py --param ... --without nothing --without SID --shorter STORY -- COMMAND ...
                                                                                     COMMAND STORY without the statement

Only the statements that moto decides by are listed (role.py). The command finds in its environment:

    ONAIR_S3_ENDPOINT                  address of the server, on loopback, for every service; S3 path-style
    ONAIR_SSM_ENDPOINT                 the same one
    ONAIR_REGION                       region to sign for
    ONAIR_CONTROL_BUCKET               with a pair only: its two buckets, empty
    ONAIR_PUBLIC_BUCKET
    ONAIR_STATE_BUCKET                 of count-viewers only: where it keeps minutes, empty
    ONAIR_LOG_DOCUMENT                 of complete-lifecycle only: the document that saves logs
    ONAIR_LIVE_TARGET                  of publish-live only: where it may publish
    ONAIR_ADMIN_ACCESS_KEY_ID          may do everything: to put a recording there and to look at it afterwards
    ONAIR_ADMIN_SECRET_ACCESS_KEY
    ONAIR_FUNCTION_ACCESS_KEY_ID       the function's role, assumed
    ONAIR_FUNCTION_SECRET_ACCESS_KEY
    ONAIR_FUNCTION_SESSION_TOKEN

The buckets of RecordingBuckets and AccessLogBuckets exist, without versioning. A pair's channels run. Before each run every
bucket is empty. After the output of each run a line on stderr reports how it ended. The exit code is that of the last one
that did not succeed.
"""

import argparse
import json
import os
import subprocess
import sys
import time

import moto_server
import stack
import role
from moto.core import DEFAULT_ACCOUNT_ID
from moto.medialive.models import medialive_backends
from moto.s3.models import s3_backends
from moto.sts.models import sts_backends

# The values of ACCESS_KEY_ID and SECRET_ACCESS_KEY in crates/stand-in/src/lib.rs.
STAND_IN_KEY = "test"
# The value of --without for the whole role.
NOTHING = "nothing"
# The parameter that enables a job. For other functions, a parameter of the pair.
SWITCHES = {
    "prune-recording": "RecordingBuckets",
    "publish-live": "LivePrefix",
    "complete-lifecycle": "AutoScalingGroup",
    "count-viewers": "AccessLogBuckets",
    "web server": "WebSubnets",
}

# Environment variables of the command, from the stack's outputs that exist.
OUTPUTS = {
    "ONAIR_CONTROL_BUCKET": "PairControlBucketName",
    "ONAIR_PUBLIC_BUCKET": "PairPublicBucketName",
    "ONAIR_LIVE_TARGET": "LiveTarget",
    "ONAIR_STATE_BUCKET": "CountViewersBucketName",
    "ONAIR_LOG_DOCUMENT": "FleetLogDocumentName",
}


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, usage=argparse.SUPPRESS
    )
    parser.add_argument("--function", default="prune-recording", choices=role.ROLES, help="whose role")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="a template parameter")
    parser.add_argument("--without", action="append", metavar="SID", help="leave this statement out of the role")
    parser.add_argument(
        "--shorter", action="append", default=[], metavar="ARGUMENT", help="take these arguments without a statement"
    )
    parser.add_argument("--list", action="store_true", help="print the Sids of the statements and end")
    parser.add_argument("command", nargs="*", help="after --: what to run")
    args = parser.parse_args()
    if not args.list and not args.command:
        parser.error("a command is needed, after --")
    if any("=" not in pair for pair in args.param):
        parser.error("--param takes NAME=VALUE")
    args.parameters = dict(pair.split("=", 1) for pair in args.param)
    switch = SWITCHES.get(args.function, "Pair")
    if not args.parameters.get(switch):
        parser.error(f"--param {switch}=... is needed: without it there is no function and no role")
    return args


def leave_out(sid, client, role_name):
    """Removes one statement from the role. Returns the documents as they were before."""
    before = role.of_role(client, role_name)
    for name, document in role.of_role(client, role_name).items():
        kept = [statement for statement in document["Statement"] if statement["Sid"] != sid]
        if len(kept) < len(document["Statement"]):
            document["Statement"] = kept
            role.put(client, role_name, {name: document})
            return before
    sys.exit(f"second_opinion: the role has no statement {sid}")


def administrator(client):
    """Creates a user who may do everything. After enforcement starts, unknown credentials are refused."""
    iam = client("iam")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.create_user(UserName="admin")
    iam.put_user_policy(UserName="admin", PolicyName="everything", PolicyDocument=json.dumps(everything))
    return iam.create_access_key(UserName="admin")["AccessKey"]


def let_in_by_the_stand_in(credentials):
    """Gives the assumed role the key that the stand-in accepts. A function has one key, and Auto Scaling is the stand-in's:
    moto completes no lifecycle action."""
    roles = sts_backends[DEFAULT_ACCOUNT_ID]["aws"].assumed_roles
    (assumed,) = [role for role in roles if role.access_key_id == credentials["AccessKeyId"]]
    assumed.access_key_id = assumed.secret_access_key = STAND_IN_KEY
    return {"AccessKeyId": STAND_IN_KEY, "SecretAccessKey": STAND_IN_KEY}


def empty_buckets():
    """Removes every object with its versions, except the functions' code. Objects of an earlier run would disturb the next."""
    for name, bucket in s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets.items():
        if name != "code":
            bucket.keys.clear()


def create_channels(client, *ids):
    """Creates running channels of MediaLive with these ids. moto would generate others, but a role names its channels."""
    known = medialive_backends[DEFAULT_ACCOUNT_ID][stack.REGION]._channels
    for id in ids:
        made = client("medialive").create_channel(Name=id, ChannelClass="SINGLE_PIPELINE")["Channel"]["Id"]
        known[id] = known.pop(made)
        known[id].id = id
        client("medialive").start_channel(ChannelId=id)


def environment(args, endpoint):
    """Prepares the server. Returns the role's name and the variables of the command."""
    client = stack.clients(endpoint)
    outputs = stack.create(args.parameters, client)
    named = {args.parameters.get(name, "") for name in ("RecordingBuckets", "AccessLogBuckets")}
    for bucket in set(filter(None, ",".join(named).split(","))):
        client("s3").create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": stack.REGION}
        )
    channels = [args.parameters.get(f"Side{side}ChannelArn", "") for side in "AB"]
    create_channels(client, *(arn.split(":")[-1] for arn in filter(None, channels)))
    role_name = stack.physical_ids(client)[role.ROLES[args.function]]
    role_arn = client("iam").get_role(RoleName=role_name)["Role"]["Arn"]
    function = client("sts").assume_role(RoleArn=role_arn, RoleSessionName="function")["Credentials"]
    if args.function == "complete-lifecycle":
        function |= let_in_by_the_stand_in(function)
    admin = administrator(client)
    moto_server.enforce_iam(endpoint)
    of_the_stack = {name: outputs[output] for name, output in OUTPUTS.items() if output in outputs}
    return role_name, of_the_stack | {
        "ONAIR_S3_ENDPOINT": endpoint,
        "ONAIR_SSM_ENDPOINT": endpoint,
        "ONAIR_REGION": stack.REGION,
        "ONAIR_ADMIN_ACCESS_KEY_ID": admin["AccessKeyId"],
        "ONAIR_ADMIN_SECRET_ACCESS_KEY": admin["SecretAccessKey"],
        "ONAIR_FUNCTION_ACCESS_KEY_ID": function["AccessKeyId"],
        "ONAIR_FUNCTION_SECRET_ACCESS_KEY": function["SecretAccessKey"],
        "ONAIR_FUNCTION_SESSION_TOKEN": function["SessionToken"],
    }


def main():
    args = arguments()
    if args.list:
        print(*role.enforced_sids(role.policies(args.parameters, args.function)), sep="\n")
        return 0
    with moto_server.running() as endpoint:
        return run(args, endpoint)


def run(args, endpoint):
    """Runs the command, once for each request on standard input. Returns the exit code."""
    role_name, known = environment(args, endpoint)
    admin = stack.clients(endpoint, known["ONAIR_ADMIN_ACCESS_KEY_ID"], known["ONAIR_ADMIN_SECRET_ACCESS_KEY"])
    code = 0
    for sid in args.without or [NOTHING]:
        before = leave_out(sid, admin, role_name) if sid != NOTHING else {}
        command = [args.command[0], *args.shorter] if sid != NOTHING and args.shorter else args.command
        empty_buckets()
        began = time.monotonic()
        ended = subprocess.run(command, env=os.environ | known).returncode
        seconds = time.monotonic() - began
        print(f"second_opinion: without {sid} exit code {ended} after {seconds:.1f} s", file=sys.stderr, flush=True)
        role.put(admin, role_name, before)
        code = ended or code
    return code


if __name__ == "__main__":
    sys.exit(main())

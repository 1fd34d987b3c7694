"""`make deploy-playbook` uploads everything that the playbook needs. Promise P115."""

import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from test_playbook import ROOT, play, target, bucket  # noqa: F401  (fixtures)

sys.path.append(str(ROOT / "tests" / "template"))
import moto_server  # noqa: E402

FLEET = "on-air-fleetbucket-1a2b3c"
KEYS = {
    "ansible/web.yml",
    "ansible/templates/onair-web.service",
    "ansible/origin/nginx/web.conf",
    "ansible/origin/nginx/proxy.conf",
    "ansible/origin/logrotate.conf",
}


@pytest.fixture
def s3():
    """The client of a bucket, with a stack that has the bucket's name as an output, and a stack that has not."""
    resources = {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": FLEET}}}
    template = {"Resources": resources, "Outputs": {"FleetBucketName": {"Value": {"Ref": "Bucket"}}}}
    with moto_server.running() as endpoint:
        known = {"region_name": "us-west-2", "endpoint_url": endpoint}
        known |= {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
        cloudformation = boto3.client("cloudformation", **known)
        cloudformation.create_stack(StackName="with-a-fleet", TemplateBody=json.dumps(template))
        cloudformation.create_stack(StackName="without", TemplateBody=json.dumps({"Resources": {}}))
        yield boto3.client("s3", **known)


def deploy(s3, stack):
    environment = os.environ | {
        "AWS_ENDPOINT_URL": s3.meta.endpoint_url,
        "AWS_DEFAULT_REGION": "us-west-2",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    command = ["make", "--silent", "deploy-playbook", f"STACK={stack}"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def keys(s3):
    return {entry["Key"] for entry in s3.list_objects_v2(Bucket=FLEET).get("Contents", [])}


def test_an_upload_is_complete_and_removes_files_of_an_older_one(s3, target, tmp_path):  # noqa: F811
    s3.put_object(Bucket=FLEET, Key="ansible/templates/renamed.j2", Body=b"old")
    s3.put_object(Bucket=FLEET, Key="logs/i-0a1b2c3d/20261121T211340Z/manifest-0a1b.json", Body=b"{}")
    ended = deploy(s3, "with-a-fleet")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == f"s3://{FLEET}/ansible/"
    assert keys(s3) == KEYS | {"logs/i-0a1b2c3d/20261121T211340Z/manifest-0a1b.json"}
    # The SSM agent fetches a folder so: each key without the name of the folder.
    folder = tmp_path / "downloaded"
    for key in KEYS:
        path = folder / key.removeprefix("ansible/")
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(FLEET, key, str(path))
    recap, output = play(target, playbook=folder / "web.yml")
    assert (recap["failed"], recap["changed"] >= 3) == (0, True), output


def test_a_stack_without_a_fleet_is_an_error(s3):
    ended = deploy(s3, "without")
    assert ended.returncode != 0
    assert "has no fleet" in ended.stderr
    assert keys(s3) == set()


def test_every_file_of_the_playbook_is_uploaded():
    named = {path.relative_to(ROOT).as_posix() for path in (ROOT / "ansible").rglob("*") if path.is_file()}
    assert named == {key for key in KEYS if not key.startswith("ansible/origin/")}

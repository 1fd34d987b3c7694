"""prune-recording may do what it does, on the recordings it is for, and nothing else; and S3 enforces it.
Promise P29."""

import subprocess
import sys
from pathlib import Path

import pytest
import role
import stack

HERE = Path(__file__).parent

LIST = "arn:aws:s3:::{}"
STARTED = "arn:aws:s3:::{}/*/events/recording-started.json"
ENDED = "arn:aws:s3:::{}/*/events/recording-ended.json"
PLAYLISTS = "arn:aws:s3:::{}/*/media/hls/*.m3u8"
ENTRY_PLAYLISTS = [
    f"arn:aws:s3:::{{}}/*/media/hls/{name}"
    for name in ["master.m3u8", "byte-range-multivariant.m3u8", "multivariant.m3u8"]
]
RENDITIONS = "arn:aws:s3:::{}/*/media/hls/*/*"
THUMBNAILS = "arn:aws:s3:::{}/*/media/thumbnails/*"
LATEST_THUMBNAIL = "arn:aws:s3:::{}/*/media/latest_thumbnail/*"

ALWAYS = {
    ("s3:ListBucket", LIST),
    ("s3:GetBucketVersioning", LIST),
    ("s3:GetObject", STARTED),
    ("s3:GetObject", ENDED),
    ("s3:GetObject", PLAYLISTS),
    ("s3:PutObject", ENDED),
    *(("s3:PutObject", playlist) for playlist in ENTRY_PLAYLISTS),
    ("s3:DeleteObject", RENDITIONS),
}
WITH_THUMBNAILS = {("s3:DeleteObject", THUMBNAILS), ("s3:DeleteObject", LATEST_THUMBNAIL)}
WITH_PURGE = {("s3:ListBucketVersions", LIST), ("s3:DeleteObjectVersion", RENDITIONS)}
WITH_BOTH = {("s3:DeleteObjectVersion", THUMBNAILS), ("s3:DeleteObjectVersion", LATEST_THUMBNAIL)}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, ALWAYS),
        ({"Thumbnails": "delete"}, ALWAYS | WITH_THUMBNAILS),
        ({"Versions": "purge"}, ALWAYS | WITH_PURGE),
        ({"Thumbnails": "delete", "Versions": "purge"}, ALWAYS | WITH_THUMBNAILS | WITH_PURGE | WITH_BOTH),
        # Settings that change what the function does, not what it may do.
        ({"DryRun": "true"}, ALWAYS),
    ],
    ids=["by default", "thumbnails", "purge", "thumbnails and purge", "dry run"],
)
@pytest.mark.parametrize("buckets", ["one-bucket", "one-bucket,another-bucket"])
def test_the_role_may_do_exactly_this_in_s3(buckets, more, expected):
    documents = role.policies({"RecordingBuckets": buckets, "KeepRenditions": "highest"} | more)
    granted = {
        (action, resource)
        for statement in role.statements(documents)
        if statement["Sid"] in role.enforced_sids(documents)
        for action in role.actions(statement)
        for resource in statement["Resource"]
    }
    assert granted == {(action, arn.format(name)) for action, arn in expected for name in buckets.split(",")}


def test_beyond_s3_the_role_may_write_its_log_and_report_failures():
    documents = role.policies(stack.DELETE)
    others = [s for s in role.statements(documents) if s["Sid"] not in role.enforced_sids(documents)]
    assert [(s["Sid"], role.actions(s)) for s in others] == [
        ("WriteLogs", ["logs:CreateLogStream", "logs:PutLogEvents"]),
        ("ReportInvocationFailures", ["sqs:SendMessage"]),
    ]
    own = f"arn:aws:logs:{stack.REGION}:123456789012:log-group:{stack.NAME}-PruneRecordingLogs-"
    assert others[0]["Resource"].startswith(own) and others[0]["Resource"].endswith(":*")
    assert others[1]["Resource"].startswith(f"arn:aws:sqs:{stack.REGION}:123456789012:{stack.NAME}-PruneRecordingInv")


def test_every_statement_allows_and_has_a_name_of_its_own():
    statements = role.statements(role.policies(stack.DELETE))
    assert {s["Effect"] for s in statements} == {"Allow"}
    assert len({s["Sid"] for s in statements}) == len(statements)


def second_opinion(*arguments, parameters=stack.KEEP):
    given = [f"--param={name}={value}" for name, value in parameters.items()]
    return subprocess.run(
        [sys.executable, HERE / "second_opinion.py", *given, *arguments], capture_output=True, text=True
    )


def attempts(*arguments, parameters=stack.KEEP):
    """What try_permissions.py could do under the role: a set of lines."""
    result = second_opinion(*arguments, "--", sys.executable, HERE / "try_permissions.py", parameters=parameters)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.splitlines())


ALLOWED = {
    "list",
    "read versioning",
    "read events/recording-started.json",
    "read events/recording-ended.json",
    "read media/hls/master.m3u8",
    "read media/hls/multivariant.m3u8 (not there)",
    "write events/recording-ended.json",
    "write media/hls/master.m3u8",
    "delete media/hls/160p30/0.ts",
    "delete media/hls/160p30/a b+c%d&ü.ts",
}


def test_second_opinion_enforces_the_role():
    assert attempts() == ALLOWED


def test_second_opinion_enforces_the_larger_role():
    assert attempts(parameters=stack.DELETE) == ALLOWED | {
        "list versions",
        "delete media/thumbnails/thumb0.jpg",
        "delete media/latest_thumbnail/thumb.jpg",
        "delete version of media/hls/160p30/0.ts",
        "delete version of media/thumbnails/thumb0.jpg",
        "delete version of media/latest_thumbnail/thumb.jpg",
    }


def test_second_opinion_leaves_a_statement_out():
    assert attempts("--without", "RewriteMaster") == ALLOWED - {"write media/hls/master.m3u8"}


def test_whoever_may_not_list_does_not_learn_that_an_object_is_not_there():
    without_listing = {"list", "read media/hls/multivariant.m3u8 (not there)"}
    assert attempts("--without", "ListRecordings") == ALLOWED - without_listing


def test_second_opinion_knows_the_statements():
    listed = second_opinion("--list").stdout.splitlines()
    assert listed == role.enforced_sids(role.policies(stack.KEEP))
    of_fail_over = second_opinion("--function", "fail-over", "--list", parameters=stack.PAIR).stdout.splitlines()
    assert of_fail_over == role.enforced_sids(role.policies(stack.PAIR, "fail-over"))
    refused = second_opinion("--without", "NoSuchStatement", "--", "true")
    assert refused.returncode == 1 and "NoSuchStatement" in refused.stderr


def test_second_opinion_ends_with_the_commands_code():
    assert second_opinion("--", sys.executable, "-c", "raise SystemExit(7)").returncode == 7


COUNTING = """
import os, sys
from opinion_s3 import s3
admin = s3("ADMIN")
print(sys.argv[1], admin.list_objects_v2(Bucket=sys.argv[2])["KeyCount"], os.environ["ONAIR_S3_ENDPOINT"])
admin.put_object(Bucket=sys.argv[2], Key="left behind", Body=b"")
"""


def test_one_server_serves_all_runs_of_a_role_and_each_begins_with_empty_buckets(tmp_path):
    program = tmp_path / "counting.py"
    program.write_text(f"import sys; sys.path.insert(0, {str(HERE)!r}){COUNTING}")
    shorter = [f"--shorter={argument}" for argument in (program, "short", stack.BUCKET)]
    without = ["--without=nothing", "--without=RewriteMaster", "--without=nothing"]
    result = second_opinion(*without, *shorter, "--", sys.executable, program, "whole", stack.BUCKET)
    assert result.returncode == 0, result.stderr
    runs = [line.split() for line in result.stdout.splitlines()]
    assert [run[:2] for run in runs] == [["whole", "0"], ["short", "0"], ["whole", "0"]]
    assert len({endpoint for _, _, endpoint in runs}) == 1

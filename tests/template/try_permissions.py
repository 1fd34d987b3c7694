"""Prints, a line each, what the function's role lets through of a list of attempts. Run by second_opinion.py."""

from botocore.exceptions import ClientError
from opinion_s3 import s3

BUCKET = "r2s3-dev-channel-1-recordings"
PREFIX = "ivs/v1/123456789012/AbCdef1G2hij/2020/6/23/20/12/j8Z9O91ndcVs/"
OBJECTS = [
    "events/ivs-check",
    "events/recording-ended.json",
    "events/recording-started.json",
    "media/hls/160p30/0.ts",
    "media/hls/160p30/a b+c%d&ü.ts",
    "media/hls/master.m3u8",
    "media/latest_thumbnail/thumb.jpg",
    "media/thumbnails/thumb0.jpg",
]
ABSENT = "media/hls/multivariant.m3u8"


def attempt(what, call):
    try:
        call()
        print(what)
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            print(what, "(not there)")
        else:
            assert error.response["Error"]["Code"] == "AccessDenied", error


def delete_all_in_one_call(objects):
    """One DeleteObjects call, as the function makes it: some of its keys may be refused and others not."""
    answer = function.delete_objects(Bucket=BUCKET, Delete={"Objects": objects})
    errors = answer.get("Errors", [])
    assert {error["Code"] for error in errors} <= {"AccessDenied"}
    refused = [{name: error[name] for name in ("Key", "VersionId") if name in error} for error in errors]
    deleted = [entry for entry in objects if entry not in refused]
    assert len(refused) + len(deleted) == len(objects) == len(refused) + len(answer.get("Deleted", []))
    return sorted(entry["Key"].removeprefix(PREFIX) for entry in deleted)


admin, function = s3("ADMIN"), s3("FUNCTION")
admin.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
versions = {
    name: admin.put_object(Bucket=BUCKET, Key=PREFIX + name, Body=b"seed")["VersionId"] for name in OBJECTS
}

attempt("list", lambda: function.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX))
attempt("list another bucket", lambda: function.list_objects_v2(Bucket="code"))
attempt("list versions", lambda: function.list_object_versions(Bucket=BUCKET, Prefix=PREFIX))
attempt("read versioning", lambda: function.get_bucket_versioning(Bucket=BUCKET))
attempt("delete the bucket", lambda: function.delete_bucket(Bucket=BUCKET))
attempt("write at the bucket's root", lambda: function.put_object(Bucket=BUCKET, Key="recording-ended.json"))
attempt(f"read {ABSENT}", lambda: function.get_object(Bucket=BUCKET, Key=PREFIX + ABSENT))
for name in OBJECTS:
    key = PREFIX + name
    attempt(f"read {name}", lambda: function.get_object(Bucket=BUCKET, Key=key))
    attempt(f"write {name}", lambda: function.put_object(Bucket=BUCKET, Key=key, Body=b"new"))
for name in delete_all_in_one_call([{"Key": PREFIX + name} for name in OBJECTS]):
    print("delete", name)
with_version = [{"Key": PREFIX + name, "VersionId": versions[name]} for name in OBJECTS if "a b" not in name]
for name in delete_all_in_one_call(with_version):
    print("delete version of", name)

# What was refused is still there.
left = {v["Key"] for v in admin.list_object_versions(Bucket=BUCKET)["Versions"]}
assert {PREFIX + name for name in ["events/ivs-check", "events/recording-ended.json", "media/hls/master.m3u8"]} <= left

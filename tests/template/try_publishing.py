"""Publishes a small stream by `onair publish-live`, under the role of the template, and reports the result as `cargo test`
would. Run by second_opinion.py: python tests/template/try_publishing.py BINARY

The segments are text, since S3 does not look into them; each is written aside and then moved, as transcoders do it.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from opinion_s3 import s3

TARGET = os.environ["ONAIR_LIVE_TARGET"] + "/show"
BUCKET, PREFIX = TARGET.removeprefix("s3://").split("/", 1)
WINDOW = 3
# The longest wait: without a permission, the expected object never appears.
PATIENCE_S = 12


admin = s3("ADMIN")


def published():
    """What is there of the stream."""
    listed = admin.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX).get("Contents", [])
    return {entry["Key"].removeprefix(PREFIX + "/") for entry in listed}


def text(name):
    return admin.get_object(Bucket=BUCKET, Key=f"{PREFIX}/{name}")["Body"].read().decode()


def daemon(binary, folder):
    settings = {
        "ONAIR_DIR": str(folder),
        "ONAIR_TARGET": TARGET,
        "ONAIR_KEEP_WINDOW": "1",
        "AWS_ENDPOINT_URL_S3": os.environ["ONAIR_S3_ENDPOINT"],
        "AWS_REGION": os.environ["ONAIR_REGION"],
        "AWS_ACCESS_KEY_ID": os.environ["ONAIR_FUNCTION_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": os.environ["ONAIR_FUNCTION_SECRET_ACCESS_KEY"],
        "AWS_SESSION_TOKEN": os.environ["ONAIR_FUNCTION_SESSION_TOKEN"],
    }
    return subprocess.Popen([binary, "publish-live"], env=settings, stdout=subprocess.DEVNULL)


def write(path, content):
    aside = path.with_name(f".{path.name}.part")
    aside.write_text(content)
    aside.rename(path)


def go_on(folder, number):
    """The transcoder's next segment, and the playlist that names it."""
    write(folder / f"{number}.ts", f"segment {number} " * 100)
    first = max(0, number - WINDOW + 1)
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
    for named in range(first, number + 1):
        lines += ["#EXTINF:1.0,", f"{named}.ts"]
    write(folder / "index.m3u8", "\n".join(lines) + "\n")


def named():
    """The segments that the published playlist names, if there is one."""
    if "index.m3u8" not in published():
        return []
    return [line for line in text("index.m3u8").splitlines() if line and not line.startswith("#")]


def eventually(is_so):
    """Whether the condition is true within PATIENCE_S."""
    until = time.monotonic() + PATIENCE_S
    while not is_so() and time.monotonic() < until:
        time.sleep(0.1)
    return is_so()


def the_playlist_and_all_that_it_names_are_there(folder):
    go_on(folder, 0)
    return eventually(lambda: len(named()) == 1) and set(named()) <= published()


def the_playlist_goes_on(folder):
    for number in range(1, WINDOW + 2):
        go_on(folder, number)
        if not eventually(lambda: any(name.startswith(f"{number}.") for name in named())):
            return False
    return len(named()) == WINDOW and set(named()) <= published()


def what_left_the_window_is_deleted(folder):
    """And nothing else is."""
    return eventually(lambda: named() and published() == {"index.m3u8", *named()})


def main(binary):
    for key in published():
        admin.delete_object(Bucket=BUCKET, Key=f"{PREFIX}/{key}")
    tests = [the_playlist_and_all_that_it_names_are_there, the_playlist_goes_on, what_left_the_window_is_deleted]
    with tempfile.TemporaryDirectory() as folder:
        running = daemon(binary, folder)
        try:
            # What follows cannot succeed once something has failed.
            failed = False
            for test in tests:
                failed = failed or not test(Path(folder))
                print(f"test publish_live::{test.__name__} ... {'FAILED' if failed else 'ok'}", flush=True)
            running.send_signal(signal.SIGTERM)
            return 1 if failed or running.wait(timeout=15) else 0
        finally:
            running.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

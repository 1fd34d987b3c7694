"""What the document that saves logs runs on an instance, with its parameters put in as Systems Manager does, under bash,
with the AWS CLI, against moto's S3. test_programs.py compares the script with the template's. Promises P113 and P114."""

import base64
import getpass
import gzip
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import moto_server
import programs
import pytest
import stack

BUCKET = "on-air-fleetbucket-1a2b3c"
INSTANCE = "i-0a1b2c3d4e5f60718"
RUN = "20261121T211340Z"
PREFIX = f"logs/{INSTANCE}/{RUN}"
DOCUMENT = stack.template()["Resources"]["FleetLogDocument"]["Properties"]["Content"]
# All programs that the script calls.
PROGRAMS = "aws base64 flock grep gzip mktemp mv rm sed sha256sum sleep sort stat".split()
PATH = f"{Path(sys.executable).parent}:/usr/bin:/bin"
LAST_LINE = re.compile(r"onair-manifest sha256=([0-9a-f]{64}) files=(\d+) bytes=(\d+)\n")


def script(**parameters):
    """The text that an instance is given. SSM knows nothing of shells: it replaces text by text."""
    (step,) = DOCUMENT["mainSteps"]
    assert (step["action"], DOCUMENT["schemaVersion"]) == ("aws:runShellScript", "2.2")
    text = programs.SAVE_LOGS.read_text(encoding="utf-8")
    for name, value in parameters.items():
        text = re.sub(r"\{\{ *" + name + r" *\}\}", lambda _: value, text)
    assert "{{" not in text
    return text


@pytest.fixture(scope="module")
def endpoint():
    with moto_server.running() as endpoint:
        yield endpoint


@pytest.fixture
def s3(endpoint):
    moto_server.reset(endpoint)
    client = stack.clients(endpoint)("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": stack.REGION})
    return client


@pytest.fixture
def logs(tmp_path):
    folder = tmp_path / "nginx"
    folder.mkdir()
    return folder


@pytest.fixture
def save(endpoint, logs, tmp_path):
    """Runs the script as an agent would: (exit code, output, complaints)."""

    def run(directory=logs, tools=None, beside=PATH, instance=INSTANCE, bucket=BUCKET):
        # As SSM writes it down and starts it.
        path = tmp_path / "_script.sh"
        path.write_text(script(Bucket=bucket, Prefix=PREFIX, Directory=str(directory)))
        path.chmod(0o700)
        environment = {
            "PATH": f"{tools}:{beside}" if tools else beside,
            "HOME": str(tmp_path),
            "AWS_SSM_INSTANCE_ID": instance,
            "AWS_SSM_REGION_NAME": stack.REGION,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "of-the-instance",
            "AWS_SECRET_ACCESS_KEY": "of-the-instance",
            "TMPDIR": str(tmp_path),
        }
        ended = subprocess.run(
            ["/bin/sh", "-c", str(path)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        return ended.returncode, ended.stdout, ended.stderr

    return run


def saved(s3):
    """Name -> body of the objects below the prefix, without manifests; and name -> body of the manifests."""
    listed = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    assert all(entry["Key"].startswith(f"{PREFIX}/") for entry in listed)
    bodies = {e["Key"].removeprefix(f"{PREFIX}/"): s3.get_object(Bucket=BUCKET, Key=e["Key"])["Body"].read() for e in listed}
    return bodies, {name: bodies.pop(name) for name in list(bodies) if name.startswith("manifest-")}


def sha256(body):
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def assert_verified(s3, output):
    """All that complete-lifecycle asks before it lets the instance go. Returns the logs, unpacked."""
    digest, count, total = LAST_LINE.fullmatch(output).groups()
    bodies, manifests = saved(s3)
    manifest = manifests[f"manifest-{digest}.json"]
    assert hashlib.sha256(manifest).hexdigest() == digest
    stated = json.loads(manifest)
    assert stated == {
        "instance": INSTANCE,
        "files": [{"name": name, "bytes": len(body), "sha256": sha256(body)} for name, body in sorted(bodies.items())],
    }
    assert (int(count), int(total)) == (len(bodies), sum(map(len, bodies.values())))
    for name, body in (bodies | manifests).items():
        head = s3.head_object(Bucket=BUCKET, Key=f"{PREFIX}/{name}", ChecksumMode="ENABLED")
        assert head["ChecksumSHA256"] == sha256(body)
    return {name: gzip.decompress(body).decode() for name, body in bodies.items()}


def assert_nothing_is_promised(ended, s3=None):
    code, output, complaints = ended
    assert code != 0
    assert output == ""
    assert complaints
    if s3:
        assert saved(s3)[1] == {}
    return complaints


def test_every_access_log_is_saved_with_a_manifest_of_what_was_saved(s3, save, logs):
    (logs / "access.log").write_text("of now\n")
    (logs / "access.log.1").write_text("of yesterday\n")
    (logs / "access.log-20261119.gz").write_bytes(gzip.compress(b"of the day before\n"))
    (logs / "other-access.log").write_text("of another server\n")
    (logs / "error.log").write_text("not a word about viewers\n")
    code, output, complaints = save()
    assert (code, complaints) == (0, "")
    assert assert_verified(s3, output) == {
        f"access.log-{RUN}.gz": "of now\n",
        "access.log.1.gz": "of yesterday\n",
        "access.log-20261119.gz": "of the day before\n",
        f"other-access.log-{RUN}.gz": "of another server\n",
    }
    # The files stay on the disk, for the person who examines a retained instance.
    assert gzip.decompress((logs / f"access.log-{RUN}.gz").read_bytes()) == b"of now\n"
    assert (logs / "error.log").exists()


def test_an_instance_that_served_nobody_leaves_an_empty_log(s3, save, logs):
    (logs / "access.log").touch()
    code, output, _ = save()
    assert code == 0
    assert assert_verified(s3, output) == {f"access.log-{RUN}.gz": ""}


def test_a_second_run_saves_the_same_under_the_same_names(s3, save, logs):
    (logs / "access.log").write_text("of now\n")
    first, second = save(), save()
    assert first == second and first[0] == 0
    assert assert_verified(s3, second[1]) == {f"access.log-{RUN}.gz": "of now\n"}
    # nginx has created a new log, and no request has arrived.
    (logs / "access.log").touch()
    assert save() == first


def test_what_was_written_after_the_first_run_is_saved_by_the_second(s3, save, logs):
    (logs / "access.log").write_text("of now\n")
    save()
    bodies, manifests = saved(s3)
    (logs / "access.log").write_text("late\n")
    _, output, _ = save()
    expected = {f"access.log-{RUN}.gz": "of now\n", f"access.log-{RUN}-2.gz": "late\n"}
    assert assert_verified(s3, output) == expected
    # What the first has said is as true as before: complete-lifecycle may go by either.
    assert saved(s3)[0].items() > bodies.items() and saved(s3)[1].items() > manifests.items()
    (logs / "access.log").touch()
    assert assert_verified(s3, save()[1]) == expected


def test_a_run_that_was_killed_while_it_packed_is_made_good_by_the_next(s3, save, logs):
    (logs / f"access.log-{RUN}").write_text("whole\n")
    (logs / f"access.log-{RUN}.gz").write_bytes(gzip.compress(b"whole\n")[:9])
    code, output, _ = save()
    assert code == 0
    assert assert_verified(s3, output) == {f"access.log-{RUN}.gz": "whole\n"}


def test_a_folder_that_is_not_there_or_has_no_access_log_is_a_failure(s3, save, logs, tmp_path):
    assert "No such file or directory" in assert_nothing_is_promised(save(tmp_path / "none"), s3)
    (logs / "error.log").write_text("x\n")
    (logs / "access.log").symlink_to("/etc/passwd")
    assert f"no access log (*access*.log) found in {logs}: check LogDirectory" in assert_nothing_is_promised(save(), s3)
    assert saved(s3) == ({}, {})


def test_a_log_whose_name_would_not_be_one_in_the_manifest_is_a_failure(s3, save, logs):
    (logs / 'access.log-"x"').write_text("x\n")
    assert "rename the file to letters, digits, '.', '_' and '-' (not first)" in assert_nothing_is_promised(save(), s3)


def test_another_instance_is_not_spoken_for(s3, save, logs):
    (logs / "access.log").write_text("x\n")
    assert "but this is i-0ffffffffffffffff" in assert_nothing_is_promised(save(instance="i-0ffffffffffffffff"), s3)
    # No log was renamed either.
    assert [path.name for path in logs.iterdir()] == ["access.log"]


def test_a_bucket_that_refuses_is_a_failure(s3, save, logs):
    (logs / "access.log").write_text("x\n")
    assert "NoSuchBucket" in assert_nothing_is_promised(save(bucket="another-bucket"), s3)
    # And a later run, when the fault is mended, saves what this one has put aside.
    assert assert_verified(s3, save()[1]) == {f"access.log-{RUN}.gz": "x\n"}


def test_a_manifest_that_cannot_be_put_is_a_failure(s3, save, logs, tmp_path):
    (logs / "access.log").write_text("x\n")
    tools = a_tool(tmp_path, "aws", f'[[ $* != */manifest-* ]] || exit 254; exec "{shutil.which("aws", path=PATH)}" "$@"')
    code, output, _ = save(tools=tools)
    assert code == 254 and output == ""
    assert saved(s3)[1] == {}


def a_tool(tmp_path, name, body):
    """A folder with a program of this name, to be looked into first."""
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / name).write_text(f"#!/bin/bash\n{body}\n")
    (folder / name).chmod(0o755)
    return folder


@pytest.mark.parametrize("tool", [program for program in PROGRAMS if program != "rm"])
def test_whatever_fails_ends_it(s3, save, logs, nginx, tmp_path, tool):
    tools = a_tool(tmp_path, tool, f"echo {tool}: No space left on device >&2; exit 2")
    # Beside who writes and who only reads, so that all are called.
    with (logs / "access.log").open():
        assert "No space left" in assert_nothing_is_promised(save(tools=tools), s3)


def test_a_file_that_cannot_be_cleared_away_holds_nobody(s3, save, logs, tmp_path):
    (logs / "access.log").write_text("x\n")
    code, output, _ = save(tools=a_tool(tmp_path, "rm", "exit 2"))
    assert code == 0
    assert assert_verified(s3, output) == {f"access.log-{RUN}.gz": "x\n"}


def test_these_programs_are_all_that_it_calls(s3, save, logs, nginx, tmp_path):
    folder = tmp_path / "programs"
    folder.mkdir()
    for program in PROGRAMS:
        (folder / program).symlink_to(shutil.which(program, path=PATH))
    with (logs / "access.log").open():
        code, output, complaints = save(beside=folder)
    assert (code, complaints) == (0, "")
    assert assert_verified(s3, output) == {f"access.log-{RUN}.gz": ""}


def test_s3_is_told_the_checksum_of_each_body_before_it_arrives(s3, save, logs, tmp_path):
    # S3 refuses a body with another checksum. moto accepts any body, so this test checks the checksum in the request.
    (logs / "access.log").write_text("x\n")
    real = shutil.which("aws", path=PATH)
    tools = a_tool(tmp_path, "aws", f'printf "%s\\n" "$*" >> {tmp_path}/calls; exec "{real}" "$@"')
    assert save(tools=tools)[0] == 0
    calls = (tmp_path / "calls").read_text().splitlines()
    told = {re.search(r"--key (\S+)", call)[1]: re.search(r"--checksum-sha256 (\S+)", call)[1] for call in calls}
    bodies, manifests = saved(s3)
    assert len(manifests) == 1
    assert told == {f"{PREFIX}/{name}": sha256(body) for name, body in (bodies | manifests).items()}


def test_quotes_and_spaces_would_stay_one_word_even_if_they_came_through(s3, save, tmp_path):
    folder = tmp_path / "a folder; touch broken $(touch broken)"
    folder.mkdir()
    (folder / "access.log").write_text("x\n")
    code, output, _ = save(folder)
    assert code == 0
    assert assert_verified(s3, output) == {f"access.log-{RUN}.gz": "x\n"}
    assert not (tmp_path / "broken").exists() and not (folder / "broken").exists()


# ---- beside who writes

WRITER = """
import signal, sys, time
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
open("/proc/self/comm", "w").write(sys.argv[2])
log = open(sys.argv[1], "a", buffering=1)
log.write("before\\n")
print(flush=True)
sys.stdin.readline()
log.write("after\\n")
"""


@pytest.mark.parametrize("called", ["nginx", "another"])
def test_a_log_that_somebody_does_not_let_go_of_is_packed_by_no_run(s3, save, logs, called):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, logs / "access.log", called], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    writer.stdout.readline()
    try:
        for _ in range(2):
            assert f"process {writer.pid} ({called}) still writes to" in assert_nothing_is_promised(save(), s3)
            assert saved(s3) == ({}, {})
            assert [path.name for path in logs.iterdir()] == [f"access.log-{RUN}"]
    finally:
        writer.communicate(b"\n", timeout=10)
    # Nothing of what it wrote meanwhile is lost.
    assert assert_verified(s3, save()[1]) == {f"access.log-{RUN}.gz": "before\nafter\n"}


# ---- beside a real nginx


@pytest.fixture
def nginx(tmp_path, logs):
    """The port of an nginx that logs into the folder."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    temporary = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    # Its workers are to open the logs in a folder that is only ours.
    user = f"user {getpass.getuser()};" if os.getuid() == 0 else ""
    (tmp_path / "nginx.conf").write_text(
        f"{user} daemon off; pid {tmp_path}/nginx.pid; error_log {logs}/error.log; worker_processes 2; events {{}}\n"
        f"http {{ {temporary} log_format path $uri; access_log {logs}/access.log path;\n"
        f"server {{ listen 127.0.0.1:{port}; return 204; }} }}\n"
    )
    server = subprocess.Popen([program, "-p", tmp_path, "-e", logs / "error.log", "-c", tmp_path / "nginx.conf"])
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.05)
    yield port
    server.terminate()
    server.wait(10)


def test_nginx_opens_a_new_log_and_no_line_is_lost_or_doubled(s3, save, logs, nginx):
    for number in range(20):
        urllib.request.urlopen(f"http://127.0.0.1:{nginx}/before/{number}").close()
    code, output, complaints = save()
    assert (code, complaints) == (0, "")
    lines = assert_verified(s3, output)[f"access.log-{RUN}.gz"].splitlines()
    assert sorted(lines) == sorted(f"/before/{number}" for number in range(20))
    for number in range(20):
        urllib.request.urlopen(f"http://127.0.0.1:{nginx}/after/{number}").close()
    lines = (logs / "access.log").read_text().splitlines()
    assert sorted(lines) == sorted(f"/after/{number}" for number in range(20))


def test_nginx_is_told_by_the_next_run_if_one_was_killed_before_it_could(s3, save, logs, nginx, tmp_path):
    urllib.request.urlopen(f"http://127.0.0.1:{nginx}/before").close()
    tools = a_tool(tmp_path, "mv", '/usr/bin/mv "$@"; kill -KILL "$PPID"')
    code, output, _ = save(tools=tools)
    assert code != 0 and output == ""
    # It still writes into the file that was put aside.
    urllib.request.urlopen(f"http://127.0.0.1:{nginx}/between").close()
    code, output, complaints = save()
    assert (code, complaints) == (0, "")
    assert assert_verified(s3, output) == {f"access.log-{RUN}.gz": "/before\n/between\n"}
    urllib.request.urlopen(f"http://127.0.0.1:{nginx}/after").close()
    assert lines_of(logs / "access.log", 1) == ["/after"]


def test_no_line_is_lost_or_doubled_while_viewers_come_and_somebody_reads_along(s3, save, logs, nginx):
    over, asked = threading.Event(), []

    def view():
        while not over.is_set():
            urllib.request.urlopen(f"http://127.0.0.1:{nginx}/{len(asked)}").close()
            asked.append(f"/{len(asked)}")

    viewer = threading.Thread(target=view)
    with (logs / "access.log").open():
        viewer.start()
        try:
            ends = [save() for _ in range(2)]
        finally:
            over.set()
            viewer.join(10)
    assert [(code, complaints) for code, _, complaints in ends] == [(0, "")] * 2
    in_s3 = "".join(assert_verified(s3, ends[-1][1]).values()).splitlines()
    assert 0 < len(in_s3) < len(asked)
    lines = in_s3 + lines_of(logs / "access.log", len(asked) - len(in_s3))
    assert sorted(lines) == sorted(asked)


def lines_of(log, number):
    """nginx writes a line after its answer: this waits for as many."""
    for _ in range(100):
        lines = log.read_text().splitlines()
        if len(lines) >= number:
            break
        time.sleep(0.05)
    return lines

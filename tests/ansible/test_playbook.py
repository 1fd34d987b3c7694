"""Runs the playbook of ansible/ with the system's ansible-playbook, as Systems Manager does, into a folder. Tests the
nginx that the playbook configures. Promise P115."""

import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATH = f"{os.environ['PATH']}:/usr/sbin"
RECAP = re.compile(
    r"^(?P<host>\S+) +: ok=(?P<ok>\d+) +changed=(?P<changed>\d+) +unreachable=(?P<unreachable>\d+) +failed=(?P<failed>\d+)"
    r" +skipped=(?P<skipped>\d+) +rescued=(?P<rescued>\d+) +ignored=(?P<ignored>\d+) *$",
    re.MULTILINE,
)
# The system's ansible-playbook, not one that pip installed.
ANSIBLE = shutil.which("ansible-playbook", path="/usr/bin") or shutil.which("ansible-playbook", path=PATH)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def bucket():
    """A server with published files: its URL, and the requests that it got."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, dict(self.headers)))
            status = {"/live/none.m3u8": 404, "/live/secret.m3u8": 403}.get(self.path, 200)
            body = b"#EXTM3U\n"
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/live", asked
    server.shutdown()


@pytest.fixture
def target(tmp_path, bucket):
    """Variables of the playbook for a folder that replaces a machine."""
    return {
        "web_service": "false",
        "web_prefix": str(tmp_path / "web"),
        "web_port": str(free_port()),
        "web_origin": bucket[0],
        "web_trusted": "127.0.0.0/8",
        "web_workers": "1",
    }


def play(variables, *options, playbook=ROOT / "ansible" / "web.yml"):
    """Runs the playbook. Returns the numbers of its recap, and its output."""
    # The same command as in the document AWS-ApplyAnsiblePlaybooks.
    command = [ANSIBLE, "-i", "localhost,", "-c", "local", "-e", " ".join(f"{k}={v}" for k, v in variables.items()), "-v"]
    environment = {"PATH": PATH, "HOME": str(Path(variables["web_prefix"]).parent), "LC_ALL": "C.UTF-8"}
    ended = subprocess.run(
        [*command, *options, str(playbook)], env=environment, capture_output=True, text=True, timeout=120
    )
    output = ended.stdout + ended.stderr
    recap = RECAP.search(ended.stdout)
    assert recap, output
    assert recap["host"] == "localhost"
    numbers = {name: int(value) for name, value in recap.groupdict().items() if name != "host"}
    assert (ended.returncode == 0) == (numbers["failed"] == 0), output
    # The recap decides, and is at the end. SSM stores only the beginning of a longer output.
    assert len(ended.stdout) < 24_000
    return numbers, output


@pytest.fixture
def started():
    """Starts the nginx of a target, and stops it after the test."""
    running = []

    def start(target):
        prefix = target["web_prefix"]
        running.append(
            subprocess.Popen(
                [shutil.which("nginx", path=PATH), "-e", "stderr", "-p", prefix, "-c", f"{prefix}/etc/web.conf"]
            )
        )
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", int(target["web_port"])), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("nginx does not listen")

    yield start
    for process in running:
        process.terminate()
        process.wait(10)


def get(target, path, **headers):
    """Sends a viewer's request. Returns status and body."""
    request = urllib.request.Request(f"http://127.0.0.1:{target['web_port']}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def log(target, lines):
    """The access log, once it has this many lines: nginx writes a line after the response."""
    path = Path(target["web_prefix"]) / "log" / "access.log"
    for _ in range(100):
        written = [json.loads(line) for line in path.read_text().splitlines()]
        if len(written) >= lines:
            break
        time.sleep(0.05)
    return written


def files(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()} if Path(folder).exists() else {}


def test_a_second_run_changes_nothing(target):
    first, _ = play(target)
    assert first["changed"] >= 3 and first["failed"] == first["unreachable"] == first["ignored"] == 0
    before = files(target["web_prefix"])
    second, _ = play(target)
    assert second["changed"] == second["failed"] == 0
    assert files(target["web_prefix"]) == before


def test_check_mode_reports_changes_and_makes_none(target):
    fresh, _ = play(target, "--check")
    assert fresh["changed"] >= 3 and fresh["failed"] == 0
    assert not Path(target["web_prefix"]).exists()
    play(target)
    assert play(target, "--check")[0]["changed"] == 0
    # A person changed the file.
    path = Path(target["web_prefix"]) / "etc" / "web.conf"
    path.write_text(path.read_text().replace("server_tokens off;", ""))
    drifted, _ = play(target, "--check")
    assert (drifted["changed"] >= 1, drifted["failed"]) == (True, 0)
    assert "server_tokens" not in path.read_text()


def test_the_server_serves_published_files_and_logs_requests(target, started, bucket):
    play(target)
    started(target)
    assert get(target, "/show/index.m3u8?session=1") == (200, b"#EXTM3U\n")
    # A missing file, one that S3 refuses, an impossible name, and the health check of the load balancer.
    assert get(target, "/none.m3u8")[0] == get(target, "/secret.m3u8")[0] == 404
    assert [path for path, _ in bucket[1]][-3:] == ["/live/show/index.m3u8", "/live/none.m3u8", "/live/secret.m3u8"]
    assert get(target, "/a%20b")[0] == get(target, "/")[0] == 404
    assert len([path for path, _ in bucket[1] if path in ("/live/", "/live/a b", "/live/a%20b")]) == 0
    # The load balancer appends the address to the entries that the viewer sent.
    get(target, "/show/1.ts", **{"X-Forwarded-For": "203.0.113.9, 198.51.100.7"})
    lines = log(target, 6)
    assert [set(line) for line in lines] == [{"time", "client", "path", "status", "bytes"}] * 6
    assert [(line["client"], line["path"], line["status"]) for line in lines] == [
        ("127.0.0.1", "/show/index.m3u8", 200),
        ("127.0.0.1", "/none.m3u8", 404),
        ("127.0.0.1", "/secret.m3u8", 404),
        ("127.0.0.1", "/a b", 404),
        ("127.0.0.1", "/", 404),
        ("198.51.100.7", "/show/1.ts", 200),
    ]
    assert lines[0]["bytes"] == len(b"#EXTM3U\n")


def test_a_running_server_gets_a_change_but_not_an_invalid_one(target, started, tmp_path, bucket):
    play(target)
    started(target)
    pid = (Path(target["web_prefix"]) / "run" / "web.pid").read_text()
    other = target | {"web_log_directory": str(tmp_path / "elsewhere")}
    assert play(other)[0]["changed"] >= 2
    for _ in range(100):
        get(target, "/show/index.m3u8")
        if (tmp_path / "elsewhere" / "access.log").read_text():
            break
        time.sleep(0.05)
    assert (tmp_path / "elsewhere" / "access.log").read_text()
    assert (Path(target["web_prefix"]) / "run" / "web.pid").read_text() == pid
    # An invalid configuration changes neither the running server nor its file.
    playbook = a_copy(tmp_path)
    conf = playbook.parent / "origin" / "nginx" / "web.conf"
    conf.write_text(conf.read_text().replace("server_tokens off;", "server_tokens of;"))
    before = files(Path(target["web_prefix"]) / "etc")
    broken, output = play(other, playbook=playbook)
    assert broken["failed"] == 1 and "failed to validate" in output
    assert files(Path(target["web_prefix"]) / "etc") == before
    assert get(target, "/show/index.m3u8") == (200, b"#EXTM3U\n")


def a_copy(tmp_path):
    """A copy of the playbook and its files, laid out as `make deploy-playbook` lays them out in the bucket."""
    folder = tmp_path / "downloaded"
    shutil.copytree(ROOT / "ansible", folder)
    (folder / "origin" / "nginx").mkdir(parents=True)
    for name in ("nginx/web.conf", "nginx/proxy.conf", "logrotate.conf"):
        shutil.copy(ROOT / "origin" / name, folder / "origin" / name)
    return folder / "web.yml"


def test_a_copy_with_its_files_beside_it_does_the_same(target, tmp_path):
    play(target)
    assert play(target, playbook=a_copy(tmp_path))[0]["changed"] == 0


def test_rotation_keeps_the_logs_and_the_server_opens_a_new_one(target, started, tmp_path):
    play(target)
    started(target)
    get(target, "/show/index.m3u8")
    log(target, 1)
    rotation = Path(target["web_prefix"]) / "etc" / "logrotate.conf"
    assert "onair onair" not in rotation.read_text()
    # No log may be deleted before the server terminates and its logs are saved.
    assert re.findall(r"^ +(daily|rotate .*)$", rotation.read_text(), re.MULTILINE) == ["daily", "rotate 365"]
    command = [shutil.which("logrotate", path=PATH), "--force", "--state", tmp_path / "state", rotation]
    if os.getuid() != 0:
        pytest.skip("the logs of a service belong to root")
    subprocess.run(command, check=True, env={"PATH": PATH})
    folder = Path(target["web_prefix"]) / "log"
    assert len((folder / "access.log.1").read_text().splitlines()) == 1
    for _ in range(100):
        get(target, "/show/2.ts")
        if (folder / "access.log").exists() and (folder / "access.log").read_text():
            break
        time.sleep(0.05)
    assert "/show/2.ts" in (folder / "access.log").read_text()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("web_origin", ""),
        ("web_origin", "cdn.example.com/a;b"),
        ("web_origin", "cdn.example.com/$uri"),
        ("web_origin", "ftp://cdn.example.com"),
        ("web_port", "80;"),
        ("web_trusted", "any"),
        ("web_workers", "many"),
        ("web_log_directory", "/var/../etc"),
    ],
)
def test_an_invalid_setting_fails_before_any_change(target, name, value):
    recap, output = play(target | {name: f"'{value}'"})
    assert (recap["failed"], recap["changed"]) == (1, 0)
    assert "is missing or invalid" in output
    assert not Path(target["web_prefix"]).exists()

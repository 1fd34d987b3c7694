"""The stories once more, against moto's S3 and under the role of the template; then without each of its statements.

    python tests/template/second_opinions.py

With the whole role every story must pass. With a statement left out at least one must fail, because S3 refused
something: else nobody would notice if the template granted too much. second_opinion.py does a single run.
"""

import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import stack
import role

HERE = Path(__file__).parent
# The two buckets of the stories: tests/support/lib.rs.
BASE = {"RecordingBuckets": "r2s3-dev-channel-1-recordings,second-channel-recordings", "KeepRenditions": "highest"}
LARGEST = BASE | {"Thumbnails": "delete", "Versions": "purge"}
# What the base role cannot do is told by the stories of the largest.
ANY_S3 = "prune_recording::any_s3"
PURGING = "prune_recording::purging"
# Together these use every statement, and they take seconds.
SHORT = [PURGING, f"{ANY_S3}::every_trigger", f"{ANY_S3}::a_real_time"]
# A run is a server in Python and the function in Rust, one waiting for the other most of the time.
AT_ONCE = max(2, os.cpu_count() or 2)


def stories():
    """The stories as cargo built them, together with the functions' binaries that they start."""
    command = ["cargo", "test", "--workspace", "--no-run", "--message-format", "json"]
    built = subprocess.run(command, cwd=stack.ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    messages = [json.loads(line) for line in built.splitlines() if line.startswith("{")]
    tests = [m for m in messages if m["reason"] == "compiler-artifact" and m["target"]["kind"] == ["test"]]
    return next(m["executable"] for m in tests if m["target"]["name"] == "stories")


class Run:
    """One run of some stories under a role, perhaps without one of its statements."""

    def __init__(self, executable, parameters, filters, without=None):
        given = [f"--param={name}={value}" for name, value in parameters.items()]
        left_out = ["--without", without] if without else []
        began = time.monotonic()
        result = subprocess.run(
            [sys.executable, HERE / "second_opinion.py", *given, *left_out, "--", executable, *filters],
            cwd=stack.ROOT,
            # Backtraces would say nothing here.
            env=os.environ | {"RUST_BACKTRACE": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.seconds = time.monotonic() - began
        self.output = result.stdout
        ended = dict(re.findall(r"^test (\S+) \.\.\. (ok|FAILED)$", self.output, re.MULTILINE))
        self.passed = [name for name, how in ended.items() if how == "ok"]
        self.failed = [name for name, how in ended.items() if how == "FAILED"]
        self.all_passed = result.returncode == 0 and self.passed and not self.failed
        self.was_refused = result.returncode != 0 and self.failed and "AccessDenied" in self.output

    def row(self, what, is_good):
        names = ", ".join(name.split("::")[-1] for name in self.failed) if self.passed else "all"
        stories = f"{len(self.passed):2} passed, {len(self.failed)} failed" + (f": {names}" if self.failed else "")
        return f"  {what:22} {'ok' if is_good else 'WRONG':6} {self.seconds:3.0f} s  {stories}"


def main():
    executable = stories()
    bad = []

    def report(run, what, is_good):
        print(run.row(what, is_good), flush=True)
        if not is_good:
            bad.append(f"==== {what}\n{run.output}")

    sids = role.enforced_sids(role.policies(LARGEST))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        base = pool.submit(Run, executable, BASE, [ANY_S3])
        largest = pool.submit(Run, executable, LARGEST, [ANY_S3, PURGING])
        without = {sid: pool.submit(Run, executable, LARGEST, SHORT, sid) for sid in sids}
        print("\nStories against moto, under the template's role: all must pass")
        report(base.result(), "default parameters", base.result().all_passed)
        report(largest.result(), "thumbnails and purge", largest.result().all_passed)
        print("\nThe same role without one statement: S3 must refuse something, and a story must fail of it")
        for sid, run in without.items():
            report(run.result(), sid, run.result().was_refused)
    print(*bad, sep="\n")
    print(f"\nopinions: {len(sids) + 2 - len(bad)} passed, {len(bad)} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

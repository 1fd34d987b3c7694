"""The stories once more, against moto and under the roles of the template; then without each of their statements.

    python tests/template/second_opinions.py

For publish-live it is not the stories but a small stream (try_publishing.py). Of complete-lifecycle moto is asked what
Systems Manager is; its Auto Scaling and its S3 stay the stand-in's.

With the whole role every story must pass. With a statement left out at least one must fail, because something was
refused: else nobody would notice if the template granted too much. second_opinion.py does a single run.
"""

import functools
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
import second_opinion

HERE = Path(__file__).parent
# The two buckets of the stories: tests/support/lib.rs.
BASE = {"RecordingBuckets": "r2s3-dev-channel-1-recordings,second-channel-recordings", "KeepRenditions": "highest"}
LARGEST = BASE | {"Thumbnails": "delete", "Versions": "purge"}
# What the base role cannot do is told by the stories of the largest.
ANY_S3 = "prune_recording::any_s3"
PURGING = "prune_recording::purging"
# Together these use every statement, and they take seconds.
SHORT = [PURGING, f"{ANY_S3}::every_trigger", f"{ANY_S3}::a_real_time"]

# The pair of tests/support/pair.rs.
PAIR = stack.PAIR | {"SideAEndpoint": "show-a-hls", "SideBEndpoint": "show-b-hls"}
# Function, how it cuts, and the stories of that. Without a statement that two of a function's roles have in common the
# first one's stories are told.
OF_A_PAIR = [
    ("publish-playlist", "delete", "publish_playlist::any_cloud"),
    ("fail-over", "delete", "fail_over::any_cloud::deleting"),
    ("fail-over", "deny", "fail_over::any_cloud::denying"),
    ("fail-over", "none", "fail_over::any_cloud::steering_alone"),
    ("fail-back", "delete", "fail_back::any_cloud::deleted"),
    ("fail-back", "deny", "fail_back::any_cloud::denied"),
    ("fail-back", "none", "fail_back::any_cloud::untouched"),
]
# The stories' buckets are full of logs, and the fleet is that of tests/support/fleet.rs.
COUNT = {"AccessLogBuckets": BASE["RecordingBuckets"]}
COUNTING = "count_viewers::any_s3"
COMMANDING = "complete_lifecycle::any_ssm"
# What SendToInstances allows has a condition, of which moto knows nothing (moto_gaps.py).
OF_SYSTEMS_MANAGER = ["SendPlaybook", "SendLogs", "ListCommands", "ReadResults"]
# A run is a server in Python and the function in Rust, one waiting for the other most of the time.
AT_ONCE = max(2, os.cpu_count() or 2)


def executables():
    """The stories as cargo built them, together with the functions' binaries that they start; and `onair`, which publishes."""
    command = ["cargo", "test", "--workspace", "--no-run", "--message-format", "json"]
    built = subprocess.run(command, cwd=stack.ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    messages = [json.loads(line) for line in built.splitlines() if line.startswith("{")]
    artifacts = [m for m in messages if m["reason"] == "compiler-artifact" and m["executable"]]
    # A program is built a second time, for its own unit tests.
    known = {(m["target"]["kind"][0], m["profile"]["test"], m["target"]["name"]): m["executable"] for m in artifacts}
    return known["test", True, "stories"], known["bin", False, "onair"]


# How second_opinion.py ends a run's output.
END = re.compile(r"^second_opinion: without (\w+) exit code (-?\d+) after ([\d.]+) s\n", re.MULTILINE)


def runs(executable, function, parameters, filters, without=(second_opinion.NOTHING,)):
    """Runs some stories under a role, without one of its statements after the other. Statement -> run."""
    given = [f"--function={function}", *(f"--param={name}={value}" for name, value in parameters.items())]
    given += [f"--without={sid}" for sid in without]
    result = subprocess.run(
        [sys.executable, HERE / "second_opinion.py", *given, "--", executable, *filters],
        cwd=stack.ROOT,
        # Backtraces would say nothing here.
        env=os.environ | {"RUST_BACKTRACE": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # In turns: a run's output, and what its last line says.
    output, *ends = END.split(result.stdout)
    outputs = [output, *ends[3::4]]
    ended = {ends[4 * n]: Run(outputs[n], int(ends[4 * n + 1]), float(ends[4 * n + 2])) for n in range(len(ends) // 4)}
    # What did not run has said why at the end.
    return {sid: ended.get(sid, Run(outputs[-1], 1, 0)) for sid in without}


class Run:
    """One run of some stories."""

    def __init__(self, output, exit_code, seconds):
        self.output, self.seconds = output, seconds
        ended = dict(re.findall(r"^test (\S+) \.\.\. (ok|FAILED)$", output, re.MULTILINE))
        self.passed = [name for name, how in ended.items() if how == "ok"]
        self.failed = [name for name, how in ended.items() if how == "FAILED"]
        self.all_passed = exit_code == 0 and self.passed and not self.failed
        self.was_refused = exit_code != 0 and self.failed and "AccessDenied" in output

    def row(self, what, is_good):
        names = ", ".join(name.split("::")[-1] for name in self.failed) if self.passed else "all"
        stories = f"{len(self.passed):2} passed, {len(self.failed)} failed" + (f": {names}" if self.failed else "")
        return f"  {what:36} {'ok' if is_good else 'WRONG':6} {self.seconds:3.0f} s  {stories}"


def main():
    executable, onair = executables()
    good, bad = [], []

    def report(run, what, is_as_it_must_be):
        is_good = is_as_it_must_be(run)
        print(run.row(what, is_good), flush=True)
        (good if is_good else bad).append(f"==== {what}\n{run.output}")

    whole = second_opinion.NOTHING
    sids = role.enforced_sids(role.policies(LARGEST))
    told, others = set(), []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        prune = functools.partial(pool.submit, runs, executable, "prune-recording")
        base = prune(BASE, [ANY_S3])
        largest = prune(LARGEST, [ANY_S3, PURGING])
        without = {sid: prune(LARGEST, SHORT, [sid]) for sid in sids}
        for function, cut, stories_of_it in OF_A_PAIR:
            parameters = PAIR | {"Cut": cut}
            own = [s for s in role.enforced_sids(role.policies(parameters, function)) if (function, s) not in told]
            told |= {(function, sid) for sid in own}
            # In one run of a server, since its start takes longer than the stories; each story begins by clearing up.
            ran = pool.submit(runs, executable, function, parameters, [stories_of_it], [whole, *own])
            others.append((f"{function}, {cut}", ran))
        counting = [whole, *role.enforced_sids(role.policies(COUNT, "count-viewers"))]
        ran = pool.submit(runs, executable, "count-viewers", COUNT, [COUNTING], counting)
        others.append(("count-viewers", ran))
        commanding = [whole, *OF_SYSTEMS_MANAGER]
        ran = pool.submit(runs, executable, "complete-lifecycle", stack.FLEET, [COMMANDING], commanding)
        others.append(("complete-lifecycle", ran))
        publishing = [whole, *role.enforced_sids(role.policies(stack.LIVE, "publish-live"))]
        stream = [HERE / "try_publishing.py", onair]
        ran = pool.submit(runs, sys.executable, "publish-live", stack.LIVE, stream, publishing)
        others.append(("publish-live", ran))
        print("\nStories against moto, under the template's role: all must pass")
        report(base.result()[whole], "prune-recording", lambda run: run.all_passed)
        report(largest.result()[whole], "prune-recording, all it can", lambda run: run.all_passed)
        for what, ran in others:
            report(ran.result()[whole], what, lambda run: run.all_passed)
        print("\nThe same roles without one statement: something must be refused, and a story must fail of it")
        for sid, ran in without.items():
            report(ran.result()[sid], f"prune-recording {sid}", lambda run: run.was_refused)
        for what, ran in others:
            for sid, run in ran.result().items():
                if sid != whole:
                    report(run, f"{what.split(',')[0]} {sid}", lambda run: run.was_refused)
    print(*bad, sep="\n")
    print(f"\nopinions: {len(good)} passed, {len(bad)} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs the stories against moto under the template's roles, then again without single statements.

    python tests/template/second_opinions.py          the statements that are new or changed (proven.py)
    python tests/template/second_opinions.py --write  the same, and writes into proven.json what is proven (make prove)
    python tests/template/second_opinions.py --all    every statement, and writes (make nightly)

For publish-live it is not the stories but a small stream (try_publishing.py). Of complete-lifecycle moto is asked what
Systems Manager is; its Auto Scaling and its S3 stay the stand-in's.

In every run every story must pass with the whole role. With a statement left out at least one must fail, because
something was refused: otherwise the template grants too much. second_opinion.py does the runs of a single role.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import proven
import role
import second_opinion
import stack

HERE = Path(__file__).parent


def named(file, constant):
    """The texts of a constant of the stories' sources."""
    (value,) = re.findall(rf"^pub const {constant}: [^=]+ = (.+);$", (stack.ROOT / file).read_text(), re.MULTILINE)
    return re.findall(r'"([^"]+)"', value)


# The two buckets of the stories.
BUCKETS = [*named("crates/scenes/src/recording.rs", "BUCKET"), *named("tests/support/lib.rs", "VERSIONED")]
BASE = {"RecordingBuckets": ",".join(BUCKETS), "KeepRenditions": "highest"}
LARGEST = BASE | {"Thumbnails": "delete", "Versions": "purge"}
# The stories of the largest role show what the base role cannot do.
ANY_S3 = "prune_recording::any_s3"
PURGING = "prune_recording::purging"
# Together these use every statement, and they take seconds.
SHORT = [PURGING, f"{ANY_S3}::every_trigger", f"{ANY_S3}::a_real_time"]

PAIR = stack.PAIR | dict(zip(("SideAEndpoint", "SideBEndpoint"), named("crates/scenes/src/pair.rs", "ENDPOINTS"), strict=True))
# Function, the kind of its cut, and the stories of that.
OF_A_PAIR = [
    ("publish-playlist", "delete", "publish_playlist::any_cloud"),
    ("fail-over", "delete", "fail_over::any_cloud::deleting"),
    ("fail-over", "deny", "fail_over::any_cloud::denying"),
    ("fail-over", "none", "fail_over::any_cloud::steering_alone"),
    ("fail-back", "delete", "fail_back::any_cloud::deleted"),
    ("fail-back", "deny", "fail_back::any_cloud::denied"),
    ("fail-back", "none", "fail_back::any_cloud::untouched"),
]
FLEET = stack.FLEET | {"AutoScalingGroup": "".join(named("crates/scenes/src/fleet.rs", "GROUP"))}
# Here the buckets of the stories contain logs.
COUNT = {"AccessLogBuckets": BASE["RecordingBuckets"]}
COUNTING = "count_viewers::any_s3"
COMMANDING = "complete_lifecycle::any_ssm"
# SendToInstances has a condition that moto does not know (moto_gaps.py).
OF_SYSTEMS_MANAGER = ["SendPlaybook", "SendLogs", "ListCommands", "ReadResults"]
# In a run, a server in Python and the function in Rust mostly wait for each other.
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


@dataclass
class Variant:
    """A role as the template makes it with some parameters, and the stories that run with it."""

    name: str
    function: str
    parameters: dict
    command: list
    # The Sids of the statements that are proven here.
    sids: list
    # The arguments of the command when a statement is left out.
    shorter: tuple = ()

    def statements(self):
        return role.statements(role.named_policies(self.parameters, self.function))

    def fingerprints(self):
        """Sid -> fingerprint of what is to be proven."""
        statements = self.statements()
        return {sid: proven.fingerprint(sid, statements) for sid in self.sids}


def enforced(function, parameters):
    return role.enforced_sids(role.named_policies(parameters, function))


def variants(executable, onair):
    """Every role, the slowest first."""
    stories, live = str(executable), [sys.executable, HERE / "try_publishing.py", onair]
    listed = [
        Variant(
            "prune-recording, all it can",
            "prune-recording",
            LARGEST,
            [stories, ANY_S3, PURGING],
            enforced("prune-recording", LARGEST),
            tuple(SHORT),
        ),
        # The largest role also has all its statements.
        Variant("prune-recording", "prune-recording", BASE, [stories, ANY_S3], []),
    ]
    for function, cut, stories_of_it in OF_A_PAIR:
        parameters = PAIR | {"Cut": cut}
        name, sids = f"{function}, {cut}", enforced(function, parameters)
        listed.append(Variant(name, function, parameters, [stories, stories_of_it], sids))
    publishing = enforced("publish-live", stack.LIVE)
    counting = enforced("count-viewers", COUNT)
    listed += [
        Variant("count-viewers", "count-viewers", COUNT, [stories, COUNTING], counting),
        Variant("complete-lifecycle", "complete-lifecycle", FLEET, [stories, COMMANDING], OF_SYSTEMS_MANAGER),
        Variant("publish-live", "publish-live", stack.LIVE, live, publishing),
    ]
    return prove_once(listed)


def prove_once(listed):
    """Roles of one function share statements: the first role proves them, and the others only the differences."""
    known = set()
    for variant in listed:
        texts = {each["Sid"]: json.dumps(proven.canonical(each), sort_keys=True) for each in variant.statements()}
        variant.sids = [sid for sid in variant.sids if (variant.function, texts[sid]) not in known]
        known |= {(variant.function, texts[sid]) for sid in variant.sids}
    return listed


# The last line of a run's output in second_opinion.py.
END = re.compile(r"^second_opinion: without (\w+) exit code (-?\d+) after ([\d.]+) s\n", re.MULTILINE)


def runs(variant, without):
    """Runs a variant's command with the whole role, then without one of these statements after the other, on one server.
    Statement -> run."""
    given = [f"--function={variant.function}"]
    given += [f"--param={name}={value}" for name, value in variant.parameters.items()]
    given += [f"--without={sid}" for sid in without]
    given += [f"--shorter={argument}" for argument in variant.shorter]
    result = subprocess.run(
        [sys.executable, HERE / "second_opinion.py", *given, "--", *variant.command],
        cwd=stack.ROOT,
        # Backtraces would not help here.
        env=os.environ | {"RUST_BACKTRACE": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # Alternately: the output of a run, and the result in its last line.
    output, *ends = END.split(result.stdout)
    outputs = [output, *ends[3::4]]
    ended = {ends[4 * n]: Run(outputs[n], int(ends[4 * n + 1]), float(ends[4 * n + 2])) for n in range(len(ends) // 4)}
    # The reason for a run that did not start is at the end.
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


class Results:
    """The results of all runs so far."""

    def __init__(self):
        self.good, self.bad = [], []
        # (role, Sid)
        self.passed, self.failed = set(), set()

    def report(self, run, what, is_good):
        print(run.row(what, is_good), flush=True)
        (self.good if is_good else self.bad).append(f"==== {what}\n{run.output}")

    def take(self, variant, ran, without):
        """Without a sufficient role nothing is proven: a story would fail anyway."""
        suffices = ran[second_opinion.NOTHING].all_passed
        for sid in without:
            run = ran[sid]
            is_needed = bool(suffices and run.was_refused)
            (self.passed if is_needed else self.failed).add((variant.name, sid))
            self.report(run, f"{variant.name} {sid}", is_needed)


def prove(listed, without):
    """Runs every variant with the whole role, and without the statements that are to be proven."""
    results = Results()
    whole = second_opinion.NOTHING
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ran = {v.name: pool.submit(runs, v, [whole, *without.get(v.name, [])]) for v in listed}
        print("\nStories against moto, under the template's role: all must pass")
        for variant in listed:
            run = ran[variant.name].result()[whole]
            results.report(run, variant.name, bool(run.all_passed))
        if any(without.values()):
            print("\nThe same roles without one statement: something must be refused, and a story must fail of it")
        for variant in listed:
            results.take(variant, ran[variant.name].result(), without.get(variant.name, []))
    return results


def note_of_record(wanted, recorded, results, writes):
    """The lines for the record that follow from this run."""
    now, failed = len(results.passed), len(results.failed)
    others = sum(map(len, wanted.values())) - now - failed
    lines = [f"needed: {now} statements proven in this run, {failed} not proven, {others} as proven.json has them"]
    stale = [f"{role} {sid}" for role, sid in proven.pending(wanted, recorded) if (role, sid) in results.passed]
    gone = [f"{role} {sid}" for role, sid in proven.gone(wanted, recorded)]
    if stale:
        done = "recorded now" if writes else "each run proves these again until `make prove` has recorded them"
        lines.append(f"proven.json: {done}: {'; '.join(stale)}")
    if gone:
        done = "removed" if writes else "`make prove` removes"
        lines.append(f"proven.json: {done} statements that no role has any more: {'; '.join(gone)}")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="prove every statement, and write proven.json")
    parser.add_argument("--write", action="store_true", help="write proven.json")
    args = parser.parse_args()
    writes = args.all or args.write

    listed = variants(*executables())
    wanted = {variant.name: variant.fingerprints() for variant in listed if variant.sids}
    recorded = proven.read()
    without = {}
    for name, sid in proven.pending(wanted, {} if args.all else recorded):
        without.setdefault(name, []).append(sid)
    results = prove(listed, without)

    if writes:
        proven.write(proven.updated(wanted, recorded, results.passed, results.failed))
    print(*results.bad, sep="\n")
    print(*note_of_record(wanted, recorded, results, writes), sep="\n")
    print(f"\nopinions: {len(results.good)} passed, {len(results.bad)} failed")
    return 1 if results.bad else 0


if __name__ == "__main__":
    sys.exit(main())

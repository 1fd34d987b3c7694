"""The pipelines of GitHub and Bitbucket match the schemas of the services and name only existing things. Promise P116."""

import fnmatch
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
BITBUCKET = ROOT / "bitbucket-pipelines.yml"
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def of_github(name):
    return yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())


def jobs_of_github():
    """(workflow, name of the job, job) of the jobs with their own steps, those of a matrix one by one."""
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            if "uses" not in job:
                yield from ((path.name, name, each) for each in expanded(job))


def expanded(job):
    """The jobs that GitHub makes of one with a matrix, which is a list here."""
    text = json.dumps(job)
    for entry in job.get("strategy", {}).get("matrix", {}).get("include", [{}]):
        yield json.loads(re.sub(r"\$\{\{ matrix\.(\w+) \}\}", lambda found: entry[found[1]], text))


def steps_of_github():
    """(workflow, job, step)"""
    return [(path, name, step) for path, name, job in jobs_of_github() for step in job["steps"]]


def of_bitbucket():
    return yaml.safe_load(BITBUCKET.read_text())


def steps_of_bitbucket():
    pipelines = of_bitbucket()["pipelines"]
    return [step for kind in pipelines.values() for entries in kind.values() for step in flat(entries)]


def flat(entries):
    """The steps of a pipeline, parallel steps one by one."""
    for entry in entries:
        yield from [entry["step"]] if "step" in entry else flat(entry["parallel"]["steps"])


def commands():
    """Every command of either service."""
    yield from (step["run"] for _, _, step in steps_of_github() if "run" in step)
    yield from (line for step in steps_of_bitbucket() for line in step["script"])


@pytest.mark.parametrize(
    ("schema", "files"), [("vendor.github-workflows", WORKFLOWS), ("vendor.bitbucket-pipelines", [BITBUCKET])]
)
def test_a_file_is_what_its_service_takes(schema, files):
    # The schemas come with the program, so nothing is fetched.
    checker = Path(sys.executable).parent / "check-jsonschema"
    ended = subprocess.run([checker, "--builtin-schema", schema, *files], capture_output=True, text=True, cwd=ROOT)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_what_is_run_is_there(command):
    words = [word for word in command.split() if not re.fullmatch(r"[A-Z_]+=\S*", word)]
    if words[0] in ("make", ".ci/run"):
        assert set(words[1:]) <= TARGETS
    else:
        assert words == [".ci/deploy"]
    assert words[0] == "make" or os.access(ROOT / words[0], os.X_OK)


def made_by(arguments, tmp_path):
    """The targets that .ci/run makes, recorded by a stand-in for make."""
    (tmp_path / "make").write_text(f'#!/bin/bash\necho "$@" >> {tmp_path}/calls\n')
    (tmp_path / "make").chmod(0o755)
    (tmp_path / "calls").write_text("")
    path = f"{tmp_path}:{os.environ['PATH']}"
    subprocess.run([ROOT / ".ci" / "run", *arguments], env=os.environ | {"PATH": path}, check=True, stdout=subprocess.DEVNULL)
    return (tmp_path / "calls").read_text().split()


def recipes(targets):
    """Every line that make would run for these targets and their prerequisites."""
    # Settings of an outer make would be part of its output.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--dry-run", "--always-make", "--no-print-directory", *targets]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return set(ended.stdout.splitlines())


def of_every_change():
    """Service -> the commands of its jobs for a change."""
    github = [step["run"] for path, _, step in steps_of_github() if path == "ci.yml" and "run" in step]
    bitbucket = of_bitbucket()["pipelines"]
    return {
        "GitHub": github,
        "Bitbucket, a pull request": [line for step in flat(bitbucket["pull-requests"]["**"]) for line in step["script"]],
        "Bitbucket, main": [line for step in flat(bitbucket["branches"]["main"]) for line in step["script"]],
    }


@pytest.mark.parametrize("service", of_every_change())
def test_the_jobs_run_together_all_that_one_run_does(tmp_path, service):
    whole = recipes(made_by([], tmp_path))
    # Every target is part of a job, whatever its name and its parts are.
    assert any("cargo clippy" in line for line in whole) and any("second_opinions.py" in line for line in whole)
    jobs = [command.split()[1:] for command in of_every_change()[service] if command.split()[0] == ".ci/run"]
    assert len(jobs) == 4 and all(jobs)
    targets = [target for job in jobs for target in made_by(job, tmp_path)]
    assert sorted(targets) == sorted(set(targets)), "a target runs in one job"
    assert whole - recipes(targets) == set()
    # Every job has a part of its own.
    for job in jobs:
        assert whole - recipes([target for target in targets if target not in job]) != set()


def test_the_jobs_of_a_night_run_together_all_that_make_nightly_does(tmp_path):
    whole = recipes(["nightly"])
    assert any("second_opinions.py --all" in line for line in whole) and any("-max_total_time=900" in line for line in whole)
    jobs = [step["run"].split() for path, _, step in steps_of_github() if path == "nightly.yml" and "run" in step]
    assert all(command == ".ci/run" and targets for command, *targets in jobs)
    targets = [target for _, *arguments in jobs for target in made_by(arguments, tmp_path)]
    assert whole - recipes(targets) == set()


def builds(arguments):
    """The lines by which make builds the functions, directly or by a test."""
    return [line for line in recipes(arguments) if "sam build" in line or "tests/template" in line and " -m " in line]


@pytest.mark.parametrize(
    ("target", "is_quick"),
    [
        ("build", False),
        ("build QUICK=0", False),
        ("build QUICK=1", True),
        ("test-template", True),
        ("nightly", False),
        # A deployment always uses the release profile.
        ("deploy QUICK=1 ARCHITECTURE=arm64", False),
    ],
)
def test_only_a_build_that_is_not_deployed_takes_the_quick_profile(target, is_quick):
    (line,) = builds(target.split())
    assert ("CARGO_PROFILE_RELEASE_LTO=off" in line) == is_quick


def test_a_change_is_built_quickly_and_a_deployment_once_and_truly():
    of_changes = [command.split() for command in of_every_change()["GitHub"] if "make build" in command]
    assert of_changes == [["make", "build", "ARCHITECTURE=arm64", "QUICK=1"]]
    # As part of a deployment, this job is left out.
    assert of_github("ci.yml")["jobs"]["arm64"]["if"] == f"github.workflow == '{of_github('ci.yml')['name']}'"
    assert of_github("deploy.yml")["name"] != of_github("ci.yml")["name"]
    assert "QUICK" not in (ROOT / ".ci" / "deploy").read_text()


def test_a_cache_is_made_anew_when_a_list_of_what_is_downloaded_changes():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    lists = [path for path in listed if re.fullmatch(r"Cargo\.lock|Makefile|tests/[\w-]+\.txt|.*package-lock\.json", path)]
    assert len(lists) == 6
    caches = [step["with"]["key"] for _, _, step in steps_of_github() if step.get("uses", "").startswith("actions/cache@")]
    for key in caches:
        patterns = re.findall(r"'([^']+)'", re.search(r"hashFiles\((.+?)\)", key)[1])
        missing = [path for path in lists if not any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)]
        assert missing == [], key
    # Every job has its own cache, except the deployment and the audit.
    jobs = [job for path, _, job in jobs_of_github() if path in ("ci.yml", "nightly.yml")]
    assert len(caches) == len(set(caches)) == len(jobs)


def test_the_deployment_calls_targets_that_there_are():
    # Also after `then` or `&&`, in the middle of a line.
    called = set(re.findall(r"\bmake ([a-z-]+)", (ROOT / ".ci" / "deploy").read_text()))
    assert {"build", "deploy-playbook"} <= called <= TARGETS


@pytest.mark.parametrize("script", [".ci/run", ".ci/deploy"])
def test_a_script_is_bash(script):
    subprocess.run(["bash", "-n", ROOT / script], check=True)


def test_one_run_makes_targets_that_there_are(tmp_path):
    assert set(made_by([], tmp_path)) <= TARGETS
    assert made_by(["check"], tmp_path) == ["check"]


@pytest.mark.parametrize(("workflow", "job", "step"), [s for s in steps_of_github() if "uses" in s[2]])
def test_an_action_is_named_by_its_commit_and_keeps_no_credentials(workflow, job, step):
    assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])
    if step["uses"].startswith("actions/checkout@"):
        assert step["with"]["persist-credentials"] is False


def test_git_lists_a_clone_that_belongs_to_another_user(tmp_path):
    # As in a container of GitHub, where it would refuse to run.
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "run").write_text((ROOT / ".ci" / "run").read_text())
    environment = os.environ | {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    for before, listed in [("", ""), ("source <(grep '^export GIT' run); ", "run\n")]:
        command = ["bash", "-c", f"{before}git ls-files --others"]
        ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert (ended.stdout, ended.returncode == 0) == (listed, bool(listed)), ended.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_job_of_github_may_do_more_than_read_but_to_ask_for_a_token_and_none_runs_for_ever(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert job.get("uses") == "./.github/workflows/ci.yml" or job["timeout-minutes"] <= 90
        expected = {"contents": "read", "id-token": "write"} if (path.name, name) == ("deploy.yml", "deploy") else None
        assert job.get("permissions") == expected


def test_github_deploys_only_what_passed_and_what_somebody_approved():
    workflow = of_github("deploy.yml")
    job = workflow["jobs"]["deploy"]
    assert (job["needs"], job["environment"]) == ("test", "production")
    # The same jobs as for every change.
    assert workflow["jobs"]["test"] == {"uses": "./.github/workflows/ci.yml"}
    assert "workflow_call" in of_github("ci.yml")[True]
    # YAML reads `on` as true. Never from a fork's pull request.
    assert set(workflow[True]) == {"push", "workflow_dispatch"} and set(workflow[True]["push"]) == {"tags"}
    # One deployment after the other, and none is interrupted.
    assert workflow["concurrency"]["cancel-in-progress"] is False


def test_bitbucket_deploys_only_what_passed_and_what_somebody_approved():
    tests, last = of_bitbucket()["pipelines"]["branches"]["main"]
    # The same steps as for every change, all before this one.
    assert [tests] == of_bitbucket()["pipelines"]["pull-requests"]["**"]
    deploy = last["step"]
    assert (deploy["deployment"], deploy["trigger"], deploy["oidc"]) == ("production", "manual", True)
    for step in flat([tests]):
        assert "deployment" not in step and "oidc" not in step


def test_nothing_of_an_account_and_no_key_is_in_a_file():
    for path in [*WORKFLOWS, BITBUCKET, ROOT / ".ci" / "deploy"]:
        text = path.read_text()
        assert not re.search(r"\b\d{12}\b|AKIA|ASIA|secrets\.", text), path


# ---- the script itself, with stand-ins for make, sam, aws and curl that record their arguments


@pytest.fixture
def deploy(tmp_path):
    """Runs .ci/deploy in a copy: (exit code, calls, errors)."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "deploy").write_text((ROOT / ".ci" / "deploy").read_text())
    tools = tmp_path / "target" / "venv" / "bin"
    tools.mkdir(parents=True)
    # The bucket of the fleet BEFORE sam and AFTER it, or an error.
    aws = rf"""
        if [ "$1" = sts ]; then printf 'KEY\tSECRET\tTOKEN\n'; exit; fi
        if grep -q '^\[\["sam"' '{tmp_path}/calls'; then said=$AFTER; else said=$BEFORE; fi
        case $said in "An error"*) echo "$said" >&2; exit 254; esac
        echo "$said"; echo "a warning" >&2"""
    answers = {
        "make": "",
        "sam": "",
        "aws": aws,
        "curl": """echo '{"value": "of-github"}'""",
    }
    for name, answer in answers.items():
        path = tools / name
        path.write_text(
            "#!/usr/bin/env python3\nimport json, os, subprocess, sys\n"
            f"call = [{name!r}, *sys.argv[1:]], os.environ.get('AWS_SESSION_TOKEN')\n"
            f"print(json.dumps(call), file=open({str(tmp_path / 'calls')!r}, 'a'))\n"
            f"sys.exit(int(os.environ.get('FAIL_OF_{name.upper()}', 0)) or subprocess.call(['sh', '-c', {answer!r}, *call[0]]))\n"
        )
        path.chmod(0o755)

    def run(**environment):
        environment = {"PATH": f"{tools}:/usr/bin:/bin", "HOME": str(tmp_path), "BEFORE": "", "AFTER": ""} | environment
        ended = subprocess.run(
            ["bash", tmp_path / ".ci" / "deploy"], env=environment, capture_output=True, text=True, timeout=60
        )
        calls = tmp_path / "calls"
        made = [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []
        return ended.returncode, made, ended.stderr

    return run


ASKED = {
    "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/deploy",
    "AWS_REGION": "us-west-2",
    "ONAIR_PARAMETERS": "RecordingBuckets=a,b KeepRenditions='>=720p'",
}
OF_BITBUCKET = {"BITBUCKET_STEP_OIDC_TOKEN": "of-bitbucket", "ARCHITECTURE": "x86_64"}
OF_GITHUB = {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "asks", "ACTIONS_ID_TOKEN_REQUEST_URL": "https://token.example?api=1"}


@pytest.mark.parametrize(("pipeline", "token"), [(OF_BITBUCKET, "of-bitbucket"), (OF_GITHUB, "of-github")])
def test_the_token_of_the_pipeline_becomes_the_role_and_the_role_deploys(deploy, pipeline, token):
    code, calls, complaints = deploy(**ASKED, **pipeline)
    assert code == 0, complaints
    architecture = pipeline.get("ARCHITECTURE", "arm64")
    # The first call of each program.
    by_name = {call[0]: (call, session) for call, session in reversed(calls)}
    assert by_name["make"][0] == ["make", "build", f"ARCHITECTURE={architecture}"]
    aws = by_name["aws"][0]
    assert aws[aws.index("--web-identity-token") + 1] == token and aws[aws.index("--role-arn") + 1] == ASKED["AWS_ROLE_ARN"]
    assert by_name["aws"][1] is None
    sam, session = by_name["sam"]
    assert session == "TOKEN"
    assert {"--no-confirm-changeset", "--no-fail-on-empty-changeset"} <= set(sam)
    # As one argument, because sam splits it itself.
    assert sam[-1] == f"Architecture={architecture} {ASKED['ONAIR_PARAMETERS']}"
    assert [call[0] for call, _ in calls if call[0] != "curl"] == ["make", "aws", "aws", "sam", "aws"]


FLEET = ASKED | {"ONAIR_STACK": "tv"}
PLAYBOOK = [["make", "deploy-playbook", "STACK=tv"], "TOKEN"]
FLEET_BUCKET = "tv-fleetbucket-1a2b3c"
REFUSAL = "An error occurred (%s) when calling the DescribeStacks operation: %s"
NO_STACK = REFUSAL % ("ValidationError", "Stack with id tv does not exist")
# Another error of describe-stacks.
THROTTLED = REFUSAL % ("Throttling", "Rate exceeded")
ANOTHER_STACK = REFUSAL % ("ValidationError", "Stack with id on-air does not exist")


# No stack; a stack without outputs; a stack without a fleet.
@pytest.mark.parametrize("before", [NO_STACK, "None", ""])
def test_the_playbook_of_a_new_fleet_follows_the_stack_that_makes_its_bucket(deploy, before):
    code, calls, _ = deploy(**FLEET, **OF_GITHUB, BEFORE=before, AFTER=FLEET_BUCKET)
    assert code == 0
    assert [call[0] for call, _ in calls] == ["make", "curl", "aws", "aws", "sam", "aws", "make"]
    assert calls[-1] == PLAYBOOK
    assert "tv" in calls[-3][0]


# Also not if this deployment removes the fleet from the stack.
@pytest.mark.parametrize("after", [FLEET_BUCKET, "", "None"])
def test_later_the_playbook_is_there_before_any_instance_of_the_deployment(deploy, after):
    code, calls, _ = deploy(**FLEET, **OF_GITHUB, BEFORE=FLEET_BUCKET, AFTER=after)
    assert code == 0
    assert [call[0] for call, _ in calls] == ["make", "curl", "aws", "aws", "make", "sam", "aws"]
    assert calls[4] == PLAYBOOK
    for looked, _ in (calls[3], calls[-1]):
        assert looked[looked.index("--stack-name") + 1] == "tv" and "FleetBucketName" in looked[-1]


@pytest.mark.parametrize("after", ["", "None"])
def test_a_stack_without_a_fleet_gets_no_playbook(deploy, after):
    code, calls, _ = deploy(**FLEET, **OF_GITHUB, BEFORE=NO_STACK, AFTER=after)
    assert code == 0
    assert [call for call, _ in calls if call[0] == "make"] == [["make", "build", "ARCHITECTURE=arm64"]]


@pytest.mark.parametrize("error", [THROTTLED, ANOTHER_STACK])
def test_a_stack_that_cannot_be_looked_at_is_not_taken_for_one_without_a_fleet(deploy, error):
    code, calls, complaints = deploy(**FLEET, **OF_GITHUB, BEFORE=error, AFTER=FLEET_BUCKET)
    assert code != 0 and error in complaints
    assert [call[0] for call, _ in calls] == ["make", "curl", "aws", "aws"]
    # The token is not in the environment afterwards either.
    code, _, complaints = deploy(**FLEET, **OF_GITHUB, BEFORE=NO_STACK, AFTER=error)
    assert code != 0 and error in complaints


@pytest.mark.parametrize("missing", ASKED)
def test_what_is_missing_is_named_before_anything_is_built(deploy, missing):
    code, calls, complaints = deploy(**{name: value for name, value in ASKED.items() if name != missing}, **OF_GITHUB)
    assert code != 0 and missing in complaints and calls == []


@pytest.mark.parametrize("tool", ["make", "curl", "aws"])
def test_what_fails_ends_it_before_anything_is_deployed(deploy, tool):
    code, calls, complaints = deploy(**ASKED, **OF_GITHUB, **{f"FAIL_OF_{tool.upper()}": "7"})
    assert code != 0
    assert ("check that its trust policy names this pipeline" in complaints) == (tool == "aws")
    assert "sam" not in [call[0] for call, _ in calls]


def test_a_deployment_that_fails_is_a_failure_and_no_playbook_follows(deploy):
    code, calls, _ = deploy(**FLEET, **OF_GITHUB, BEFORE=NO_STACK, AFTER=FLEET_BUCKET, FAIL_OF_SAM="3")
    assert code == 3 and calls[-1][0][0] == "sam"


@pytest.mark.parametrize(("user", "sudo", "asks"), [(0, 1, 0), (1001, 0, 4), (1001, 1, None)])
def test_what_is_missing_is_installed_by_root_and_where_sudo_asks_nothing(tmp_path, user, sudo, asks):
    # The containers of GitHub and Bitbucket have the first path, a machine of GitHub the second.
    log = f'echo "${{0##*/}} $*" >> {tmp_path}/calls'
    tools = {
        "id": f"echo {user}",
        "sudo": f'{log}; [[ $1 == -n ]] && shift && (({sudo} == 0)) && "$@"',
        "apt-get": log,
        # Both are missing.
        "ansible-playbook": "exit 127",
        "logrotate": "exit 127",
        "nginx": "exit 0",
    }
    for name, body in tools.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    # Its own folders, which come first, are not part of this check.
    command = ["make", "--no-print-directory", "-f", ROOT / "Makefile", "ansible"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    calls = (tmp_path / "calls").read_text().splitlines()
    if asks is None:
        assert ended.returncode != 0 and "'ansible-core' is missing" in ended.stderr
        assert calls == ["sudo -n true"]
        return
    assert ended.returncode == 0, ended.stderr
    installed = [call for call in calls if call.startswith("apt-get install")]
    assert [call.split()[-1] for call in installed] == ["ansible-core", "logrotate"]
    # For the lists and for the package, each time.
    assert len([call for call in calls if call.startswith("sudo") and "apt-get" in call]) == asks

"""Every program in the template is the text of a file, and the shell scripts of the repository have no finding."""

import copy
import re
import shutil
import subprocess
import sys
from pathlib import Path

import programs
import pytest
import stack

# Findings of shellcheck that are none here.
EXCLUDED = {
    # sed in the place of ${variable//pattern}: it puts what was found into the replacement.
    "SC2001",
    # ls -t in the place of find: the names are those of ffmpeg's segments, and find does not sort.
    "SC2012",
    # Text in single quotes with a dollar sign: it is nginx's, or for a person to paste.
    "SC2016",
    # Division before multiplication: the width is to be even.
    "SC2017",
}
SHELLCHECK = shutil.which("shellcheck")
# The one of requirements.txt, which has no wheel for Linux on arm64: there Debian's is older.
PINNED = SHELLCHECK is not None and Path(SHELLCHECK).parent == Path(sys.executable).parent
# Beside the repository's files, and so that each is one tool's business: a place in a template, and what makes it a program.
CODE = ("Resources", "Function", "Properties")
PLACED_WRONG = {
    "inline code": {"InlineCode": "exports.handler = () => 1"},
    "a zip file's code": {"Code": {"ZipFile": {"Fn::Sub": "print('${AWS::Region}')"}}},
    "a function of CloudFront": {"FunctionCode": "function handler(event) { return event.request }"},
    "lines of a command": {"inputs": {"runCommand": ["#!/bin/sh", "rm -rf /"]}},
    "data of a user": {"UserData": {"Fn::Base64": {"Fn::Sub": "yum install nginx"}}},
    "a script under any key": {"Anything": "#!/usr/bin/env python3\nprint(1)\n"},
    "lines that are not JSON": {"Text": "set -e\nrm -rf /\n"},
    "commands of a machine": {"Commands": [{"Ref": "AWS::Region"}, "rm -rf /"]},
    "a container's start": {"EntryPoint": ["sh", "-c", "rm -rf /"]},
    "a key in another case": {"script": "rm -rf /"},
    "joined lines": {"Text": {"Fn::Join": ["\n", ["set -e", {"Ref": "AWS::Region"}]]}},
    "joined commands": {"Text": {"Fn::Join": ["; ", ["set -e", {"Ref": "AWS::Region"}]]}},
    "commands joined by and": {"Text": {"Fn::Join": [" && ", ["cd /tmp", "rm -rf *"]]}},
    "commands in the parts": {"Text": {"Fn::Join": [" ", ["cd", {"Ref": "Folder"}, "&& rm -rf *"]]}},
    "a reference joined": {"Text": {"Fn::Join": ["\n", {"Ref": "Lines"}]}},
}


def tracked():
    """Paths that git tracks, or would after `git add`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=stack.ROOT, capture_output=True, text=True, check=True).stdout
    return [stack.ROOT / path for path in listed.split("\0") if path and (stack.ROOT / path).is_file()]


def scripts():
    """Files that say in their first line that a shell runs them."""
    first_lines = {path: path.open("rb").readline() for path in tracked()}
    return [path for path, line in first_lines.items() if line.startswith(b"#!") and line.split(b"/")[-1].rstrip().endswith(b"sh")]


def test_every_program_in_the_template_is_the_text_of_a_file():
    assert programs.breaches(stack.template(), programs.FILES) == []
    assert set(programs.FILES.values()) <= set(tracked())


@pytest.mark.parametrize("properties", PLACED_WRONG.values(), ids=PLACED_WRONG)
def test_a_program_that_has_no_file_is_seen_wherever_it_is(properties):
    template = {"Resources": {"Function": {"Properties": properties}}}
    (breach,) = {re.sub(r"^\S+ ", "", line) for line in programs.breaches(template, {})}
    assert breach in (f"is a program: {programs.WHAT_TO_DO}", f"joins a program: {programs.WHAT_TO_DO}")


def test_what_is_not_a_program_is_not_taken_for_one():
    body = '{\n  "widgets": [{"x": ${Column}, "title": "${AWS::StackName}"}]\n}\n'
    command = "aws s3 cp s3://${Bucket}/state.json - && jq . state.json"
    joined = {"Fn::Join": [",arn:aws:s3:::", ["a", {"Ref": "Buckets"}]]}
    template = {"Body": {"Fn::Sub": body}, "Value": {"Fn::Sub": command}, "Text": "A line\n", "Arns": joined}
    assert programs.breaches(template, {}) == []


@pytest.mark.parametrize("place", programs.FILES, ids=programs.dotted)
def test_a_program_that_differs_in_one_byte_is_seen_and_written_anew(tmp_path, place):
    file = tmp_path / "changed"
    file.write_text(programs.FILES[place].read_text() + "# one more\n\n  # and another\n")
    changed = programs.FILES | {place: file}
    (breach,) = programs.breaches(stack.template(), changed)
    assert "is not the text of changed" in breach
    text = programs.with_program(programs.TEMPLATE.read_text(), place, file.read_text())
    assert programs.breaches(stack.yaml_parse(text), changed) == []
    # And nothing else is touched.
    back = programs.with_program(text, place, programs.FILES[place].read_text())
    assert back == programs.TEMPLATE.read_text()


def test_a_file_whose_program_is_gone_is_seen():
    template = copy.deepcopy(stack.template())
    del template["Resources"]["FleetLogDocument"]
    (breach,) = programs.breaches(template, programs.FILES)
    assert "save-logs.sh" in breach


def test_shellcheck_finds_nothing_in_any_script():
    assert programs.SAVE_LOGS in scripts() and stack.ROOT / ".ci/run" in scripts()
    assert SHELLCHECK, "shellcheck is missing: make log-script"
    command = [SHELLCHECK, f"--exclude={','.join(sorted(EXCLUDED))}", *scripts()]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.stdout + ended.stderr, ended.returncode) == ("", 0)


@pytest.mark.parametrize("code", sorted(EXCLUDED))
@pytest.mark.skipif(not PINNED, reason="another version of shellcheck may find less")
def test_a_finding_that_is_excluded_is_still_there(code):
    command = [SHELLCHECK, f"--include={code}", *scripts()]
    assert code in subprocess.run(command, capture_output=True, text=True).stdout

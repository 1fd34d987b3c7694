"""The template has no finding of any level."""

import json
import os
import subprocess
import sys
from pathlib import Path

import stack

TOOLS = Path(sys.executable).parent


def findings(*command):
    """What a linter of the virtual environment prints if it does not end well."""
    result = subprocess.run(
        [TOOLS / command[0], *command[1:]],
        cwd=stack.ROOT,
        env=os.environ | {"SAM_CLI_TELEMETRY": "0"},
        capture_output=True,
        text=True,
    )
    return result.stdout + result.stderr if result.returncode else ""


def test_sam_validate_finds_nothing():
    assert findings("sam", "validate", "--lint") == ""


def test_cfn_lint_finds_nothing_of_any_level():
    every_level = ["--include-checks", "I", "--non-zero-exit-code", "informational"]
    assert findings("cfn-lint", *every_level, "--", "template.yaml") == ""


def test_cfn_lint_finds_no_error_and_no_warning_in_what_sam_makes_of_the_template(tmp_path):
    # Not the informational level: there it asks for AWS::Partition, which cannot stand in a Join's delimiter.
    translated = tmp_path / "translated.json"
    translated.write_text(json.dumps(stack.translate(stack.DELETE)))
    assert findings("cfn-lint", "--", str(translated)) == ""

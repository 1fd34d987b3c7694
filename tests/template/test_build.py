"""sam build makes what Lambda can run. Compiles in release mode: pytest -m build tests/template"""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import stack

# This machine's own processor: cargo-lambda adds a Rust target to the toolchain, unasked, for any other.
ARCHITECTURE = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
ELF_MACHINE = {"x86_64": 0x3E, "arm64": 0xB7}[ARCHITECTURE]


@pytest.mark.build
def test_sam_build_makes_a_bootstrap_for_the_chosen_processor(tmp_path):
    tools = Path(sys.executable).parent
    result = subprocess.run(
        # The crates are compiled in the workspace's own target folder, so a second run takes seconds.
        [tools / "sam", "build", "--build-dir", tmp_path, "--parameter-overrides", f"Architecture={ARCHITECTURE}"],
        cwd=stack.ROOT,
        # sam looks for cargo-lambda on the path.
        env=os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "SAM_CLI_TELEMETRY": "0"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    resources = stack.template()["Resources"].items()
    functions = [name for name, resource in resources if resource["Type"] == "AWS::Serverless::Function"]
    assert len(functions) == len([path for path in (stack.ROOT / "functions").iterdir() if path.is_dir()])
    for function in functions:
        bootstrap = tmp_path / function / "bootstrap"
        assert os.access(bootstrap, os.X_OK), function
        header = bootstrap.read_bytes()[:20]
        assert header[:4] == b"\x7fELF"
        assert int.from_bytes(header[18:20], "little") == ELF_MACHINE

"""Everything that is fetched to build and test is pinned by its content: images by digest, Python packages by hash."""

import os
import re
import subprocess

import pytest
from test_pipelines import BITBUCKET, ROOT, jobs_of_github, of_bitbucket

CHANNEL = re.search(r'^channel = "(.+)"$', (ROOT / "rust-toolchain.toml").read_text(), re.MULTILINE)[1]
DOCKERFILE = ROOT / "origin" / "Dockerfile"
LOCKS = [ROOT / "tests" / "requirements", ROOT / "bench" / "requirements", ROOT / "tests" / "lock"]
# name==version, with extras and a condition for some machines.
REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[\w, -]+\])?==([\w.]+)")


def images():
    """(file, image)"""
    github = [(path, job["container"]["image"]) for path, _, job in jobs_of_github()]
    built_from = re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(), re.MULTILINE)
    return [*github, (BITBUCKET.name, of_bitbucket()["image"]), *((DOCKERFILE.name, image) for image in built_from)]


@pytest.mark.parametrize(("file", "image"), images())
def test_an_image_is_named_by_its_digest(file, image):
    assert re.fullmatch(r"[\w/-]+:[\w.-]+@sha256:[0-9a-f]{64}", image), file


def test_a_tag_has_one_digest():
    digests = {}
    for _, image in images():
        tag, _, digest = image.partition("@")
        assert digests.setdefault(tag, digest) == digest, tag


def test_both_build_on_debian_with_the_compiler_of_the_repository():
    containers = [job["container"] for _, _, job in jobs_of_github()]
    assert all(container["options"] == "--init" for container in containers)
    for image in [of_bitbucket()["image"], *(container["image"] for container in containers)]:
        assert image.startswith(f"rust:{CHANNEL}-bookworm@")
    assert any(image.startswith(f"rust:{CHANNEL}-slim-bookworm@") for _, image in images())


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def required(text):
    """Name -> version of each package in a list."""
    lines = [line for line in text.splitlines() if line and not line.startswith(("#", " "))]
    found = {line: REQUIREMENT.match(line) for line in lines}
    assert all(found.values()), [line for line, match in found.items() if match is None]
    # Some packages are listed twice, for older and newer interpreters.
    return {(normal(match[1]), match[2]) for match in found.values()}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_list_of_packages_is_resolved_with_hashes(path):
    resolved = path.with_suffix(".txt").read_text()
    asked = required(path.with_suffix(".in").read_text())
    assert asked and asked <= required(resolved), f"{path.name}.txt is older than {path.name}.in: make lock"
    for entry in re.split(r"\n(?=\S)", resolved):
        if not entry.startswith("#"):
            assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry
    assert not re.search(r"index-url|find-links|https?:", resolved)


def test_packages_are_installed_by_these_hashes_and_none_is_built():
    for folder, list_of_packages in [
        ("venv", "tests/requirements.txt"),
        ("venv-bench", "bench/requirements.txt"),
        ("venv-lock", "tests/lock.txt"),
    ]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        command = ["make", "--dry-run", "--always-make", f"target/{folder}/ready"]
        ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        (install,) = [line for line in ended.stdout.splitlines() if "/pip install" in line]
        assert {"--require-hashes", "--no-deps", "--only-binary", list_of_packages} <= set(install.split())

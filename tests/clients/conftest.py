"""Starts the stand-in's services as a program. The clients of boto3 compare responses with boto3's model of
the services."""

import json
import subprocess
import xml.etree.ElementTree
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

ROOT = Path(__file__).parents[2]
# Without this, every session would read the models again.
SESSION = boto3.Session()


def example():
    """The program: crates/stand-in/examples/live.rs."""
    command = ["cargo", "build", "--package", "stand-in", "--example", "live", "--message-format", "json"]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    messages = [json.loads(line) for line in built.splitlines() if line.startswith("{")]
    return next(m["executable"] for m in messages if m.get("target", {}).get("name") == "live" and m["executable"])


class StandIn:
    """The running program: addresses, clients, and commands without an operation of a service."""

    def __init__(self, executable, *arguments):
        self.process = subprocess.Popen(
            [executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.addresses = json.loads(self.process.stdout.readline())

    def do(self, *command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, (command, answer)
        return answer

    def client(self, service, **options):
        client = SESSION.client(
            service,
            endpoint_url=self.addresses[service],
            region_name=self.addresses["region"],
            aws_access_key_id=self.addresses["access_key_id"],
            aws_secret_access_key=self.addresses["secret_access_key"],
            config=Config(**({"retries": {"total_max_attempts": 1}} | options)),
        )
        if service != "s3":
            client.meta.events.register("before-parse", compare_with_model)
        return client

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=10) == 0


def compare_with_model(operation_model, response_dict, **_):
    """The parser of boto3 would ignore members that the model does not have."""
    if response_dict["status_code"] >= 300 or not response_dict["body"]:
        return
    if response_dict["body"].startswith(b"<"):
        result = xml.etree.ElementTree.fromstring(response_dict["body"])[0]
        check_xml(operation_model.output_shape, result, operation_model.name)
    else:
        check(operation_model.output_shape, json.loads(response_dict["body"]), operation_model.name)


def check(shape, value, where):
    # A timestamp is text in REST-JSON and seconds in JSON 1.1.
    types = {"string": str, "integer": int, "boolean": bool, "timestamp": (str, float), "list": list}
    assert isinstance(value, types.get(shape.type_name, dict)), where
    match shape.type_name:
        case "structure":
            members = {m.serialization.get("name", name): m for name, m in shape.members.items()}
            for name, member in value.items():
                assert name in members, f"{where}.{name} is not in the model"
                check(members[name], member, f"{where}.{name}")
        case "list":
            for item in value:
                check(shape.member, item, f"{where}[]")
        case "string":
            assert not shape.enum or value in shape.enum, where


def check_xml(shape, element, where):
    """The same for the query protocol, in which the model decides the type of a text."""
    children = [(child.tag.rpartition("}")[2], child) for child in element]
    match shape.type_name:
        case "structure":
            for name, child in children:
                assert name in shape.members, f"{where}.{name} is not in the model"
                check_xml(shape.members[name], child, f"{where}.{name}")
        case "list":
            for name, child in children:
                assert name == "member", where
                check_xml(shape.member, child, f"{where}[]")
        case _:
            assert not children, where
            assert not getattr(shape, "enum", None) or element.text in shape.enum, where


@pytest.fixture(scope="session")
def executable():
    return example()


@pytest.fixture
def stand_in(executable):
    stand_in = StandIn(executable)
    yield stand_in
    stand_in.end()

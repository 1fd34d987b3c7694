"""The programs inside the template. Each is the text of its own file, which tools for its language can read.

    python tests/template/programs.py          writes the files' text into template.yaml (make script)

CloudFormation gets the template as it is, without a step that puts files into it, so the text is there twice.
test_programs.py compares the two.

A program is recognised by the key it is below, by how it begins, by its several lines, or by Fn::Join that puts lines or
shell commands together. The limit: a program of one line, under a key that is not in KEYS_OF_PROGRAMS, is not recognised.
"""

import json
import re
import sys

import stack
import yaml

TEMPLATE = stack.ROOT / "template.yaml"
INSTANCE = stack.ROOT / "functions/complete-lifecycle/instance"
SAVE_LOGS = INSTANCE / "save-logs.sh"
# Place in the template -> the file with its text.
FILES = {
    ("Resources", "FleetLogDocument", "Properties", "Content", "mainSteps", 0, "inputs", "runCommand", 0): SAVE_LOGS,
    ("Resources", "WebLaunchTemplate", "Properties", "LaunchTemplateData", "UserData", "Fn::Base64"): INSTANCE
    / "cloud-config.yaml",
}
# Below these keys, in any case, AWS takes text as a program: Lambda, CloudFront Functions, EC2, Systems Manager, CodeBuild,
# cfn-init, containers.
KEYS_OF_PROGRAMS = {
    "inlinecode",
    "zipfile",
    "functioncode",
    "userdata",
    "runcommand",
    "script",
    "buildspec",
    "command",
    "commands",
    "entrypoint",
}
# Between two shell commands, or two lines.
BETWEEN_COMMANDS = re.compile(r"\n|;|&&|\|\|| \| ")
WHAT_TO_DO = "move it to functions/STEM/instance and name it in FILES"


def strings(value, place=()):
    """(place, text) of every text in a part of a template."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict | list):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, entry in entries:
            yield from strings(entry, (*place, key))


def is_json(text):
    """Whether this is JSON once Fn::Sub has put its values in: each a number or a part of a text, or all empty."""
    for value in ("0", ""):
        try:
            json.loads(re.sub(r"\$\{[^}]*\}", value, text))
            return True
        except ValueError:
            pass
    return False


def is_program(place, text):
    """Whether this text is a program: by where it is, by how it begins, or because nothing else has several lines."""
    keys = {str(key).lower() for key in place}
    if not KEYS_OF_PROGRAMS.isdisjoint(keys) or text.startswith(("#!", "#cloud-config")):
        return True
    return "\n" in text.strip() and not is_json(text)


def joined_programs(value, place=()):
    """Places where Fn::Join puts lines or shell commands together, as programs once were."""
    if not isinstance(value, dict | list):
        return []
    entries = list(value.items() if isinstance(value, dict) else enumerate(value))
    found = [(*place, key) for key, entry in entries if key == "Fn::Join" and BETWEEN_COMMANDS.search(joined(*entry))]
    return found + [inner for key, entry in entries for inner in joined_programs(entry, (*place, key))]


def joined(separator, parts):
    """What Fn::Join makes of its parts. A list that a reference gives has at least two parts, of which nothing is known."""
    parts = parts if isinstance(parts, list) else ["", ""]
    return separator.join(part if isinstance(part, str) else "" for part in parts)


def programs(template):
    """Place -> text of each program in a template. A reference or a name below a key of programs is also text."""
    return {place: text for place, text in strings(template) if is_program(place, text)}


def breaches(template, files):
    """The errors of the programs of a template. `files` maps places to files."""
    found = programs(template)
    wrong = [f"{dotted(place)} is a program: {WHAT_TO_DO}" for place in found.keys() - files.keys()]
    wrong += [f"{dotted(place)} joins a program: {WHAT_TO_DO}" for place in joined_programs(template)]
    for place, file in files.items():
        if place not in found:
            wrong.append(f"{dotted(place)} is not a program: remove {file.name} from FILES")
        elif found[place] != file.read_text(encoding="utf-8"):
            wrong.append(f"{dotted(place)} is not the text of {file.name}: run `make script`")
    return wrong


def dotted(place):
    return ".".join(map(str, place))


def node_at(node, place):
    """The node of a composed YAML document at a place. `Fn::Base64` may be written as a key or as a tag."""
    for key in place:
        if isinstance(key, int):
            node = node.value[key]
        elif isinstance(node, yaml.MappingNode):
            (node,) = [value for name, value in node.value if name.value == key]
    return node


def with_program(text, place, program):
    """The template's text with another program at a place, which has a block of its own (|)."""
    node = node_at(yaml.compose(text), place)
    assert node.style == "|", f"{dotted(place)} is not a literal block"
    lines = text.splitlines(keepends=True)
    first, end = node.start_mark.line + 1, node.end_mark.line
    # The blank lines after a block belong to the next key.
    while not lines[end - 1].strip():
        end -= 1
    indent = re.match(" *", lines[first])[0]
    block = [indent + line if line.strip() else line for line in program.splitlines(keepends=True)]
    return "".join(lines[:first] + block + lines[end:])


def main():
    text = TEMPLATE.read_text(encoding="utf-8")
    for place, file in FILES.items():
        text = with_program(text, place, file.read_text(encoding="utf-8"))
    TEMPLATE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

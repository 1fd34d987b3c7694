"""The statements of the roles that have been proven to be needed: proven.json.

Proving that a statement is needed takes a run of the stories without it. A run of second_opinions.py does so only for
statements whose fingerprint differs from the one in proven.json. The fingerprint of a statement is a hash of

- the statement, as IAM has it after a deployment, with every intrinsic function resolved;
- all other statements of the same role that name one of its actions.

The second part is needed because a statement is superfluous if another one grants the same. If that other statement
appears, changes or disappears, the fingerprint changes and the statement is proven again. A statement that shares no action
cannot make it superfluous, since IAM decides each action by itself.

The fingerprint does not see that a program no longer makes a call, or that the policy of a bucket grants the same. A
statement that is superfluous for such a reason is found by the nightly run, which proves every statement.
"""

import fnmatch
import hashlib
import json
import re
from pathlib import Path

FILE = Path(__file__).with_name("proven.json")


def as_list(value):
    """IAM accepts a single text for a list of one."""
    return [value] if isinstance(value, str) else value


def canonical(statement):
    """A statement in a normal form. The order of actions or resources has no meaning for IAM."""
    lists = ("Action", "NotAction", "Resource", "NotResource")
    return {key: sorted(as_list(value)) if key in lists else value for key, value in statement.items()}


def shares_an_action(one, other):
    """Whether both statements may name a common action. NotAction names nearly all."""
    if "NotAction" in one or "NotAction" in other:
        return True
    return any(may_overlap(a.lower(), b.lower()) for a in as_list(one["Action"]) for b in as_list(other["Action"]))


def may_overlap(one, other):
    """Whether two patterns of actions may match the same one. In doubt they may: then a statement is proven once too often."""
    if fnmatch.fnmatchcase(one, other) or fnmatch.fnmatchcase(other, one):
        return True
    beginnings = [re.split(r"[*?]", pattern)[0] for pattern in (one, other)]
    both_have_wildcards = beginnings[0] != one and beginnings[1] != other
    return both_have_wildcards and (beginnings[0].startswith(beginnings[1]) or beginnings[1].startswith(beginnings[0]))


def fingerprint(sid, statements):
    """Of the statement with this Sid among all statements of its role."""
    (statement,) = [each for each in statements if each["Sid"] == sid]
    neighbours = [each for each in statements if each is not statement and shares_an_action(statement, each)]
    texts = sorted(json.dumps(canonical(each), sort_keys=True) for each in neighbours)
    text = json.dumps([canonical(statement), texts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def pending(wanted, recorded):
    """(role, Sid) of what is to be proven: what the record has not, or with another fingerprint. Both are fingerprints by
    role and Sid."""
    return [
        (role, sid)
        for role, fingerprints in wanted.items()
        for sid, value in fingerprints.items()
        if recorded.get(role, {}).get(sid) != value
    ]


def gone(wanted, recorded):
    """(role, Sid) of entries in the record that are in no role."""
    return [(role, sid) for role, sids in recorded.items() for sid in sids if sid not in wanted.get(role, {})]


def updated(wanted, recorded, passed, failed):
    """The record after a run: with the passed ones, without the failed ones, and without those that are in no role."""
    waiting = pending(wanted, recorded)
    kept = {
        role: {
            sid: value
            for sid, value in fingerprints.items()
            if (role, sid) in passed or ((role, sid) not in failed and (role, sid) not in waiting)
        }
        for role, fingerprints in wanted.items()
    }
    return {role: fingerprints for role, fingerprints in kept.items() if fingerprints}


def read():
    return json.loads(FILE.read_text(encoding="utf-8"))


def write(record):
    FILE.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")

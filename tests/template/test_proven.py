"""When a statement is proven again, and what is recorded. With made-up roles, and without a run of a story."""

import proven
import pytest
import role
import second_opinion
import second_opinions
import stack

READ = {"Sid": "Read", "Effect": "Allow", "Action": "s3:GetObject", "Resource": ["arn:aws:s3:::a/*", "arn:aws:s3:::b/*"]}
LIST = {"Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::a"}
ROLE = [READ, LIST]


def wanted(statements):
    return {"program": {each["Sid"]: proven.fingerprint(each["Sid"], statements) for each in statements}}


RECORDED = wanted(ROLE)


def another(**different):
    return {"Sid": "Another", "Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::a/*"} | different


def pending(statements):
    return [sid for _, sid in proven.pending(wanted(statements), RECORDED)]


def test_what_is_recorded_is_not_proven_again():
    assert pending(ROLE) == []
    assert proven.pending(RECORDED, {}) == [("program", "Read"), ("program", "List")]


def test_what_iam_reads_alike_is_not_proven_again():
    # Another order, and a list of one.
    alike = {"Sid": "Read", "Action": ["s3:GetObject"], "Resource": READ["Resource"][::-1], "Effect": "Allow"}
    assert pending([LIST, alike]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"Action": "s3:GetObjectVersion"},
        {"Action": ["s3:GetObject", "s3:PutObject"]},
        {"Resource": "arn:aws:s3:::a/*"},
        {"Effect": "Deny"},
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
    ],
)
def test_a_statement_that_changed_is_proven_again_and_no_other(change):
    assert pending([READ | change, LIST]) == ["Read"]


def test_a_new_statement_is_proven():
    assert pending([*ROLE, another()]) == ["Another"]


@pytest.mark.parametrize(
    "grants_the_same",
    [
        {"Action": "s3:GetObject"},
        {"Action": ["s3:PutObject", "s3:GetObject"], "Resource": "*"},
        {"Action": "s3:getobject"},
        {"Action": "s3:Get*"},
        {"Action": "s3:Get?bject"},
        {"Action": "s3:*Object"},
        {"Action": "*"},
        {"Effect": "Deny", "Action": "s3:GetObject"},
    ],
)
def test_a_statement_is_proven_again_if_another_one_comes_or_goes_that_names_its_action(grants_the_same):
    beside = another(**grants_the_same)
    assert "Read" in pending([*ROLE, beside])
    recorded_with_it = wanted([*ROLE, beside])
    assert ("program", "Read") in proven.pending(wanted(ROLE), recorded_with_it)


def test_patterns_that_may_name_the_same_action_count_as_if_they_did():
    assert proven.shares_an_action(another(Action="s3:Get*"), another(Action="s3:*Object"))
    assert not proven.shares_an_action(another(Action="s3:Get*"), another(Action="s3:Put*"))
    without_action = {"Sid": "Not", "Effect": "Allow", "NotAction": "s3:GetObject", "Resource": "*"}
    assert proven.shares_an_action(READ, without_action) and proven.shares_an_action(without_action, READ)


def test_a_statement_that_shares_no_action_changes_nothing():
    assert "Read" not in pending([*ROLE, another(Action="s3:GetObjectVersion")])
    assert "Read" not in pending([*ROLE, another(Action="ssm:*")])


def test_only_what_passed_is_recorded():
    now = wanted([READ | {"Resource": "*"}, LIST, another()])
    passed, failed = {("program", "Read")}, {("program", "Another")}
    assert proven.updated(now, RECORDED, passed, failed) == {
        "program": {"Read": now["program"]["Read"], "List": RECORDED["program"]["List"]}
    }
    # What was recorded once and fails now is proven by nothing.
    assert proven.updated(RECORDED, RECORDED, set(), {("program", "Read"), ("program", "List")}) == {}
    # Nor is what changed and was not tried.
    assert "Read" not in proven.updated(now, RECORDED, set(), set())["program"]


def test_a_statement_and_a_role_that_are_gone_are_reported_and_removed():
    recorded = RECORDED | {"former": {"Read": "0"}}
    now = wanted([LIST])
    assert proven.gone(now, recorded) == [("program", "Read"), ("former", "Read")]
    assert proven.updated(now, recorded, set(), set()) == now
    assert proven.gone(RECORDED, RECORDED) == []


# ---- what second_opinions.py makes of it


def a_run(ended, output):
    return second_opinions.Run(output, ended, 1)


PASSED = a_run(0, "test a::story ... ok\n")
REFUSED = a_run(101, "test a::story ... FAILED\nAccessDenied\n")
FAILED = a_run(101, "test a::story ... FAILED\nanother value\n")
WHOLE = second_opinion.NOTHING


def results(whole, without):
    variant = second_opinions.Variant("program", "program", {}, [], ["Read"])
    taken = second_opinions.Results()
    taken.take(variant, {WHOLE: whole, "Read": without}, ["Read"])
    assert len(taken.good) + len(taken.bad) == 1
    assert (taken.passed, taken.failed) in (({("program", "Read")}, set()), (set(), {("program", "Read")}))
    return bool(taken.passed)


def test_a_statement_is_needed_if_a_story_fails_without_it_because_something_is_refused():
    assert results(PASSED, REFUSED)
    assert not results(PASSED, PASSED)
    assert not results(PASSED, FAILED)
    # Also refused with the whole role: this proves nothing.
    assert not results(REFUSED, REFUSED)


def test_a_run_says_what_it_proved_and_what_the_record_lacks():
    now = wanted([READ | {"Resource": "*"}, LIST])
    taken = second_opinions.Results()
    taken.passed = {("program", "Read")}
    counted, stale = second_opinions.note_of_record(now, RECORDED, taken, writes=False)
    assert counted == "needed: 1 statements proven in this run, 0 not proven, 1 as proven.json has them"
    assert "make prove" in stale and stale.endswith(": program Read")
    written = second_opinions.note_of_record(now, RECORDED, taken, writes=True)
    assert written == [counted, "proven.json: recorded now: program Read"]
    gone = second_opinions.note_of_record(wanted([LIST]), RECORDED, second_opinions.Results(), writes=False)[1]
    assert "make prove" in gone and gone.endswith(": program Read")


def test_a_statement_that_two_roles_of_a_function_have_in_common_is_proven_by_the_first(monkeypatch):
    texts = {"first": ROLE, "second": [READ, LIST | {"Resource": "*"}], "third": ROLE}
    monkeypatch.setattr(second_opinions.Variant, "statements", lambda variant: texts[variant.name])
    functions = {"first": "one", "second": "one", "third": "another"}
    listed = [second_opinions.Variant(name, function, {}, [], ["Read", "List"]) for name, function in functions.items()]
    sids = {variant.name: variant.sids for variant in second_opinions.prove_once(listed)}
    assert sids == {"first": ["Read", "List"], "second": ["List"], "third": ["Read", "List"]}


# ---- with the template's roles


def test_two_deployments_have_the_same_fingerprints():
    # With a document, whose name is all made up, and buckets with a part that is.
    role.deployed.cache_clear()
    first = [role.named_policies(parameters, function) for parameters, function in NAMED]
    names = [role.policies(parameters, function) for parameters, function in NAMED]
    role.deployed.cache_clear()
    assert [role.named_policies(parameters, function) for parameters, function in NAMED] == first
    assert [role.policies(parameters, function) for parameters, function in NAMED] != names


NAMED = [(stack.PAIR, "fail-over"), (stack.FLEET, "complete-lifecycle")]


def test_every_role_that_is_tried_is_recorded_by_its_name_and_every_statement_of_it_that_moto_decides_by():
    listed = second_opinions.variants("stories", "onair")
    tried = {(variant.function, sid) for variant in listed for sid in variant.sids}
    for variant in listed:
        enforced = {(variant.function, sid) for sid in second_opinions.enforced(variant.function, variant.parameters)}
        if variant.function != "complete-lifecycle":
            assert enforced <= tried, variant.name
    assert set(proven.read()) <= {variant.name for variant in listed}

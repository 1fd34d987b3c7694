"""The permissions of the roles after a deployment, as IAM evaluates them."""

import functools
import json

import moto
import stack
from moto.core import DEFAULT_ACCOUNT_ID

# Function or program -> its role in the template.
ROLES = {
    "prune-recording": "PruneRecordingRole",
    "publish-playlist": "PublishPlaylistRole",
    "fail-over": "FailOverRole",
    "fail-back": "FailBackRole",
    "publish-live": "LiveTranscoderRole",
    "complete-lifecycle": "CompleteLifecycleRole",
    "count-viewers": "CountViewersRole",
    "web server": "WebServerRole",
}
# The actions that moto checks against the role. It requires no permission to pass a role, and only Lambda itself uses the
# permissions for logs and queues.
ENFORCED = ("s3:", "mediapackage:", "medialive:")


def policies(template_params, function="prune-recording"):
    """The policy documents of a function's role when the template is deployed with these parameters.

    They are read back from the IAM of a stack created from the translated template, so every intrinsic function and
    condition is resolved.
    """
    return deployed(tuple(sorted(template_params.items())))[0][function]


def named_policies(template_params, function):
    """The same, with logical ids instead of generated names, which differ in every deployment."""
    documents, ids = deployed(tuple(sorted(template_params.items())))
    return json.loads(with_logical_ids(json.dumps(documents[function]), ids))


def with_logical_ids(text, ids):
    """A text in which each physical id of a stack is ${LogicalId}."""
    # The physical id of a queue is its URL, while an ARN has its name.
    names = {logical_id: physical_id.rstrip("/").rpartition("/")[2] for logical_id, physical_id in ids.items()}
    # The longest first, because one may be the beginning of another.
    for logical_id, name in sorted(names.items(), key=lambda pair: len(pair[1]), reverse=True):
        text = text.replace(name, f"${{{logical_id}}}")
    return text


@functools.cache
def deployed(template_params):
    """The policy documents of each function, and the stack's logical ids with their physical ones."""
    with moto.mock_aws():
        client = stack.clients()
        stack.create(dict(template_params), client)
        ids = {logical_id: physical_id for logical_id, physical_id in stack.physical_ids(client).items() if physical_id}
        documents = {
            function: list(of_role(client, ids[role]).values()) for function, role in ROLES.items() if ids.get(role)
        }
        return documents, ids


def of_role(client, role_name):
    """Name -> document of the policies of a role that exists where the clients point to. The name of a managed policy is
    its ARN."""
    iam = client("iam")
    names = iam.list_role_policies(RoleName=role_name)["PolicyNames"]
    documents = {name: iam.get_role_policy(RoleName=role_name, PolicyName=name)["PolicyDocument"] for name in names}
    for policy in iam.list_attached_role_policies(RoleName=role_name)["AttachedPolicies"]:
        arn = policy["PolicyArn"]
        of_the_stack = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:policy/{stack.NAME}-"
        assert arn.startswith(of_the_stack), f"a managed policy may grant more than the template shows: {arn}"
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        documents[arn] = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    return {name: json.loads(d) if isinstance(d, str) else d for name, d in documents.items()}


def put(client, role_name, documents):
    """Replaces the role's documents of the same names."""
    iam = client("iam")
    for name, document in documents.items():
        text = json.dumps(document)
        if not name.startswith("arn:"):
            iam.put_role_policy(RoleName=role_name, PolicyName=name, PolicyDocument=text)
            continue
        before = iam.get_policy(PolicyArn=name)["Policy"]["DefaultVersionId"]
        iam.create_policy_version(PolicyArn=name, PolicyDocument=text, SetAsDefault=True)
        # IAM keeps at most five versions.
        iam.delete_policy_version(PolicyArn=name, VersionId=before)


def statements(documents):
    """All statements of the policy documents, in order."""
    return [statement for document in documents for statement in document["Statement"]]


def actions(statement):
    """The actions of a statement, always as a list."""
    listed = statement["Action"]
    return [listed] if isinstance(listed, str) else listed


def enforced_sids(documents):
    """The Sids of the statements that moto can evaluate."""
    return [s["Sid"] for s in statements(documents) if all(action.startswith(ENFORCED) for action in actions(s))]

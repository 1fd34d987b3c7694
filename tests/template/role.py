"""The permissions of the functions' roles, as IAM sees them after a deployment."""

import functools
import json

import moto
import stack

# Function -> its role in the template.
ROLES = {
    "prune-recording": "PruneRecordingRole",
    "publish-playlist": "PublishPlaylistRole",
    "fail-over": "FailOverRole",
    "fail-back": "FailBackRole",
}
# What moto decides by the role. It asks for no permission to pass a role on, and of logs and queues only Lambda itself
# could tell.
ENFORCED = ("s3:", "mediapackage:", "medialive:")


def policies(template_params, function="prune-recording"):
    """The policy documents of a function's role when the template is deployed with these parameters.

    They are read back from the IAM of a stack created from the translated template, so every intrinsic function and
    condition is resolved.
    """
    return deployed(tuple(sorted(template_params.items())))[function]


@functools.cache
def deployed(template_params):
    with moto.mock_aws():
        client = stack.clients()
        stack.create(dict(template_params), client)
        ids = stack.physical_ids(client)
        return {
            function: list(of_role(client, ids[role]).values()) for function, role in ROLES.items() if ids.get(role)
        }


def of_role(client, role_name):
    """Name -> document of the policies of a role that exists where the clients point to."""
    iam = client("iam")
    attached = iam.list_attached_role_policies(RoleName=role_name)["AttachedPolicies"]
    assert not attached, f"a managed policy may grant more than the template shows: {attached}"
    names = iam.list_role_policies(RoleName=role_name)["PolicyNames"]
    documents = {name: iam.get_role_policy(RoleName=role_name, PolicyName=name)["PolicyDocument"] for name in names}
    return {name: json.loads(d) if isinstance(d, str) else d for name, d in documents.items()}


def statements(documents):
    """All statements of the policy documents, in order."""
    return [statement for document in documents for statement in document["Statement"]]


def actions(statement):
    """The actions of a statement, always as a list."""
    listed = statement["Action"]
    return [listed] if isinstance(listed, str) else listed


def enforced_sids(documents):
    """The Sids of the statements that moto decides by."""
    return [s["Sid"] for s in statements(documents) if all(action.startswith(ENFORCED) for action in actions(s))]

"""The permissions of the function's role, as IAM sees them after a deployment."""

import json

import moto
import stack

ROLE = "PruneRecordingRole"


def policies(template_params):
    """The policy documents of the function's role when the template is deployed with these parameters.

    They are read back from the IAM of a stack created from the translated template, so every intrinsic function and
    condition is resolved.
    """
    with moto.mock_aws():
        client = stack.clients()
        stack.create(template_params, client)
        return list(of_role(client, stack.physical_ids(client)[ROLE]).values())


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


def s3_sids(documents):
    """The Sids of the statements that S3 decides by. The others are for what Lambda does on the function's behalf."""
    return [s["Sid"] for s in statements(documents) if all(action.startswith("s3:") for action in actions(s))]

"""Rules about AWS's rights: what policies allow, and whom roles trust."""

from __future__ import annotations

from collections.abc import Iterator

from policies.accel_policies.aws import POLICIES, ROLE
from policies.accel_policies.documents import listed, statements
from policies.accel_policies.rule import Found, Resource, Rules, Severity
from policies.accel_policies.settings import Settings
from policies.accel_policies.values import View

rules = Rules("aws")
CRITICAL, HIGH = Severity.CRITICAL, Severity.HIGH

ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
# Each of these lets its holder become somebody with more rights.
_CLIMBS = (
    "iam:PassRole",
    "iam:CreatePolicyVersion",
    "iam:AttachRolePolicy",
    "iam:AttachUserPolicy",
    "iam:PutRolePolicy",
    "iam:PutUserPolicy",
    "iam:UpdateAssumeRolePolicy",
    "iam:CreateAccessKey",
)
_ADMIN = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")


def _allowed(one: Resource) -> list[View]:
    """What a policy allows with no condition on it."""
    path = "policy"
    return [
        View(it.data, f"{path}.{it.path}")
        for it in statements(one.view(path, "{}"))
        if it("Effect") == "Allow" and "Condition" not in it
    ]


@rules.on(
    "aws-iam-star",
    CRITICAL,
    POLICIES,
    mend="name actions and resources",
    refs=("CIS AWS 1.16", "CKV_AWS_62", "CKV_AWS_63"),
    parts=_allowed,
)
def _star(it: View, _: Settings) -> Iterator[Found]:
    """No policy allows everything on everything.

    Whoever gets at it owns the account.
    """
    if "*" in listed(it("Action")) and "*" in listed(it("Resource")):
        yield it.at("Action"), "*"


@rules.on(
    "aws-iam-climb",
    HIGH,
    POLICIES,
    mend="name the roles in Resource, or add a Condition",
    refs=("CKV_AWS_286",),
    parts=_allowed,
)
def _climb(it: View, _: Settings) -> Iterator[Found]:
    """Rights that can be traded for more rights are bound to named resources.

    With iam:PassRole on all roles one can start a machine as an administrator.
    """
    if "*" in listed(it("Resource")):
        for action in listed(it("Action")):
            if action in _CLIMBS or action == "iam:*":
                yield it.at("Action"), action


@rules.on(
    "aws-iam-admin-attached",
    CRITICAL,
    ATTACHMENT,
    mend="attach policies with the rights that are needed",
    refs=("CKV_AWS_274",),
)
def _admin(it: View, _: Settings) -> Iterator[Found]:
    """No role is an administrator.

    A platform's roles are used by machines, and machines get broken into.
    """
    arn = str(it("policyArn", ""))
    if arn.rpartition("/")[2] in _ADMIN:
        yield "policyArn", arn


@rules.on(
    "aws-oidc-trust-bound",
    CRITICAL,
    ROLE,
    mend="add StringEquals on <issuer>:sub with the one repository and environment, or service account",
    refs=("docs.github.com: configuring OpenID Connect in AWS",),
    parts=lambda one: statements(one.view("assumeRolePolicy", "{}")),
)
def _trust(it: View, _: Settings) -> Iterator[Found]:
    """A role that an OIDC token opens names whose token it is.

    Without, any repository at the same forge, or any pod of the cluster, may take it.
    """
    if it("Effect") != "Allow" or it("Principal.Federated") is None:
        return
    subjects = [
        subject
        for operator, keys in it("Condition", View({})).items()
        if operator in ("StringEquals", "StringLike")
        for key, value in keys.items()
        if key.endswith(":sub")
        for subject in listed(value)
    ]
    loose = next((s for s in subjects if s == "*" or s.endswith((":*", "/*"))), None)
    if loose or not subjects:
        yield f"assumeRolePolicy.{it.at('Condition')}", loose

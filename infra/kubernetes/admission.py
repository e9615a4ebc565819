"""The accelerator rules where nobody gets past them: ValidatingAdmissionPolicies of the cluster's own API server.

Owns the policies and their bindings; what they demand is `fleet.admission`'s. Pods of add-ons' namespaces are let alone, so
that neither a cloud nor a device plugin ever waits for a rule of ours.
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet.admission import cel
from fleet.admission.facts import SYSTEM, Facts
from fleet.admission.rules import validations
from fleet.spec_admission import AdmissionMode
from infra.kubernetes.namespaces import ACCELERATORS, LABELS, MONITORING

# A warning is said to the client, and stands in the audit log where the cloud keeps one.
_ACTIONS = {AdmissionMode.ENFORCE: ["Deny"], AdmissionMode.AUDIT: ["Warn", "Audit"]}


class Admission(pulumi.ComponentResource):
    """One policy for each place where an object keeps its pod, and the binding that puts it to work.

    Args:
        namespaces: those of add-ons beside ours and the clouds' own.
    """

    def __init__(
        self, name: str, facts: Facts, namespaces: Sequence[str] = (), opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("accelfleet:kubernetes:Admission", name, {}, opts)
        for shape in cel.SHAPES:
            called = f"accelfleet-{shape.name}"
            policy = kubernetes.admissionregistration.v1.ValidatingAdmissionPolicy(
                f"{name}-{shape.name}",
                metadata={"name": called, "labels": LABELS},
                spec=policy_spec(facts, shape, namespaces),
                opts=pulumi.ResourceOptions(parent=self),
            )
            kubernetes.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
                f"{name}-{shape.name}-binding",
                metadata={"name": called, "labels": LABELS},
                spec={"policyName": called, "validationActions": _ACTIONS[facts.spec.admission_mode]},
                opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
            )
        self.register_outputs({})


def policy_spec(facts: Facts, shape: cel.Shape, namespaces: Sequence[str] = ()) -> dict[str, Any]:
    """A ValidatingAdmissionPolicy's `spec`."""
    alone = sorted({*SYSTEM, ACCELERATORS, MONITORING, *namespaces})
    return {
        # A rule that cannot be judged refuses, too: else a pod that confuses it is past it.
        "failurePolicy": "Fail",
        "matchConstraints": {
            "namespaceSelector": {
                "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": alone}]
            },
            "resourceRules": [
                {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": list(plurals)}
                for group, plurals in shape.groups.items()
            ],
        },
        "matchConditions": [
            {"name": "not-of-gke", "expression": f"!request.namespace.startsWith({cel.literal(cel.OWN)})"},
            {"name": "pod-changes", "expression": shape.changes},
        ],
        "variables": [{"name": name, "expression": expression} for name, expression in shape.variables],
        "validations": validations(facts, shape, facts.spec.admission.without),
    }

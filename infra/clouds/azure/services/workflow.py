"""A Logic App: the steps in their order, as one identity, begun by a queue's message or by who may call its trigger.

A message is taken from the queue as the run begins; a run that fails is the alarm's. It is begun every few seconds at most.
"""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi_azure_native import logic

from fleet.spec_services import AlarmWhen, WorkflowSpec
from infra.clouds.azure.network import AzureNetwork
from infra.clouds.azure.roles import Role, grant
from infra.clouds.azure.services.logic import Step, ask
from infra.clouds.azure.services.rights import Metric, identity
from infra.clouds.services import ServiceArgs

_SCHEMA = "https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/workflowdefinition.json#"
_BUS = "https://servicebus.azure.net"
_EVERY_S = 15


class LogicWorkflow(pulumi.ComponentResource):
    """Follows "Authenticate access to Azure resources with managed identities in Azure Logic Apps".

    Attributes:
        address: the workflow's id.
    """

    address: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs[WorkflowSpec, AzureNetwork], opts: pulumi.ResourceOptions) -> None:
        super().__init__("accelfleet:azure:LogicWorkflow", name, None, opts)
        who, granted = identity(self, name, args)
        steps: list[Step] = []
        for key in args.spec.steps:
            granted += args.beside[key].lets_in(f"{name}-{key}", who.principal_id, self)
            steps += args.beside[key].actions(key, who.id)
        trigger: dict[str, Any] = {"type": "Request", "kind": "Http", "inputs": {"schema": {}}}
        if args.spec.queue:
            queue = args.beside[args.spec.queue]
            trigger = _messages(pulumi.Output.concat("https://", queue.address, "/messages/head?timeout=5"), who.id)
            granted.append(
                grant(
                    f"{name}-receives",
                    scope=queue.queue.id,
                    principal_id=who.principal_id,
                    role=Role.QUEUE_RECEIVER,
                    opts=pulumi.ResourceOptions(parent=self),
                )
            )
        workflow = logic.Workflow(
            f"{name}-workflow",
            workflow_name=args.named(limit=80),
            resource_group_name=args.network.resource_group_name,
            location=args.region,
            identity=logic.ManagedServiceIdentityArgs(type="UserAssigned", user_assigned_identities=[who.id]),
            state="Enabled",
            definition={
                "$schema": _SCHEMA,
                "contentVersion": "1.0.0.0",
                "triggers": {"begin": trigger},
                "actions": _in_order(steps),
            },
            # Nobody on the internet: a trigger of a request is called by Azure's own services, and by other workflows.
            access_control=logic.FlowAccessControlConfigurationArgs(
                triggers=logic.FlowAccessControlConfigurationPolicyArgs(allowed_caller_ip_addresses=[]),
                contents=logic.FlowAccessControlConfigurationPolicyArgs(allowed_caller_ip_addresses=_NOBODY),
            ),
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=granted, protect=args.protect),
        )
        self.address = workflow.id
        self.metrics = {
            AlarmWhen.ERRORS: Metric(workflow.id, "Microsoft.Logic/workflows", "RunsFailed", "Total"),
        }
        self.register_outputs({"address": self.address})


# https://learn.microsoft.com/azure/logic-apps/logic-apps-securing-a-logic-app: a range of no address shuts people out of runs'
# inputs and outputs in the portal.
_NOBODY = [logic.IpAddressRangeArgs(address_range="0.0.0.0-0.0.0.0")]


def _messages(uri: pulumi.Output[str], who: pulumi.Output[str]) -> dict[str, Any]:
    """Receive and delete: https://learn.microsoft.com/rest/api/servicebus/receive-and-delete-message-destructive-read

    204 says that there is none.
    """
    return {
        **ask("DELETE", uri, who, audience=_BUS),
        "recurrence": {"frequency": "Second", "interval": _EVERY_S},
        "conditions": [{"expression": "@equals(triggerOutputs()['statusCode'], 200)"}],
    }


def _in_order(steps: list[Step]) -> dict[str, Any]:
    """Each action after the one before it."""
    found, before = {}, ""
    for name, action in steps:
        found[name] = {**action, "runAfter": {before: ["Succeeded"]} if before else {}}
        before = name
    return found

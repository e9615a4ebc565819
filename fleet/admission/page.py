"""The admission rules as a page, docs/admission.md: `python -m fleet.admission.page` writes it, `--check` tells a stale one."""

from __future__ import annotations

import sys

from fleet.admission.facts import SYSTEM, Facts
from fleet.admission.rules import RULES
from fleet.generated import keep, table
from fleet.load import load_stack
from fleet.plan import pools
from fleet.workspace import ROOT, STACKS

PAGE = ROOT / "docs" / "admission.md"
_EXAMPLE = "aws-dev"
_HEAD = """# What the API server refuses

Made from `fleet/admission/` by `make docs`; a test keeps it so. A stack's own resources are held to [policies](policies.md)
before they are made. Whatever else people send to a cluster, by `kubectl`, a chart or an operator, meets its API server alone:
`fleet up` therefore puts {count} rules about accelerators there, as ValidatingAdmissionPolicies, in each cluster that has
accelerator pools. They need no webhook, so that nothing of ours must run for a pod to be admitted.

A refusal names the rule, what it demands and how to mend it:

```
deployments.apps "chat" is forbidden: ValidatingAdmissionPolicy 'accelfleet-workloads' with binding 'accelfleet-workloads'
denied request: {example}
```

## The rules

The last column is what is said in a cluster with the pools of `stacks/{stack}.yaml`. A rule that has nothing to say of a
cluster (no TPUs, nothing on spot) is not there.

{rules}

Pods are judged, and what makes them: Deployments, StatefulSets, DaemonSets, Jobs and CronJobs, so that a bad template is
refused and does not fail later, one pod at a time. What stood before a rule came stays, until its pods change. What Kubernetes
refuses by itself (a limit that is not the request, half a GPU) has no rule here. What waits in a Kueue queue gets its nodes
and tolerations from the queue, and is judged on those when it is let go.

## In the stack file

```yaml
clusters:
  main:
    admission:
      mode: audit             # enforce, audit or none
      without: [squats]       # rules that nobody looks at
```

By default a cluster of ours enforces, and one of somebody else (`cloud: existing`) audits: what breaks a rule is let in, the
client is warned, and the audit log has it, where the cluster keeps one. `audit` is how to begin where others run things, too.

Left alone are the namespaces of Kubernetes and of the clouds ({system}, `gke-managed-*`), those of our add-ons
(`accelerators`, `monitoring`), and what `policies.limits.host_namespaces` names: a node agent of yours that must tolerate
everything belongs into one of those, with as few people who may write there as possible.

## What it does not do

It asks nobody: quotas are Kubernetes' own ([teams](teams.md)), prices are the [report](report.md)'s. Accelerators that are
claimed (DRA) are seen as such, but which and how many stands in another object, which CEL does not get to see. Pods that were
made already, and ephemeral containers of them, are not looked at.
"""


def text() -> str:
    """The page as it should stand."""
    cluster = next(iter(load_stack(STACKS / f"{_EXAMPLE}.yaml").clusters.values()))
    facts = Facts.of(pools(_EXAMPLE, "main", cluster).values(), cluster)
    rows = ((f"`{r.id}`", r.what, r.why, r.mend(facts)) for r in RULES)
    return _HEAD.format(
        count=len(RULES),
        stack=_EXAMPLE,
        example=next(rule for rule in RULES if rule.id == "image").message(facts),
        rules=table(("rule", "demand", "why", "mend"), rows),
        system=", ".join(f"`{name}`" for name in SYSTEM),
    )


def main(arguments: list[str]) -> int:
    return keep(PAGE, text(), "make docs", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

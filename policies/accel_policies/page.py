"""The rules as a page, docs/policies.md: `python -m policies.accel_policies.page` writes it, `--check` tells a stale one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from fleet.generated import keep
from policies.accel_policies.judge import MODULES, RULES
from policies.accel_policies.remedies import REMEDIES
from policies.accel_policies.rule import Rule, Severity

PAGE = Path(__file__).resolve().parents[2] / "docs" / "policies.md"
_TITLES = {
    "aws": "AWS",
    "gcp": "Google Cloud",
    "azure": "Azure",
    "kubernetes": "Kubernetes",
    "accelerators": "Accelerator pools",
    "workloads": "Who asks for accelerators",
    "waivers": "Waivers",
}
_HEAD = """# Policies

Made from `policies/` by `make docs`; a test keeps it so. {count} rules: {severities}. A rule that names a benchmark follows
it in meaning, not in words; `own` marks what we found in none. What is known only after the apply is never held against
anybody, and a secret is never shown.

## Where they work

| where | how |
|---|---|
| `fleet up`, `fleet preview` | by themselves: `up` asks them about the whole change before it makes anything |
| the Pulumi CLI | `pulumi preview --policy-pack policies`, and the same of `up` |
| a preview of any program | `pulumi preview --json > preview.json`, then `fleet policies check preview.json`: offline |

`pulumi up --skip-preview --policy-pack policies` refuses each resource that breaks a rule, but others may have been made
before it came, and rules marked *stack* speak when everything stands: they need the whole of it. `fleet up` makes nothing.

## Configuration

In the stack file. By default critical rules refuse a change, in `environment: prod` those of high severity do, too, and the
others advise. A production stack therefore names its models' images by digest, and says of a dear pool (`labels:`) whose it is
and when it ends. What add-ons of this platform do not meet is waived by the pack itself, with a reason and an end
(`policies/accel_policies/own_waivers.py`): images whose digest nobody could look up are named by their makers' release tags.
`python -m infra.digests` looks them up where their registries can be reached and writes
`fleet/catalog/data/digests.csv`, by which every stack then names them; a tag that has come to be another image is refused.

```yaml
policies:
  enforce: {{medium: mandatory, k8s-labels: disabled}}
  limits: {{usd_hour: 120, registries: [registry.example/], accelerators: {{nvidia-h100-80gb: 16}}}}
  remediate: [aws-node-imdsv2, k8s-labels]
  waivers:
    - rule: accel-pool-idle
      resource: main-v5e-slice-*
      reason: a slice of four hosts is made whole or not at all
      expires: 2027-03-31
```

`remediate:` names rules whose remedy the pack applies by itself, in a preview as in an update, and the engine says so:
{remedies}. It sets only what nobody set: a value that somebody wrote is refused or told as before. The state then has what was
set, and a run without the pack would take it away again.

A waiver ends: from the day after `expires` on the violation counts again and says so, and `waiver-expired` with it; two weeks
before that `waiver-ends-soon` says it. `fleet check` refuses a waiver of a rule that there is not, and one of over a year."""


def text() -> str:
    """The page as it should stand."""
    count = {severity: sum(r.severity is severity for r in RULES.values()) for severity in Severity}
    severities = ", ".join(f"{number} {severity}" for severity, number in count.items())
    remedies = ", ".join(f"`{rule}`" for rule in REMEDIES)
    parts = [_HEAD.format(count=len(RULES), severities=severities, remedies=remedies)]
    for module in MODULES:
        parts += [f"## {_TITLES[module.rules.topic]}", "\n".join(_rows(list(module.rules.made.values())))]
    return "\n\n".join(parts) + "\n"


def _rows(rules: list[Rule]) -> Iterator[str]:
    yield "| rule | severity | what, why | mend | like |"
    yield "|---|---|---|---|---|"
    for rule in rules:
        stack = " *stack*" if rule.whole else ""
        cells = (f"`{rule.id}`{stack}", rule.severity, f"{rule.what} {rule.why}", rule.mend, ", ".join(rule.references))
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"


def main(arguments: list[str]) -> int:
    return keep(PAGE, text(), "make docs", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

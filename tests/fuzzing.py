"""Generated stack files and pairs of them: broken, odd and hostile ones, and those that are sound in a way nobody wrote.

The same strategies for the tests (hundreds) and for `python -m benchmarks.fuzz` (tens of thousands).
"""

from __future__ import annotations

import copy
import json
from typing import Any

import yaml
from hypothesis import strategies as st

from fleet.catalog.accelerators import ACCELERATORS
from fleet.catalog.clouds import PUBLIC, Cloud, regions
from fleet.catalog.machines import PURCHASES, machines_with
from fleet.workspace import ROOT, STACKS
from tests.fleet.test_inventory import ROWS, state

GOOD = [yaml.safe_load(p.read_text()) for p in sorted(STACKS.glob("*.yaml")) if not p.name.startswith("Pulumi.")]
TEXTS = [p.read_text(errors="replace") for p in sorted((ROOT / "tests" / "corpus" / "stacks").glob("*.yaml"))][:60]
# Words that mean something somewhere: to YAML, shells, terminals, forges, browsers, numbers.
HOSTILE = (
    "",
    "\x1b[2J\x1b[31mred",
    "::error::x",
    "$(id)",
    "`id`",
    "${{ github.token }}",
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "| a | b |",
    "@everyone",
    "../../etc/passwd",
    "/etc/passwd",
    "\u202egnp.exe",
    "a\nb: c",
    "9" * 5000,
    "1e400",
    ".nan",
    "0x1F",
    "0o17",
    "1_000",
    "2026-11-29",
    "null",
    "~",
    "yes",
    "é" * 300,
    "{{ 7*7 }}",
    "%s%n",
)


def _sold(cloud: Cloud, accelerator: str, region: str) -> bool:
    """Whether the machine that a pool takes by itself is there, on demand and on spot."""
    found = machines_with(cloud, accelerator, region)
    return bool(found) and found[0].purchases == PURCHASES


# What each cloud's regions have: a file that names something else is refused, and that is the other strategy's business.
ON_OFFER = {
    (cloud, region): there
    for cloud in PUBLIC
    for region in sorted(regions(cloud))
    if (there := [name for name in sorted(ACCELERATORS) if not name.startswith("tpu") and _sold(cloud, name, region)])
}
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.sampled_from(HOSTILE)
    | st.text(max_size=12)
    | st.sampled_from(sorted(ACCELERATORS))
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


def places(tree: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path in it but the root's."""
    found = [here] if here else []
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in children:
        found += places(value, (*here, key))
    return found


@st.composite
def trees(draw: st.DrawFn, good: list[Any] = GOOD) -> Any:
    """One of our stacks, or of others, with a few values replaced, taken away, renamed or put elsewhere."""
    made = copy.deepcopy(draw(st.sampled_from(good)))
    for _ in range(draw(st.integers(1, 4))):
        there = places(made)
        if not there:
            break
        *way, last = draw(st.sampled_from(there))
        holder = made
        for step in way:
            holder = holder[step]
        match draw(st.sampled_from(("replace", "drop", "add", "rename", "graft"))):
            case "replace":
                holder[last] = draw(_values)
            case "drop":
                del holder[last]
            case "add" if isinstance(holder, dict):
                holder[draw(st.sampled_from(HOSTILE) | st.text(max_size=8))] = draw(_values)
            case "rename" if isinstance(holder, dict):
                holder[f"{last}{draw(st.sampled_from(('s', '_', '-', ' ')))}"] = holder.pop(last)
            case "graft":
                # From elsewhere in the tree as it was; never into itself.
                holder[last] = copy.deepcopy(draw(st.sampled_from(good)))
    return made


def _programs() -> list[Any]:
    """States, the engine's events and a Terraform state, with every kind of resource that is priced."""
    rows = [rows for rows, _ in ROWS.values()]
    ops = ("create", "update", "replace", "delete", "same")
    said = {
        "policyPackName": "house",
        "policyName": "x",
        "enforcementLevel": "mandatory",
        "resourceUrn": "u",
        "message": "open",
    }

    def step(number: int, one: Any) -> Any:
        metadata = {"op": ops[number % len(ops)], "urn": one["urn"], "type": one["type"], "new": one, "old": one}
        return {"sequence": number, "resourcePreEvent": {"metadata": metadata}}

    events = [[*map(step, range(len(some)), some), {"sequence": 99, "policyEvent": said}] for some in rows]
    return [*(state(*some) for some in rows), *events, json.loads((ROOT / "tests" / "fleet" / "sample.tfstate").read_text())]


@st.composite
def odd_resources(draw: st.DrawFn) -> Any:
    """A program's file as it should be, with resources whose properties nobody would write."""
    made = copy.deepcopy(draw(st.sampled_from(PROGRAMS)))
    for way in [way for way in places(made) if way[-1] in ("inputs", "attributes")]:
        holder = made
        for step in way[:-1]:
            holder = holder[step]
        holder[way[-1]] = odd if isinstance(odd := draw(trees([holder[way[-1]]])), dict) else {}
    return made


@st.composite
def program_files(draw: st.DrawFn) -> bytes:
    """What may stand in a file that `fleet report --from` reads: mostly JSON, sometimes too deep or cut off."""
    kind = draw(st.integers(0, 9))
    text = json.dumps(draw(trees(PROGRAMS) if kind < 4 else odd_resources()), default=str)
    match kind:
        case 0:
            return text[: draw(st.integers(0, len(text)))].encode(errors="replace")
        case 1:
            many = draw(st.sampled_from(("[" * 5000, '{"a":' * 5000, "9" * 5000, "1e999", "[" * 400 + "]" * 400)))
            at = draw(st.integers(0, len(text)))
            return (text[:at] + many + text[at:]).encode(errors="replace")
        case 2:
            return draw(st.binary(max_size=200))
    return text.encode(errors="replace")


PROGRAMS = _programs()


@st.composite
def stack_files(draw: st.DrawFn) -> bytes:
    """What may stand in a stack file: mostly YAML, sometimes near it, sometimes not even text."""
    kind = draw(st.integers(0, 9))
    if kind < 7:
        return yaml.safe_dump(draw(trees()), allow_unicode=True).encode()
    if kind == 9:
        return draw(st.binary(max_size=200))
    lines = draw(st.sampled_from(TEXTS)).splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 4))):
        i = draw(st.integers(0, len(lines) - 1))
        lines[i] = draw(
            st.sampled_from(("", lines[i] * 2, "\t" + lines[i], "  " + lines[i], "- " + lines[i])) | st.text(max_size=30)
        )
    return "".join(lines).encode(errors="ignore")


@st.composite
def sound_stacks(draw: st.DrawFn) -> dict[str, Any]:
    """Stack files of the right shape, with numbers and names up to their bounds."""
    cloud, region = draw(st.sampled_from(sorted(ON_OFFER)))
    pools: dict[str, Any] = {}
    # Mostly such sizes as the network has room for.
    most = draw(st.sampled_from((12, 12, 12, 1000)))
    for i in range(draw(st.integers(0, 4))):
        low = draw(st.integers(0, most))
        pools[f"p{i}"] = {
            "accelerator": draw(st.sampled_from(ON_OFFER[cloud, region])),
            "nodes": {"min": low, "max": draw(st.integers(max(1, low), most))},
            "purchase": draw(st.sampled_from(("spot", "on-demand"))),
        }
    models: dict[str, Any] = {}
    for i in range(draw(st.integers(0, 2)) if pools else 0):
        pool = draw(st.sampled_from(sorted(pools)))
        # Mostly as many as always fit, which no autoscaler is needed for; sometimes any number.
        few = draw(st.integers(1, 3 if most < 1000 else 10_000))
        models[f"m{i}"] = {"pool": pool, "replicas": {"min": few, "max": few}}
    cluster = {"cloud": str(cloud), "region": region, "pools": pools, "models": models}
    cluster["api"] = {"allowed_cidrs": ["203.0.113.0/24"]}
    owner = draw(st.sampled_from(("ml", "team-a", "x" * 40)))
    return {"owner": owner, "environment": draw(st.sampled_from(("dev", "prod"))), "clusters": {"main": cluster}}

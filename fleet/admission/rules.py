"""The admission rules: what each demands, of which clusters, and how a pod that is refused is mended.

A rule that has nothing to say of a cluster (no TPU there, no spot) is not installed in it. What Kubernetes itself refuses
(a limit that is not the request, half a GPU) is no rule here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fleet.admission import cel
from fleet.admission.cel import asked, literal, tolerates
from fleet.admission.facts import Facts
from fleet.catalog.clouds import Cloud
from fleet.contract import POOL_LABEL, PURCHASE_LABEL
from fleet.spec_admission import AdmissionRule as Id


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule.

    Attributes:
        what: the demand. why: what happens without. mend: how to meet it; in a cluster with its own names.
        expression: CEL, true of what is let in; None where the cluster has nothing that it is about.
        of_jobs: whether it looks at a Job's own fields.
    """

    id: Id
    what: str
    why: str
    mend: Callable[[Facts], str]
    expression: Callable[[Facts], str | None]
    of_jobs: bool = False

    def message(self, facts: Facts) -> str:
        """One line: which rule, what it demands, what to do."""
        return f"{self.id}: {self.what} Mend: {self.mend(facts)}."


def _taking(condition: str) -> Callable[[Facts], str]:
    """Of pods that ask for accelerators by number or by a claim."""
    return lambda _: f"!(variables.asks || variables.claims) || {condition}"


def _says(text: str) -> Callable[[Facts], str]:
    return lambda _: text


def _offered(facts: Facts) -> str:
    known = f"r in {literal(facts.offered)} || !r.matches({literal(cel.ACCELERATOR)})"
    return f"variables.limits.all(l, l.all(r, {known}))"


def _count(facts: Facts) -> str | None:
    """A map for each resource: a pool's pods may take none of another pool's."""
    if not facts.counts:
        return None
    fits = " && ".join(f"(({asked(name)}) in ([0] + {_allowed(facts)}))" for name in facts.offered)
    return f"!variables.asks || !({_pool()} in {literal(facts.counts)}) || ({fits})"


def _pool() -> str:
    return f"variables.selector[?{literal(POOL_LABEL)}].orValue('')"


def _allowed(facts: Facts) -> str:
    return f"{literal(facts.counts)}[{_pool()}]"


def _place(facts: Facts) -> str | None:
    if not facts.unlike:
        return None
    of_these = " || ".join(f"{literal(name)} in l" for name in facts.unlike)
    required = "variables.pod.?affinity.?nodeAffinity.?requiredDuringSchedulingIgnoredDuringExecution.hasValue()"
    named = f"variables.selector.exists(k, k in {literal(cel.PLACES)})"
    return f"!variables.limits.exists(l, {of_these}) || variables.queued || {named} || {required}"


def _slice(facts: Facts) -> str | None:
    if not facts.tpus:
        return None
    asks = "variables.limits.exists(l, 'google.com/tpu' in l)"
    return f"!{asks} || variables.queued || {literal(cel.TPU_SLICE)}.all(k, k in variables.selector)"


def _tolerates(facts: Facts) -> str | None:
    # GKE gives pods this toleration itself.
    if not facts.tainted or facts.cloud is Cloud.GCP:
        return None
    return " && ".join(
        f"(!variables.limits.exists(l, {literal(name)} in l) || variables.queued || {tolerates([key])})"
        for name, key in facts.tainted.items()
    )


def _squats(facts: Facts) -> str | None:
    if not facts.taint_keys:
        return None
    return f"variables.daemon || variables.asks || variables.claims || !{tolerates(facts.taint_keys)}"


def _share(facts: Facts) -> str:
    taking = "!(variables.asks || variables.claims)"
    if facts.shareholders:
        return f"{taking} || request.namespace in {literal(facts.shareholders)}"
    return f"{taking} || request.namespace != 'default'"


def _on_spot(condition: str) -> Callable[[Facts], str | None]:
    def expression(facts: Facts) -> str | None:
        if not facts.spot_keys:
            return None
        bought = f"variables.selector[?{literal(PURCHASE_LABEL)}].orValue('') == 'spot'"
        taking = "variables.asks || variables.claims"
        return f"!(({taking}) && ({tolerates(facts.spot_keys)} || {bought})) || {condition}"

    return expression


_HOST_KEYS = ("hostNetwork", "hostPID", "hostIPC")
_NOT_ON_HOST = " && ".join(
    [
        *(f"!variables.pod.?{key}.orValue(false)" for key in _HOST_KEYS),
        "!variables.containers.exists(c, c.?securityContext.?privileged.orValue(false))",
        "!variables.pod.?volumes.orValue([]).exists(v, has(v.hostPath))",
    ]
)
# Nothing that NVIDIA's runtime takes for a device. https://github.com/NVIDIA/nvidia-container-toolkit
_NO_DEVICE = ("", "void", "none")
_GIVEN = (
    "variables.containers.all(c, c.?env.orValue([]).all(e, e.name != 'NVIDIA_VISIBLE_DEVICES' || "
    f"e.?value.orValue('') in {literal(_NO_DEVICE)}))"
)
_MEMORY = (
    "variables.askers.all(c, 'memory' in c.resources.limits && "
    "quantity(string(c.resources.?requests[?'memory'].orValue(c.resources.limits['memory'])))"
    ".compareTo(quantity(string(c.resources.limits['memory']))) == 0)"
)
_RETRIES = (
    "variables.job.?backoffLimit.orValue(6) > 0 || variables.job.?podFailurePolicy.?rules.orValue([]).exists(r, "
    "r.action == 'Ignore' && r.?onPodConditions.orValue([]).exists(c, c.type == 'DisruptionTarget'))"
)

RULES = (
    Rule(
        id=Id.OFFERED,
        what="A pod asks only for accelerators that a pool of this cluster offers.",
        why="It else waits for ever, and no autoscaler says why.",
        mend=lambda facts: f"ask for {' or '.join(facts.offered)}, or add a pool to the stack file",
        expression=_offered,
    ),
    Rule(
        id=Id.COUNT,
        what="A pod asks for as many accelerators as one node of its pool hands out together.",
        why="More never fit, and of shared accelerators or a TPU host there is no other part.",
        mend=lambda facts: (
            "ask for " + "; ".join(f"{' or '.join(map(str, counts))} in pool {name}" for name, counts in facts.counts.items())
        ),
        expression=_count,
    ),
    Rule(
        id=Id.MEMORY,
        what="A container with accelerators has a memory limit, and requests just that.",
        why="It else dies in the middle of its work when a neighbour takes the memory that nobody promised it.",
        mend=_says("set resources.limits.memory, and the same or nothing under requests"),
        expression=_says(_MEMORY),
    ),
    Rule(
        id=Id.PLACE,
        what="Where one resource stands for several kinds of accelerators, a pod says which it wants.",
        why="It else gets the dearest that is free, or a part that its model does not fit in.",
        mend=_says(f"add nodeSelector {POOL_LABEL} with the pool's name"),
        expression=_place,
    ),
    Rule(
        id=Id.TPU_SLICE,
        what="A pod with TPU chips selects its slice by accelerator and topology.",
        why="GKE refuses it later, or it lands on a part of somebody else's slice.",
        mend=_says(f"add nodeSelector {' and '.join(cel.TPU_SLICE)}, as the pool's nodes have them"),
        expression=_slice,
    ),
    Rule(
        id=Id.TOLERATES,
        what="A pod with accelerators tolerates their nodes' taint by its key.",
        why="It else waits for ever beside idle nodes. (GKE adds the toleration itself.)",
        mend=lambda facts: f"add a toleration with operator Exists and key {' or '.join(sorted(set(facts.tainted.values())))}",
        expression=_tolerates,
    ),
    Rule(
        id=Id.BLANKET,
        what="No pod tolerates every taint.",
        why="Whatever does lands on accelerator nodes too, and keeps the dearest machines alive.",
        mend=_says("name the taint's key, or add the namespace of a node agent to policies.limits.host_namespaces"),
        expression=_says(
            "variables.tolerations.all(t, t.?key.orValue('') != '' || t.?effect.orValue('') in "
            "['NoExecute', 'PreferNoSchedule'])"
        ),
    ),
    Rule(
        id=Id.SQUATS,
        what="A pod that tolerates the taint of accelerator nodes asks for accelerators, unless it is a DaemonSet's.",
        why="It else takes the CPUs and the memory that accelerators need, and their node never goes.",
        mend=lambda facts: f"take the toleration of {' and '.join(facts.taint_keys)} away, or ask for accelerators",
        expression=_squats,
    ),
    Rule(
        id=Id.UNASKED,
        what="No container names GPUs by NVIDIA_VISIBLE_DEVICES.",
        why="NVIDIA's runtime gives them to it although somebody else was promised them.",
        mend=_says("take the variable away and ask under resources.limits; `void` and `none` are let in"),
        expression=_says(_GIVEN),
    ),
    Rule(
        id=Id.HOST,
        what="A pod with accelerators has nothing of its host: no hostPath, no host namespaces, no privileged container.",
        why="A privileged container sees all accelerators of its node, whatever it asked for.",
        mend=_says("use emptyDir or a claim; node agents live in a namespace of policies.limits.host_namespaces"),
        expression=_taking(f"({_NOT_ON_HOST})"),
    ),
    Rule(
        id=Id.IMAGE,
        what="Images of a pod with accelerators are named by digest, or by a tag that is not latest.",
        why="A node that comes an hour later else runs another program than its neighbours.",
        mend=_says("add a version's tag or @sha256:… to the image"),
        expression=_taking(
            "variables.containers.all(c, c.image.contains('@sha256:') || "
            "(c.image.matches('^[^@]+:[^/:@]+$') && !c.image.endsWith(':latest')))"
        ),
    ),
    Rule(
        id=Id.SHARE,
        what="Accelerators are asked for where somebody answers for them: a team's namespace, and never the default one.",
        why="Elsewhere no quota holds, and one person's loop takes all of them.",
        mend=lambda facts: f"move it to {' or '.join(facts.shareholders) or 'a namespace of its own'}",
        expression=_share,
    ),
    Rule(
        id=Id.JOB_DEADLINE,
        what="A job with accelerators on spot ends by itself.",
        why="While the market is empty it else waits, begins anew and pays for ever.",
        mend=_says("set activeDeadlineSeconds of the job; waiting counts"),
        expression=_on_spot("variables.job.?activeDeadlineSeconds.orValue(0) > 0"),
        of_jobs=True,
    ),
    Rule(
        id=Id.JOB_RETRY,
        what="A job with accelerators on spot outlives a node that is called back.",
        why="The first call else ends it, and all that it had learnt is lost.",
        mend=_says("set backoffLimit to 1 or more, or a podFailurePolicy that ignores DisruptionTarget"),
        expression=_on_spot(f"({_RETRIES})"),
        of_jobs=True,
    ),
)


def validations(facts: Facts, shape: cel.Shape, without: list[Id]) -> list[dict[str, str]]:
    """What a policy of such a cluster and such objects has under `validations`."""
    found = []
    for rule in RULES:
        expression = rule.expression(facts)
        if rule.id not in without and expression is not None and (shape.job or not rule.of_jobs):
            found.append({"expression": expression, "message": rule.message(facts), "reason": "Invalid"})
    return found

"""Rules for workflows, each a function that names what breaks it: who may run what, with which rights, from where.

Not a linter for others (that is zizmor, which is stricter): the rules that the threat model leans on (docs/threat-model.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Workflow = dict[Any, Any]
# What a stranger writes: titles, bodies, names of branches, messages of commits.
_FROM_OUTSIDE = re.compile(
    r"\$\{\{[^}]*\b(github\.(event\.(?!pull_request\.(number|head\.sha|base\.sha)\b|workflow_run\.(id|head_sha)\b)|head_ref)|inputs\.)"
)
_SHA = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
# The commits that we run, each with the release of its own repository that it is: a commit of somebody's fork has an address
# under the repository's name, too. Before a row is added, somebody looks:
# `git ls-remote --tags https://github.com/OWNER/NAME | grep COMMIT`. These as dozens of projects have them, read 2026-11-30.
RELEASES = {
    "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683": "v4.2.2",
    "actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065": "v5.6.0",
    "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02": "v4.6.2",
    "actions/download-artifact@d3f86a106a0bac45b974a628896c90dbdf5c8093": "v4.3.0",
    "actions/attest-build-provenance@a2bbfa25375fe432b6a289bc6b6cd05ecd0c4c32": "v4.1.0",
}
_HOSTED = re.compile(r"(ubuntu|windows|macos)-[\w.-]+")
# Ways to a request's code other than a checkout's `ref`.
_FETCHES = re.compile(r"gh pr checkout|refs/pull/|pull/[^/\s]+/(head|merge)|git (fetch|clone|pull)\b")
_LOGINS = ("aws-actions/configure-aws-credentials", "google-github-actions/auth", "azure/login", "Azure/login")
# Keys that live for years, where a token of minutes does.
_LONG_LIVED = re.compile(
    r"secrets\.(AWS_SECRET_ACCESS_KEY|AWS_ACCESS_KEY_ID|GOOGLE_CREDENTIALS|GCP_SA_KEY|AZURE_CLIENT_SECRET|AZURE_CREDENTIALS)"
)


def triggers(workflow: Workflow) -> set[str]:
    # YAML 1.1 reads the word `on` as true.
    on = workflow.get(True, workflow.get("on")) or {}
    return {on} if isinstance(on, str) else set(on)


def jobs(workflow: Workflow) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from workflow["jobs"].items()


def steps(workflow: Workflow) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for name, job in jobs(workflow):
        for step in job.get("steps") or []:
            yield name, job, step


def _rights(workflow: Workflow, job: dict[str, Any]) -> Any:
    return job.get("permissions", workflow.get("permissions"))


def _may(workflow: Workflow, job: dict[str, Any], right: str) -> bool:
    rights = _rights(workflow, job)
    return rights == "write-all" or (isinstance(rights, dict) and rights.get(right) == "write")


def rights_are_said(workflow: Workflow) -> Iterator[str]:
    """Without `permissions` a token may do what the organisation's default is, which may be everything."""
    top = workflow.get("permissions")
    if not isinstance(top, dict):
        yield f"top-level permissions are {top!r}: say {{}} or what is read"
    elif "write" in top.values():
        yield "top-level permissions write: give that to the one job that needs it"
    for name, job in jobs(workflow):
        if _rights(workflow, job) in ("write-all", "read-all"):
            yield f"{name} takes {_rights(workflow, job)}"


def no_foreign_code_with_secrets(workflow: Workflow) -> Iterator[str]:
    """A fork's code never runs where there is a secret or a right to write."""
    if "pull_request_target" in triggers(workflow):
        yield "pull_request_target runs with the base's secrets: use pull_request, and workflow_run for what writes"
    if "workflow_run" in triggers(workflow):
        for name, _, step in steps(workflow):
            if step.get("uses", "").startswith("actions/checkout@") and {"ref", "repository"} & set(step.get("with") or {}):
                yield f"{name} checks out something else than the default branch"
            if _FETCHES.search(step.get("run", "")):
                yield f"{name} fetches code beside the default branch's"
            if step.get("uses", "").startswith("actions/download-artifact@"):
                yield f"{name} unpacks what a request's run packed, whatever its names and size: use fleet.comment.artifact"
    if "pull_request" in triggers(workflow):
        for name, job in jobs(workflow):
            own = "github.event.pull_request.head.repo.full_name == github.repository" in str(job.get("if", ""))
            if "secrets." in str(job).replace("secrets.GITHUB_TOKEN", "") and not own:
                yield f"{name} has secrets beside a request's code"
            if isinstance(_rights(workflow, job), dict) and "write" in _rights(workflow, job).values() and not own:
                yield f"{name} may write beside a request's code"


def forks_run_on_hosted_machines(workflow: Workflow) -> Iterator[str]:
    """What a request's code leaves on a machine of one's own, the next job finds."""
    if "pull_request" in triggers(workflow):
        for name, job in jobs(workflow):
            machine = job.get("runs-on", "")
            if (
                not (isinstance(machine, str) and re.fullmatch(r"(ubuntu|windows|macos)-[\w.-]+", machine))
                and "uses" not in job
            ):
                yield f"{name} runs a request's code on {machine}: use GitHub's own machines"


def actions_are_of_their_repository(workflow: Workflow) -> Iterator[str]:
    """A commit of a fork is pinned as well as one of the repository's own."""
    for name, _, step in steps(workflow):
        if _SHA.fullmatch(step.get("uses", "")) and step["uses"] not in RELEASES:
            yield f"{name} uses {step['uses']}: nobody wrote down of which release it is (RELEASES)"


def actions_are_pinned(workflow: Workflow) -> Iterator[str]:
    """A tag can be moved; 76 of 77 tags of one scanner's action were, on 2026-03-19."""
    for name, _, step in steps(workflow):
        if "uses" in step and not step["uses"].startswith("./") and not _SHA.fullmatch(step["uses"]):
            yield f"{name} uses {step['uses']}: pin the commit"
    for name, job in jobs(workflow):
        if "uses" in job and not job["uses"].startswith("./") and not _SHA.fullmatch(job["uses"]):
            yield f"{name} calls {job['uses']}: pin the commit"


def no_outside_text_in_scripts(workflow: Workflow) -> Iterator[str]:
    """GitHub pastes an expression's value into the script before a shell reads it; by `env:` it is data."""
    for name, _, step in steps(workflow):
        if _FROM_OUTSIDE.search(step.get("run", "") + str((step.get("with") or {}).get("script", ""))):
            yield f"{name} pastes a stranger's text into a script"


def tokens_are_bound(workflow: Workflow) -> Iterator[str]:
    """An OIDC token opens a cloud: it is for a job of an environment, and no long-lived key stands beside it."""
    for name, job in jobs(workflow):
        if _may(workflow, job, "id-token") and not job.get("environment"):
            yield f"{name} may ask for an OIDC token, and names no environment that the cloud's trust could be bound to"
        if _LONG_LIVED.search(str(job)):
            yield f"{name} has a long-lived key of a cloud"
        signs_in = any(step.get("uses", "").startswith(_LOGINS) for step in job.get("steps") or [])
        if signs_in and not _may(workflow, job, "id-token"):
            yield f"{name} signs in to a cloud without an OIDC token"


def checkouts_keep_no_token(workflow: Workflow) -> Iterator[str]:
    """By default the job's token stays in .git/config, for every later step and every artifact of the directory."""
    for name, _, step in steps(workflow):
        if (
            step.get("uses", "").startswith("actions/checkout@")
            and (step.get("with") or {}).get("persist-credentials") is not False
        ):
            yield f"{name} leaves its token in the checkout"


def jobs_have_an_end(workflow: Workflow) -> Iterator[str]:
    """The default is six hours."""
    for name, job in jobs(workflow):
        if "uses" not in job and "timeout-minutes" not in job:
            yield f"{name} has no timeout-minutes"


def no_untrusted_cache(workflow: Workflow) -> Iterator[str]:
    """A cache that a request writes is read by the default branch's runs of the same key's prefix."""
    if {"release", "push"} & triggers(workflow) and "tags" in str(workflow.get(True)):
        for name, _, step in steps(workflow):
            if step.get("uses", "").startswith("actions/cache@") or (step.get("with") or {}).get("cache"):
                yield f"{name} builds a release from a cache"


RULES: dict[str, Callable[[Workflow], Iterator[str]]] = {
    rule.__name__: rule
    for rule in (
        rights_are_said,
        no_foreign_code_with_secrets,
        forks_run_on_hosted_machines,
        actions_are_pinned,
        actions_are_of_their_repository,
        no_outside_text_in_scripts,
        tokens_are_bound,
        checkouts_keep_no_token,
        jobs_have_an_end,
        no_untrusted_cache,
    )
}

"""Every workflow keeps every rule, and every rule finds the bad workflows it is there for."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from fleet.workspace import ROOT
from tests.workflow_rules import RELEASES, RULES

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SHA = next(one for one in RELEASES if one.startswith("actions/checkout@")).partition("@")[2]
GOOD = f"""
on: pull_request
permissions: {{contents: read}}
jobs:
  test:
    runs-on: ubuntu-24.04
    timeout-minutes: 10
    steps:
      - uses: actions/checkout@{SHA}
        with: {{persist-credentials: false}}
      - run: make test
        env: {{TITLE: "${{{{ github.event.pull_request.title }}}}"}}
"""
# Rule -> what makes a good workflow a bad one.
BAD: dict[str, list[tuple[str, str]]] = {
    "rights_are_said": [
        ("permissions: {contents: read}\n", ""),
        ("{contents: read}", "write-all"),
        ("{contents: read}", "{contents: write}"),
        ("    timeout-minutes: 10", "    timeout-minutes: 10\n    permissions: write-all"),
    ],
    "no_foreign_code_with_secrets": [
        ("on: pull_request", "on: pull_request_target"),
        ("run: make test", "run: make test TOKEN=${{ secrets.PULUMI_ACCESS_TOKEN }}"),
        ("    timeout-minutes: 10", "    timeout-minutes: 10\n    permissions: {pull-requests: write}"),
    ],
    "forks_run_on_hosted_machines": [
        ("runs-on: ubuntu-24.04", "runs-on: self-hosted"),
        ("runs-on: ubuntu-24.04", "runs-on: [self-hosted, gpu]"),
        ("runs-on: ubuntu-24.04", "runs-on: {group: ours}"),
    ],
    "actions_are_of_their_repository": [
        (f"@{SHA}", f"@{'a' * 40}"),
        # A commit of one repository is none of another.
        (f"actions/checkout@{SHA}", f"actions/setup-python@{SHA}"),
    ],
    "actions_are_pinned": [
        (f"@{SHA}", "@v4"),
        (f"@{SHA}", "@main"),
        (f"@{SHA}", "@aaaaaaa"),
        ("  test:\n", "  call: {uses: someone/else/.github/workflows/x.yml@v1}\n  test:\n"),
    ],
    "no_outside_text_in_scripts": [
        ("run: make test", 'run: echo "${{ github.event.pull_request.title }}"'),
        ("run: make test", 'run: echo "${{ github.head_ref }}"'),
        ("run: make test", 'run: echo "${{ github.event.head_commit.message }}"'),
    ],
    "tokens_are_bound": [
        ("    timeout-minutes: 10", "    timeout-minutes: 10\n    permissions: {id-token: write}"),
        ("run: make test", "run: aws s3 ls\n        name: ${{ secrets.AWS_SECRET_ACCESS_KEY }}"),
        ("run: make test", f"uses: aws-actions/configure-aws-credentials@{SHA}"),
    ],
    "checkouts_keep_no_token": [
        ("{persist-credentials: false}", "{persist-credentials: true}"),
        ("{persist-credentials: false}", "{}"),
    ],
    "jobs_have_an_end": [("    timeout-minutes: 10\n", "")],
    "no_untrusted_cache": [
        ("on: pull_request", "on: {push: {tags: [v1]}}\n#"),
    ],
}


def load(text: str) -> dict[Any, Any]:
    made = yaml.safe_load(text)
    assert isinstance(made, dict)
    return made


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_our_workflows_keep_the_rules(path: Any, rule: str) -> None:
    assert list(RULES[rule](load(path.read_text()))) == []


@pytest.mark.parametrize("rule", RULES)
def test_a_good_workflow_breaks_none(rule: str) -> None:
    assert list(RULES[rule](load(GOOD))) == []


@pytest.mark.parametrize(("rule", "old", "new"), [(rule, *change) for rule, changes in BAD.items() for change in changes])
def test_each_rule_finds_its_bad_workflow(rule: str, old: str, new: str) -> None:
    assert GOOD.count(old) == 1
    bad = GOOD.replace(old, new)
    if rule == "no_untrusted_cache":
        bad = bad.replace("actions/checkout", "actions/cache")
    assert list(RULES[rule](load(bad))), f"{rule} did not notice"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{persist-credentials: false}", "{persist-credentials: false, ref: x}"),
        ("{persist-credentials: false}", "{persist-credentials: false, repository: x/y}"),
        ("run: make test", 'run: gh pr checkout "$NUMBER"'),
        ("run: make test", "run: git fetch origin pull/7/head"),
        ("run: make test", f"uses: actions/download-artifact@{SHA}"),
    ],
)
def test_what_follows_a_requests_run_takes_none_of_it_as_it_is(old: str, new: str) -> None:
    follows = GOOD.replace("on: pull_request", "on: {workflow_run: {workflows: [Preview]}}")
    rule = RULES["no_foreign_code_with_secrets"]
    assert list(rule(load(follows))) == []
    assert follows.count(old) == 1
    assert list(rule(load(follows.replace(old, new))))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_the_release_beside_a_commit_is_its_own(path: Any) -> None:
    for used, said in re.findall(r"uses: (\S+@[0-9a-f]{40}) # (\S+)", path.read_text()):
        assert RELEASES[used] == said


def test_every_rule_has_a_bad_workflow() -> None:
    assert set(BAD) == set(RULES)

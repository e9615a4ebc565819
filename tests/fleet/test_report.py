"""`fleet report`: what it says of a change, in every shape, and how it ends."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import Result as Ended
from typer.testing import CliRunner

import fleet.arguments
import fleet.report.cli
from fleet.cli import app
from fleet.comment.body import GITHUB_LIMIT, Wanted, render
from fleet.report import document
from fleet.report.changes import changes
from fleet.report.markdown import code, markdown
from fleet.report.model import Change
from fleet.spec import StackSpec
from fleet.workspace import STACKS as REAL_STACKS


@pytest.fixture
def stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with two stack files on its branch `main`, as the working directory of the command."""
    directory = tmp_path / "repository" / "stacks"
    directory.mkdir(parents=True)
    for name in ("aws-dev", "gcp-dev"):
        shutil.copy(REAL_STACKS / f"{name}.yaml", directory)
    git(directory.parent, "init", "-q", "-b", "main")
    commit(directory)
    monkeypatch.setattr(fleet.arguments, "STACKS", directory)
    monkeypatch.setattr(fleet.report.cli, "STACKS", directory)
    monkeypatch.setattr(fleet.report.cli, "ROOT", directory.parent)
    return directory


def git(directory: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=directory, check=True, capture_output=True)


def commit(directory: Path) -> None:
    git(directory, "add", "-A")
    git(directory, "commit", "-qm", "a change")


def edit(stacks: Path, name: str, *swaps: tuple[str, str]) -> None:
    file = stacks / f"{name}.yaml"
    text = file.read_text()
    for old, new in swaps:
        assert old in text, old
        text = text.replace(old, new, 1)
    file.write_text(text)


def run(*words: str) -> Ended:
    return CliRunner().invoke(app, ["report", *words], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})


def test_without_a_base_it_says_what_stacks_cost(stacks: Path) -> None:
    done = run("--stack", "*-dev")
    assert done.exit_code == 0, done.output
    assert "aws-dev: $1,724.80 a month expected ($259.42 to $5,860.45)" in done.stdout
    assert "priced 10 of 10 lines, 1 more paid by use" in done.stdout
    assert "Not counted: what is in" in done.stdout


def test_nothing_changed_is_an_empty_section_and_one_line(stacks: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "aws-dev.md"
    done = run("--stack", "aws-dev", "--base", "main", "--format", "markdown", "--out", str(out))
    assert done.exit_code == 0, done.output
    assert out.read_text() == ""
    assert "aws-dev: nothing changes" in run("--stack", "aws-dev", "--base", "main").stdout


def test_a_larger_pool_costs_more_and_needs_more_quota(stacks: Path) -> None:
    edit(stacks, "aws-dev", ("nodes: {min: 0, max: 3}", "nodes: {min: 2, max: 8}"))
    made = json.loads(run("--stack", "aws-dev", "--base", "main", "--format", "json").stdout)
    (stack,) = made["stacks"]
    # g6.xlarge: 0.8048 x 730 h, and 110 GiB of gp3 at 0.08; two nodes that always stand; five more at the bound.
    assert stack["usd_change"] == {"floor": "1192.61", "expected": "596.31", "ceiling": "2981.52"}
    (change,) = stack["changes"]
    assert (change["kind"], change["name"]) == ("update", "main/l4")
    assert {f["field"]: (f["before"], f["after"]) for f in change["fields"]} == {
        "nodes.min": ("0", "2"),
        "nodes.max": ("3", "8"),
    }
    (quota,) = [q for q in stack["quotas"] if q["before"] != q["after"]]
    assert (quota["before"], quota["after"], quota["verdict"]) == (28, 48, "unknown")


def test_the_base_is_a_commit_and_not_the_working_tree(stacks: Path) -> None:
    edit(stacks, "aws-dev", ("max: 3}", "max: 5}"))
    commit(stacks)
    assert "nothing changes" in run("--stack", "aws-dev", "--base", "main").stdout
    assert "nodes.max: 3 → 5" in run("--stack", "aws-dev", "--base", "main~1").stdout


def test_a_new_and_a_deleted_stack(stacks: Path) -> None:
    (stacks / "gcp-dev.yaml").unlink()
    shutil.copy(REAL_STACKS / "azure-dev.yaml", stacks)
    made = document.parse(run("--stack", "*", "--base", "main", "--format", "json").stdout)
    kinds = {stack.stack: [change.kind for change in stack.changes] for stack in made.stacks}
    assert kinds == {"aws-dev": [], "azure-dev": ["create"], "gcp-dev": ["delete"]}
    (gone,) = [stack for stack in made.stacks if stack.stack == "gcp-dev"]
    assert gone.after is None
    assert gone.before is not None
    assert gone.usd_change.expected == -(gone.before.usd.expected or 0)


def test_a_base_that_is_not_sound_is_told_and_closes_the_gate(stacks: Path, tmp_path: Path) -> None:
    edit(stacks, "aws-dev", ("owner: ml-platform", "owner: ml-platform\nowenr: x"))
    commit(stacks)
    edit(stacks, "aws-dev", ("\nowenr: x", ""))
    done = run("--stack", "aws-dev", "--base", "main", "--format", "markdown")
    assert done.exit_code == 0
    assert "the base cannot be read" in done.stdout
    assert "owenr" in done.stdout
    assert run("--stack", "aws-dev", "--base", "main", "--fail-on", "destructive").exit_code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--stack", "nobody"), "no stack matches"),
        (("--stack", "aws-dev", "--base", "no-such-branch"), "no revision 'no-such-branch'"),
        (("--stack", "aws-dev", "--base", "--all"), "no revision '--all'"),
        (("--stack", "aws-dev", "--base", "main", "--base-dir", "."), "not both"),
        (("--stack", "aws-dev", "--max-increase", "5"), "this gate compares"),
        (("--stack", "aws-dev", "--fail-on", "nothing"), "nothing"),
    ],
)
def test_wrong_usage_ends_with_2_and_the_reason(stacks: Path, words: tuple[str, ...], said: str) -> None:
    done = run(*words)
    assert done.exit_code == 2
    assert said in re.sub(r"[\s│]+", " ", done.output)


def test_outside_of_git_a_revision_is_refused(stacks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = tmp_path / "outside"
    shutil.copytree(stacks, outside)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    for module in (fleet.arguments, fleet.report.cli):
        monkeypatch.setattr(module, "STACKS", outside)
    assert "in no git repository" in re.sub(r"[\s│]+", " ", run("--stack", "aws-dev", "--base", "main").output)
    assert run("--stack", "aws-dev", "--base-dir", str(stacks)).exit_code == 0


def test_a_fault_in_the_file_is_told_with_its_line(stacks: Path) -> None:
    edit(stacks, "aws-dev", ("nvidia-l4", "nvidia-l5"))
    done = run("--stack", "aws-dev")
    assert done.exit_code == 1
    assert "aws-dev.yaml:" in done.stderr
    found = run("--stack", "aws-dev", "--format", "json")
    assert json.loads(found.stdout)["errors"][0]["line"] > 1


def test_gates_of_money_destruction_and_quota(stacks: Path) -> None:
    edit(stacks, "aws-dev", ("nodes: {min: 0, max: 3}", "nodes: {min: 2, max: 8}"))
    against = ("--stack", "aws-dev", "--base", "main")
    assert run(*against, "--max-increase", "597").exit_code == 0
    refused = run(*against, "--max-increase", "596")
    assert refused.exit_code == 1
    assert "rises by $596.31 a month" in refused.stderr
    assert run(*against, "--fail-on", "destructive").exit_code == 0
    edit(stacks, "aws-dev", ("    stores:\n      weights: {}\n", "    stores:\n      weights: {}\n      more: {}\n"))
    commit(stacks)
    edit(stacks, "aws-dev", ("      more: {}\n", ""))
    lost = run(*against, "--fail-on", "destructive")
    assert lost.exit_code == 1
    assert "Deleted: store main/more (its objects go with it)" in lost.stdout


def test_limits_that_somebody_wrote_down_are_held_against_the_need(stacks: Path) -> None:
    rows = [{"cloud": "aws", "region": "us-east-1", "quota": "L-DB2E81BA", "limit": 20, "as_of": "2026-11-01"}]
    file = stacks.parent / "quotas.yaml"
    file.write_text(yaml.safe_dump(rows))
    done = run("--stack", "aws-dev", "--fail-on", "quota")
    assert done.exit_code == 1
    assert "L-DB2E81BA in us-east-1 by 8" in done.stderr
    assert "short by 8: 20 on 2026-11-01" in done.stdout
    file.write_text(yaml.safe_dump([{**rows[0], "limit": 28}]))
    assert run("--stack", "aws-dev", "--fail-on", "quota").exit_code == 0
    file.write_text("- {cloud: aws, limit: many}\n")
    wrong = run("--stack", "aws-dev")
    assert wrong.exit_code == 2
    assert "0.limit" in wrong.output


@pytest.mark.parametrize(
    ("limit", "before", "after", "code", "said"),
    [
        (20, 3, 3, 0, "short by 8, as before: 20 on"),
        (20, 3, 4, 1, "short by 12: 20 on"),
        (20, 4, 3, 0, "short by 8, as before: 20 on"),
        (28, 4, 3, 0, "enough, short before: 28 on"),
    ],
)
def test_a_change_answers_for_the_quotas_that_it_brings_short(
    limit: int, before: int, after: int, code: int, said: str, stacks: Path
) -> None:
    row = {"cloud": "aws", "region": "us-east-1", "quota": "L-DB2E81BA", "limit": limit, "as_of": "2026-11-01"}
    (stacks.parent / "quotas.yaml").write_text(yaml.safe_dump([row]))
    edit(
        stacks, "aws-dev", ("nodes: {min: 0, max: 3}", f"nodes: {{min: 0, max: {before}}}"), ("owner: ml-platform", "owner: x")
    )
    commit(stacks)
    edit(stacks, "aws-dev", (f"nodes: {{min: 0, max: {before}}}", f"nodes: {{min: 0, max: {after}}}"), ("owner: x", "owner: y"))
    done = run("--stack", "aws-dev", "--base", "main", "--fail-on", "quota")
    assert done.exit_code == code, done.output
    assert said in done.stdout
    comment = run("--stack", "aws-dev", "--base", "main", "--format", "markdown").stdout
    assert ("> Quota" in comment) == bool(code)
    assert run("--stack", "aws-dev", "--base", "main", "--fail-on", "quota", "--all").exit_code == int("short by" in said)
    log = json.loads(run("--stack", "aws-dev", "--base", "main", "--format", "sarif").stdout)
    (result,) = [one for one in log["runs"][0]["results"] if one["ruleId"] == "quota-too-small"]
    assert result["baselineState"] == ("new" if code else "absent" if "enough" in said else "unchanged")


def test_the_document_follows_its_published_schema(stacks: Path) -> None:
    edit(stacks, "aws-dev", ("nodes: {min: 0, max: 3}", "nodes: {min: 2, max: 8}"))
    text = run("--stack", "*", "--base", "main", "--format", "json").stdout
    jsonschema.validate(json.loads(text), json.loads(document.PATH.read_text()))
    assert document.dump(document.parse(text)) == text
    assert document.PATH.read_text() == document.schema(), "run `make schema`"


def test_what_destroys_stands_before_everything_folded_and_survives_the_comments_limit(stacks: Path) -> None:
    many = "".join(f"      p{i}:\n        accelerator: nvidia-l4\n        nodes: {{min: 0, max: 1}}\n" for i in range(60))
    stores = "      weights: {}\n"
    edit(stacks, "aws-dev", ("    pools:\n", f"    pools:\n{many}"), (stores, f"{stores}      old: {{}}\n"))
    commit(stacks)
    edit(stacks, "aws-dev", ("      old: {}\n", ""), *[("min: 0, max: 1", "min: 0, max: 2")] * 60)
    text = run("--stack", "aws-dev", "--base", "main", "--format", "markdown").stdout
    assert text.index("main/old") < text.index("<details>")
    body = render(Wanted("default", "abcdef1", "Fleet", {f"s{i}": text for i in range(9)}), GITHUB_LIMIT)
    assert len(body) <= GITHUB_LIMIT
    assert body.count("Deleted: store") == 9


def test_words_of_a_stack_file_cannot_leave_their_code_span(stacks: Path) -> None:
    evil = "vllm/vllm-openai:v0.11.0`|</details><img src=x>@everyone"
    edit(stacks, "aws-dev", ("path: chat,", f"path: {json.dumps(evil)},"))
    text = run("--stack", "aws-dev", "--base", "main", "--format", "markdown").stdout
    assert f"``{evil.replace('|', chr(92) + '|')}``" in text
    page = run("--stack", "aws-dev", "--base", "main", "--format", "html").stdout
    assert "<img" not in page
    assert "&lt;img src=x&gt;" in page


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("a", "`a`"), ("a`b", "``a`b``"), ("`a", "`` `a ``"), ("a\n b", "`a b`"), ("", "` `"), ("a|b", "`a\\|b`")],
)
def test_a_code_span_holds_any_text(text: str, wanted: str) -> None:
    assert code(text) == wanted


def test_a_long_word_loses_its_middle() -> None:
    made = code("a" * 50 + "b" * 50)
    assert len(made) <= 66
    assert made.startswith("`a")
    assert made.endswith("b`")
    assert "…" in made


def test_the_page_needs_no_network_and_has_every_stack(stacks: Path) -> None:
    edit(stacks, "aws-dev", ("max: 3}", "max: 5}"))
    page = run("--stack", "*", "--base", "main", "--format", "html").stdout
    assert not re.search(r"(?:src|href)\s*=|@import|url\(", page)
    assert "{{" not in page
    assert page.count("<section") == 3, "two stacks and their regions"
    assert "Nothing changes." in page


def spec(**changed: Any) -> StackSpec:
    cluster = {"cloud": "aws", "region": "us-east-1", **changed}
    return StackSpec.model_validate({"owner": "ml", "environment": "prod", "clusters": {"main": cluster}})


def pool(**changed: Any) -> dict[str, Any]:
    return {"pools": {"p": {"accelerator": "nvidia-l4", "nodes": {"max": 4}, **changed}}}


def told(before: StackSpec, after: StackSpec) -> list[tuple[str, str, str]]:
    return [(change.kind, change.what, change.name) for change in changes("s", before, after)]


CHANGES: list[tuple[StackSpec, StackSpec, list[tuple[str, str, str]]]] = [
    (spec(), spec(), []),
    (spec(), spec(network={"cidr": "10.9.0.0/16"}), [("replace", "cluster", "main")]),
    (spec(), spec(region="us-west-2"), [("replace", "cluster", "main")]),
    (spec(), spec(network={"nat": "per-zone"}), [("update", "cluster", "main")]),
    (spec(), spec(**pool()), [("create", "pool", "main/p")]),
    (spec(**pool()), spec(), [("delete", "pool", "main/p")]),
    (spec(**pool()), spec(**pool(labels={"a": "b"})), [("update", "pool", "main/p")]),
    (spec(**pool()), spec(**pool(disk_gib=300)), [("replace", "pool", "main/p")]),
    (spec(**pool()), spec(**pool(per_node=4)), [("replace", "pool", "main/p")]),
    (spec(**pool()), spec(**pool(zones=["us-east-1c"])), [("replace", "pool", "main/p")]),
    (spec(**pool()), spec(**pool(purchase="spot")), [("replace", "pool", "main/p")]),
    # A second way to buy leaves the first as it is; taking it away takes its nodes.
    (spec(**pool(purchase="spot")), spec(**pool(purchase="spot", fallback="on-demand")), [("update", "pool", "main/p")]),
    (spec(**pool(purchase="spot", fallback="on-demand")), spec(**pool(purchase="spot")), [("replace", "pool", "main/p")]),
    (spec(**pool()), spec(**pool(sharing={"time_slices": 2})), [("update", "pool", "main/p")]),
    (spec(stores={"a": {}}), spec(), [("delete", "store", "main/a")]),
    (spec(stores={"a": {}}), spec(stores={"a": {"versioned": False}}), [("update", "store", "main/a")]),
    (spec(teams={"a": {}}), spec(), [("delete", "team", "main/a")]),
]


@pytest.mark.parametrize(("before", "after", "wanted"), CHANGES)
def test_what_happens_to_the_things_of_a_stack(before: StackSpec, after: StackSpec, wanted: list[tuple[str, str, str]]) -> None:
    assert told(before, after) == wanted


def test_a_disk_that_grows_with_a_models_weights_is_seen() -> None:
    def with_weights(gib: int) -> StackSpec:
        models = {"m": {"pool": "p", "weights": {"store": "w", "size_gib": gib}}}
        return spec(**pool(), stores={"w": {}}, models=models)

    assert told(with_weights(20), with_weights(200)) == [("replace", "pool", "main/p"), ("update", "model", "main/m")]


def test_destructive_changes_come_first_and_say_what_is_lost() -> None:
    before = spec(**pool(), stores={"a": {}}, models={"m": {"pool": "p"}})
    after = spec(**pool(nodes={"max": 9}), admins=["arn:aws:iam::1:role/x"])
    found = changes("s", before, after)
    assert [change.destructive for change in found] == sorted((c.destructive for c in found), reverse=True)
    assert {(c.kind, c.name): c.why for c in found if c.destructive} == {
        ("delete", "main/a"): "its objects go with it",
        ("delete", "main/m"): "",
    }


def test_a_cluster_made_anew_takes_everything_in_it() -> None:
    before = spec(**pool(), stores={"a": {}})
    (change,) = changes("s", before, spec(**pool(), stores={"a": {}}, region="us-west-2"))
    assert change.why == "it is made anew, with 1 pool, 1 store, and the objects of its stores"
    assert isinstance(change, Change)


def test_leaving_prod_says_that_its_protection_goes() -> None:
    dev = StackSpec.model_validate({**spec().model_dump(mode="json"), "environment": "dev"})
    (change,) = changes("s", spec(), dev)
    assert change.why == "what prod protects is protected no more"


def test_markdown_of_nothing_is_nothing(stacks: Path) -> None:
    made = document.parse(run("--stack", "aws-dev", "--base", "main", "--format", "json").stdout)
    assert made.quiet
    assert markdown(made) == ""


@pytest.mark.parametrize(("limit", "verdict", "left"), [(None, None, None), (27, False, -1), (30, True, 2)])
def test_a_pool_is_ready_where_quota_and_nodes_are_there(
    limit: int | None, verdict: bool | None, left: int | None, stacks: Path
) -> None:
    row = {"cloud": "aws", "region": "us-east-1", "quota": "L-DB2E81BA", "limit": limit, "as_of": "2026-11-01"}
    (stacks.parent / "quotas.yaml").write_text(yaml.safe_dump([row] if limit else []))
    (stack,) = document.parse(run("--stack", "aws-dev", "--format", "json").stdout).stacks
    (l4,) = [one for one in stack.readiness if one.pool == "main/l4"]
    # 28 vCPUs of that quota are what the stack's pools need at their bounds.
    assert (l4.ready, l4.quota_left) == (verdict, left)
    assert (l4.offered, l4.schedules, str(l4.on_demand), str(l4.spot)) == (True, True, "0.8048", "0.4104")
    assert l4.why == "1 replica at the least fill 1 of 3 nodes"

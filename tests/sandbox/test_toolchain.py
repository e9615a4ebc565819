"""Where the sandbox's programs come from, and what a failed build leaves: nothing."""

from __future__ import annotations

import io
import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from sandbox import toolchain
from sandbox.toolchain import build, crds


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ACCELFLEET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.delenv("TOOLCHAIN", raising=False)
    return tmp_path / "cache"


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.parametrize("name", toolchain.TOOLS)
def test_every_tool_has_a_pinned_module(name: str) -> None:
    tool = toolchain.TOOLS[name]
    module = Path(toolchain.__file__).parent / "modules" / tool.module
    assert (module / "go.sum").stat().st_size > 0
    text = (module / "go.mod").read_text()
    # Alone on its line, or in a block of several.
    assert re.search(rf"^(tool |tool \((\n\t.*)*\n\t){re.escape(tool.package)}$", text, re.MULTILINE)
    assert f"v{tool.version}" in text or tool.module == "kubernetes"


def test_tools_on_one_minor_of_kubernetes_are_built_from_the_same_libraries() -> None:
    """Go compiles what two tools share once, if all of what that stands on has one version: minutes of a cold build."""
    # What client-go stands on.
    shared = r"k8s\.io/(?:api|apimachinery|client-go|klog/v2|utils)|golang\.org/x/(?:net|sys|text)|google\.golang\.org/protobuf"
    by_minor: dict[str, dict[str, dict[str, str]]] = {}
    for file in (Path(toolchain.__file__).parent / "modules").glob("*/go.mod"):
        required = re.sub(r"^replace \((.*?)^\)", "", file.read_text(), flags=re.MULTILINE | re.DOTALL)
        versions = dict(re.findall(rf"^\t({shared}) (v\S+)", required, re.MULTILINE))
        if client := versions.get("k8s.io/client-go"):
            by_minor.setdefault(client.rpartition(".")[0], {})[file.parent.name] = versions
    assert {*by_minor["v0.37"]} == {"kubernetes", "helm", "helm3", "prometheus"}
    for minor, modules in by_minor.items():
        one, *others = modules.values()
        assert all(other == one for other in others), f"align {sorted(modules)} on {minor}: {modules}"


def test_the_cache_key_follows_sources_and_flags() -> None:
    tool = toolchain.TOOLS["pulumi"]
    assert tool.key != replace(tool, ldflags="-X other").key
    assert tool.key != replace(tool, module="helm").key


def test_a_program_on_path_is_taken_only_if_new_enough(cache: Path, tmp_path: Path) -> None:
    old = program(tmp_path / "path" / "pulumi", "echo v3.100.0")
    assert toolchain.find("pulumi") is None
    program(old, "echo v3.300.1")
    assert toolchain.find("pulumi") == old


@pytest.mark.parametrize(
    "said", ["v3.22", "v3.22.0+g1234567", "v4.3", 'version.BuildInfo{Version:"v4.3.1", GoVersion:"go1.26.8"}']
)
def test_a_version_may_lack_its_patch_or_have_more(cache: Path, tmp_path: Path, said: str) -> None:
    helm = program(tmp_path / "path" / "helm", f"echo '{said}'")
    assert toolchain.find("helm") == helm


@pytest.mark.parametrize(
    "said", ["v3.2", "v3.21.9+g1234567", "v2.220", 'version.BuildInfo{Version:"dev", GoVersion:"go4.26.8"}']
)
def test_a_version_that_is_older_or_unclear_is_not_taken(cache: Path, tmp_path: Path, said: str) -> None:
    program(tmp_path / "path" / "helm", f"echo '{said}'")
    assert toolchain.find("helm") is None


def test_kubernetes_is_always_ours(cache: Path, tmp_path: Path) -> None:
    program(tmp_path / "path" / "kubectl", "echo v9.99.0")
    assert toolchain.find("kubectl") is None


def test_the_cache_comes_before_a_build(cache: Path) -> None:
    built = program(cache / toolchain.TOOLS["etcd"].key / "etcd", "true")
    assert toolchain.path("etcd") == built


def test_a_failed_build_says_what_go_said_and_leaves_nothing(cache: Path, tmp_path: Path) -> None:
    go = program(tmp_path / "go", "echo 'no required module provides it'; exit 1")
    with pytest.raises(RuntimeError, match=r"etcd 3\.7\.3 could not be built.*\n.*no required module provides it"):
        cache.mkdir()
        build._build_one(str(go), toolchain.TOOLS["etcd"], "etcd", Console(file=io.StringIO()))
    assert list(cache.iterdir()) == []


def test_a_build_goes_into_place_whole(cache: Path, tmp_path: Path) -> None:
    go = program(tmp_path / "go", 'while [ "$1" != "-o" ]; do shift; done; echo built > "$2"')
    cache.mkdir()
    build._build_one(str(go), toolchain.TOOLS["etcd"], "etcd", Console(file=io.StringIO()))
    found = toolchain.find("etcd")
    assert found is not None
    assert found.read_text() == "built\n"


@pytest.fixture
def modules(cache: Path, tmp_path: Path) -> Path:
    """Go of the fake, whose only module is here; the directory of its files."""
    source = tmp_path / "module"
    for carried in crds.CRDS.values():
        for name in carried.files:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text(f"of: {carried.module}\n")
    said = f'{{"Dir": "{source}"}}'
    program(tmp_path / "path" / "go", f"""[ "$1" = version ] && echo go version go1.99.0 || echo '{said}'""")
    return source


def test_definitions_without_a_program_are_fetched_once(modules: Path, tmp_path: Path) -> None:
    (route,) = crds.files(["HTTPRoute"])
    assert route.read_text() == "of: sigs.k8s.io/gateway-api\n"
    assert route.is_relative_to(crds.place())
    (tmp_path / "path" / "go").unlink()
    assert len(crds.files()) == len(crds.CRDS)


def test_definitions_that_cannot_be_had_leave_nothing(modules: Path, cache: Path, tmp_path: Path) -> None:
    script = '[ "$1" = version ] && echo go version go1.99.0 || { echo SECURITY ERROR; exit 1; }'
    program(tmp_path / "path" / "go", script)
    with pytest.raises(RuntimeError, match=r"gateway-api could not be had.*\n.*SECURITY ERROR\nMend: .*proxy"):
        crds.files()
    assert [path.name for path in cache.iterdir()] == ["lock"]


def test_definitions_are_pinned_by_content() -> None:
    """Without a line of go.sum Go would take whatever it is given."""
    sums = (Path(crds.__file__).parent / "go.sum").read_text()
    for carried in crds.CRDS.values():
        assert re.search(rf"^{re.escape(carried.module)} v\S+ h1:", sums, re.MULTILINE)

"""Who may import what, and what every cloud must have: the architecture, as tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.catalog.clouds import PUBLIC, Cloud
from fleet.workspace import ROOT
from infra.clouds import CLOUDS, kit

SDKS = {"pulumi_aws": "infra/clouds/aws", "pulumi_gcp": "infra/clouds/gcp", "pulumi_azure_native": "infra/clouds/azure"}
FILES = {"__init__", "provider", "network", "cluster", "node_pool", "object_store", "identity"}
SERVICES = {
    "__init__",
    "rights",
    "machine",
    "messaging",
    "function",
    "workflow",
    "machine_learning",
    "warehouse",
    "data_jobs",
    "monitoring",
}
MODULES = sorted(p for top in ("fleet", "infra", "policies", "sandbox") for p in (ROOT / top).rglob("*.py"))
PROJECTS = sorted((ROOT / "projects").rglob("*.py"))
SERVING = sorted((ROOT / "serving").rglob("*.py"))
PAGES = sorted(p for top in ("docs", "notes", "diagrams") for p in (ROOT / top).glob("*.py"))
IDS = [str(p.relative_to(ROOT)) for p in MODULES]


def imports(path: Path, *, top_level: bool = False) -> Iterator[str]:
    """Modules a file imports, anywhere or at its top only."""
    tree = ast.parse(path.read_text())
    for node in tree.body if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_a_clouds_sdk_is_imported_in_its_package_only(path: Path) -> None:
    where = str(path.relative_to(ROOT))
    for name in imports(path):
        home = SDKS.get(name.partition(".")[0])
        assert home is None or where.startswith(home), f"{where} imports {name}"


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(ROOT / "fleet")], ids=str)
def test_fleet_imports_no_sdk_and_nothing_of_infra(path: Path) -> None:
    for name in imports(path):
        assert name.partition(".")[0] not in ("pulumi", "infra", "pulumi_kubernetes", *SDKS), name
    # The sandbox is optional: only a command that needs it loads it.
    assert not any(name.startswith("sandbox") for name in imports(path, top_level=True))


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(ROOT / "sandbox")], ids=str)
def test_the_sandbox_sees_nothing_of_infra(path: Path) -> None:
    assert not any(name.startswith("infra") for name in imports(path))


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(ROOT / "policies")], ids=str)
def test_rules_need_no_sdk_and_see_no_program(path: Path) -> None:
    engine = {"pulumi"} if path.stem == "pack" else set()
    banned = {"pulumi", "pulumi_kubernetes", "infra", "sandbox", *SDKS} - engine
    assert not [name for name in imports(path) if name.partition(".")[0] in banned]


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(ROOT / "infra")], ids=str)
def test_below_the_platform_nothing_reads_settings_or_the_environment(path: Path) -> None:
    if path.name in ("platform.py", "stack.py"):
        return
    text = path.read_text()
    for forbidden in ("pulumi.Config", "os.environ", "open(", "read_text("):
        assert forbidden not in text, f"{path.name} has {forbidden}"


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(ROOT / "infra")], ids=str)
def test_no_branch_on_a_clouds_name(path: Path) -> None:
    if path.parent.name == "clouds":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare):
            parts = [ast.unparse(part) for part in (node.left, *node.comparators)]
            assert not any(part.startswith("Cloud.") for part in parts), ast.unparse(node)


@pytest.mark.parametrize("cloud", PUBLIC)
def test_every_cloud_is_whole(cloud: Cloud) -> None:
    package = ROOT / Path(*CLOUDS[cloud].split("."))
    assert {p.stem for p in package.glob("*.py")} >= FILES
    assert {p.stem for p in (package / "services").glob("*.py")} >= SERVICES
    made = kit(cloud)
    assert made.config_namespace
    for part in (made.provider, made.network, made.cluster, made.node_pool, made.object_store, made.workload_identity):
        assert callable(part)


@pytest.mark.parametrize("path", [*SERVING, *(ROOT / "tests" / "serving").rglob("*.py")], ids=str)
def test_the_model_server_shares_no_module_with_the_rest(path: Path) -> None:
    # It runs in pods, in an environment that has none of theirs.
    assert not [name for name in imports(path) if name.partition(".")[0] in ("fleet", "infra", "sandbox", "pulumi")]


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_nobody_imports_the_model_server(path: Path) -> None:
    assert not [name for name in imports(path) if name.partition(".")[0] == "serving"]


@pytest.mark.parametrize("path", [*MODULES, *SERVING], ids=str)
def test_what_makes_pages_is_imported_by_nobody(path: Path) -> None:
    assert not [name for name in imports(path) if name.partition(".")[0] in ("docs", "notes", "diagrams")]


@pytest.mark.parametrize("path", PROJECTS, ids=str)
def test_projects_read_the_catalogue_and_nothing_else_of_ours(path: Path) -> None:
    for name in imports(path):
        top = name.partition(".")[0]
        assert top not in ("infra", "sandbox", "serving", "pulumi", *SDKS), name
        assert top != "fleet" or name == "fleet.cost" or name.startswith("fleet.catalog."), name


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_nobody_imports_projects(path: Path) -> None:
    assert not [name for name in imports(path) if name.partition(".")[0] == "projects"]


@pytest.mark.parametrize("path", SERVING, ids=str)
def test_a_runtimes_framework_is_imported_in_its_module_only(path: Path) -> None:
    homes = {"onnxruntime": "onnx", "openvino": "openvino", "torch": "torchscript", "jax": "xla", "tvm": "tvm"}
    for name in imports(path):
        assert homes.get(name.partition(".")[0], path.stem) == path.stem, f"{path.name} imports {name}"


def test_every_test_is_collected() -> None:
    for path in (ROOT / "tests").rglob("*.py"):
        if "def test_" in path.read_text() and not path.name.startswith("test_"):
            raise AssertionError(f"{path.name} has tests that pytest never collects")


@pytest.mark.parametrize("path", [*MODULES, *PROJECTS, *SERVING, *PAGES], ids=str)
def test_no_module_grows_past_500_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 500

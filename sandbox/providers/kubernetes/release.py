"""`kubernetes:helm.sh/v3:Release` by the real helm.

A chart in a directory is installed as it is. A chart from a repository is not fetched, as a sandbox reaches no network:
a stand-in of the same name under `sandbox/charts` takes its place, else an empty release that only keeps its values,
and the user is told.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sandbox.cloud.client import Client
from sandbox.cloud.errors import CloudError
from sandbox.providers.base import UNKNOWN, Diff, Failure, HalfMade, Refused, compare, has_unknown
from sandbox.providers.kubernetes.helm import Helm, HelmError
from sandbox.providers.kubernetes.kubeconfig import Kubeconfig
from sandbox.providers.kubernetes.waiting import pod_reasons

if TYPE_CHECKING:
    from sandbox.providers.kubernetes.provider import Kubernetes

_STAND_INS = Path(__file__).parents[2] / "charts"
_TIMEOUT = 300.0  # seconds, Helm's own default
# Inputs that are helm's flags by the same name.
_FLAGS = {
    "createNamespace": "--create-namespace",
    "cleanupOnFail": "--cleanup-on-fail",
    "skipCrds": "--skip-crds",
    "waitForJobs": "--wait-for-jobs",
    "disableWebhooks": "--no-hooks",
    "resetValues": "--reset-values",
    "reuseValues": "--reuse-values",
    "dependencyUpdate": "--dependency-update",
    "takeOwnership": "--take-ownership",
    "disableOpenapiValidation": "--disable-openapi-validation",
}
_REFUSED = ("postrender", "verify", "keyring", "devel", "lint", "replace", "recreatePods", "forceUpdate")
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")


class Releases:
    """Helm releases in one cluster."""

    def __init__(self, owner: Kubernetes, kubeconfig: Kubeconfig, namespace: str) -> None:
        self._owner = owner
        self._namespace = namespace
        self._helm = Helm(kubeconfig, owner.cancelled)

    def check(
        self, logical: str, olds: dict[str, Any], news: dict[str, Any], seed: bytes
    ) -> tuple[dict[str, Any], list[Failure]]:
        """Name it, note what the chart is made of, and have helm render it: that checks values against the chart's schema."""
        inputs = {"namespace": self._namespace, **news}
        inputs.setdefault("name", olds.get("name") or f"{logical.lower()}-{seed.hex()[:8]}")
        failures = [
            Failure(key, f"not stood in for: the sandbox's helm takes {', '.join(sorted(_FLAGS))}")
            for key in _REFUSED
            if inputs.get(key)
        ]
        chart = inputs.get("chart")
        if chart is UNKNOWN:
            return inputs, failures
        if not chart:
            return inputs, [*failures, Failure("chart", "missing: a directory, or a chart's name")]
        if _looks_local(str(chart)) and not Path(chart).is_dir():
            return inputs, [*failures, Failure("chart", f"there is no chart directory {chart} (from {Path.cwd()})")]
        if (directory := _directory(inputs)) is not None:
            inputs["checksum"] = _checksum(directory)
            if not failures and inputs != olds and not has_unknown(inputs):
                failures += self._render(inputs)
        return inputs, failures

    def _render(self, inputs: dict[str, Any]) -> list[Failure]:
        try:
            with _chart(inputs) as (chart, version):
                self._helm.run("template", inputs["name"], chart, *version, "-n", inputs["namespace"], values=_values(inputs))
        except HelmError as error:
            at = "values" if "schema" in str(error) or "values" in str(error) else "chart"
            return [Failure(at, str(error))]
        return []

    def diff(self, old_inputs: dict[str, Any], news: dict[str, Any]) -> Diff:
        found = compare(old_inputs, news, lambda path: path in ("name", "namespace"))
        return Diff(found.replaces, found.changes)

    def create(self, urn: str, inputs: dict[str, Any], preview: bool) -> tuple[str, dict[str, Any]]:
        if preview:
            return "", {**inputs, "status": UNKNOWN, "resourceNames": UNKNOWN}
        self._clear_the_way(inputs)
        return _id(inputs), self._upgrade(urn, inputs)

    def update(self, urn: str, id_: str, inputs: dict[str, Any], preview: bool) -> dict[str, Any]:
        if preview:
            return {**inputs, "status": UNKNOWN, "resourceNames": UNKNOWN}
        self._clear_the_way(inputs)
        return self._upgrade(urn, inputs)

    def read(self, id_: str, inputs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
        namespace, name = id_.split("/", 1)
        status = self._status(name, namespace)
        if status is None:
            return None
        values = json.loads(self._helm.run("get", "values", name, "-n", namespace, "-o", "json")) or {}
        if inputs:
            live = {**inputs, "values": values} if not inputs.get("valueYamlFiles") else inputs
        else:
            live = {"name": name, "namespace": namespace, "chart": status["chart"], "values": values}
        if not live["values"] and "values" not in inputs:
            live = {k: v for k, v in live.items() if k != "values"}
        return live, self._outputs(live, status)

    def delete(self, id_: str, inputs: dict[str, Any]) -> None:
        namespace, name = id_.split("/", 1)
        self._addon(inputs, present=False)
        self._uninstall(name, namespace, self._owner.timeout(float(inputs.get("timeout") or _TIMEOUT)))

    def _uninstall(self, name: str, namespace: str, timeout: float) -> None:
        # Helm's own default: its objects go at once and their pods after them. In the foreground a Deployment waits for the
        # garbage collector, which on a busy machine was seen to take minutes.
        flags = ("--ignore-not-found", "--wait", "--timeout", f"{timeout:g}s", "--cascade", "background")
        self._helm.run("uninstall", name, "-n", namespace, *flags, timeout=timeout + 30)

    def _addon(self, inputs: dict[str, Any], *, present: bool) -> None:
        """Let the programs behind a stand-in's pods run: they belong to the sandbox (`sandbox.addons`), not to this plugin."""
        if _own(inputs) is not None or _directory(inputs) is None:
            return
        try:
            Client().call("addon", endpoint=self._owner.api.server, chart=_name(inputs), present=present)
        except CloudError as refused:
            if present:
                raise Refused(f"release {_id(inputs)}: {refused.message}") from None

    def _clear_the_way(self, inputs: dict[str, Any]) -> None:
        """A helm that was killed leaves a release pending, which helm then refuses to touch; nothing else runs it now."""
        name, namespace = inputs["name"], inputs["namespace"]
        found = self._status(name, namespace)
        if found is not None and found["status"] == "pending-install":
            self._uninstall(name, namespace, _TIMEOUT)
        elif found is not None and found["status"].startswith("pending-"):
            self._helm.run("rollback", name, "-n", namespace, "--timeout", f"{_TIMEOUT:g}s", timeout=_TIMEOUT + 30)

    def _upgrade(self, urn: str, inputs: dict[str, Any]) -> dict[str, Any]:
        name, namespace = inputs["name"], inputs["namespace"]
        timeout = self._owner.timeout(float(inputs.get("timeout") or _TIMEOUT))
        flags = [flag for key, flag in _FLAGS.items() if inputs.get(key) is True]
        if inputs.get("atomic"):
            flags.append("--rollback-on-failure" if self._helm.major >= 4 else "--atomic")
        if inputs.get("atomic") or not inputs.get("skipAwait"):
            # As Pulumi's own provider waits. Helm 4's watcher ends once all is ready and then looks again: what changes in that
            # moment, as a ScaledObject does, is taken for a failure (helm 4.3.1, pkg/kube/statuswait.go: wait).
            flags.append("--wait=legacy" if self._helm.major >= 4 else "--wait")
        for key, flag in (("description", "--description"), ("maxHistory", "--history-max")):
            if inputs.get(key) is not None:
                flags += [flag, str(inputs[key])]
        with _chart(inputs) as (chart, version):
            if _directory(inputs) is None:
                self._owner.log(
                    urn, f"chart {inputs['chart']} comes from a repository: released empty, only its values are kept", "warning"
                )
            try:
                where = ("-n", namespace, "--timeout", f"{timeout:g}s")
                self._helm.run(
                    "upgrade", "--install", name, chart, *version, *where, *flags, values=_values(inputs), timeout=timeout + 60
                )
            except HelmError as error:
                self._fail(inputs, error)
        self._addon(inputs, present=True)
        status = self._status(name, namespace)
        if status is None:
            raise Refused(f"release {_id(inputs)} vanished while it was installed")
        return self._outputs(inputs, status)

    def _fail(self, inputs: dict[str, Any], error: HelmError) -> None:
        """Nothing is left of a failed atomic install; what is left of another goes into the state, to be mended."""
        status = self._status(inputs["name"], inputs["namespace"])
        if status is None:
            raise Refused(f"release {_id(inputs)}: {error}") from None
        outputs = self._outputs(inputs, status)
        raise HalfMade(_id(inputs), inputs, outputs, [f"release {_id(inputs)}: {error}", *self._reasons(inputs)]) from None

    def _reasons(self, inputs: dict[str, Any]) -> list[str]:
        reasons: list[str] = []
        for thing in self._manifest(inputs["name"], inputs["namespace"]):
            if thing.get("kind") in _WORKLOADS:
                metadata = {"namespace": inputs["namespace"], **thing["metadata"]}
                reasons += pod_reasons(self._owner.api, {**thing, "metadata": metadata})
        return reasons

    def _status(self, name: str, namespace: str) -> dict[str, Any] | None:
        """As the resource's `status` output has it; None where there is no such release."""
        try:
            about = json.loads(self._helm.run("status", name, "-n", namespace, "-o", "json"))
            chart = json.loads(self._helm.run("get", "metadata", name, "-n", namespace, "-o", "json"))
        except HelmError as error:
            if "not found" in str(error):
                return None
            raise
        return {
            "name": name,
            "namespace": namespace,
            "revision": about["version"],
            "status": about["info"]["status"],
            "chart": chart["chart"],
            "version": chart["version"],
            "appVersion": chart.get("appVersion", ""),
        }

    def _manifest(self, name: str, namespace: str) -> list[dict[str, Any]]:
        text = self._helm.run("get", "manifest", name, "-n", namespace)
        return [thing for thing in yaml.safe_load_all(text) if thing]

    def _outputs(self, inputs: Mapping[str, Any], status: dict[str, Any]) -> dict[str, Any]:
        names: dict[str, list[str]] = {}
        for thing in self._manifest(status["name"], status["namespace"]):
            group = thing["apiVersion"].rpartition("/")[0]
            key = f"{thing['kind']}{'.' + group if group else ''}/{thing['apiVersion']}"
            metadata = thing["metadata"]
            names.setdefault(key, []).append("/".join(p for p in (metadata.get("namespace"), metadata["name"]) if p))
        return {**inputs, "version": inputs.get("version") or status["version"], "status": status, "resourceNames": names}


def _id(inputs: Mapping[str, Any]) -> str:
    return f"{inputs['namespace']}/{inputs['name']}"


def _looks_local(chart: str) -> bool:
    return chart.startswith((".", "/"))


def _directory(inputs: Mapping[str, Any]) -> Path | None:
    """Where the chart's files are: the program's, else the sandbox's stand-in for it."""
    stand_in = _STAND_INS / _name(inputs)
    return _own(inputs) or (stand_in if stand_in.is_dir() else None)


def _own(inputs: Mapping[str, Any]) -> Path | None:
    chart = str(inputs["chart"])
    return Path(chart) if not (inputs.get("repositoryOpts") or {}).get("repo") and Path(chart).is_dir() else None


def _name(inputs: Mapping[str, Any]) -> str:
    return str(inputs["chart"]).rpartition("/")[2]


@contextmanager
def _chart(inputs: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The chart argument and its version flag."""
    directory = _directory(inputs)
    if directory is not None:
        yield str(directory), []
        return
    with tempfile.TemporaryDirectory(prefix="accelfleet-chart-") as made:
        about = {
            "apiVersion": "v2",
            "name": _name(inputs),
            "version": str(inputs.get("version") or "0.0.0").removeprefix("v"),
            "description": "An empty stand-in for a chart that the sandbox cannot fetch",
        }
        (Path(made) / "Chart.yaml").write_text(yaml.safe_dump(about))
        yield made, []


def _values(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The files' values in their order, then the inline ones over them."""
    merged: dict[str, Any] = {}
    for asset in inputs.get("valueYamlFiles") or []:
        text = asset["text"] if asset.get("text") else Path(asset["path"]).read_text()
        merged = _merge(merged, yaml.safe_load(text) or {})
    return _merge(merged, inputs.get("values") or {})


def _merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        key: _merge(under[key], value) if isinstance(value, Mapping) and isinstance(under.get(key), Mapping) else value
        for key, value in over.items()
    }
    return {**under, **both}


def _checksum(directory: Path) -> str:
    """Changes when any file of the chart does, so that a changed chart is an update."""
    digest = hashlib.sha256()
    for file in sorted(path for path in directory.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(directory)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()

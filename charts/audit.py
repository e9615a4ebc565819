"""Every render of our charts before kube-score, and with `--checkov` before checkov: `python charts/audit.py`.

Owns what is rendered and which findings stand (`audit.yaml`, each with its reason). kube-score is a program of the toolchain
and fast enough for every run of the tests; checkov is 290 MB of Python, so it has an environment of its own in the cache, made
when it is first asked for, and no test waits for it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

CHARTS = Path(__file__).parent
sys.path.insert(0, str(CHARTS.parent))
WAIVERS = CHARTS / "audit.yaml"
_CHECKOV = "3.3.30"
_MINOR = "1.35"
_TRIGGER = {"type": "prometheus", "metadata": {"serverAddress": "http://prometheus", "query": "q", "threshold": "1"}}
# Chart -> name of a render -> values on top of the chart's own least ones.
RENDERS: dict[str, dict[str, dict[str, Any]]] = {
    "model-serving": {
        "least": {},
        "hpa": {"autoscaling": {"kind": "hpa"}, "replicas": {"min": 2, "max": 4}},
        "keda": {"autoscaling": {"kind": "keda", "keda": {"triggers": [_TRIGGER]}}, "replicas": {"min": 0, "max": 4}},
        "jobs": {"autoscaling": {"kind": "jobs", "keda": {"triggers": [_TRIGGER]}}, "replicas": {"min": 0, "max": 4}},
        "cached": {"weights": {"sizeGiB": 16, "cache": {"kind": "pvc"}}},
    },
    "training": {
        "least": {},
        "jobset": {"engine": "jobset"},
        "rayjob": {"engine": "rayjob", "script": {"module": "training.ray_ddp"}},
        "deepspeed": {"launcher": "deepspeed", "deepspeed": {"zero_optimization": {"stage": 2}}},
    },
}


@dataclass(frozen=True, order=True)
class Finding:
    """What a tool found. `where`: kind and name, and the container where there is one."""

    tool: str
    check: str
    where: str
    says: str


@dataclass(frozen=True)
class Waiver:
    """A finding that stands."""

    tool: str
    check: str
    where: str
    reason: str

    def speaks_of(self, finding: Finding) -> bool:
        same = (self.tool, self.check) == (finding.tool, finding.check)
        return same and fnmatchcase(finding.where, self.where)


def waivers() -> list[Waiver]:
    told = yaml.safe_load(WAIVERS.read_text())
    return [Waiver(tool, **row) for tool, rows in told.items() for row in rows]


def renders() -> Iterator[tuple[str, str]]:
    """(name, text) of each render."""
    from sandbox import toolchain  # noqa: PLC0415 - the path to it is set above

    for chart, named in RENDERS.items():
        for name, values in named.items():
            command: list[str | Path] = [toolchain.path("helm"), "template", "chat", CHARTS / chart, "-n", "models", "-f", "-"]
            command += ["-f", CHARTS / chart / "ci" / "minimal-values.yaml", "--kube-version", f"{_MINOR}.0"]
            done = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{chart}, {name}: helm refuses it\n{done.stderr}")
            yield f"{chart}-{name}", done.stdout


def kube_score(texts: dict[str, str]) -> Iterator[Finding]:
    """https://github.com/zegl/kube-score/blob/master/README_CHECKS.md; its grades below 10 are findings."""
    from sandbox import toolchain  # noqa: PLC0415

    command: list[str | Path] = [toolchain.path("kube-score"), "score", "--kubernetes-version", f"v{_MINOR}", "-o", "json", "-"]
    answers = []
    for text in texts.values():
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if not done.stdout.startswith("["):
            raise SystemExit(f"kube-score: {done.stderr or done.stdout}")
        answers += json.loads(done.stdout)
    for one in answers:
        place = f"{one['type_meta']['kind']}/{one['object_meta']['name']}"
        for check in one["checks"]:
            for said in (check["comments"] or []) if check["grade"] < 10 and not check["skipped"] else []:
                where = f"{place}/{said['path']}" if said["path"] else place
                yield Finding("kube-score", check["check"]["id"], where, said["summary"])


def checkov(texts: dict[str, str]) -> Iterator[Finding]:
    """https://www.checkov.io/5.Policy%20Index/kubernetes.html; offline, and all at once: its start is most of its time."""
    from sandbox import toolchain  # noqa: PLC0415

    place = toolchain.cache() / f"checkov-{_CHECKOV}"
    if not (place / "bin" / "checkov").exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        install: list[str | Path] = [
            place / "bin" / "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            f"checkov=={_CHECKOV}",
        ]
        subprocess.run(install, check=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in texts.items():
            (Path(scratch) / f"{name}.yaml").write_text(text)
        command: list[str | Path] = [place / "bin" / "python", "-m", "checkov.main", "-d", scratch, "--framework", "kubernetes"]
        command += ["--skip-download", "--compact", "--quiet", "-o", "json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout.startswith("{"):
        raise SystemExit(f"checkov: {done.stderr or done.stdout}")
    for failed in json.loads(done.stdout)["results"]["failed_checks"]:
        kind, _, name = failed["resource"].partition(".")
        yield Finding("checkov", failed["check_id"], f"{kind}/{name.rpartition('.')[2]}", failed["check_name"])


def audit(tools: tuple[str, ...]) -> list[str]:
    """What is neither mended nor waived, and rows that waive nothing; sorted, each once."""
    runs = {"kube-score": kube_score, "checkov": checkov}
    told = [one for one in waivers() if one.tool in tools]
    texts = dict(renders())
    found = {finding for tool in tools for finding in runs[tool](texts)}
    new = [f for f in sorted(found) if not any(waiver.speaks_of(f) for waiver in told)]
    idle = [w for w in told if not any(w.speaks_of(finding) for finding in found)]
    return [
        *(f"{f.tool} {f.check} at {f.where}: {f.says}. Mend the chart, or say in {WAIVERS.name} why it stands." for f in new),
        *(f"{w.tool} {w.check} at {w.where}: no render has it any more. Take the row out of {WAIVERS.name}." for w in idle),
    ]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python charts/audit.py", description=__doc__)
    parser.add_argument("--checkov", action="store_true", help="checkov, too")
    tools = ("kube-score", "checkov") if parser.parse_args(arguments).checkov else ("kube-score",)
    for line in (found := audit(tools)):
        sys.stderr.write(f"{line}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The Compose pipeline: its programs as processes, and its files by the schemas of those who read them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
import requests
import yaml

from projects.compose_pipeline import worker
from projects.table import Table

HERE = Path(__file__).parents[2] / "projects" / "compose_pipeline"
COMPOSE = yaml.safe_load((HERE / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]


def test_every_job_is_answered_though_a_worker_is_killed(executed: Callable[[str], dict[str, Any]]) -> None:
    names = executed("compose_pipeline")
    table: Table = names["table"]
    figures = dict(table.rows)
    assert figures["answered"] == figures["jobs sent"] - 1 == 60
    assert figures["dead"] == 1
    assert figures["right %"] > 90
    assert 0 < figures["answered by the two that followed"] <= 60
    assert figures["requests that the server counted"] >= 61, "at least once each"


def test_the_file_is_of_composes_schema() -> None:
    # docker-compose 1.29's, the newest on PyPI: what it allows, Compose still does.
    schema = json.loads((resources.files("compose") / "config" / "compose_spec.json").read_text())
    valid = jsonschema.Draft201909Validator(schema)
    valid.validate({key: value for key, value in COMPOSE.items() if key != "name"})  # which Compose takes since 2.3.3
    with pytest.raises(jsonschema.ValidationError):
        valid.validate({"services": {"a": {"imagine": "x"}}})


def test_podman_compose_reads_it_alike() -> None:
    from podman_compose import flat_deps, normalize, rec_subs

    read = normalize(rec_subs(yaml.safe_load((HERE / "compose.yaml").read_text()), {}))
    flat_deps(read["services"])
    assert set(read["services"]) == set(SERVICES)
    assert {str(dep.name) for dep in read["services"]["worker"]["_deps"]} >= {"queue", "model-server", "train"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_may_do_little_and_listens_on_loopback(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("read_only") or name == "train"
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert not service["image"].endswith(":latest")
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        assert (HERE / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], volume


def test_what_is_built_is_there() -> None:
    for service in SERVICES.values():
        if build := service.get("build"):
            root = (HERE / build["context"]).resolve()
            dockerfile = (root / build["dockerfile"]).read_text()
            assert f"AS {build.get('target', 'packages')}" in dockerfile
            for source in re.findall(r"^COPY (?!--from)(\S+) ", dockerfile, re.MULTILINE):
                assert list(root.glob(source)), source


def test_the_workers_image_has_the_versions_that_are_tested() -> None:
    def pins(name: str) -> set[str]:
        return {line for line in (HERE / name).read_text().splitlines() if line and not line.startswith("#")}

    assert len(pins("requirements-worker.txt")) >= 5
    assert pins("requirements-worker.txt") <= pins("../requirements.txt")


def test_prometheus_and_grafana_name_what_there_is() -> None:
    scrapes = yaml.safe_load((HERE / "prometheus.yml").read_text())["scrape_configs"]
    assert {one["job_name"] for one in scrapes} <= set(SERVICES)
    assert scrapes[1]["dns_sd_configs"][0]["port"] == 9100
    source = yaml.safe_load((HERE / "grafana/datasources/prometheus.yaml").read_text())["datasources"][0]
    board = json.loads((HERE / "grafana/dashboards/pipeline.json").read_text())
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {source["uid"]}
    shown = {name for panel in board["panels"] for one in panel["targets"] for name in re.findall(r"pipeline_\w+", one["expr"])}
    made = {metric for one in (worker.DONE, worker.WAITING, worker.SECONDS) for metric in _series(one)}
    assert shown
    assert shown <= made


def _series(metric: Any) -> set[str]:
    ends = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
    return {metric._name + end for end in ends[metric._type]}


class Answer(SimpleNamespace):
    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise requests.HTTPError(str(self.status_code))

    def json(self) -> Any:
        return {"outputs": [{"data": [0.1, 0.9, 0.3]}]}


@pytest.mark.parametrize(
    ("status", "job", "said"),
    [
        (200, "[0, 1]", None),
        (400, "[0, 1]", worker.BadJobError),
        (200, "no json", worker.BadJobError),
        (200, '["a"]', worker.BadJobError),
        (429, "[0, 1]", requests.HTTPError),
        (503, "[0, 1]", requests.HTTPError),
    ],
)
def test_a_bad_job_is_told_from_a_busy_server(status: int, job: str, said: type[Exception] | None) -> None:
    session: Any = SimpleNamespace(post=lambda *_, **__: Answer(status_code=status, text="refused"))
    if said is None:
        assert worker.ask(session, "http://x", job) == 1
    else:
        with pytest.raises(said):
            worker.ask(session, "http://x", job)


def test_a_job_is_put_aside_after_three_tries_and_no_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    import fakeredis

    queue = fakeredis.FakeRedis(decode_responses=True)
    one = worker.Worker(queue, "http://x", "one", idle_ms=0)

    def fails(*_: object) -> int:
        raise requests.ConnectionError("gone")

    monkeypatch.setattr(worker, "ask", fails)
    queue.xadd(worker.JOBS, {"id": "7", "x": "[]"})
    for tries in range(1, worker.MOST + 1):
        assert queue.xlen(worker.DEAD) == 0, tries
        for number, job in one._taken():
            one._do(number, job)
    assert (queue.xlen(worker.JOBS), queue.xlen(worker.DEAD)) == (0, 1)
    ((_, dead),) = queue.xrange(worker.DEAD)
    assert (dead["id"], dead["why"]) == ("7", "3 tries: gone")


@pytest.mark.parametrize("job", [{"id": "7", "x": "[0, 1]"}, {"id": "7", "x": "no json"}], ids=["good", "bad"])
def test_a_worker_that_dies_before_any_of_its_commands_leaves_the_job_to_another(job: dict[str, str]) -> None:
    import fakeredis

    queue = fakeredis.FakeRedis(decode_responses=True)
    answers: Any = SimpleNamespace(post=lambda *_, **__: Answer(status_code=200, text=""))
    for lives in range(10):
        queue.flushall()
        queue.xadd(worker.JOBS, job)
        died = _works(Mortal(queue, lives), answers)
        _works(queue, answers)
        # Nothing waits, and the job has one end, whenever the first died.
        assert queue.xlen(worker.JOBS) == 0, lives
        assert queue.hlen(worker.ANSWERS) + queue.xlen(worker.DEAD) == 1, lives
        if not died:
            break
    assert lives >= 3
    assert not died


def _works(queue: Any, answers: Any) -> bool:
    """Do what there is to do; whether the worker died of it."""
    try:
        one = worker.Worker(queue, "http://x", "one", idle_ms=0)
        one._session = answers
        for number, job in one._taken():
            one._do(number, job)
    except MortalError:
        return True
    return False


class MortalError(Exception):
    """The process is gone."""


class Mortal:
    """A queue's client whose process dies before it sends one command more than it may."""

    def __init__(self, queue: Any, lives: int) -> None:
        self._queue, self._lives = queue, lives

    def __getattr__(self, name: str) -> Any:
        def sent(*args: Any, **kwargs: Any) -> Any:
            if name == "pipeline":
                at_once = self._queue.pipeline(*args, **kwargs)
                at_once.execute = Mortal._counted(self, at_once.execute)
                return at_once
            return self._counted(getattr(self._queue, name))(*args, **kwargs)

        return sent

    def _counted(self, command: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            if self._lives == 0:
                raise MortalError
            self._lives -= 1
            return command(*args, **kwargs)

        return counted

"""AWS's protocols both ways: a request into the parameters of botocore's own model, and an answer into what an SDK reads.

moto's parsers and serializers do it; what an operation means is not theirs here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from botocore.loaders import Loader

from sandbox.cloud.errors import CloudError

if TYPE_CHECKING:
    from moto.core.model import ServiceModel

    from sandbox.cloud.world import World

_LOADER = Loader()
Reply = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Call:
    """One request: `asked` are its parameters by the names of the API reference."""

    service: str
    region: str
    operation: str
    asked: dict[str, Any]

    @classmethod
    def read(
        cls, service: str, region: str, known: Container[str], method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> Call:
        """Parse a request.

        Args:
            known: operations that somebody does.

        Raises:
            CloudError: it is for another one.
        """
        from moto.core.parse import PROTOCOL_PARSERS  # noqa: PLC0415 - a sandbox without Karpenter needs no moto here

        model = _model(service)
        form = dict(parse_qsl(body.decode(), keep_blank_values=True)) if _protocol(service) in ("ec2", "query") else {}
        operation, named = _operation(model, method, path, headers, form)
        if operation not in known:
            raise CloudError("InvalidAction", f"the sandbox's {service} does not do {operation}")
        request: Any = {"body": body, "headers": dict(headers), "method": method, "url_path": path, "values": form}
        request["url_params"] = named
        parsed = PROTOCOL_PARSERS[_protocol(service)](model.operation_model(operation)).parse(request)
        return cls(service, region, operation, dict(parsed))

    def filters(self) -> dict[str, list[str]]:
        """EC2's filters: a name, and values of which one must match."""
        return {f["Name"]: list(f.get("Values") or []) for f in self.asked.get("Filters") or []}


Handler = Callable[["World", Call], Mapping[str, Any]]


@cache
def _model(service: str) -> ServiceModel:
    from moto.core.model import ServiceModel  # noqa: PLC0415

    return ServiceModel(_LOADER.load_service_model(service, "service-2"), service)


@cache
def _protocol(service: str) -> str:
    return str(_model(service).metadata["protocol"])


def _operation(
    model: ServiceModel, method: str, path: str, headers: Mapping[str, str], form: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """The operation's name, and the parts of the path that are parameters."""
    if "Action" in form:
        return form["Action"], {}
    if target := headers.get("x-amz-target"):
        return target.rpartition(".")[2], {}
    for name in model.operation_names:
        http = model.operation_model(name).http
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(str(http["requestUri"]).partition("?")[0]))
        if http["method"] == method and (found := re.fullmatch(pattern, path)):
            return name, found.groupdict()
    return f"{method} {path}", {}


def serialize(call: Call, result: Mapping[str, Any]) -> Reply:
    """What the SDK expects of an operation that went well."""
    from moto.core.serialize import get_serializer_class  # noqa: PLC0415

    protocol = _protocol(call.service)
    operation = _model(call.service).operation_model(call.operation)
    made = get_serializer_class(call.service, protocol)(operation).serialize(dict(result))
    body = made["body"]
    return made["status_code"], dict(made["headers"]), body.encode() if isinstance(body, str) else body


def refuse(service: str, problem: CloudError) -> Reply:
    """An error in the service's own form."""
    known = service in ("ec2", "iam", "sts")
    if not known and not _protocol(service).startswith(("json", "rest-json")):
        known = True
    code, message = escape(problem.code), escape(problem.message)
    if not known:
        body = json.dumps({"__type": problem.code, "message": problem.message})
        kind = {"content-type": "application/x-amz-json-1.1", "x-amzn-errortype": problem.code}
        return problem.status, kind, body.encode()
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    inside = f"<Errors>{error}</Errors><RequestID>sandbox</RequestID>"
    whole = f"<Response>{inside}</Response>" if service == "ec2" else f"<ErrorResponse>{error}</ErrorResponse>"
    return problem.status, {"content-type": "text/xml"}, whole.encode()

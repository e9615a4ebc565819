"""How a type of AWS's is made in moto's server, too: the call that makes it, the one that deletes it, and the client that asks.

Which types, and with what, is `sandbox.cloud.aws_services`'.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from sandbox.cloud.aws import Aws, region
from sandbox.cloud.errors import CloudError
from sandbox.cloud.records import Record

if TYPE_CHECKING:
    from sandbox.cloud.world import World

Json = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """How a type is made and deleted by AWS's API.

    Attributes:
        made, gone: the operation's arguments, from the record; None for one that moto is not asked for.
        answers: outputs taken from the answer, by their names there.
    """

    service: str
    create: str
    made: Callable[[Record], Json | None]
    delete: str = ""
    gone: Callable[[Record], Json] = lambda record: {}
    answers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class InMoto(Aws):
    """A type whose things are in moto, too; ids, ARNs and outputs are those of the behaviour that it stands before."""

    inner: Aws = Aws()  # noqa: RUF009 - frozen
    call: Call | None = None

    def identify(self, world: World, record: Record) -> str:
        return self.inner.identify(world, record)

    def outputs(self, world: World, record: Record) -> Json:
        return self.inner.outputs(world, record)

    def created(self, world: World, record: Record) -> Json:
        assert self.call is not None, "built by `in_moto`"
        out = self.inner.created(world, record)
        if (asked := self.call.made(record)) is None:
            return out
        answer = _ask(world, record, self.call.service, self.call.create, asked)
        return out | {ours: answer[theirs] for ours, theirs in self.call.answers}

    def deleting(self, world: World, record: Record) -> None:
        assert self.call is not None, "built by `in_moto`"
        self.inner.deleting(world, record)
        if self.call.delete and self.call.made(record) is not None:
            _ask(world, record, self.call.service, self.call.delete, self.call.gone(record), gone_is_fine=True)


@cache
def client(endpoint: str, service: str, where: str) -> Any:
    """AWS's own client, pointed at moto."""
    from botocore.session import get_session  # noqa: PLC0415 - only AWS stacks pay for it

    keys = {"aws_access_key_id": "sandbox", "aws_secret_access_key": "sandbox"}
    return get_session().create_client(service, region_name=where, endpoint_url=endpoint, **keys)


def _ask(world: World, record: Record, service: str, operation: str, asked: Json, *, gone_is_fine: bool = False) -> Json:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - only AWS stacks pay for it

    try:
        answer: Json = getattr(client(world.buckets.s3.endpoint, service, region(record)), operation)(**asked)
    except ClientError as refused:
        if gone_is_fine:
            return {}
        error = refused.response["Error"]
        raise CloudError(error.get("Code", "Refused"), f"{record.type} {record.name}: {error.get('Message')}", 400) from None
    return answer


def in_moto(inner: Aws, call: Call) -> InMoto:
    return InMoto(prefix=inner.prefix, key=inner.key, holds=inner.holds, immutable=inner.immutable, inner=inner, call=call)

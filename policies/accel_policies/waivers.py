"""Rules about waivers: they end, and nobody forgets when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from policies.accel_policies.rule import FoundAt, Resource, Rules, Severity, Stack, Told
from policies.accel_policies.settings import Settings

rules = Rules("waivers")
HIGH, LOW = Severity.HIGH, Severity.LOW

# Waivers belong to no resource; the message says where they stand.
STACK_FILE = Resource(type="accelfleet:policies:StackFile", name="stack file", props={})
_WARNS = timedelta(days=14)


@rules.on("waiver-expired", HIGH, (), mend="mend what it waives, or give it a new date and say why", whole=True)
def _expired(_: Stack, settings: Settings) -> Iterator[FoundAt]:
    """No waiver is past its end.

    What was agreed for a while else becomes how things are.
    """
    for i, waiver in enumerate(settings.waivers):
        if waiver.expires < settings.today:
            yield STACK_FILE, f"policies.waivers[{i}].expires", Told(f"{waiver.expires}, of {waiver.rule} on {waiver.resource}")


@rules.on("waiver-ends-soon", LOW, (), mend="mend what it waives before that day", whole=True)
def _soon(_: Stack, settings: Settings) -> Iterator[FoundAt]:
    """A waiver that ends within two weeks is said beforehand.

    The day on which it ends is else the day on which nothing can be applied.
    """
    for i, waiver in enumerate(settings.waivers):
        if settings.today <= waiver.expires <= settings.today + _WARNS:
            yield STACK_FILE, f"policies.waivers[{i}].expires", Told(f"{waiver.expires}, of {waiver.rule} on {waiver.resource}")

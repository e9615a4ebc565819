"""Every rule on its fixtures: it minds what it must, nothing else, and never what is not known yet."""

from __future__ import annotations

from functools import cache

import pytest

from policies.accel_policies.judge import RULES
from policies.accel_policies.rule import Stack
from tests.policies import fixtures
from tests.policies.programs import minds, record


@cache
def recorded(number: int) -> dict[tuple[str, str], Stack]:
    return record(fixtures.SETS[number])


ONES = [
    (number, rule, kind) for number, cases in enumerate(fixtures.SETS) for rule, case in cases.items() for kind in case.kinds()
]


def test_no_rule_is_without_its_four_fixtures() -> None:
    covered = {rule for cases in fixtures.SETS for rule in cases}
    assert covered == set(RULES)


@pytest.mark.parametrize(("number", "rule_id", "kind"), ONES, ids=[f"{rule}-{kind}-{number}" for number, rule, kind in ONES])
def test_a_rule_minds_what_it_must(number: int, rule_id: str, kind: str) -> None:
    case, rule = fixtures.SETS[number][rule_id], RULES[rule_id]
    stack, (fixture, minded) = recorded(number)[rule_id, kind], case.kinds()[kind]
    settings = case.others.get(kind, case.settings)
    assert len(stack.resources) == len(fixture)
    messages, unknown = minds(rule, stack, settings)
    assert bool(messages) is minded, messages or unknown or [dict(one.props) for one in stack.resources]
    if kind != "unknown":
        assert not unknown or kind.startswith("more"), unknown
    for message in messages:
        assert rule.what in message and rule.mend in message
        assert any(message.startswith(f"{one.name}: ") for one in stack.resources) or rule.topic == "waivers"

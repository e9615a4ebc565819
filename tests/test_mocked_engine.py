"""The recorder itself: what it keeps of a registration, and that sockets are off."""

import socket

import pulumi
import pytest
from pulumi import ResourceOptions


class _Part(pulumi.CustomResource):
    def __init__(self, name, props, opts=None):
        super().__init__("aws:test/part:Part", name, {"arn": None, **props}, opts)

    arn: pulumi.Output[str]


class _Whole(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("accelfleet:test:Whole", name)
        self.first = _Part("first", {"size": 3, "key": pulumi.Output.secret("s")}, ResourceOptions(parent=self, protect=True))
        self.second = _Part(
            "second",
            {"of": self.first.arn},
            ResourceOptions(parent=self, depends_on=[self.first], ignore_changes=["of"], aliases=[pulumi.Alias(name="old")]),
        )
        self.register_outputs({"arn": self.second.arn})


def test_inputs_options_and_outputs_are_kept(deploy):
    recorded = deploy(lambda: pulumi.export("arn", _Whole("w").second.arn))
    whole, parts = recorded.one("accelfleet:test:Whole"), recorded.all("aws:test/part:Part")
    assert recorded.of("aws:test/part:Part") == {
        "first": {"size": 3, "key": "s"},
        "second": {"of": parts["first"].outputs["arn"]},
    }
    assert parts["first"].protect and not parts["second"].protect
    assert parts["second"].ignore_changes == ("of",) and parts["second"].aliases == ("old",)
    assert list(recorded.depends_on(parts["second"])) == [parts["first"]]
    assert recorded.children(whole) == list(parts.values())
    assert recorded.outputs("accelfleet:test:Whole") == {"w": {"arn": parts["second"].outputs["arn"]}}
    assert recorded.exports == {"arn": parts["second"].outputs["arn"]}


def test_one_deploy_leaves_nothing_to_the_next(deploy):
    deploy(lambda: pulumi.export("a", _Part("a", {}).arn))
    recorded = deploy(lambda: pulumi.export("b", _Part("b", {}).arn))
    assert set(recorded.of("aws:test/part:Part")) == {"b"} and set(recorded.exports) == {"b"}


@pytest.mark.parametrize("where", ["program", "apply"])
def test_a_failing_program_fails_the_test(deploy, where):
    def program():
        if where == "program":
            raise ValueError("boom")
        pulumi.export("x", pulumi.Output.from_input(1).apply(lambda _: 1 // 0))

    with pytest.raises((ValueError, ZeroDivisionError)):
        deploy(program)


def test_two_resources_of_one_name_are_refused(deploy):
    with pytest.raises(Exception, match="duplicate resource URN"):
        deploy(lambda: (_Part("a", {}), _Part("a", {})))


def test_an_unknown_invoke_is_refused(deploy):
    with pytest.raises(Exception, match="no canned answer"):
        deploy(lambda: pulumi.runtime.invoke("aws:x/y:z", {}))


def test_sockets_are_off():
    with pytest.warns(UserWarning, match="socket"), pytest.raises(RuntimeError):
        socket.create_connection(("127.0.0.1", 9))

"""What the engine starts: the rules behind its analyzer protocol."""

import gc
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from fleet.collector import rests


def _messages_alone() -> None:
    """Lets the SDK's protocol messages load without the SDK around them, which is half of the start: nothing here runs it."""
    found = importlib.util.find_spec("pulumi")
    assert found is not None and found.submodule_search_locations is not None, "the pack's environment has the Pulumi SDK"
    for name, places in {
        "pulumi": list(found.submodule_search_locations),
        "pulumi.runtime": [str(Path(place) / "runtime") for place in found.submodule_search_locations],
    }.items():
        sys.modules[name] = package = ModuleType(name)
        package.__path__ = places


_messages_alone()
with rests():
    from policies.accel_policies.pack import main
# What was loaded lives to the end.
gc.freeze()
main()

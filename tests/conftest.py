"""Which tests run, and which beside which: all that start something one after the other, the units beside them."""

from importlib.util import find_spec

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# `make test-torch` has an environment of its own.
collect_ignore = [] if find_spec("torch") else ["torch_lane"]


class UnitsBeside(LoadScopeScheduling):  # type: ignore[misc]
    """One scope for everything that starts something, so that it is one worker's; one for each module of units."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.split("::")[0] if nodeid.startswith("tests/unit/") else "real parts"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> UnitsBeside:
    """From pytest-xdist, whatever --dist says; its own groups (3.8) don't reach it under pytest 9."""
    return UnitsBeside(config, log)

"""Which tests run, and which beside which: those on the cluster, those on stores of their own, and the units."""

from importlib.util import find_spec

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# `make test-torch` has an environment of its own.
collect_ignore = [] if find_spec("torch") else ["torch_lane"]


class UnitsBeside(LoadScopeScheduling):  # type: ignore[misc]
    """One scope, so one worker, for each folder whose tests share what they start; one for each module of units."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.split("::")[0]
        return module if module.startswith("tests/unit/") else module.rpartition("/")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> UnitsBeside:
    """From pytest-xdist, whatever --dist says; its own groups (3.8) don't reach it under pytest 9."""
    return UnitsBeside(config, log)

"""The fake API server for the verbs of kubectl ssi."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from search_operator.cli.main import cli

from tests.unit.cli.recorded_api import RecordedApi, recorded_api

Ssi = Callable[..., Result]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[RecordedApi]:
    """A fake API server without any index."""
    with recorded_api(tmp_path) as found:
        yield found


@pytest.fixture
def ssi(api: RecordedApi) -> Ssi:
    """Run a verb against it."""

    def run(verb: str, *arguments: str) -> Result:
        given = [verb, *arguments, "--kubeconfig", str(api.kubeconfig)]
        return CliRunner().invoke(cli, given, prog_name="kubectl ssi")

    return run

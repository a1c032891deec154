"""`plan` against a real API server: it reads the live index, asks whether the new one would be taken, writes nothing."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from search_operator.api import SemanticSearchIndex, desired_release
from search_operator.cli.main import cli

from tests.cluster.resource_base import Json, at, changed, valid_index
from tests.testbed.apiserver import ApiServer

pytest_plugins = ["tests.testbed.apiserver_fixtures"]
pytestmark = pytest.mark.cluster

FP32 = at("spec.encoder.precision", "fp32")
EF = at("spec.vectorStore.milvus.search.ef", 256)


def _plan(server: ApiServer, new: Json, *options: str) -> Result:
    given = ("--kubeconfig", str(server.kubeconfig))
    return CliRunner().invoke(cli, ["plan", "-f", "-", *given, *options], input=yaml.safe_dump(new))


@pytest.fixture(scope="module")
def live(apiserver: ApiServer) -> Iterator[str]:
    """An index that answers from the release that its spec asks for; the name of that release."""
    index = valid_index("planned")
    apiserver.ask("create", "-f", "-", stdin=json.dumps(index))
    release = desired_release(SemanticSearchIndex.parse(index).spec)
    status = {"activeRelease": release, "releases": [{"name": release, "role": "Active", "rows": 1_000_000}]}
    patch = json.dumps({"status": status})
    apiserver.ask(
        "patch", "ssi", "planned", "-n", "search", "--subresource=status", "--type=merge", "-p", patch
    )
    yield release
    apiserver.ask("delete", "ssi", "planned", "-n", "search")


def test_a_new_release_is_told_and_nothing_is_written(apiserver: ApiServer, live: str) -> None:
    before = apiserver.ask("get", "ssi", "-A", "-o", "json")
    told = _plan(apiserver, changed(valid_index("planned"), FP32))
    assert told.exit_code == 1, told.output
    assert "search/planned: a new release is built" in told.stdout
    assert f"answers now        {live}" in told.stdout
    assert "7.1Gi" in told.stdout
    assert told.stderr == ""
    assert apiserver.ask("get", "ssi", "-A", "-o", "json") == before


def test_a_change_in_place_ends_with_0(apiserver: ApiServer, live: str) -> None:
    told = _plan(apiserver, changed(valid_index("planned"), EF))
    assert (told.exit_code, told.stderr) == (0, "")
    assert f"will answer        {live}" in told.stdout


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (at("spec.vectorStore.milvus.endpoint", "other:19530"), "can't change while release"),
        (at("spec.search.topK", 200), "ef 128 is below search.topK 200"),
        (at("spec.slo.p95", "100ms"), "is not served by this version"),
        (at("spec.encoder.autoscaling.minReplicas", 0), "greater than or equal to 1"),
        (at("spec.unknown", 1), 'unknown field "spec.unknown"'),
    ],
)
def test_the_api_servers_refusal_is_passed_on(
    apiserver: ApiServer, live: str, change: Json, says: str
) -> None:
    told = _plan(apiserver, changed(valid_index("planned"), change))
    assert told.exit_code == 2
    assert says in " ".join(told.output.split())


def test_an_index_that_is_not_there_yet_is_tried_out_too(apiserver: ApiServer) -> None:
    told = _plan(apiserver, valid_index("not-there"))
    assert (told.exit_code, told.stderr) == (1, "")
    assert "search/not-there: the first release is built" in told.stdout
    refused = _plan(apiserver, valid_index("a--b"))
    assert refused.exit_code == 2
    assert "write a single dash" in " ".join(refused.stdout.split())


def test_a_namespace_stands_in_for_one_that_is_not_written(apiserver: ApiServer, live: str) -> None:
    nameless = changed(valid_index("planned"), {"metadata": {"namespace": None}})
    assert _plan(apiserver, nameless, "-n", "search").exit_code == 0


def test_a_context_that_is_not_there_is_an_error(apiserver: ApiServer) -> None:
    told = _plan(apiserver, valid_index("planned"), "--context", "production")
    assert told.exit_code == 2
    assert "production" in told.stderr


def test_a_server_that_is_away_is_an_error(tmp_path: Path, apiserver: ApiServer) -> None:
    away = yaml.safe_load(apiserver.kubeconfig.read_text())
    away["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(away))
    told = _plan(apiserver, valid_index("planned"), "--kubeconfig", str(path))
    assert told.exit_code == 2
    assert "does not answer" in told.stderr


def test_the_bill_is_told_by_the_prices_of_the_config_map(apiserver: ApiServer, live: str) -> None:
    def planned() -> str:
        shared = at("spec.cost", {"prices": None, "pricesConfigMapRef": {"name": "planned-prices"}})
        return " ".join(_plan(apiserver, changed(valid_index("planned"), shared)).output.split())

    absent = planned()
    assert "no bill is told: ConfigMap planned-prices with the prices is not in namespace search" in absent
    prices = (
        "asOf: 2026-11-01\ncurrency: USD\nencoderNodeHour: 0.35\nmilvusNodes: {count: 4, nodeHour: 0.68}\n"
    )
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "planned-prices", "namespace": "search"},
        "data": {"prices.yaml": prices},
    }
    apiserver.ask("create", "-f", "-", stdin=json.dumps(config_map))
    try:
        said = planned()
        assert "cost in USD" in said
        assert "fewest encoders 4.12 an hour" in said
        assert "no bill" not in said
        bad = json.dumps({"data": {"prices.yaml": prices.replace("USD", "CNY")}})
        apiserver.ask("patch", "configmap", "planned-prices", "-n", "search", "--type=merge", "-p", bad)
        assert "prices.yaml, currency is CNY, but spec.cost.currency is USD" in planned()
    finally:
        apiserver.ask("delete", "configmap", "planned-prices", "-n", "search")

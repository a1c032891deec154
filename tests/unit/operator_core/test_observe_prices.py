"""Prices that several indexes share: read as they are written, and refused with the field and the remedy."""

from typing import Any

import pytest
import yaml
from search_operator.observe.prices import prices_in

from tests.unit.operator_core.builders import merged

GOOD: dict[str, Any] = {
    "asOf": "2026-11-01",
    "currency": "USD",
    "encoderNodeHour": "0.35",
    "milvusNodes": {"count": 4, "nodeHour": "0.68"},
}


def read(text: str) -> Any:
    return prices_in("prices", {"data": {"prices.yaml": text}}, "USD")


def test_unquoted_numbers_and_days_are_taken_as_they_are_written() -> None:
    text = "asOf: 2026-11-01\ncurrency: USD\nencoderNodeHour: 0.35\nmilvusNodes: {count: 4, nodeHour: 0.68}\n"
    found = read(text)
    assert found == read(yaml.safe_dump(GOOD))
    assert found.problem is None
    assert found.prices.encoder_node_hour == "0.35"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"currency": "CNY"}, "currency is CNY, but spec.cost.currency is USD"),
        ({"currency": None}, "currency is not given"),
        ({"asOf": "yesterday"}, "asOf is 'yesterday'"),
        ({"encoderNodeHour": "-1"}, "encoderNodeHour is '-1'"),
        ({"encoderNodeHour": "NaN"}, "encoderNodeHour is 'NaN'"),
        ({"milvusNodes": {"nodeHour": "cheap"}}, "milvusNodes.nodeHour is 'cheap'"),
        ({"encoderNodeHour": None}, "encoderNodeHour: Field required"),
        ({"gpuHour": "1"}, "gpuHour: Extra inputs are not permitted"),
        ({"purchase": "Spot"}, "needs spotNodeHour"),
        ({"storageGiB": 61}, "belong together"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], words: str) -> None:
    found = read(yaml.safe_dump(merged(GOOD, change)))
    assert found.prices is None
    assert found.problem.reason == "PricesUnreadable"
    assert words in found.problem.message
    assert "spec.cost.pricesConfigMapRef" in found.problem.message


@pytest.mark.parametrize("text", ["", "- a", "{", "5", "!!python/object/apply:os.getcwd []"])
def test_no_text_breaks_the_reader(text: str) -> None:
    assert read(text).problem is not None


def test_a_config_map_without_the_key_says_which() -> None:
    found = prices_in("prices", {"data": {"price.yaml": "x"}}, "USD")
    assert found.problem is not None
    assert "no key prices.yaml" in found.problem.message

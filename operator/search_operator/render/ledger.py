"""The ledger's ConfigMap."""

from collections.abc import Mapping
from typing import Any

from search_operator.api.index import SemanticSearchIndex
from search_operator.money.ledger import LEDGER_KEY, Ledger, ledger_in
from search_operator.render.child import Object, child, is_ours


def ledger_name(index: str) -> str:
    """Name of the ConfigMap with the money that was spent on the index."""
    return f"{index}-ledger"


def ledger_object(index: SemanticSearchIndex, ledger: Ledger, kept: Ledger | None) -> Object:
    """The ledger as an object; one that was `kept` in another currency is put aside, not lost."""
    data = {LEDGER_KEY: ledger.to_json()}
    if kept and kept.currency != ledger.currency:
        data[_aside(kept.currency)] = kept.to_json()
    return child(index, "v1", "ConfigMap", ledger_name(index.name), "ledger", {"data": data})


def _aside(currency: str) -> str:
    return f"ledger-{currency}.json"


def ledger_aside(config_map: Mapping[str, Any] | None, index: SemanticSearchIndex) -> Ledger | None:
    """The ledger in the spec's currency that was put aside when another one was chosen; None when there is none."""
    cost = index.spec.cost
    if cost is None or config_map is None or not is_ours(dict(config_map), index):
        return None
    return ledger_in((config_map.get("data") or {}).get(_aside(cost.currency), ""))


def kept_ledger(config_map: Mapping[str, Any] | None, index: SemanticSearchIndex) -> Ledger | None:
    """The ledger as it is kept; None when there is none of this index's, or somebody has spoilt it."""
    if config_map is None or not is_ours(dict(config_map), index):
        return None
    return ledger_in((config_map.get("data") or {}).get(LEDGER_KEY, ""))

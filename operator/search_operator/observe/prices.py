"""Prices that several indexes share: a ConfigMap of the index's own namespace."""

import re

import yaml
from kubernetes.aio.dynamic.exceptions import DynamicApiError
from pydantic import ValidationError

from search_operator.api.cost import PricedNodes, Prices
from search_operator.api.index import SemanticSearchIndex
from search_operator.kubernetes_api import CONFIG_MAP, KubernetesApi, Object
from search_operator.observe.observation import PricesView, Problem

PRICES_KEY = "prices.yaml"
_AMOUNT = re.compile(r"[0-9]{1,12}([.][0-9]{1,6})?")
_DAY = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")


async def look_at_prices(api: KubernetesApi, index: SemanticSearchIndex) -> PricesView:
    """The prices in the ConfigMap that the index names; an empty view when it names none."""
    cost = index.spec.cost
    if cost is None or cost.prices_config_map_ref is None:
        return PricesView()
    name = cost.prices_config_map_ref.name
    try:
        found = await api.get(CONFIG_MAP, index.namespace, name)
    except DynamicApiError as error:
        return _unreadable(name, f"the API server says: {error.summary()}"[:500])
    if found is None:
        return _unreadable(name, f"it is not in namespace {index.namespace}; create it")
    return prices_in(name, found, cost.currency)


def prices_in(name: str, config_map: Object, currency: str) -> PricesView:
    """The prices in a ConfigMap, checked as the API server checks those of a resource."""
    text = (config_map.get("data") or {}).get(PRICES_KEY)
    if text is None:
        return _unreadable(name, f"it has no key {PRICES_KEY}; write prices into it as in spec.cost.prices")
    try:
        prices = Prices.model_validate(yaml.load(text, Loader=_Texts))  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        return _unreadable(name, f"{PRICES_KEY} is no YAML: {' '.join(str(error).split())}")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return _unreadable(
            name, f"{PRICES_KEY}, {'.'.join(map(str, first['loc'])) or 'all of it'}: {first['msg']}"
        )
    if wrong := _wrong(prices, currency):
        return _unreadable(name, f"{PRICES_KEY}, {wrong}")
    return PricesView(prices)


class _Texts(yaml.SafeLoader):
    """Numbers and dates stay as they are written: 0.35 must not become a binary fraction."""


_Texts.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag.rsplit(":", 1)[1] not in ("float", "timestamp")]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _wrong(prices: Prices, currency: str) -> str:
    """What is wrong with prices that have the right fields; empty for nothing."""
    if prices.currency != currency:
        said = prices.currency or "not given"
        return f"currency is {said}, but spec.cost.currency is {currency}, and nothing is converted"
    if not _DAY.fullmatch(prices.as_of):
        return f'asOf is {prices.as_of!r}; write a day, e.g. "2026-11-01"'
    for path, text in _amounts(prices):
        if not _AMOUNT.fullmatch(text):
            return f'{path} is {text!r}; write a decimal number without sign or currency, e.g. "0.35"'
    if prices.purchase == "Spot" and prices.spot_node_hour is None:
        return "purchase Spot needs spotNodeHour"
    if (prices.storage_gib is None) != (prices.storage_gib_month is None):
        return "storageGiB and storageGiBMonth belong together"
    return ""


def _amounts(prices: Prices) -> list[tuple[str, str]]:
    found = []
    for name, field in Prices.model_fields.items():
        value = getattr(prices, name)
        if isinstance(value, PricedNodes):
            found.append((f"{field.alias}.nodeHour", value.node_hour))
        elif isinstance(value, str) and name not in ("as_of", "currency", "purchase"):
            found.append((str(field.alias), value))
    return found


def _unreadable(name: str, why: str) -> PricesView:
    message = f"prices can't be read from ConfigMap {name} (spec.cost.pricesConfigMapRef): {why}"
    return PricesView(problem=Problem("PricesUnreadable", message, needs_a_person=False))

"""Shared prices for a forecast: out of a file, or of the ConfigMap that the resource names."""

import io
from dataclasses import replace
from typing import Any

import yaml
from kubernetes import client
from urllib3.exceptions import HTTPError

from search_operator.api.index import SemanticSearchIndex
from search_operator.cli.resources import TIMEOUT_SECONDS, Cluster, Unreadable
from search_operator.observe.observation import PricesView, Problem
from search_operator.observe.prices import PRICES_KEY, prices_in

Object = dict[str, Any]


def text_in(file: io.TextIOBase) -> str:
    """A prices file's text. Raises Unreadable for what is no text."""
    try:
        return file.read()
    except UnicodeDecodeError as error:
        raise Unreadable(f"--prices is no UTF-8 text: {error}") from error


def shared_prices(index: SemanticSearchIndex, cluster: Cluster | None, text: str | None) -> PricesView:
    """The prices that the resource leaves to a ConfigMap; an empty view where it leaves none.

    `text` is a file's that stands in for the ConfigMap: a manifest of it, or what its key prices.yaml holds. Raises
    Unreadable when that text can't be used; a ConfigMap that can't be is a problem of the view, as for the operator.
    """
    cost = index.spec.cost
    if cost is None or cost.prices_config_map_ref is None:
        if text is not None:
            raise Unreadable(
                f"--prices stands in for the ConfigMap of spec.cost.pricesConfigMapRef, which {index.name} does not "
                "name; leave out --prices"
            )
        return PricesView()
    name = cost.prices_config_map_ref.name
    if text is not None:
        view = prices_in(name, _as_config_map(text), cost.currency)
        if view.problem:
            raise Unreadable(f"--prices: {view.problem.message}")
        return view
    if cluster is None:
        return _unread(f"prices are in ConfigMap {name}: no cluster was asked; give them with --prices FILE")
    found, why = _config_map(cluster, index.namespace, name)
    return prices_in(name, found, cost.currency) if found is not None else _unread(why)


def priced(index: SemanticSearchIndex, shared: PricesView) -> SemanticSearchIndex:
    """The index as if the shared prices were its own."""
    cost = index.spec.cost
    if cost is None or shared.prices is None:
        return index
    own = cost.model_copy(update={"prices": shared.prices, "prices_config_map_ref": None})
    return replace(index, spec=index.spec.model_copy(update={"cost": own}))


def _as_config_map(text: str) -> Object:
    """A manifest as it is; anything else is what its key holds."""
    try:
        said = yaml.safe_load(text)
    except yaml.YAMLError:
        said = None
    if not isinstance(said, dict) or said.get("kind") != "ConfigMap":
        return {"data": {PRICES_KEY: text}}
    data = said.get("data")
    prices = data.get(PRICES_KEY) if isinstance(data, dict) else None
    if prices is not None and not isinstance(prices, str):
        raise Unreadable(
            f"--prices: {PRICES_KEY} is no text; write `{PRICES_KEY}: |` and the prices below it"
        )
    return {"data": {} if prices is None else {PRICES_KEY: prices}}


def _config_map(cluster: Cluster, namespace: str, name: str) -> tuple[Object | None, str]:
    """The ConfigMap, or why it can't be had."""
    core = client.CoreV1Api(cluster.api.api_client)
    try:
        found = core.read_namespaced_config_map(name, namespace, _request_timeout=TIMEOUT_SECONDS)
    except client.ApiException as error:
        if error.status == 404:
            return None, f"ConfigMap {name} with the prices is not in namespace {namespace}; create it"
        return (
            None,
            f"ConfigMap {name} with the prices can't be read: {error.reason}; give them with --prices FILE",
        )
    except HTTPError as error:
        return None, f"ConfigMap {name} with the prices can't be read: {error}"
    return {"data": found.data or {}}, ""


def _unread(why: str) -> PricesView:
    return PricesView(problem=Problem("PricesUnreadable", why, needs_a_person=False))

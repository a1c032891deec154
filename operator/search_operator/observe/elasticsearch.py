"""The catalogue as the operator sees it: does it answer, and is there anything in it?"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch
from search_plane.stores.catalogue import SteadyNode, describe

from search_operator.api.catalogue import Elasticsearch
from search_operator.observe.credentials import StoreCredentials
from search_operator.observe.observation import CatalogueView, Problem

TIMEOUT_SECONDS = 3.0
KEPT_CLIENTS = 64


class CatalogueReader:
    """Counts documents. One client per endpoint and credentials, so that connections are reused."""

    def __init__(self) -> None:
        self._clients: dict[int, AsyncElasticsearch] = {}

    async def look(self, spec: Elasticsearch, credentials: StoreCredentials) -> CatalogueView:
        """How many documents the declared index and filter hold, or what is wrong."""
        query: dict[str, Any] = {"query_string": {"query": spec.filter}} if spec.filter else {"match_all": {}}
        try:
            client = await self._client(spec, credentials)
            async with asyncio.timeout(TIMEOUT_SECONDS + 1):
                answer = await client.count(index=spec.index, query=query)
        except ApiError as error:
            return CatalogueView(problem=_refusal(spec, error))
        except (TransportError, TimeoutError, ssl.SSLError, ValueError) as error:
            message = (
                f"Elasticsearch at {spec.endpoint} does not answer ({describe(error)}); it is asked again"
            )
            return CatalogueView(problem=Problem("Unreachable", message, needs_a_person=False))
        documents = int(answer["count"])
        if documents == 0:
            what = f"index {spec.index}" + (f" with filter {spec.filter!r}" if spec.filter else "")
            return CatalogueView(
                Problem("CatalogueEmpty", f"{what} holds no document; load the catalogue"), 0
            )
        return CatalogueView(documents=documents)

    async def _client(self, spec: Elasticsearch, credentials: StoreCredentials) -> AsyncElasticsearch:
        secret = (tuple(sorted(credentials.elasticsearch.items())), credentials.elasticsearch_ca)
        key = hash((spec.endpoint, secret))
        if key not in self._clients:
            if len(self._clients) >= KEPT_CLIENTS:
                oldest = next(iter(self._clients))
                await self._clients.pop(oldest).close()
            self._clients[key] = AsyncElasticsearch(
                spec.endpoint or "",
                request_timeout=TIMEOUT_SECONDS,
                max_retries=0,
                retry_on_timeout=False,
                node_class=SteadyNode,
                **_authentication(credentials.elasticsearch),
                **_trust(credentials.elasticsearch_ca),
            )
        return self._clients[key]

    async def close(self) -> None:
        """Closes every connection."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()


def _authentication(secret: Mapping[str, str]) -> dict[str, Any]:
    if secret.get("api_key"):
        return {"api_key": secret["api_key"]}
    if secret.get("username"):
        return {"basic_auth": (secret["username"], secret.get("password", ""))}
    return {}


def _trust(ca: str) -> dict[str, Any]:
    return {"ssl_context": ssl.create_default_context(cadata=ca)} if ca else {}


def _refusal(spec: Elasticsearch, error: ApiError) -> Problem:
    if error.status_code == 404:
        remedy = "create it, or correct spec.catalogue.elasticsearch.index"
        return Problem(
            "IndexNotFound", f"Elasticsearch at {spec.endpoint} has no index {spec.index}; {remedy}"
        )
    if error.status_code in (401, 403):
        remedy = "check spec.catalogue.elasticsearch.credentialsSecretRef"
        return Problem(
            "Unauthorized", f"Elasticsearch at {spec.endpoint} refuses us ({error.status_code}); {remedy}"
        )
    if error.status_code == 400:
        message = (
            f"Elasticsearch refuses spec.catalogue.elasticsearch.filter {spec.filter!r}: {describe(error)}"
        )
        return Problem("FilterRefused", message)
    return Problem(
        "Unhealthy", f"Elasticsearch at {spec.endpoint}: {describe(error)}; it is asked again", False
    )

"""The connection to the catalogue in Elasticsearch: deadlines, CA, credentials re-read when refused."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypedDict, TypeVar

import aiohttp
from elastic_transport import AiohttpHttpNode, TransportError
from elasticsearch import ApiError, AsyncElasticsearch, AuthenticationException, Elasticsearch

from search_plane.release.record import CatalogueTarget
from search_plane.stores.credentials import read_credential

T = TypeVar("T")

# What a call can raise: an answer that says no, or no answer.
CATALOGUE_ERRORS = (ApiError, TransportError)


class Credentials(TypedDict, total=False):
    """Keyword arguments that authenticate a client."""

    api_key: str
    basic_auth: tuple[str, str]


class SteadyNode(AiohttpHttpNode):
    """A node that stays where it was told to go: aiohttp would follow a redirect."""

    def _create_aiohttp_session(self) -> None:
        super()._create_aiohttp_session()
        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(_refuse_redirect)
        trace.freeze()
        assert self.session is not None
        self.session.trace_configs.append(trace)


async def _refuse_redirect(
    _session: aiohttp.ClientSession, _context: SimpleNamespace, params: aiohttp.TraceRequestRedirectParams
) -> None:
    target = params.response.headers.get("Location", "an unnamed place")
    raise aiohttp.ClientError(f"redirected to {target}; redirects are not followed")


class CatalogueConnection:
    """An asynchronous client of the catalogue. Belongs to the event loop that first uses it."""

    def __init__(self, target: CatalogueTarget, timeout: float = 10.0, connections: int = 10) -> None:
        """`timeout`: seconds per request, unless `client.options(request_timeout=...)` says otherwise."""
        self.target = target
        self.client = AsyncElasticsearch(
            target.url,
            request_timeout=timeout,
            connections_per_node=connections,
            # Retries belong to the caller, who knows the deadline of the whole.
            max_retries=0,
            retry_on_timeout=False,
            node_class=SteadyNode,
            **_tls(target),
            **read_credentials(target),
        )

    async def call(self, work: Callable[[AsyncElasticsearch], Awaitable[T]]) -> T:
        """`work(client)`; run once more with credentials read anew when Elasticsearch answers 401.

        Raises one of CATALOGUE_ERRORS.
        """
        try:
            return await work(self.client)
        except AuthenticationException:
            self.client = self.client.options(**read_credentials(self.target))
        return await work(self.client)

    async def close(self) -> None:
        """Closes the connections."""
        await self.client.close()


def connect_blocking(target: CatalogueTarget, timeout: float = 10.0) -> Elasticsearch:
    """A synchronous client, for tools and tests; the library keeps urllib3 from redirects."""
    return Elasticsearch(
        target.url,
        request_timeout=timeout,
        max_retries=0,
        retry_on_timeout=False,
        **_tls(target),
        **read_credentials(target),
    )


def read_credentials(target: CatalogueTarget) -> Credentials:
    """Authentication as the Secret's files have it now: API key, or user and password, or empty for none."""
    if api_key := read_credential(target.credentials_dir, "api_key"):
        return {"api_key": api_key}
    username = read_credential(target.credentials_dir, "username")
    if username:
        return {"basic_auth": (username, read_credential(target.credentials_dir, "password"))}
    return {}


def describe(error: BaseException) -> str:
    """One line about a failed call, fit for a status."""
    if isinstance(error, ApiError):
        return f"{error.status_code} {error.message}"[:300]
    # str() of a ConnectionError says only "Connection error".
    message = error.message if isinstance(error, TransportError) else error
    return f"{type(error).__name__}: {message}"[:300]


def _tls(target: CatalogueTarget) -> dict[str, Any]:
    if target.url.startswith("https://") and target.ca_file and Path(target.ca_file).is_file():
        return {"ca_certs": target.ca_file}
    return {}

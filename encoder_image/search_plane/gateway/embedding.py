"""The query's vector, from the encoder of one release and from no other."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Mapping

import aiohttp
import numpy as np
import orjson
from numpy.typing import NDArray

from search_plane.gateway.faults import Unavailable
from search_plane.gateway.hedging import ExtraBudget, first_good, once_more
from search_plane.release.embedding_wire import ACCEPT_FLOAT32, FINGERPRINT_HEADER, TIMEOUT_HEADER, unpacked
from search_plane.release.identity import EncoderIdentity
from search_plane.tracing import pass_on

# A connection is renewed after about so many queries, so that a scaled-up encoder gets its share of them.
_RENEW_EVERY = 200
_LONGEST_RETRY_AFTER_SECONDS = 30


class QueryEncoder:
    """Embeds queries through `POST {url}/embed`; an answer that is not this identity's is refused."""

    def __init__(
        self,
        url: str,
        identity: EncoderIdentity,
        timeout_seconds: float,
        connections: int,
        hedge_seconds: float | None = None,
        on_extra: Callable[[], None] = lambda: None,
    ) -> None:
        """A query without an answer after `hedge_seconds`, or whose connection breaks, is asked once more.

        `on_extra` is told of it. Both come out of one budget.
        """
        self._url = f"{url.rstrip('/')}/embed"
        self._alive_url = f"{url.rstrip('/')}/healthz"
        self._identity = identity
        self._fingerprint = identity.fingerprint()
        self._timeout = timeout_seconds
        self._hedge = hedge_seconds
        self._budget = ExtraBudget()
        self._on_extra = on_extra
        self._calls = itertools.count(1)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=30, ttl_dns_cache=10),
            headers={
                FINGERPRINT_HEADER: self._fingerprint,
                "Content-Type": "application/json",
                "Accept": ACCEPT_FLOAT32,
            },
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def embed(self, text: str, until: float) -> NDArray[np.float32]:
        """The vector of a query, float32 of shape (dimension,), before the loop's time `until`.

        Raises Unavailable for a late, missing, refused or wrong answer.
        """
        body = orjson.dumps(
            {"inputs": text, "prompt_name": "query", "normalize": self._identity.normalize, "truncate": True}
        )
        loop = asyncio.get_running_loop()
        ends = min(until, loop.time() + self._timeout)
        try:
            async with asyncio.timeout_at(ends):
                self._budget.earn()
                status, headers, content = await first_good(
                    lambda: once_more(lambda: self._post(body, ends), _connection_broke, self._may_ask_again),
                    self._hedge,
                    self._may_ask_again,
                )
        except TimeoutError:
            raise Unavailable("encoder", "timeout", "the encoder did not answer in time") from None
        except aiohttp.ClientError:
            raise Unavailable("encoder", "connection", "the encoder can't be reached") from None
        if status != 200:
            raise refusal(status, headers.get("Retry-After", ""))
        return checked_vector(headers, content, self._fingerprint, self._identity.dimension)

    async def connect(self, connections: int) -> None:
        """Opens so many connections at once, by a question that costs the encoder nothing; what comes back is not told."""

        async def open_one() -> None:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with asyncio.timeout(self._timeout), self._session.get(self._alive_url) as response:
                    await response.read()

        await asyncio.gather(*(open_one() for _ in range(connections)))

    def _may_ask_again(self) -> bool:
        allowed = self._budget.spend()
        if allowed:
            self._on_extra()
        return allowed

    async def _post(self, body: bytes, ends: float) -> tuple[int, Mapping[str, str], bytes]:
        left = max(1, round((ends - asyncio.get_running_loop().time()) * 1000))
        headers = {TIMEOUT_HEADER: str(left)}
        pass_on(headers)
        if next(self._calls) % _RENEW_EVERY == 0:
            headers["Connection"] = "close"
        async with self._session.post(
            self._url, data=body, headers=headers, allow_redirects=False
        ) as response:
            return response.status, response.headers, await response.read()

    async def close(self) -> None:
        """Closes the pool."""
        await self._session.close()


def _connection_broke(error: Exception) -> bool:
    return isinstance(error, aiohttp.ClientConnectionError)


def refusal(status: int, retry_after: str) -> Unavailable:
    """What an encoder's answer other than 200 means. Pure."""
    if status == 409:
        return Unavailable(
            "encoder", "fingerprint", "the encoder serves another fingerprint than this release's"
        )
    if status in (429, 503):
        seconds = int(retry_after) if retry_after.isdecimal() else 1
        return Unavailable(
            "encoder",
            "overload",
            "the encoder is overloaded",
            min(max(seconds, 1), _LONGEST_RETRY_AFTER_SECONDS),
        )
    return Unavailable("encoder", f"http_{status}", f"the encoder answered {status}")


def checked_vector(
    headers: Mapping[str, str], content: bytes, fingerprint: str, dimension: int
) -> NDArray[np.float32]:
    """The one vector in an encoder's answer, if it is this fingerprint's, of the dimension, and finite. Pure.

    Raises Unavailable with reason `fingerprint` or `vector`.
    """
    if headers.get(FINGERPRINT_HEADER) != fingerprint:
        raise Unavailable("encoder", "fingerprint", "the encoder answered with another fingerprint")
    try:
        vectors = unpacked(headers.get("Content-Type", ""), content, dimension)
    except ValueError:
        raise Unavailable("encoder", "vector", "the encoder's answer holds no vector") from None
    if len(vectors) != 1:
        raise Unavailable("encoder", "vector", f"the encoder's answer is not one vector of {dimension}")
    if not np.isfinite(vectors).all():
        raise Unavailable("encoder", "vector", "the encoder's vector is not finite")
    vector: NDArray[np.float32] = vectors[0]
    return vector

"""The re-ranker's client: another order of the first hits, where that is wanted, affordable and in time."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, TypeVar

import aiohttp
import numpy as np
import orjson
from prometheus_client import CollectorRegistry, Counter, Histogram

from search_plane.gateway.experiment import in_cohort
from search_plane.gateway.hedging import ExtraBudget
from search_plane.release.embedding_wire import TIMEOUT_HEADER
from search_plane.release.policy import RerankerPolicy
from search_plane.tracing import pass_on

T = TypeVar("T")
Outcome = Literal["reranked", "budget", "busy", "paused", "shed", "late", "fault"]

# What /rerank takes at once, as text-embeddings-inference does by default.
MOST_TEXTS: Final = 256
# A title is far shorter; a longer text would be cut by the model anyway, so it need not travel.
MOST_CHARACTERS: Final = 512
# More would only queue behind each other: a hundred pairs take a T4 about 57 ms.
MOST_AT_ONCE: Final = 4
# Queries that may be re-ranked in a row before the share counts.
_BURST: Final = 10
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0)


class RerankMetrics:
    """What became of the queries that were to be re-ranked; one for all policies of a gateway."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.outcomes = Counter(
            "gateway_rerank",
            "Queries that were to be re-ranked: reranked, or left as they were for want of budget (budget), since "
            "enough are under way (busy), after a failure (paused), or as the re-ranker said no (shed), was late or failed.",
            ["outcome"],
            registry=registry,
        )
        self.pairs = Counter("gateway_rerank_pairs", "Pairs sent to the re-ranker.", registry=registry)
        self.seconds = Histogram(
            "gateway_rerank_seconds", "Time waited for the re-ranker.", buckets=_SECONDS, registry=registry
        )


class Reranker:
    """Asks `POST {url}/rerank` for scores, and gives way at the first sign that they cost too much.

    `max_share` bounds the queries, `timeout_ms` the wait, `candidates` times the model's own longest pair the tokens.
    Once it was late, failed or said no, nothing is asked for a while, so that no query waits for what won't come.
    One for a policy: a new policy is a new Reranker over the same session, which belongs to the caller.
    """

    def __init__(
        self,
        policy: RerankerPolicy,
        http: aiohttp.ClientSession,
        metrics: RerankMetrics | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """`clock` measures the pauses, by default the loop's own."""
        self.policy = policy
        self._url = f"{policy.url.rstrip('/')}/rerank"
        self._http = http
        self._metrics = metrics or RerankMetrics(CollectorRegistry())
        self._clock = clock
        self._budget = ExtraBudget(policy.max_share, _BURST if policy.max_share > 0 else 0)
        self._at_once = 0
        self._paused_until = 0.0
        self._pause = _FIRST_PAUSE_SECONDS

    def wanted(self, asked: bool | None, key: str | None) -> bool:
        """Whether this query is to be re-ranked; every query is told to this once, for the share counts them all.

        `asked` is the request's `rerank` (None: it says nothing, then the user's cohort decides).
        """
        self._budget.earn()
        if asked is not None:
            return asked
        return key is not None and in_cohort(key, self.policy)

    async def order(self, query: str, texts: Sequence[str], until: float) -> list[float] | None:
        """Scores of the first `candidates` of the texts, higher is better; None where the order is to stay.

        `until` is the loop's time; the policy's own timeout counts if it is sooner. Never raises but when cancelled.
        """
        candidates = texts[: min(self.policy.candidates, MOST_TEXTS)]
        if len(candidates) < 2:
            return None
        if (refused := self._refused()) is not None:
            self._metrics.outcomes.labels(refused).inc()
            return None
        loop = asyncio.get_running_loop()
        started = loop.time()
        ends = min(until, started + self.policy.timeout_ms / 1000)
        self._at_once += 1
        try:
            outcome, scores, pause = await self._asked(query, candidates, ends)
        finally:
            self._at_once -= 1
        self._metrics.outcomes.labels(outcome).inc()
        self._metrics.seconds.observe(loop.time() - started)
        if scores is None:
            self._give_way(pause)
        else:
            self._pause = _FIRST_PAUSE_SECONDS
        return scores

    def _refused(self) -> Outcome | None:
        if self._now() < self._paused_until:
            return "paused"
        if self._at_once >= MOST_AT_ONCE:
            return "busy"
        return None if self._budget.spend() else "budget"

    async def _asked(
        self, query: str, texts: Sequence[str], ends: float
    ) -> tuple[Outcome, list[float] | None, float]:
        """What came of it, the scores, and how many seconds the re-ranker wants to be left alone."""
        body = orjson.dumps(
            {
                "query": query,
                # It refuses blank ones, and one product without a title must not cost the others their order.
                "texts": [text[:MOST_CHARACTERS].strip() or "-" for text in texts],
                "raw_scores": True,
                "truncate": True,
            }
        )
        left = max(1, round((ends - asyncio.get_running_loop().time()) * 1000))
        headers = {"Content-Type": "application/json", TIMEOUT_HEADER: str(left)}
        pass_on(headers)
        self._metrics.pairs.inc(len(texts))
        try:
            async with (
                asyncio.timeout_at(ends),
                self._http.post(self._url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                if response.status != 200:
                    shed = response.status in (429, 503)
                    return "shed" if shed else "fault", None, retry_after(response.headers)
                content = await response.read()
        except TimeoutError:
            return "late", None, 0.0
        except aiohttp.ClientError:
            return "fault", None, 0.0
        scores = checked_scores(content, len(texts))
        return ("fault", None, 0.0) if scores is None else ("reranked", scores, 0.0)

    def _give_way(self, wish: float) -> None:
        now = self._now()
        if now < self._paused_until:
            # Those that were under way together fail together: that is one failure.
            return
        self._paused_until = now + min(max(wish, self._pause), _LONGEST_PAUSE_SECONDS)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE_SECONDS)

    def _now(self) -> float:
        return self._clock() if self._clock else asyncio.get_running_loop().time()


class PolicyReranker:
    """The re-ranker of the policy in force, none where it names none; for a gateway's whole life."""

    def __init__(self, policy: Callable[[], RerankerPolicy | None], metrics: RerankMetrics) -> None:
        """Connects at the first query that needs it, so that it may be made outside the loop."""
        self._policy = policy
        self._metrics = metrics
        self._http: aiohttp.ClientSession | None = None
        self._reranker: Reranker | None = None

    def wanted(self, asked: bool | None, key: str | None) -> bool:
        """As Reranker.wanted; False where there is none."""
        reranker = self._current()
        return reranker is not None and reranker.wanted(asked, key)

    async def order(self, query: str, texts: Sequence[str], until: float) -> list[float] | None:
        """As Reranker.order; None where there is none."""
        reranker = self._current()
        return None if reranker is None else await reranker.order(query, texts, until)

    async def close(self) -> None:
        """Closes the connections."""
        if self._http is not None:
            await self._http.close()

    def _current(self) -> Reranker | None:
        policy = self._policy()
        if policy is None:
            self._reranker = None
        elif self._reranker is None or self._reranker.policy != policy:
            if self._http is None:
                connector = aiohttp.TCPConnector(limit=MOST_AT_ONCE, keepalive_timeout=30, ttl_dns_cache=10)
                self._http = aiohttp.ClientSession(
                    connector=connector,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    timeout=aiohttp.ClientTimeout(total=None),
                )
            self._reranker = Reranker(policy, self._http, self._metrics)
        return self._reranker


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that an answer's Retry-After asks for; 0 for none, or for a date. Pure."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isdecimal() and len(value) < 10 else 0.0


def checked_scores(content: bytes, count: int) -> list[float] | None:
    """The scores in the order of the texts; None unless each text has one finite score. Pure."""
    with contextlib.suppress(ValueError, TypeError, KeyError, OverflowError):
        answer = orjson.loads(content)
        scores = np.full(count, np.nan)
        for one in answer:
            index = one["index"]
            if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < count:
                return None
            scores[index] = float(one["score"])
        if len(answer) == count and np.isfinite(scores).all():
            return [float(score) for score in scores]
    return None


def reordered(hits: Sequence[T], scores: Sequence[float], results: int) -> list[T]:
    """The `results` best of the hits that have scores, then all others in the order that they had. Pure.

    `scores` belong to the first hits; equal scores keep their order.
    """
    best = sorted(range(min(len(scores), len(hits))), key=lambda place: -scores[place])[: max(0, results)]
    chosen = frozenset(best)
    rest = [place for place in range(len(hits)) if place not in chosen]
    return [hits[place] for place in (*best, *rest)]

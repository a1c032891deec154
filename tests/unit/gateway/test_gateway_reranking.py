"""The re-ranker's client, against a server that says yes, no, nonsense and nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from search_plane.gateway.reranking import (
    MOST_AT_ONCE,
    MOST_CHARACTERS,
    PolicyReranker,
    Reranker,
    RerankMetrics,
    checked_scores,
    reordered,
)
from search_plane.release.embedding_wire import TIMEOUT_HEADER
from search_plane.release.policy import RerankerPolicy

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
TEXTS = ["大米", "蓝牙耳机", "充电器"]


class Clock:
    """Time that only the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Bed:
    """A re-ranker over a server of the test's own."""

    def __init__(self, url: str, http: aiohttp.ClientSession, **policy: float) -> None:
        self.clock = Clock()
        self.registry = CollectorRegistry()
        made = RerankerPolicy.model_validate({"url": url, "max_share": 1.0, "timeout_ms": 5_000.0} | policy)
        self.reranker = Reranker(made, http, RerankMetrics(self.registry), self.clock)

    async def ask(self, texts: list[str] | None = None, seconds: float = 5.0) -> list[float] | None:
        self.reranker.wanted(True, None)
        until = asyncio.get_running_loop().time() + seconds
        return await self.reranker.order("小米手机充电器", TEXTS if texts is None else texts, until)

    def count(self, outcome: str) -> float:
        return self.registry.get_sample_value("gateway_rerank_total", {"outcome": outcome}) or 0.0


def play(handler: Handler, story: Callable[[Bed], Awaitable[None]], **policy: float) -> None:
    """Runs a story against a server with this handler."""

    @asynccontextmanager
    async def served() -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/rerank", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def run() -> None:
        async with served() as url, aiohttp.ClientSession() as http:
            await story(Bed(url, http, **policy))

    asyncio.run(run())


async def by_length(request: web.Request) -> web.Response:
    """The longer a text, the better: best first, as /rerank answers."""
    texts = (await request.json())["texts"]
    answer = [{"index": place, "score": float(len(text))} for place, text in enumerate(texts)]
    return web.json_response(sorted(answer, key=lambda one: -one["score"]))


def test_scores_come_in_the_order_of_the_texts() -> None:
    async def story(bed: Bed) -> None:
        assert await bed.ask() == [2.0, 4.0, 3.0]
        assert bed.count("reranked") == 1

    play(by_length, story)


def test_what_is_sent_is_bounded() -> None:
    seen: list[tuple[dict[str, object], str]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((await request.json(), request.headers[TIMEOUT_HEADER]))
        return await by_length(request)

    async def story(bed: Bed) -> None:
        assert await bed.ask(["米" * 10_000, "  ", "耳机", "充电器"], seconds=2.0) == [512.0, 1.0, 2.0]
        ((body, left),) = seen
        assert body["texts"] == ["米" * MOST_CHARACTERS, "-", "耳机"]
        assert body["query"] == "小米手机充电器"
        assert 1000 < int(left) <= 2000

    play(handler, story, candidates=3)


@pytest.mark.parametrize("texts", [[], ["大米"]])
def test_there_is_nothing_to_order_in_less_than_two(texts: list[str]) -> None:
    async def story(bed: Bed) -> None:
        assert await bed.ask(texts) is None
        assert bed.count("fault") == bed.count("reranked") == 0

    play(by_length, story)


def test_a_share_of_the_queries_is_all_it_gets() -> None:
    async def story(bed: Bed) -> None:
        answers = [await bed.ask() for _ in range(200)]
        # A burst of ten first, then every tenth.
        assert 28 <= sum(one is not None for one in answers) <= 31
        assert bed.count("budget") == 200 - bed.count("reranked")
        assert sum(one is not None for one in answers[100:]) in (10, 11)

    play(by_length, story, max_share=0.1)


def test_queries_that_are_not_to_be_re_ranked_earn_budget_too() -> None:
    async def story(bed: Bed) -> None:
        while await bed.ask() is not None:
            pass
        for _ in range(100):
            assert not bed.reranker.wanted(None, None)
        assert await bed.ask() is not None

    play(by_length, story, max_share=0.1)


def test_no_share_is_never() -> None:
    async def story(bed: Bed) -> None:
        assert await bed.ask() is None
        assert bed.count("budget") == 1

    play(by_length, story, max_share=0.0)


@pytest.mark.parametrize("status", [429, 503])
def test_it_sheds_for_as_long_as_it_is_told(status: int) -> None:
    calls = 0

    async def handler(_request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        return web.Response(status=status, headers={"Retry-After": "7"})

    async def story(bed: Bed) -> None:
        assert await bed.ask() is None
        bed.clock.now += 6.9
        assert await bed.ask() is None
        assert (calls, bed.count("shed"), bed.count("paused")) == (1, 1, 1)
        bed.clock.now += 0.2
        assert await bed.ask() is None
        assert (calls, bed.count("shed")) == (2, 2)

    play(handler, story)


def test_pauses_grow_while_it_fails_and_are_forgotten_when_it_answers() -> None:
    failing = True
    calls = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        return web.Response(status=500) if failing else await by_length(request)

    async def story(bed: Bed) -> None:
        nonlocal failing
        for pause in (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
            before = calls
            assert await bed.ask() is None
            assert calls == before + 1
            bed.clock.now += pause - 0.01
            assert await bed.ask() is None
            assert calls == before + 1
            bed.clock.now += 0.02
        failing = False
        assert await bed.ask() is not None
        failing = True
        assert await bed.ask() is None
        bed.clock.now += 1.01
        failing = False
        assert await bed.ask() is not None

    play(handler, story)


def test_one_that_is_late_costs_the_timeout_once() -> None:
    gone = asyncio.Event()

    async def handler(_request: web.Request) -> web.Response:
        await gone.wait()
        return web.Response()

    async def story(bed: Bed) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        assert await bed.ask() is None
        assert 0.05 <= loop.time() - started < 2.0
        assert bed.count("late") == 1
        assert await bed.ask() is None
        assert bed.count("paused") == 1
        gone.set()

    play(handler, story, timeout_ms=50.0)


def test_the_query_s_own_deadline_counts_when_it_is_sooner() -> None:
    gone = asyncio.Event()

    async def handler(_request: web.Request) -> web.Response:
        await gone.wait()
        return web.Response()

    async def story(bed: Bed) -> None:
        assert await bed.ask(seconds=0.05) is None
        assert bed.count("late") == 1
        gone.set()

    play(handler, story)


def test_only_so_many_at_once() -> None:
    held, come = asyncio.Event(), asyncio.Semaphore(0)

    async def handler(request: web.Request) -> web.Response:
        come.release()
        await held.wait()
        return await by_length(request)

    async def story(bed: Bed) -> None:
        waiting = [asyncio.create_task(bed.ask()) for _ in range(MOST_AT_ONCE)]
        for _ in waiting:
            await asyncio.wait_for(come.acquire(), 5)
        assert await bed.ask() is None
        assert bed.count("busy") == 1
        held.set()
        assert all(await asyncio.gather(*waiting))

    play(handler, story)


def test_a_caller_that_leaves_frees_its_place() -> None:
    held, come = asyncio.Event(), asyncio.Semaphore(0)

    async def handler(request: web.Request) -> web.Response:
        come.release()
        await held.wait()
        return await by_length(request)

    async def story(bed: Bed) -> None:
        for _ in range(MOST_AT_ONCE + 1):
            leaving = asyncio.create_task(bed.ask())
            await asyncio.wait_for(come.acquire(), 5)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
        held.set()
        assert await bed.ask() is not None

    play(handler, story)


def test_nobody_listens() -> None:
    async def run() -> None:
        async with aiohttp.ClientSession() as http:
            bed = Bed("http://127.0.0.1:9", http)
            assert await bed.ask() is None
            assert bed.count("fault") == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    "content",
    [
        b"", b"null", b"{}", b"[]", b"[1,2]", b'[{"index":0,"score":1}]', b'{"error":"x"}',
        b'[{"index":0,"score":1},{"index":0,"score":2}]', b'[{"index":0,"score":1},{"index":2,"score":2}]',
        b'[{"index":0,"score":1},{"index":-1,"score":2}]', b'[{"index":0,"score":null},{"index":1,"score":2}]',
        b'[{"index":true,"score":1},{"index":0,"score":2}]', b'[{"index":0,"score":1},{"index":1.0,"score":2}]',
        b'[{"index":0,"score":"nan"},{"index":1,"score":2}]', b'[{"score":1},{"index":1,"score":2}]',
        b'[{"index":0,"score":1},{"index":1,"score":2},{"index":1,"score":2}]',
    ],
)  # fmt: skip
def test_what_is_no_score_for_each_text_is_refused(content: bytes) -> None:
    assert checked_scores(content, 2) is None


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=20),
    st.randoms(),
)
def test_scores_are_read_whatever_their_order(scores: list[float], random: object) -> None:
    answer = [{"index": place, "score": score} for place, score in enumerate(scores)]
    random.shuffle(answer)  # type: ignore[attr-defined]
    assert checked_scores(orjson.dumps(answer), len(scores)) == scores
    assert checked_scores(json.dumps(answer).encode(), len(scores)) == scores


@given(st.integers(0, 30), st.lists(st.floats(allow_nan=False), max_size=30), st.integers(-1, 40))
def test_the_new_order_loses_and_doubles_nothing(count: int, scores: list[float], results: int) -> None:
    hits = list(range(count))
    ordered = reordered(hits, scores, results)
    assert sorted(ordered) == hits
    scored = min(count, len(scores))
    head = ordered[: max(0, min(results, scored))]
    assert head == sorted(head, key=lambda hit: (-scores[hit], hit))
    tail = ordered[len(head) :]
    assert tail == sorted(tail)
    left_out = [scores[hit] for hit in tail if hit < scored]
    if head and left_out:
        assert scores[head[-1]] >= max(left_out)


def test_who_asks_gets_it_and_who_declines_does_not() -> None:
    async def story(bed: Bed) -> None:
        everyone = bed.reranker
        assert everyone.wanted(None, "someone")
        assert everyone.wanted(True, None)
        assert not everyone.wanted(False, "someone")
        assert not everyone.wanted(None, None)

    play(by_length, story, cohort_share=1.0)


def test_a_new_policy_is_followed_and_an_equal_one_keeps_its_budget() -> None:
    async def story(bed: Bed) -> None:
        now: list[RerankerPolicy | None] = [None]
        following = PolicyReranker(lambda: now[0], RerankMetrics(CollectorRegistry()))
        until = asyncio.get_running_loop().time() + 5

        async def answered() -> int:
            """How many of twenty queries in a row are re-ranked."""
            asked = [
                following.wanted(True, None) and await following.order("耳机", TEXTS, until)
                for _ in range(20)
            ]
            return sum(bool(one) for one in asked)

        assert not following.wanted(True, None)
        assert await following.order("耳机", TEXTS, until) is None
        url = bed.reranker.policy.url
        now[0] = RerankerPolicy(url=url, max_share=0.01, timeout_ms=5_000)
        assert await answered() == 10
        now[0] = RerankerPolicy(url=url, max_share=0.01, timeout_ms=5_000)
        assert await answered() == 0
        now[0] = RerankerPolicy(url=url, max_share=1.0, timeout_ms=5_000)
        assert await answered() == 20
        now[0] = None
        assert await answered() == 0
        await following.close()

    play(by_length, story)

"""A breaker around calls: what is turned away, who waits, what a silent dependency comes to."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from search_plane.gateway.faults import BadQuery, BreakerOpen, Dependency, Unavailable
from search_plane.gateway.protection import breaker as breaker_module
from search_plane.gateway.protection.breaker import Breaker, end_of
from search_plane.gateway.protection.breakers import GUARDED, BreakerMetrics, Breakers
from search_plane.gateway.protection.circuit import GOOD_PROBES, LASTING_SECONDS, LEAST_BAD, Reason
from search_plane.release.policy import BreakerPolicy

POLICY = BreakerPolicy(latency_ms=150, window_seconds=10)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Bed:
    """A breaker, its clock, and a dependency that takes `seconds` of that clock and then does as told."""

    def __init__(self, name: Dependency = "encoder", policy: BreakerPolicy = POLICY) -> None:
        self.clock = Clock()
        self.policy = policy
        self.openings: list[tuple[Dependency, Reason]] = []
        self.breaker = Breaker(
            name, lambda: self.policy, self.clock, lambda *opening: self.openings.append(opening)
        )
        self.asked = 0

    def state(self) -> str:
        """The breaker's state now."""
        return self.breaker.state

    def work(self, seconds: float = 0.01, error: BaseException | None = None) -> Callable[[], Awaitable[str]]:
        async def ask() -> str:
            self.asked += 1
            await asyncio.sleep(0)
            self.clock.now += seconds
            if error is not None:
                raise error
            return "answer"

        return ask

    async def calls(
        self, count: int, work: Callable[[], Awaitable[str]], *, judge: bool = False, regardless: bool = False
    ) -> list[str]:
        """The calls one after the other: `answer`, or the name of what each raised."""
        ends = []
        for _ in range(count):
            try:
                ends.append(await self.breaker.call(work, judge, regardless=regardless))
            except (Exception, asyncio.CancelledError) as error:
                ends.append(type(error).__name__)
        return ends


def down() -> Unavailable:
    return Unavailable("encoder", "connection", "the encoder can't be reached")


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(10):
            await story()

    asyncio.run(within())


def test_failures_open_it_it_turns_calls_away_and_good_probes_close_it() -> None:
    bed = Bed()

    async def story() -> None:
        await bed.calls(LEAST_BAD - 1, bed.work(error=down()))
        assert bed.state() == "closed"
        await bed.calls(1, bed.work(error=down()))
        assert bed.state() == "open"
        bed.asked = 0
        assert await bed.calls(100, bed.work()) == ["BreakerOpen"] * 100
        assert bed.asked == 0
        bed.clock.now += 1.0
        assert bed.state() == "half-open"
        assert await bed.calls(GOOD_PROBES - 1, bed.work()) == ["answer"] * (GOOD_PROBES - 1)
        assert bed.state() == "half-open"
        await bed.calls(1, bed.work())
        assert bed.state() == "closed"
        # Old failures are forgotten: a single new one must not open it again.
        await bed.calls(1, bed.work(error=down()))
        assert bed.state() == "closed"

    run(story)
    assert bed.openings == [("encoder", "failed")]


def test_a_bad_probe_opens_it_for_longer_and_the_error_tells_when_to_return() -> None:
    bed = Bed()

    async def story() -> None:
        await bed.calls(LEAST_BAD, bed.work(error=down()))
        for expected in (2, 4, 8, 8):
            bed.clock.now += 8.0
            await bed.calls(1, bed.work(0.0, down()))
            with pytest.raises(BreakerOpen) as refused:
                await bed.breaker.call(bed.work(), judge_latency=False)
            assert (refused.value.retry_after, refused.value.reason) == (expected, "open")
            assert (refused.value.dependency, "the encoder" in str(refused.value)) == ("encoder", True)

    run(story)
    assert len(bed.openings) == 5


def test_a_p95_above_the_limit_opens_it_only_where_latency_is_judged() -> None:
    async def story() -> None:
        judged, not_judged = Bed("semantic"), Bed("milvus")
        for bed, judge in ((judged, True), (not_judged, False)):
            await bed.calls(95, bed.work(0.05), judge=judge)
            assert await bed.calls(5, bed.work(0.3), judge=judge) == ["answer"] * 5
            assert bed.state() == "closed"
            await bed.calls(1, bed.work(0.3), judge=judge)
        assert (judged.state(), not_judged.state()) == ("open", "closed")
        assert judged.openings == [("semantic", "slow")]

    run(story)


def test_a_changed_policy_holds_at_the_next_call() -> None:
    bed = Bed("semantic")

    async def story() -> None:
        bed.policy = BreakerPolicy(latency_ms=1000, window_seconds=10)
        await bed.calls(20, bed.work(0.3), judge=True)
        assert bed.state() == "closed"
        bed.policy = POLICY
        await bed.calls(LEAST_BAD, bed.work(0.3), judge=True)
        assert bed.state() == "open"

    run(story)


@pytest.mark.parametrize("latency_ms", [150.0, 2000.0, 0.0])
@pytest.mark.parametrize("judge", [True, False])
def test_a_silent_dependency_whose_calls_are_cancelled_opens_it(latency_ms: float, judge: bool) -> None:
    bed = Bed("semantic", BreakerPolicy(latency_ms=latency_ms, window_seconds=10))

    async def story() -> None:
        for _ in range(LEAST_BAD):
            begun = asyncio.Event()

            async def silent(begun: asyncio.Event = begun) -> str:
                begun.set()
                await asyncio.Event().wait()
                return "never"

            call = asyncio.ensure_future(bed.breaker.call(silent, judge))
            await begun.wait()
            bed.clock.now += 0.5
            call.cancel()
            await asyncio.wait([call])
            assert call.cancelled()
        assert bed.state() == "open"

    run(story)


def test_calls_that_had_no_time_and_faults_of_the_query_say_nothing() -> None:
    bed = Bed()

    async def story() -> None:
        late = Unavailable("encoder", "timeout", "late")
        wrong = Unavailable("elasticsearch", "http_400", "bad")
        inner = BreakerOpen("milvus", "open", 1, False)
        for seconds, error in (
            (0.01, late),
            (0.2, wrong),
            (0.2, inner),
            (0.2, BadQuery("q", "x")),
            (0.2, KeyError()),
        ):
            await bed.calls(20, bed.work(seconds, error))
        assert bed.state() == "closed"

    run(story)


def test_an_overloaded_dependency_is_asked_on_while_it_answers_some() -> None:
    bed = Bed()
    busy = Unavailable("encoder", "overload", "busy")

    async def story() -> None:
        for _ in range(30):
            await bed.calls(4, bed.work(0.001, busy))
            await bed.calls(1, bed.work(0.001))
        assert bed.state() == "closed"
        bed.clock.now += 20
        await bed.calls(LEAST_BAD, bed.work(0.001, busy))
        assert bed.openings == [("encoder", "refused")]

    run(story)


def test_one_probe_at_a_time_which_outlives_its_caller() -> None:
    bed = Bed()

    async def story() -> None:
        await bed.calls(LEAST_BAD, bed.work(error=down()))
        bed.clock.now += 1.0
        go, done = asyncio.Event(), asyncio.Event()

        async def slow() -> str:
            await go.wait()
            done.set()
            return "answer"

        caller = asyncio.ensure_future(bed.breaker.call(slow, judge_latency=False))
        await asyncio.sleep(0)
        assert await bed.calls(5, bed.work()) == ["BreakerOpen"] * 5
        caller.cancel()
        await asyncio.wait([caller])
        assert await bed.calls(1, bed.work()) == ["BreakerOpen"]
        go.set()
        await done.wait()
        await asyncio.sleep(0)
        await bed.calls(GOOD_PROBES - 1, bed.work())
        assert bed.state() == "closed"

    run(story)


def test_a_probe_that_never_ends_is_ended_and_nobody_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(breaker_module, "PROBE_SECONDS", 0.01)
    bed = Bed()

    async def silent() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            bed.clock.now += 2.0
        return "never"

    async def story() -> None:
        await bed.calls(LEAST_BAD, bed.work(error=down()))
        bed.clock.now += 1.0
        with pytest.raises(Unavailable, match="did not answer in time"):
            await bed.breaker.call(silent, judge_latency=False)
        assert bed.state() == "open"
        bed.clock.now += 2.0
        monkeypatch.setattr(breaker_module, "PROBE_SECONDS", 60.0)
        caller = asyncio.ensure_future(bed.breaker.call(silent, judge_latency=False))
        await asyncio.sleep(0)
        caller.cancel()
        await asyncio.wait([caller])
        await bed.breaker.close()
        assert len(asyncio.all_tasks()) == 1

    with caplog.at_level(logging.ERROR, logger="asyncio"):
        run(story)
    assert caplog.records == []


def test_what_a_call_from_before_comes_to_says_nothing_of_a_probe() -> None:
    bed = Bed()

    async def story() -> None:
        go = asyncio.Event()

        async def old() -> str:
            await go.wait()
            raise down()

        before = [asyncio.ensure_future(bed.breaker.call(old, judge_latency=False)) for _ in range(20)]
        await asyncio.sleep(0)
        await bed.calls(LEAST_BAD, bed.work(error=down()))
        bed.clock.now += 1.0
        await bed.calls(1, bed.work())
        go.set()
        await asyncio.gather(*before, return_exceptions=True)
        assert bed.state() == "half-open"
        assert await bed.calls(GOOD_PROBES - 1, bed.work()) == ["answer"] * (GOOD_PROBES - 1)
        assert bed.state() == "closed"

    run(story)


def test_when_no_other_way_is_left_it_is_asked_although_open_and_an_answer_closes_it() -> None:
    bed = Bed("elasticsearch")

    async def story() -> None:
        await bed.calls(LEAST_BAD, bed.work(error=down()))
        assert await bed.calls(50, bed.work(0.0, down()), regardless=True) == ["Unavailable"] * 50
        assert bed.state() == "open"
        assert await bed.calls(GOOD_PROBES, bed.work(), regardless=True) == ["answer"] * GOOD_PROBES
        assert bed.state() == "closed"

    run(story)


def test_turning_away_says_whether_the_trouble_lasts() -> None:
    bed = Bed()

    async def lasting() -> bool:
        with pytest.raises(BreakerOpen) as refused:
            await bed.breaker.call(bed.work(), judge_latency=False)
        return refused.value.lasting

    async def story() -> None:
        await bed.calls(LEAST_BAD, bed.work(error=down()))
        assert not await lasting()
        until = bed.clock.now + LASTING_SECONDS
        while bed.clock.now < until:
            bed.clock.now += 8.0
            await bed.calls(1, bed.work(0.0, down()))
        assert await lasting()

    run(story)


def test_metrics_and_states_tell_each_breaker() -> None:
    registry, clock = CollectorRegistry(), Clock()
    metrics = BreakerMetrics(registry)
    breakers = Breakers(lambda: POLICY, metrics, clock)

    async def fails() -> str:
        raise down()

    async def story() -> None:
        for _ in range(LEAST_BAD):
            with pytest.raises(Unavailable):
                await breakers.milvus.call(fails, judge_latency=False)

    assert breakers.patience(0.5) == 0.5
    run(story)
    # While a part is probed nobody waits longer than the search by meaning may take.
    assert breakers.patience(0.5) == 0.15
    assert breakers.patience(0.1) == 0.1
    assert breakers.states() == {**dict.fromkeys(GUARDED, "closed"), "milvus": "open"}
    metrics.show(breakers)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert value("gateway_breaker_state", dependency="milvus") == 2
    assert value("gateway_breaker_state", dependency="semantic") == 0
    assert value("gateway_breaker_opened_total", dependency="milvus", reason="failed") == 1
    clock.now += 1
    metrics.show(breakers)
    assert value("gateway_breaker_state", dependency="milvus") == 1
    metrics.show(None)
    assert value("gateway_breaker_state", dependency="milvus") == 0


@pytest.mark.parametrize(
    ("reason", "end"),
    [("timeout", "gave up"), ("overload", "overload"), ("http_429", "overload"), ("http_400", "else"),
     ("http_503", "fault"), ("connection", "fault"), ("fingerprint", "fault"), ("collection", "fault")],
)  # fmt: skip
def test_how_a_fault_counts(reason: str, end: str) -> None:
    assert end_of(Unavailable("encoder", reason, "x")) == end


def test_a_closed_breaker_costs_microseconds(capsys: pytest.CaptureFixture[str]) -> None:
    breaker = Breaker("encoder", lambda: POLICY)
    calls = 20_000

    async def work() -> None:
        return None

    async def timed() -> tuple[float, float]:
        began = time.perf_counter()
        for _ in range(calls):
            await work()
        bare = time.perf_counter()
        for _ in range(calls):
            await breaker.call(work, judge_latency=True)
        return bare - began, time.perf_counter() - bare

    bare, guarded = asyncio.run(timed())
    cost = (guarded - bare) / calls * 1e6
    with capsys.disabled():
        print(f"\na closed breaker costs {cost:.1f} us a call")
    # An order of magnitude: the machine may be busy.
    assert cost < 100

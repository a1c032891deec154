"""The second request: when it is sent, which answer counts, and what it may cost."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_plane.gateway.hedging import ExtraBudget, first_good, once_more

PATIENCE = 0.01


class Asked:
    """Requests that each end as the test says: `script[n]` is the n-th one's end."""

    def __init__(self, *script: Callable[[], Coroutine[Any, Any, str]]) -> None:
        self.script = script
        self.count = 0
        self.cancelled = 0

    async def __call__(self) -> str:
        self.count += 1
        try:
            return await self.script[self.count - 1]()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


async def silent() -> str:
    await asyncio.Event().wait()
    return "never"


async def quick() -> str:
    return "quick"


async def broken() -> str:
    raise ConnectionError("broken")


async def slow() -> str:
    await asyncio.sleep(5 * PATIENCE)
    return "slow"


async def slow_and_broken() -> str:
    await asyncio.sleep(2 * PATIENCE)
    raise ConnectionError("broken late")


def run(asked: Asked, allowed: bool = True, patience: float | None = PATIENCE) -> str:
    async def within() -> str:
        async with asyncio.timeout(5):
            answer = await first_good(asked, patience, lambda: allowed)
            await asyncio.sleep(0)
            return answer

    return asyncio.run(within())


def test_a_quick_answer_needs_no_second_request() -> None:
    asked = Asked(quick)
    assert run(asked) == "quick"
    assert asked.count == 1


def test_a_silent_first_request_is_overtaken_and_cancelled() -> None:
    asked = Asked(silent, quick)
    assert run(asked) == "quick"
    assert (asked.count, asked.cancelled) == (2, 1)


def test_a_slow_first_request_still_counts_when_the_second_is_silent() -> None:
    asked = Asked(slow, silent)
    assert run(asked) == "slow"
    assert asked.cancelled == 1


@pytest.mark.parametrize("script", [(slow, broken), (slow_and_broken, slow)])
def test_a_failed_request_waits_for_the_other(script: tuple[Any, ...]) -> None:
    assert run(Asked(*script)) == "slow"


def test_when_both_fail_the_failure_is_told() -> None:
    with pytest.raises(ConnectionError):
        run(Asked(slow_and_broken, broken))


def test_a_failure_before_its_time_is_told_at_once() -> None:
    asked = Asked(broken, quick)
    with pytest.raises(ConnectionError):
        run(asked)
    assert asked.count == 1


@pytest.mark.parametrize(("allowed", "patience"), [(False, PATIENCE), (True, None)])
def test_without_leave_there_is_one_request(allowed: bool, patience: float | None) -> None:
    asked = Asked(slow)
    assert run(asked, allowed, patience) == "slow"
    assert asked.count == 1


def test_a_cancelled_query_cancels_both() -> None:
    asked = Asked()

    async def story() -> None:
        second = asyncio.Event()

        async def silent_too() -> str:
            second.set()
            return await silent()

        asked.script = (silent, silent_too)
        query = asyncio.create_task(first_good(asked, PATIENCE, lambda: True))
        await asyncio.wait_for(second.wait(), 5)
        query.cancel()
        await asyncio.wait([query])
        await asyncio.sleep(0)

    asyncio.run(story())
    assert asked.cancelled == 2


@given(st.lists(st.booleans(), max_size=500))
def test_extra_requests_never_exceed_the_burst_and_the_share(wishes: list[bool]) -> None:
    budget = ExtraBudget(share=0.1, burst=5)
    spent = 0
    for number, wish in enumerate(wishes, 1):
        budget.earn()
        spent += wish and budget.spend()
        assert spent <= 5 + 0.1 * number + 1e-9


def test_a_budget_that_was_spent_is_earned_again() -> None:
    budget = ExtraBudget(share=0.1, burst=1)
    assert budget.spend()
    assert not budget.spend()
    for _ in range(11):
        budget.earn()
    assert budget.spend()


@pytest.mark.parametrize(
    ("script", "passing", "allowed", "count", "answer"),
    [
        ((quick,), True, True, 1, "quick"),
        ((broken, quick), True, True, 2, "quick"),
        ((broken, broken, quick), True, True, 2, None),
        ((broken, quick), False, True, 1, None),
        ((broken, quick), True, False, 1, None),
    ],
)
def test_a_passing_failure_is_asked_once_more_within_the_budget(
    script: tuple[Any, ...], passing: bool, allowed: bool, count: int, answer: str | None
) -> None:
    asked, spent = Asked(*script), 0

    def spend() -> bool:
        nonlocal spent
        spent += 1
        return allowed

    async def story() -> str | None:
        try:
            return await once_more(asked, lambda _error: passing, spend)
        except ConnectionError:
            return None

    assert asyncio.run(story()) == answer
    assert asked.count == count
    # A budget is asked only for what would be sent.
    assert spent == (1 if passing and script[0] is broken else 0)

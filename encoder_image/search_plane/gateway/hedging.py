"""Asking again: another, equal request when the first is slow or fails, within one budget a dependency."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class ExtraBudget:
    """How many requests may be made beyond the first one of each query: a share of them, and a burst.

    A dependency has one, for hedges and retries together: one that is slow or broken for everybody gets at most
    `share` more load, not twice as much.
    """

    def __init__(self, share: float = 0.1, burst: int = 50) -> None:
        self._share = share
        self._burst = float(burst)
        self._saved = float(burst)

    def earn(self) -> None:
        """One more query was asked."""
        self._saved = min(self._burst, self._saved + self._share)

    def spend(self) -> bool:
        """Whether one extra request may be made now; it is then counted."""
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True


# A request and its double may both meet the same dead node; a fourth hardly does.
MOST_EXTRA = 3


async def first_good(
    ask: Callable[[], Coroutine[Any, Any, T]], patience: float | None, may_ask_again: Callable[[], bool]
) -> T:
    """The first answer that is no exception; while there is none, `ask` is called again, at most MOST_EXTRA times.

    The second call comes after `patience` seconds, each later one after twice the wait before it. None for patience:
    never. Raises what the last of the requests raised; those that are not needed are cancelled.
    """
    running = {asyncio.ensure_future(ask())}
    extra = 0
    try:
        while True:
            wait = patience * 2**extra if patience is not None and extra < MOST_EXTRA else None
            done, running = await asyncio.wait(running, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            # All are looked at: asyncio complains of an exception that nobody asked for.
            good = [task for task in done if not task.cancelled() and task.exception() is None]
            if good or not running:
                return (good or list(done))[0].result()
            if not done:
                extra += 1
                if may_ask_again():
                    running.add(asyncio.ensure_future(ask()))
    finally:
        for task in running:
            task.cancel()


async def once_more(
    ask: Callable[[], Coroutine[Any, Any, T]],
    passing: Callable[[Exception], bool],
    may_ask_again: Callable[[], bool],
) -> T:
    """The answer; of a failure that is `passing` (a connection that had just been closed), the second one's."""
    try:
        return await ask()
    except Exception as error:
        if not (passing(error) and may_ask_again()):
            raise
    return await ask()

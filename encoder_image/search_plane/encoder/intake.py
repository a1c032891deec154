"""Tokenising off the event loop: one thread that takes, at each turn, all texts that came meanwhile."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from search_plane.encoder.tokenising import TextTokeniser, Token, TokenIds

# A megabyte of text takes the tokenizer most of a second: such requests have a thread of their own.
LONG_CHARACTERS = 50_000


class Intake:
    """Groups the texts of many requests into one call of the tokenizer.

    Belongs to the event loop's thread.
    """

    def __init__(self, tokeniser: TextTokeniser) -> None:
        self._tokeniser = tokeniser
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tokenise")
        self._thread_for_long = ThreadPoolExecutor(1, thread_name_prefix="tokenise-long")
        self._pending: list[tuple[Sequence[str], asyncio.Future[list[TokenIds]]]] = []
        self._busy = False

    async def encode(self, texts: Sequence[str]) -> list[TokenIds]:
        """Token ids of each text, not cut. Raises what the tokenizer raises."""
        if sum(map(len, texts)) > LONG_CHARACTERS:
            return await self._loop.run_in_executor(self._thread_for_long, self._tokeniser.encode, texts)
        answer: asyncio.Future[list[TokenIds]] = self._loop.create_future()
        self._pending.append((texts, answer))
        if not self._busy:
            self._busy = True
            # At the end of this turn of the loop, so that requests read in the same turn go together.
            self._loop.call_soon(self._start)
        return await answer

    async def tokens(self, texts: Sequence[str], *, special: bool) -> list[list[Token]]:
        """Tokens of each text with their places; for people, so that it need not be fast."""
        return await self._loop.run_in_executor(
            self._thread_for_long, lambda: self._tokeniser.tokens(texts, special=special)
        )

    def close(self) -> None:
        """Let go of the threads."""
        for thread in (self._thread, self._thread_for_long):
            thread.shutdown(wait=True, cancel_futures=True)

    def _start(self) -> None:
        taken, self._pending = self._pending, []
        running = self._loop.run_in_executor(
            self._thread, self._tokeniser.encode, [text for texts, _ in taken for text in texts]
        )
        running.add_done_callback(lambda done: self._finish(taken, done))

    def _finish(
        self,
        taken: list[tuple[Sequence[str], "asyncio.Future[list[TokenIds]]"]],
        done: "asyncio.Future[list[TokenIds]]",
    ) -> None:
        if self._pending:
            self._start()
        else:
            self._busy = False
        error = None if done.cancelled() else done.exception()
        position = 0
        for texts, answer in taken:
            end = position + len(texts)
            if done.cancelled():
                answer.cancel()
            elif answer.done():
                pass
            elif error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(done.result()[position:end])
            position = end

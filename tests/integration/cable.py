"""A cable to a real server that a test can cut, plug in again, or make slow."""

from __future__ import annotations

import asyncio
import threading
from enum import Enum
from types import TracebackType


class Mode(Enum):
    """What happens to bytes: they pass, or connections are reset, or bytes are held and nothing is said."""

    OPEN = "open"
    CUT = "cut"
    SILENT = "silent"


class Cable:
    """A TCP relay from a free port of `listen` to `host:port`. Its own thread runs the event loop."""

    def __init__(self, host: str, port: int, listen: str = "127.0.0.1") -> None:
        self._target = (host, port)
        self._listen = listen
        self._mode = Mode.OPEN
        self._delay = 0.0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._changed = asyncio.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"cable to {host}:{port}", daemon=True)
        self.port = 0

    @property
    def address(self) -> str:
        """`127.0.0.1:PORT` or the like, of this end."""
        return f"{self._listen}:{self.port}"

    def set(self, mode: Mode, delay: float = 0.0) -> None:
        """Changes what happens from now on, to open connections too. `delay`: seconds added to each chunk."""
        asyncio.run_coroutine_threadsafe(self._set(mode, delay), self._loop).result(5)

    async def _set(self, mode: Mode, delay: float) -> None:
        self._mode, self._delay = mode, delay
        if mode is Mode.CUT:
            for writer in self._writers:
                writer.transport.abort()
        before, self._changed = self._changed, asyncio.Event()
        before.set()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, self._listen, 0))
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._mode is Mode.CUT:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, far_writer}
        self._writers |= ends
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, far_writer))
                pumps.create_task(self._pump(far_reader, writer))
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(65536):
                while self._mode is Mode.SILENT:
                    await self._changed.wait()
                if self._delay:
                    await asyncio.sleep(self._delay)
                writer.write(chunk)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        except OSError:
            # One side is gone: the other is told by the end of the connection.
            writer.transport.abort()

    def __enter__(self) -> Cable:
        self._thread.start()
        assert self._started.wait(5), "waited 5 s for the cable's port"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

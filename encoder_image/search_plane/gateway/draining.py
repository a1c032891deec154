"""The server's orderly end."""

import signal
import time
from types import FrameType

import uvicorn

from search_plane.gateway.asgi import Leaving


class DrainingServer(uvicorn.Server):
    """Ends in order on SIGTERM: says so on /readyz and serves on, finishes what is in flight, returns.

    SIGINT, or a second signal, skips the first part.
    """

    def __init__(self, config: uvicorn.Config, leaving: Leaving, drain_seconds: float) -> None:
        super().__init__(config)
        self._leaving = leaving
        self._drain_seconds = drain_seconds
        self._leave_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Signal handler. The parent's would end the process by the signal instead of exit code 0."""
        if sig == signal.SIGINT or self._leaving.draining:
            self.should_exit = True
        self._leaving.draining = True
        self._leave_at = time.monotonic() + self._drain_seconds

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop now; called ten times a second."""
        left = self._leave_at is not None and time.monotonic() >= self._leave_at
        return await super().on_tick(counter) or left

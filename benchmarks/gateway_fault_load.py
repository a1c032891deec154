"""The load of the faults' benchmark, and what the gateway says of its breakers meanwhile."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from benchmarks.encoder_load import Told
from benchmarks.gateway_load import Reply
from tests.testbed.cluster import TestbedError

_POLL_SECONDS = 0.05
_CAPACITY_SECONDS = 5.0


@dataclass(frozen=True)
class Seen:
    """What /release said of the breakers at a time of time.monotonic."""

    at: float
    breakers: dict[str, str]


class BreakerWatch:
    """Asks /release twenty times a second, from a thread."""

    def __init__(self, url: str) -> None:
        self.seen: list[Seen] = []
        self._url = f"{url}/release"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="breakers", daemon=True)

    @property
    def all_closed(self) -> bool:
        """Whether the gateway said last that they are."""
        return bool(self.seen) and set(self.seen[-1].breakers.values()) <= {"closed"}

    def closed_since(self, moment: float) -> bool:
        """Whether it was said after `moment` that all are closed."""
        return bool(self.seen) and self.seen[-1].at > moment and self.all_closed

    def _watch(self) -> None:
        with httpx.Client(timeout=5, trust_env=False) as client:
            while not self._stop.wait(_POLL_SECONDS):
                state = client.get(self._url).json()
                self.seen.append(Seen(time.monotonic(), state.get("breakers", {})))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(10)


class RunningLoad:
    """benchmarks.gateway_load at a rate while the context lasts; `replies` afterwards."""

    def __init__(self, url: str, queries: Path, rate: float) -> None:
        self.replies: list[Reply] = []
        self._command = [
            sys.executable, "-m", "benchmarks.gateway_load", "--url", url, "--queries", str(queries), "--rate", str(rate),
        ]  # fmt: skip
        self._home = tempfile.TemporaryDirectory()
        self._log = Path(self._home.name) / "replies.jsonl"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        # It ends with the benchmark, whatever ends that.
        guarded = ["setpriv", "--pdeathsig", "KILL", "--", *self._command, "--log", str(self._log)]
        self._process = subprocess.Popen(guarded)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        code = self._process.wait(30)
        if self._log.exists():
            self.replies = [Reply.model_validate_json(line) for line in self._log.read_bytes().splitlines()]
        self._home.cleanup()
        if code and kind is None:
            raise TestbedError(f"the load ended with {code}")


def capacity(url: str, queries: Path) -> float:
    """Queries per second that the gateway answers to four askers."""
    command = [
        sys.executable, "-m", "benchmarks.gateway_load", "--url", url, "--queries", str(queries),
        "--concurrency", "4", "--seconds", str(_CAPACITY_SECONDS),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise TestbedError(f"the load ended with {done.returncode}: {done.stderr[-1000:]}")
    return Told.model_validate_json(done.stdout).per_second

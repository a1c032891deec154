"""A server of the tests as a child process that cannot outlive the tests."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.testbed.cluster.cache import TestbedError
from tests.testbed.cluster.prerequisites import program


class ServerProcess:
    """One running server; its output goes to ``log``.

    The kernel kills it when the thread that started it ends, so start servers from the main thread.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[object],
        *,
        home: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        setpriv = program("setpriv")
        if setpriv is None:
            raise TestbedError("no setpriv on PATH; install util-linux")
        self.name = name
        self.log = home / "server.log"
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [setpriv, "--pdeathsig", "KILL", "--", *(str(part) for part in command)],
                cwd=home,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the tests, which then stop their servers in order.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id of the server itself (every wrapper replaces itself)."""
        return self._process.pid

    @property
    def resident_mib(self) -> int:
        """Resident memory in MiB."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) >> 10

    def tell(self, text: str) -> None:
        """Write ``text`` to the server's standard input and close it."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.close()

    def await_ready(self, ready: Callable[[], bool], *, timeout: float) -> None:
        """Poll ``ready``; TestbedError with the end of the log when the server ends or time runs out."""
        deadline = time.monotonic() + timeout
        while not ready():
            status = self._process.poll()
            if status is not None:
                raise TestbedError(
                    f"{self.name} ended with {status} while starting; its log:\n{self._tail()}"
                )
            if time.monotonic() > deadline:
                raise TestbedError(
                    f"waited {timeout:.0f} s for {self.name} to answer; its log:\n{self._tail()}"
                )
            time.sleep(0.05)

    def kill(self) -> None:
        """End the server without warning and wait until it is gone."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)

    def _tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-25:])

"""Running a program with a deadline, and waiting for something with a deadline."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from tests.testbed.cluster.cache import TestbedError


def run(
    command: Sequence[object],
    *,
    what: str,
    remedy: str = "",
    timeout: float = 60.0,
    environment: Mapping[str, str] | None = None,
    stdin: IO[bytes] | str | None = None,
) -> str:
    """Run ``command`` (each part turned into text) and return its standard output.

    ``stdin`` is text or an open file; nothing by default.

    Raises TestbedError that names ``what`` was being done, the end of the program's output and ``remedy``
    when the program fails, is missing or takes longer than ``timeout`` seconds.
    """
    advice = f"\n{remedy}" if remedy else ""
    source: dict[str, Any] = (
        {"input": stdin.encode()} if isinstance(stdin, str) else {"stdin": stdin or subprocess.DEVNULL}
    )
    try:
        done: subprocess.CompletedProcess[bytes] = subprocess.run(
            [str(part) for part in command],
            env=environment,
            **source,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise TestbedError(f"{what}: {error}{advice}") from error
    except subprocess.TimeoutExpired as error:
        raise TestbedError(f"{what}: not done within {timeout:.0f} s{advice}") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()[-1500:]
        raise TestbedError(f"{what}: exit {done.returncode}: {said}{advice}")
    return done.stdout.decode(errors="replace")


def wait_until(
    ready: Callable[[], bool], *, what: str, timeout: float, every: float = 0.1, remedy: str = ""
) -> None:
    """Ask ``ready`` every ``every`` seconds; raise TestbedError naming ``what`` after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > deadline:
            raise TestbedError(f"waited {timeout:.0f} s for {what}{f'; {remedy}' if remedy else ''}")
        time.sleep(every)

"""Shows steps: a live region with what runs on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from demo.steps import Outcome, Step
from demo.wording import duration, failure

_REFRESH_PER_SECOND = 4


class PlainDisplay:
    """One line for everything that happens, with the time of day."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def started(self, step: Step) -> None:
        """Say that it begins."""
        self._line(f"       .. {step.title}")

    def said(self, step: Step, message: str) -> None:
        """Say what it told."""
        self._line(
            f"          {message}" if message.startswith(step.key) else f"          {step.key}: {message}"
        )

    def ended(self, outcome: Outcome, done: int, total: int) -> None:
        """Say how it ended."""
        self._line(ending(outcome, done, total))
        if outcome.error:
            self._console.print(f"\n{failure(outcome)}\n", markup=False, highlight=False, soft_wrap=True)

    def still(self, running: Sequence[tuple[Step, float]]) -> None:
        """Say what runs, so that silence is not mistaken for a hang."""
        self._line(
            "          still running: " + ", ".join(f"{step.key} ({took:.0f} s)" for step, took in running)
        )

    def _line(self, text: str) -> None:
        with self._lock:
            self._console.print(
                f"{time.strftime('%H:%M:%S')} {text}", markup=False, highlight=False, soft_wrap=True
            )


class LiveDisplay:
    """What ended scrolls by; below it, what runs, with a clock and the last thing it told."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._running: dict[str, tuple[Step, float, str]] = {}
        self._live = Live(
            console=console,
            get_renderable=self._table,
            refresh_per_second=_REFRESH_PER_SECOND,
            transient=True,
        )

    def __enter__(self) -> LiveDisplay:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def started(self, step: Step) -> None:
        """Show it in the live region."""
        with self._lock:
            self._running[step.key] = (step, time.monotonic(), "")

    def said(self, step: Step, message: str) -> None:
        """Show it beside the step."""
        with self._lock:
            if step.key in self._running:
                self._running[step.key] = (*self._running[step.key][:2], message)

    def ended(self, outcome: Outcome, done: int, total: int) -> None:
        """Move it from the live region to what scrolls by."""
        with self._lock:
            self._running.pop(outcome.step.key, None)
        style = "red" if outcome.error else "green"
        self._console.print(Text(ending(outcome, done, total), style=style))
        if outcome.error:
            self._console.print(f"\n{failure(outcome)}\n", markup=False, highlight=False, soft_wrap=True)

    def still(self, running: Sequence[tuple[Step, float]]) -> None:
        """The clocks show it already."""

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", style="dim")
        with self._lock:
            rows = list(self._running.values())
        for step, began, message in rows:
            table.add_row(f"  … {step.title}", duration(time.monotonic() - began), Text(message))
        return table


def ending(outcome: Outcome, done: int, total: int) -> str:
    """One line: how far the whole is, what ended, how long it took, what came of it."""
    head = f"[{done:>2}/{total}]" if outcome.error is None else "[FAIL]"
    text = f": {outcome.text}" if outcome.text else ""
    return f"{head} {outcome.step.title} ({duration(outcome.seconds)}){text}"


def display_for(console: Console) -> PlainDisplay | LiveDisplay:
    """Live on a terminal, lines elsewhere."""
    return (
        LiveDisplay(console)
        if console.is_terminal and not console.is_dumb_terminal
        else PlainDisplay(console)
    )

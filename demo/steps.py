"""Steps that depend on each other, run side by side where they may."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Protocol

Say = Callable[[str], None]
"""Told one line whenever there is something new to see."""

HEARTBEAT_SECONDS = 30.0


class StepFailed(RuntimeError):
    """A step cannot go on. `look` are commands that show more; `tail` the last lines of the relevant log."""

    def __init__(self, message: str, *, look: Sequence[str] = (), tail: str = "") -> None:
        super().__init__(message)
        self.look = tuple(look)
        self.tail = tail


@dataclass(frozen=True)
class Step:
    """One thing to do. `act` returns what came of it, as a short text; `after` names the steps it needs."""

    key: str
    title: str
    act: Callable[[Say], str] = field(repr=False)
    after: tuple[str, ...] = ()
    remedy: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a step ended: what came of it and how many seconds it took, and the error if it failed."""

    step: Step
    seconds: float
    text: str = ""
    error: BaseException | None = None


class Display(Protocol):
    """Where people see what happens. Called from one thread, but for `said`."""

    def started(self, step: Step) -> None:
        """A step begins."""

    def said(self, step: Step, message: str) -> None:
        """A step tells something; called from any thread."""

    def ended(self, outcome: Outcome, done: int, total: int) -> None:
        """A step is over."""

    def still(self, running: Sequence[tuple[Step, float]]) -> None:
        """Nothing ended for a while: the steps that run and for how many seconds."""


def check_order(steps: Sequence[Step]) -> None:
    """Raise ValueError when a step is there twice, or needs one that doesn't come before it."""
    seen: set[str] = set()
    for step in steps:
        if step.key in seen:
            raise ValueError(f"step {step.key} is there twice")
        if missing := [key for key in step.after if key not in seen]:
            raise ValueError(f"step {step.key} needs {', '.join(missing)}, which must come before it")
        seen.add(step.key)


def run_steps(steps: Sequence[Step], display: Display, *, at_once: int = 6) -> list[Outcome]:
    """Run every step as soon as what it needs is done; returns the outcomes in the order they ended.

    After a failure nothing new begins; what runs is let finish, since its work is kept for the next time.
    """
    check_order(steps)
    waiting = list(steps)
    running: dict[Future[str], tuple[Step, float]] = {}
    outcomes: list[Outcome] = []
    done: set[str] = set()
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        while True:
            if not any(outcome.error for outcome in outcomes):
                for step in [step for step in waiting if done.issuperset(step.after)]:
                    if len(running) == at_once:
                        break
                    waiting.remove(step)
                    display.started(step)
                    running[pool.submit(step.act, _saying(display, step))] = (step, time.monotonic())
            if not running:
                return outcomes
            ended, _ = wait(running, timeout=HEARTBEAT_SECONDS, return_when=FIRST_COMPLETED)
            now = time.monotonic()
            if not ended:
                display.still([(step, now - began) for step, began in running.values()])
            for future in ended:
                step, began = running.pop(future)
                error = future.exception()
                text = "" if error else future.result()
                outcomes.append(Outcome(step, now - began, text, error))
                if error is None:
                    done.add(step.key)
                display.ended(outcomes[-1], len(done), len(steps))


def _saying(display: Display, step: Step) -> Say:
    return lambda message: display.said(step, message)

"""One run: a query load and catalogue writes go on, while the index switches to and fro and is rolled back."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from search_plane.encoder.artefact import DIGEST_PREFIX

from benchmarks.switch_bed import ENCODERS, INDEX, encoder_spec
from benchmarks.switch_watch import Eyes
from tests.cluster.index_bed import Bed
from tests.testbed.cluster import TestbedError
from tests.testbed.weights.published import PublishedWeights

REQUESTED_AT = "semanticsearch.io/refresh-requested-at"
SWITCH_SECONDS = 900.0
ROLLBACK_SECONDS = 120.0
QUIET_SECONDS = 300.0
# How long after a move the pods that it sets free still settle.
SETTLE_SECONDS = 4.0
_STOPS_WITHIN = 30.0

Kind = Literal["switch", "rollback"]


@dataclass(frozen=True)
class Move:
    """One change of the release that answers; times are time.monotonic().

    `asked`: the patch began. `decided`: the pointer announced the release (of a rollback: `asked`, for the user has
    decided). `committed`: the pointer named it. `moved`: the last gateway said that it answers from it.
    """

    kind: Kind
    release: str
    asked: float
    decided: float
    committed: float
    moved: float


@dataclass
class Course:
    """What was done and when."""

    began: float
    moves: list[Move] = field(default_factory=list)
    rests: list[tuple[float, float]] = field(default_factory=list)
    refreshes: list[float] = field(default_factory=list)
    ended: float = 0.0


def planned(switches: int, rollbacks: int) -> list[Kind]:
    """The order of moves: rollbacks spread evenly, each after a switch that it can take back."""
    if rollbacks > switches:
        raise ValueError("there can't be more rollbacks than switches")
    plan: list[Kind] = []
    for number in range(switches):
        plan.append("switch")
        if (number + 1) * rollbacks // switches > number * rollbacks // switches:
            plan.append("rollback")
    return plan


class LoadProcess:
    """`python -m benchmarks.switch_load`, and what it tells."""

    def __init__(self, url: str, queries: Sequence[str], home: Path, concurrency: int, rate: float) -> None:
        self.log = home / "answers.log"
        self.faults: list[dict[str, Any]] = []
        self.told: dict[str, Any] = {"count": 0, "failed": 0}
        questions = home / "queries.json"
        questions.write_text(json.dumps(list(queries)))
        command = [sys.executable, "-m", "benchmarks.switch_load", "--url", url, "--queries", str(questions)]
        command += ["--log", str(self.log), "--concurrency", str(concurrency), "--rate", str(rate)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def count(self) -> int:
        """Answers so far."""
        return int(self.told["count"])

    def check(self) -> None:
        """TestbedError when the process has ended by itself."""
        if self._process.poll() is not None:
            raise TestbedError(f"the query load ended with {self._process.returncode}")

    def stop(self) -> None:
        """Ends it after the queries under way."""
        self._process.terminate()
        self._process.wait(_STOPS_WITHIN)
        self._reader.join(_STOPS_WITHIN)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if "fault" in said:
                self.faults.append(said)
            else:
                self.told = said


class Drive:
    """Makes the moves. `say` is told what it does now."""

    def __init__(
        self,
        bed: Bed,
        eyes: Eyes,
        load: LoadProcess,
        say: Callable[[str], None],
        *,
        rest_seconds: float,
        refresh_every: int,
        patience: float = 1.0,
    ) -> None:
        """`patience` multiplies every deadline: parts may be gone meanwhile."""
        self.course = Course(time.monotonic())
        self._bed, self._eyes, self._load, self._say = bed, eyes, load, say
        self._rest_seconds, self._refresh_every = rest_seconds, refresh_every
        self._patience = patience
        self._encoder = ENCODERS[0]
        self._came_from = ""

    def run(self, plan: Sequence[Kind], queries: int) -> None:
        """All moves with rests between them, so long that the queries are spread over all of it."""
        for number, kind in enumerate(plan):
            self._rest(queries * (number + 1) // (len(plan) + 1))
            made = self._switch() if kind == "switch" else self._rollback()
            self.course.moves.append(made)
            seconds = made.moved - made.decided
            self._say(f"{number + 1} of {len(plan)}: {kind} to {made.release} took {seconds:.2f} s")
            time.sleep(SETTLE_SECONDS)
            if kind == "rollback":
                self._follow_up()
            if self._refresh_every and (number + 1) % self._refresh_every == 0:
                self.refresh()
        self._rest(queries)
        self.course.ended = time.monotonic()

    def refresh(self) -> None:
        """Asks for a refresh by annotation and waits until it has run."""
        self._say("a refresh is asked for")
        asked = datetime.now(UTC).isoformat(timespec="seconds")
        self.course.refreshes.append(self._eyes.patch({"metadata": {"annotations": {REQUESTED_AT: asked}}}))
        self._eyes.wait(
            f"the refresh asked for at {asked}",
            lambda: self._served(asked) and self._eyes.running_jobs == 0,
            QUIET_SECONDS * self._patience,
        )

    def _served(self, asked: str) -> bool:
        told = self._eyes.index.get("status", {}).get("refresh", {}).get("servedRequest")
        return bool(told) and datetime.fromisoformat(told) >= datetime.fromisoformat(asked)

    def _rest(self, until_count: int) -> None:
        """Nothing but queries and writes, for some seconds and until so many queries are answered."""
        self._say("waiting for quiet")
        self._eyes.wait("no job to run", lambda: self._eyes.running_jobs == 0, QUIET_SECONDS * self._patience)
        began = time.monotonic()
        self._say("at rest")
        while time.monotonic() < began + self._rest_seconds or self._load.count < until_count:
            self._load.check()
            time.sleep(0.2)
        self.course.rests.append((began, time.monotonic()))

    def _switch(self) -> Move:
        target = next(weights for weights in ENCODERS if weights is not self._encoder)
        before = self._eyes.pointer.release
        pin = f"{DIGEST_PREFIX}{target.digest}"
        with self._watched() as first:
            asked = self._eyes.patch({"spec": {"encoder": encoder_spec(target)}})
            self._say(f"switching to {target.name}: waiting for the decision")
            self._eyes.wait(
                f"the switch to {target.name}",
                lambda: self._eyes.pointer.weights == pin,
                SWITCH_SECONDS * self._patience,
            )
            release = self._eyes.pointer.release
            moved = self._await_gateways(release)
        self._encoder, self._came_from = target, before
        seen = self._eyes.seen.pointers[first:]
        decided = next(pointer.at for pointer in seen if release in (pointer.next, pointer.release))
        committed = next(pointer.at for pointer in seen if pointer.release == release)
        return Move("switch", release, asked, decided, committed, moved)

    def _rollback(self) -> Move:
        release = self._came_from
        with self._watched() as first:
            asked = self._eyes.patch({"spec": {"rollout": {"rollbackTo": release}}})
            self._say(f"rolling back to {release}")
            self._eyes.wait(
                f"the rollback to {release}",
                lambda: self._eyes.pointer.release == release,
                ROLLBACK_SECONDS * self._patience,
            )
            moved = self._await_gateways(release)
        committed = next(p.at for p in self._eyes.seen.pointers[first:] if p.release == release)
        self._encoder = _encoder_of(self._eyes.pointer.weights)
        return Move("rollback", release, asked, asked, committed, moved)

    def _follow_up(self) -> None:
        """The spec asks for what answers, as a reverted commit would; the rollback is over."""
        self._say("the spec follows the rollback")
        self._eyes.patch({"spec": {"encoder": encoder_spec(self._encoder), "rollout": {"rollbackTo": None}}})

    @contextmanager
    def _watched(self) -> Iterator[int]:
        """The gateways are asked closely meanwhile; yields how many pointers were seen before."""
        with self._eyes.closely():
            yield len(self._eyes.seen.pointers)

    def _await_gateways(self, release: str) -> float:
        self._eyes.wait(
            f"every gateway on {release}",
            lambda: self._eyes.all_gateways_on(release),
            ROLLBACK_SECONDS * self._patience,
        )
        return max(heard.at for heard in self._eyes.seen.heard if heard.release == release)


def _encoder_of(pin: str) -> PublishedWeights:
    return next(weights for weights in ENCODERS if f"{DIGEST_PREFIX}{weights.digest}" == pin)


def encoders_of_releases(eyes: Eyes) -> dict[str, str]:
    """Every release that ever was in the pointer -> its encoder's name."""
    return {
        pointer.release: _encoder_of(pointer.weights).name
        for pointer in eyes.seen.pointers
        if pointer.release
    }


def wrong_at_the_end(bed: Bed, eyes: Eyes, live: set[str], catalogue: str) -> list[str]:
    """What the end state lacks: the catalogue is what was written, and the active collection holds just that."""
    wrong: list[str] = []
    held = bed.ids_in_catalogue(catalogue)
    if held != live:
        wrong.append(f"the catalogue differs from what was written by {len(held ^ live)} products")
    status = bed.await_ready(INDEX, QUIET_SECONDS)["status"]
    active = next(r for r in status["releases"] if r["name"] == status["activeRelease"])
    rows = bed.ids_in_milvus(active["collection"])
    if rows != held:
        wrong.append(
            f"{active['collection']} lacks {len(held - rows)} products and has {len(rows - held)} too many"
        )
    if status["activeRelease"] != eyes.pointer.release:
        wrong.append(f"the status says {status['activeRelease']}, the pointer {eyes.pointer.release}")
    return wrong

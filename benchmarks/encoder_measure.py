"""One model at one precision, measured: servers run one at a time, the runtime alone before, between and after them.

Measures take a time, not a number of texts, so that a large model takes hardly longer than a small one.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from search_plane.encoder.artefact import TOKENIZER_FILE
from search_plane.encoder.settings import available_cores
from search_plane.encoder.tokenising import TextTokeniser

from benchmarks.encoder_models import Variant
from benchmarks.encoder_rows import CASES, FULL, LOAD_SHARE, Case, Figures, Kind
from benchmarks.encoder_servers import Server, asked, check_same, infinity, naive, ours
from benchmarks.encoder_texts import queries_of, texts_of_products
from benchmarks.raw_encoder import RawEncoder, RawSettings

TEXTS = 512
# Texts whose vectors each server must give as the model does.
COMPARED = 4
WARM_UP_SECONDS = 2.0
# A p99 needs some answers; a slow model has no more time for them than so many times that of a measure.
LOADED_ANSWERS = 600
LOADED_TIMES = (2, 5)
# Whatever else happens for a second is in the p99 of a short run; the median of three leaves it out.
LOADED_RUNS = 3

Start = Callable[[Path], AbstractContextManager[Server]]
console = Console(stderr=True, soft_wrap=True)
_BEGAN = time.monotonic()


def progress(text: str) -> None:
    """One line on standard error, with the time since the start."""
    minutes, seconds = divmod(int(time.monotonic() - _BEGAN), 60)
    console.print(f"{minutes:3d}:{seconds:02d} {text}", highlight=False)


@dataclass(frozen=True)
class Plan:
    """`seconds` of each measure, `rounds` of all servers in turn; `infinity`: a Python that has it, if any."""

    seconds: float
    rounds: int
    infinity: str | None


def measured(variant: Variant, home: Path, plan: Plan) -> Figures:
    """All figures of one variant; `home` is an empty folder. Raises TestbedError, for example for a wrong peer."""
    return _Measuring(variant, home, plan).figures()


class _Measuring:
    def __init__(self, variant: Variant, home: Path, plan: Plan) -> None:
        self._variant, self._home, self._plan = variant, home, plan
        self._say(f"the model, then the best of {available_cores()} cores")
        self._weights = variant.weights(home / "weights")
        self._raw = RawEncoder(self._weights)
        tokeniser = TextTokeniser(self._weights.path / TOKENIZER_FILE, self._weights.identity.max_tokens)
        self._texts: dict[Kind, list[str]] = {
            "queries": queries_of(tokeniser, TEXTS),
            "documents": texts_of_products(TEXTS),
        }
        self._compared = [text for texts in self._texts.values() for text in texts[:COMPARED]]
        self._vectors = self._raw.vectors(self._compared)
        self._best: dict[Kind, RawSettings] = {
            kind: self._raw.best(texts, available_cores(), max(0.5, plan.seconds / 6))
            for kind, texts in self._texts.items()
        }
        self._found = Figures(best=self._best)

    def figures(self) -> Figures:
        for number in range(self._plan.rounds):
            for name, start in self._servers().items():
                self._runtime_alone()
                home = self._home / f"{name}-{number}"
                home.mkdir()
                with start(home) as server:
                    self._one(server, home)
        self._runtime_alone()
        return self._found

    def _servers(self) -> dict[str, Start]:
        servers: dict[str, Start] = {
            "ours": lambda home: ours(self._weights, home),
            "naive": lambda home: naive(self._weights, home),
        }
        if (python := self._plan.infinity) is not None:
            servers["infinity"] = lambda home: infinity(python, self._variant, self._weights, home)
        return servers

    def _runtime_alone(self) -> None:
        for kind, texts in self._texts.items():
            rate = self._raw.sustained(texts, self._best[kind], self._plan.seconds / 2)
            self._found.limit.setdefault(kind, []).append(rate)
            self._say(f"the runtime alone, {kind}: {rate:,.1f} texts/s")
        self._found.single_ms.append(self._raw.milliseconds(self._texts["queries"], self._plan.seconds / 6))
        self._say(f"one query alone: {self._found.single_ms[-1]:,.2f} ms")

    def _one(self, server: Server, home: Path) -> None:
        """One server's figures."""
        found, seconds = self._found, self._plan.seconds
        cosine = check_same(server, self._compared, self._vectors)
        found.least_cosine.setdefault(server.name, []).append(cosine)
        self._say(f"{server.name} gives the model's vectors: cosine at least {cosine:.6f}")
        asked(server, self._requests(FULL), home, "--seconds", WARM_UP_SECONDS, "--concurrency", 8)
        for case in CASES:
            told = asked(
                server, self._requests(case), home, "--seconds", seconds, "--concurrency", case.concurrency
            )
            rate = told.per_second * case.texts_a_request
            found.per_second.setdefault((server.name, case), []).append(rate)
            found.p99_ms.setdefault((server.name, case), []).append(told.p99_ms)
            self._say(f"{server.name}, {case.name}: {rate:,.1f} texts/s, p99 {told.p99_ms:,.1f} ms")
        if server.name == "ours":
            self._loaded(server, home)
        found.resident_mib.setdefault(server.name, []).append(server.resident())

    def _loaded(self, server: Server, home: Path) -> None:
        rate = LOAD_SHARE * self._found.per_second[server.name, FULL][-1]
        least, most = (times * self._plan.seconds for times in LOADED_TIMES)
        seconds = min(max(least, LOADED_ANSWERS / rate), most)
        options = ("--seconds", seconds, "--rate", round(rate, 1))
        for seed in range(LOADED_RUNS):
            told = asked(server, self._requests(FULL), home, *options, "--seed", seed)
            self._found.loaded_p99_ms.append(told.p99_ms)
            self._say(
                f"ours, {rate:,.1f} queries/s at random moments: p50 {told.p50_ms:,.1f}, p99 {told.p99_ms:,.1f} ms"
            )

    def _requests(self, case: Case) -> list[list[str]]:
        texts, size = self._texts[case.kind], case.texts_a_request
        return [texts[at : at + size] for at in range(0, len(texts), size)]

    def _say(self, text: str) -> None:
        progress(f"{self._variant.name}: {text}")

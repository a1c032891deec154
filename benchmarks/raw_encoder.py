"""The model in ONNX Runtime without a server around it: the limit that servers and jobs are measured against."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from statistics import median

import numpy as np
import onnxruntime
from search_plane.encoder.artefact import MODEL_FILE, TOKENIZER_FILE
from search_plane.encoder.padding import padded
from search_plane.encoder.pooling import FloatArray, normalised, pool
from search_plane.encoder.settings import available_cores
from search_plane.encoder.tokenising import TextTokeniser, TokenIds

from tests.testbed.weights.folder import WeightsFolder

BATCHES = (4, 8, 16, 32, 64)
# How many of the settings are measured a second time.
FINALISTS = 3
SEED = 7


@dataclass(frozen=True)
class RawSettings:
    """How the bare model is run: texts a call, calls at once, threads of each call."""

    batch: int
    lanes: int
    threads: int

    def __str__(self) -> str:
        return f"batch {self.batch}, {self.lanes} x {self.threads} threads"


class RawEncoder:
    """The model in this process: tokenise, run, pool, normalise, and nothing else."""

    def __init__(self, weights: WeightsFolder) -> None:
        self._weights = weights
        self._tokeniser = TextTokeniser(weights.path / TOKENIZER_FILE, weights.identity.max_tokens)
        self._sessions: dict[int, onnxruntime.InferenceSession] = {}

    def texts_per_second(self, texts: Sequence[str], settings: RawSettings) -> float:
        """Each text once. Texts are sorted by length first, as the job sorts them."""
        session = self._session(settings.threads)
        started = time.perf_counter()
        tokens = [self._token_ids(batch) for batch in _batches(texts, settings.batch)]
        with ThreadPoolExecutor(settings.lanes) as lanes:
            rows = sum(lanes.map(lambda batch: len(self._run(session, batch)), tokens))
        assert rows == len(texts)
        return rows / (time.perf_counter() - started)

    def sustained(self, texts: Sequence[str], settings: RawSettings, seconds: float) -> float:
        """Texts a second while it goes on for so long, whatever the model's speed; batches of texts of as many tokens.

        They come in random order, so that the first few stand for all. Each lane's rate is its own: a lane whose last
        batch ends early does not count as idle.
        """
        session = self._session(settings.threads)
        tokens = dict(zip(texts, map(len, self._token_ids(texts)), strict=True))
        waiting = _shuffled(_batches(texts, settings.batch, tokens.__getitem__))
        lock = threading.Lock()
        until = time.perf_counter() + seconds

        def rate(_: int) -> float:
            count, started = 0, time.perf_counter()
            while not count or time.perf_counter() < until:
                with lock:
                    batch = next(waiting)
                count += len(self._run(session, self._token_ids(batch)))
            return count / (time.perf_counter() - started)

        with ThreadPoolExecutor(settings.lanes) as lanes:
            return sum(lanes.map(rate, range(settings.lanes)))

    def milliseconds(self, texts: Sequence[str], seconds: float = 2.0) -> float:
        """Median milliseconds of one text alone, with the threads that suit it best; `seconds` for each try."""
        return min(self._milliseconds(texts, threads, seconds) for threads in {1, available_cores()})

    def _milliseconds(self, texts: Sequence[str], threads: int, seconds: float) -> float:
        session, took = self._session(threads), []
        for text in texts[:3]:
            self._run(session, self._token_ids([text]))
        until = time.perf_counter() + seconds
        for text in cycle(texts):
            started = time.perf_counter()
            self._run(session, self._token_ids([text]))
            took.append(time.perf_counter() - started)
            if time.perf_counter() >= until:
                break
        return median(took) * 1000

    def best(self, texts: Sequence[str], cores: int, seconds: float = 1.0) -> RawSettings:
        """The fastest of the batch sizes, with one thread on each core or all threads on one call.

        `seconds` for each, and once more for the fastest few: a neighbour may have had the cores meanwhile.
        """
        candidates = [
            RawSettings(batch, lanes, threads)
            for batch in BATCHES
            for lanes, threads in {(cores, 1), (1, cores)}
        ]
        self.sustained(texts, candidates[0], 0)
        figures = {settings: self.sustained(texts, settings, seconds) for settings in candidates}
        for settings in sorted(candidates, key=figures.__getitem__)[-FINALISTS:]:
            figures[settings] = max(figures[settings], self.sustained(texts, settings, seconds))
        return max(candidates, key=figures.__getitem__)

    def vectors(self, texts: Sequence[str]) -> FloatArray:
        """float32 [texts, dimension] of length 1, each text computed by itself."""
        session = self._session(1)
        return np.concatenate([self._run(session, self._token_ids([text])) for text in texts])

    def _token_ids(self, texts: Sequence[str]) -> list[TokenIds]:
        return [self._tokeniser.cut(ids) for ids in self._tokeniser.encode(texts)]

    def _run(self, session: onnxruntime.InferenceSession, texts: Sequence[TokenIds]) -> FloatArray:
        ids, mask = padded(texts)
        held = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        inputs = {node.name: held[node.name] for node in session.get_inputs()}
        (hidden,) = session.run(None, inputs)
        return normalised(pool(hidden, mask, self._weights.identity.pooling))

    def _session(self, threads: int) -> onnxruntime.InferenceSession:
        if threads not in self._sessions:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            # With as many shapes as there are lengths, planning the memory of each costs more than it saves.
            options.enable_mem_pattern = False
            self._sessions[threads] = onnxruntime.InferenceSession(
                str(self._weights.path / MODEL_FILE), options, providers=["CPUExecutionProvider"]
            )
        return self._sessions[threads]


def _batches(texts: Sequence[str], size: int, length: Callable[[str], int] = len) -> list[list[str]]:
    """The texts in order of length, so many at a time."""
    ordered = sorted(texts, key=length)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def _shuffled(batches: Sequence[list[str]]) -> Iterator[list[str]]:
    """All of them in random order, again and again; the same order each time that this is called."""
    order = random.Random(SEED)
    while True:
        yield from order.sample(batches, len(batches))

"""The model in ONNX Runtime without a server around it: the limit that servers and jobs are measured against."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import onnxruntime
from search_plane.encoder.artefact import MODEL_FILE, TOKENIZER_FILE
from search_plane.encoder.pooling import normalised, pool
from search_plane.encoder.settings import available_cores
from search_plane.encoder.tokenising import TextTokeniser

from tests.testbed.weights.folder import WeightsFolder

BATCHES = (8, 16, 32, 64)


@dataclass(frozen=True)
class RawSettings:
    """How the bare model is run: texts a call, calls at once, threads of each call."""

    batch: int
    lanes: int
    threads: int


class RawEncoder:
    """The model in this process: tokenise, run, pool, normalise, and nothing else."""

    def __init__(self, weights: WeightsFolder) -> None:
        self._weights = weights
        self._tokeniser = TextTokeniser(weights.path / TOKENIZER_FILE, weights.identity.max_tokens)
        self._sessions: dict[int, onnxruntime.InferenceSession] = {}

    def texts_per_second(self, texts: list[str], settings: RawSettings) -> float:
        """Texts are sorted by length first, as the job sorts them."""
        session = self._session(settings.threads)
        started = time.perf_counter()
        ordered = sorted(texts, key=len)
        batches = [
            ordered[start : start + settings.batch] for start in range(0, len(ordered), settings.batch)
        ]
        tokens = [[self._tokeniser.cut(ids) for ids in self._tokeniser.encode(batch)] for batch in batches]
        with ThreadPoolExecutor(settings.lanes) as lanes:
            rows = sum(lanes.map(lambda batch: len(self._vectors(session, batch)), tokens))
        assert rows == len(texts)
        return rows / (time.perf_counter() - started)

    def milliseconds(self, texts: list[str], times: int = 200) -> float:
        """Median milliseconds of one text alone, with the threads that suit it best."""
        found = []
        for threads in {1, available_cores()}:
            session = self._session(threads)
            took = []
            for number in range(times + 10):
                started = time.perf_counter()
                ids = self._tokeniser.encode([texts[number % len(texts)]])
                self._vectors(session, [self._tokeniser.cut(one) for one in ids])
                took.append(time.perf_counter() - started)
            found.append(float(np.median(took[10:])) * 1000)
        return min(found)

    def best(self, texts: list[str], cores: int) -> RawSettings:
        """The fastest of the batch sizes, with one thread on each core or all threads on one call."""
        candidates = [
            RawSettings(batch, lanes, threads)
            for batch in BATCHES
            for lanes, threads in {(cores, 1), (1, cores)}
        ]
        self.texts_per_second(texts[:64], candidates[0])
        figures = dict.fromkeys(candidates, 0.0)
        # Twice, for a neighbour may have had the cores while one of them was measured.
        for settings in candidates * 2:
            figures[settings] = max(figures[settings], self.texts_per_second(texts, settings))
        return max(candidates, key=figures.__getitem__)

    def _vectors(self, session: onnxruntime.InferenceSession, texts: list[tuple[int, ...]]) -> np.ndarray:
        longest = max(map(len, texts))
        ids = np.zeros((len(texts), longest), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(texts):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        held = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        inputs = {node.name: held[node.name] for node in session.get_inputs()}
        (hidden,) = session.run(None, inputs)
        return normalised(pool(hidden, mask, self._weights.identity.pooling))

    def _session(self, threads: int) -> onnxruntime.InferenceSession:
        if threads not in self._sessions:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            self._sessions[threads] = onnxruntime.InferenceSession(
                str(self._weights.path / MODEL_FILE), options, providers=["CPUExecutionProvider"]
            )
        return self._sessions[threads]

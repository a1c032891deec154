"""The re-ranker behind an encoder's lanes: pairs in, scores out, and its own word on whether it is right."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from search_plane.encoder.artefact import ArtefactError, pinned_digest
from search_plane.encoder.batching import Batcher, InferenceFailed, Job, Priority, Served
from search_plane.encoder.embed_request import Refused
from search_plane.encoder.metrics import BatchMetrics
from search_plane.encoder.planning import BatchLimits
from search_plane.encoder.pooling import FloatArray
from search_plane.encoder.probes import Prober
from search_plane.encoder.session import Runtime
from search_plane.encoder.settings import Device
from search_plane.reranker.artefact import RerankerArtefact, load_reranker
from search_plane.reranker.pairs import PairIds, PairTokeniser
from search_plane.reranker.rerank_request import RerankRequest
from search_plane.reranker.session import CrossEncoderSession

# Scores have no fixed scale: a probe may be off by so much of the spread of all of them (and of 1, where that is less).
PROBE_TOLERANCE = 0.01


class RerankerSettings(Protocol):
    """What a re-ranker is told, beside an encoder or alone."""

    @property
    def reranker_dir(self) -> Path | None:
        """Its artefact."""

    @property
    def reranker_weights(self) -> str:
        """Its pin, `artefact:sha256:<hex>`, or empty."""

    @property
    def threads(self) -> int:
        """Cores that it may use."""

    @property
    def device(self) -> Device:
        """Where it computes."""

    @property
    def max_batch_tokens(self) -> int:
        """Tokens with padding in one batch."""

    @property
    def max_batch_size(self) -> int:
        """Pairs in one batch."""

    @property
    def max_rerank_tokens(self) -> int:
        """Tokens that may wait."""


@dataclass(frozen=True)
class LoadedReranker:
    """Verified weights, the tokenizer and the runtime."""

    artefact: RerankerArtefact
    tokeniser: PairTokeniser
    runtime: Runtime


@dataclass(frozen=True)
class Scored:
    """float32 [texts], the model's own scores, and how many tokens were computed for them."""

    scores: FloatArray
    tokens: int


def load(settings: RerankerSettings) -> LoadedReranker | None:
    """The re-ranker that the settings name, verified and run once; None where they name none.

    Raises ArtefactError or SessionError, each one line, when it is not what is pinned.
    """
    if settings.reranker_dir is None:
        return None
    digest = pinned_digest(settings.reranker_weights) if settings.reranker_weights else None
    artefact = load_reranker(settings.reranker_dir, digest)
    tokeniser = PairTokeniser(artefact.tokenizer_path, artefact.manifest.max_tokens)
    runtime = CrossEncoderSession(artefact.model_path, settings.threads, settings.device)
    rows, _ = tokeniser.encode(artefact.probe_pairs)
    if not all(rows):
        raise ArtefactError(f"{artefact.tokenizer_path}: gives a probe's pair no tokens")
    runtime.run(rows)
    return LoadedReranker(artefact, tokeniser, runtime)


def served(loaded: LoadedReranker, settings: RerankerSettings, metrics: BatchMetrics) -> Served:
    """What the batcher needs to know of it."""
    limits = BatchLimits(settings.max_batch_tokens, settings.max_batch_size, loaded.runtime.call_tokens)
    return Served(loaded.runtime, limits, settings.max_rerank_tokens, metrics)


def verdict(scores: FloatArray, recorded: FloatArray) -> str | None:
    """What is wrong with the probes' scores [probes]; None when nothing is."""
    if scores.shape != recorded.shape:
        return f"the probes gave {scores.shape}, expected {recorded.shape}"
    if not np.isfinite(scores).all():
        return "a probe's score is not finite"
    tolerance = PROBE_TOLERANCE * max(1.0, float(np.ptp(recorded)))
    off = np.abs(scores - recorded)
    if (off > tolerance).any():
        worst = int(off.argmax())
        return (
            f"a probe's score is {scores[worst]:.4f}, expected {recorded[worst]:.4f} within {tolerance:.4f}"
        )
    return None


class RerankService:
    """Scores pairs in the encoder's lanes. Made inside a running event loop."""

    def __init__(
        self, loaded: LoadedReranker, batcher: Batcher, probe_seconds: float, metrics: BatchMetrics
    ) -> None:
        self.loaded = loaded
        self.metrics = metrics
        self._batcher = batcher
        # A hundred pairs take the tokenizer longer than a query: they have a thread of their own.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tokenise-pairs")
        self._prober = Prober("the re-ranker", self._judge_probes, probe_seconds, metrics.ready)
        self._probing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Check the probes once, then go on checking them."""
        await self._prober.check()
        self._probing = asyncio.create_task(self._prober.run(), name="re-ranker's probes")

    async def stop(self) -> None:
        """End the probes and let go of the thread."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait({self._probing})
        self._thread.shutdown(wait=True, cancel_futures=True)

    def not_ready(self) -> str | None:
        """Why nothing is re-ranked; None when it is. The encoder's readiness doesn't hang on it."""
        return self._prober.reason()

    def check_room(self, within: float) -> None:
        """Raises Refused (424) while its probes are wrong, Overloaded where not one more pair could be scored in time."""
        reason = self.not_ready()
        if reason is not None:
            raise Refused(424, f"the re-ranker is not ready: {reason}", "backend")
        self._batcher.check_room(Priority.RERANK, 1, within)

    async def score(
        self,
        request: RerankRequest,
        *,
        within: float = float("inf"),
        on_disconnect: "Callable[[Job], Awaitable[None]] | None" = None,
    ) -> Scored:
        """Scores of the texts, in their order; arguments and errors are those of EncoderService.embed."""
        asked = time.perf_counter()
        self._batcher.check_room(Priority.RERANK, len(request.texts), within)
        rows = await self._rows(request)
        job = self._batcher.submit(
            rows,
            normalise=False,
            priority=Priority.RERANK,
            within=within - (time.perf_counter() - asked),
        )
        try:
            scores = await self._batcher.answered(job, on_disconnect)
        except InferenceFailed as error:
            self._prober.suspect(str(error))
            raise
        return Scored(scores[:, 0], sum(map(len, rows)))

    async def _rows(self, request: RerankRequest) -> list[PairIds]:
        pairs = [(request.query, text) for text in request.texts]
        loop = asyncio.get_running_loop()
        try:
            rows, cut = await loop.run_in_executor(self._thread, self.loaded.tokeniser.encode, pairs)
        except Exception as error:  # the tokenizer raises plain Exception for what it cannot take
            raise Refused(422, f"the tokenizer failed: {error}", "tokenizer") from error
        if cut and not request.truncate:
            raise Refused(
                413,
                f'"texts"[{cut[0]}] has with the query more than {self.loaded.tokeniser.max_tokens} tokens',
                "validation",
            )
        return rows

    async def _judge_probes(self) -> str | None:
        artefact = self.loaded.artefact
        rows, _ = self.loaded.tokeniser.encode(artefact.probe_pairs)
        scores = []
        for row in rows:
            # One at a time, as they were recorded: with int8 a score depends a little on the pairs beside it.
            job = self._batcher.submit([row], normalise=False, priority=Priority.RERANK, refusable=False)
            scores.append((await job.vectors)[0, 0])
        return verdict(np.array(scores, np.float32), artefact.probe_scores)

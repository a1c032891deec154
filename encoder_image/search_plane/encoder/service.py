"""The encoder as a whole, without HTTP: texts of a checked request in, vectors out."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from search_plane.encoder.artefact import Artefact, check_identity, load_artefact, pinned_digest
from search_plane.encoder.batching import Batcher, InferenceFailed, Job, Priority, Served
from search_plane.encoder.embed_request import EmbedRequest, PromptName, Refused
from search_plane.encoder.intake import Intake
from search_plane.encoder.metrics import Metrics
from search_plane.encoder.planning import BatchLimits
from search_plane.encoder.pooling import FloatArray
from search_plane.encoder.probes import Prober, verdict
from search_plane.encoder.session import OnnxSession, Runtime
from search_plane.encoder.settings import Device, Settings
from search_plane.encoder.tokenising import TextTokeniser, Token, TokenIds
from search_plane.encoder.tokenize_request import TokenizeRequest
from search_plane.reranker import service as reranking
from search_plane.reranker.service import LoadedReranker, RerankService
from search_plane.tracing import note, recording

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """What an encoder serves with: verified weights, the tokenizer and the runtime."""

    artefact: Artefact
    tokeniser: TextTokeniser
    runtime: Runtime
    reranker: LoadedReranker | None = None
    device: Device = "cpu"


@dataclass(frozen=True)
class Embedded:
    """float32 [texts, dimension], and how many tokens were computed for them."""

    vectors: FloatArray
    tokens: int


def load(settings: Settings) -> Loaded:
    """Verify the artefact against the identity, load the model, and run it once; and the re-ranker, if one is set.

    Raises ArtefactError or SessionError, each one line, when it is not what the identity says.
    """
    identity = settings.identity
    artefact = load_artefact(settings.model_dir, pinned_digest(identity.weights))
    check_identity(identity, artefact.manifest)
    tokeniser = TextTokeniser(artefact.tokenizer_path, identity.max_tokens)
    runtime = OnnxSession(
        artefact.model_path, identity.pooling, identity.dimension, settings.threads, settings.device
    )
    warm_up(runtime, tokeniser.encode(artefact.probe_texts)[0], settings)
    return Loaded(artefact, tokeniser, runtime, reranking.load(settings), runtime.device)


def warm_up(runtime: Runtime, ids: TokenIds, settings: Settings) -> None:
    """Run the smallest and the fullest batch once, so that no request pays for first allocations."""
    runtime.run([ids])
    runtime.run([ids] * max(1, min(settings.max_batch_size, settings.max_batch_tokens // len(ids))))


class EncoderService:
    """Serves one identity. Made inside a running event loop; everything but `embed` and `tokenize` is immediate."""

    def __init__(self, settings: Settings, loaded: Loaded, metrics: Metrics) -> None:
        self.settings = settings
        self.identity = settings.identity
        self.fingerprint = settings.identity.fingerprint()
        self.loaded = loaded
        self.metrics = metrics
        self.draining = False
        limits = BatchLimits(settings.max_batch_tokens, settings.max_batch_size, loaded.runtime.call_tokens)
        self._intake = Intake(loaded.tokeniser)
        reranker = loaded.reranker
        self._batcher = Batcher(
            Served(loaded.runtime, limits, settings.max_queue_tokens, metrics),
            reranking.served(reranker, settings, metrics.reranking) if reranker else None,
        )
        self._prober = Prober("the encoder", self._judge_probes, settings.probe_seconds, metrics.ready)
        self._probing: asyncio.Task[None] | None = None
        self.reranker = (
            RerankService(reranker, self._batcher, settings.probe_seconds, metrics.reranking)
            if reranker
            else None
        )

    async def start(self) -> None:
        """Check the probes once, then go on checking them."""
        await self._prober.check()
        self._probing = asyncio.create_task(self._prober.run(), name="probes")
        if self.reranker is not None:
            await self.reranker.start()

    async def stop(self) -> None:
        """End the probes and let go of the threads."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait({self._probing})
        if self.reranker is not None:
            await self.reranker.stop()
        self._intake.close()
        self._batcher.close()

    def not_ready(self) -> str | None:
        """Why no traffic should come here; None when it should."""
        return "the encoder is stopping" if self.draining else self._prober.reason()

    def check_room(self, within: float) -> None:
        """Raises Overloaded where not even one more token could be computed for a caller that waits so many seconds.

        Asked before a request's body is read, so that refusing costs next to nothing.
        """
        self._batcher.check_room(Priority.QUERY, 1, within)

    async def embed(
        self,
        request: EmbedRequest,
        *,
        within: float = float("inf"),
        on_disconnect: "Callable[[Job], Awaitable[None]] | None" = None,
    ) -> Embedded:
        """Vectors of the texts, normalised as asked; documents give way to queries.

        `within`: seconds for which the caller waits. `on_disconnect` is awaited beside the computation with the job,
        which it may cancel. Raises Refused for texts that cannot be tokenised (422) or are too long and may not be
        cut (413), Overloaded when too much waits, InferenceFailed when the model fails.
        """
        asked = time.perf_counter()
        priority = Priority.DOCUMENT if request.prompt_name == "document" else Priority.QUERY
        # A text has a token at least; what is refused need not be tokenised first.
        self._batcher.check_room(priority, len(request.texts), within)
        ids = await self._token_ids(request)
        if recording():
            note(texts=len(ids), tokens=sum(map(len, ids)))
        wanted = self.identity.normalize if request.normalize is None else request.normalize
        job = self._batcher.submit(
            ids,
            normalise=wanted,
            priority=priority,
            within=within - (time.perf_counter() - asked),
        )
        try:
            vectors = await self._batcher.answered(job, on_disconnect)
            if job.begun is not None and recording():
                note(queue_seconds=job.begun - asked, run_seconds=time.perf_counter() - job.begun)
            return Embedded(vectors, sum(map(len, ids)))
        except InferenceFailed as error:
            self._prober.suspect(str(error))
            raise

    async def tokenize(self, request: TokenizeRequest) -> list[list[Token]]:
        """The tokens of each text, not cut. Raises Refused for texts that cannot be tokenised (422)."""
        prefix = self._prefix(request.prompt_name)
        try:
            return await self._intake.tokens(
                [prefix + text for text in request.texts], special=request.add_special_tokens
            )
        except Exception as error:  # the tokenizer raises plain Exception for what it cannot take
            raise _not_tokenised(error) from error

    async def _token_ids(self, request: EmbedRequest) -> list[TokenIds]:
        prefix = self._prefix(request.prompt_name)
        texts: Sequence[str] = [prefix + text for text in request.texts] if prefix else request.texts
        try:
            whole = await self._intake.encode(texts)
        except Exception as error:  # the tokenizer raises plain Exception for what it cannot take
            raise _not_tokenised(error) from error
        tokeniser = self.loaded.tokeniser
        if not request.truncate:
            for index, ids in enumerate(whole):
                if len(ids) > tokeniser.max_tokens:
                    raise Refused(
                        413,
                        f'"inputs"[{index}] has {len(ids)} tokens, at most {tokeniser.max_tokens} are taken',
                        "validation",
                    )
        return [tokeniser.cut(ids) for ids in whole]

    def _prefix(self, prompt_name: PromptName | None) -> str:
        if prompt_name is None:
            return ""
        return self.identity.query_prefix if prompt_name == "query" else self.identity.document_prefix

    async def _judge_probes(self) -> str | None:
        artefact = self.loaded.artefact
        ids = [self.loaded.tokeniser.cut(one) for one in await self._intake.encode(artefact.probe_texts)]
        vectors = await self._batcher.submit(ids, priority=Priority.PROBE).vectors
        return verdict(vectors, artefact.probe_vectors)


def _not_tokenised(error: Exception) -> Refused:
    return Refused(422, f"the tokenizer failed: {error}", "tokenizer")

"""The job's client of the encoder: retries what passes, refuses what would make wrong vectors."""

import logging
from collections.abc import Callable
from typing import Literal

import httpx
import numpy as np
import numpy.typing as npt
import orjson
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_delay
from tenacity.wait import wait_base, wait_random_exponential

from search_plane.jobs.failure import JobFailed
from search_plane.release.embedding_wire import ACCEPT_FLOAT32, FINGERPRINT_HEADER, unpacked
from search_plane.tracing import asking, pass_on

Vectors = npt.NDArray[np.float32]

# As what a text is embedded: an encoder may put another prefix before each kind.
Prompt = Literal["document", "query"]

_BUSY = (429, 503)
_TOO_MUCH = (413, 422)

log = logging.getLogger(__name__)


class EncoderBusy(Exception):
    """The encoder is away or overloaded; worth another try after `retry_after` seconds, if it said so."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TextRefused(Exception):
    """The encoder will not embed these texts (413 or 422)."""


class EncoderClient:
    """Embeds documents, or queries. Safe for concurrent use within one event loop."""

    def __init__(
        self, url: str, fingerprint: str, dimension: int, patience: float = 300.0, deadline: float = 60.0
    ):
        """`patience`: seconds for which one batch is tried again; `deadline`: seconds for one request."""
        self.fingerprint = fingerprint
        self.dimension = dimension
        self._patience = patience
        self._http = httpx.AsyncClient(
            base_url=url,
            timeout=httpx.Timeout(deadline, connect=5.0),
            headers={
                FINGERPRINT_HEADER: fingerprint,
                "Content-Type": "application/json",
                "Accept": ACCEPT_FLOAT32,
            },
            # A kept connection stays with one pod of the Service; new ones reach them all, also those added later.
            limits=httpx.Limits(max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def embed(self, texts: list[str], prompt: Prompt = "document") -> Vectors:
        """float32 [len(texts), dimension], in the order of the texts.

        Raises TextRefused for a text the encoder won't take, JobFailed when it serves another
        fingerprint, answers nonsense, or stays away longer than `patience`.
        """
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(EncoderBusy),
                stop=stop_after_delay(self._patience),
                wait=_wait_as_told(wait_random_exponential(multiplier=0.2, max=5)),
                before_sleep=_log_retry,
                reraise=True,
            ):
                with attempt:
                    return await self._embed_once(texts, prompt)
        except EncoderBusy as error:
            raise JobFailed("EncoderUnavailable", f"encoder: {error}, for {self._patience:.0f} s") from error
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _embed_once(self, texts: list[str], prompt: Prompt) -> Vectors:
        body = orjson.dumps({"inputs": texts, "prompt_name": prompt, "normalize": True, "truncate": True})
        headers: dict[str, str] = {}
        try:
            with asking("embed"):
                pass_on(headers)
                answer = await self._http.post("/embed", content=body, headers=headers)
        except httpx.TransportError as error:
            raise EncoderBusy(f"{type(error).__name__} {error}".strip()) from error
        if answer.status_code == 200:
            self._check_fingerprint(answer)
            return self._vectors(answer, len(texts))
        message = _error_text(answer)
        if answer.status_code == 409:
            raise JobFailed(
                "FingerprintMismatch", f"the encoder does not serve {self.fingerprint}: {message}"
            )
        if answer.status_code in _TOO_MUCH:
            raise TextRefused(message)
        if answer.status_code in _BUSY or answer.status_code >= 500:
            raise EncoderBusy(f"{answer.status_code} {message}", _retry_after(answer))
        raise JobFailed("EncoderRefused", f"encoder: {answer.status_code} {message}")

    def _check_fingerprint(self, answer: httpx.Response) -> None:
        serves = answer.headers.get(FINGERPRINT_HEADER)
        if serves != self.fingerprint:
            raise JobFailed("FingerprintMismatch", f"asked {self.fingerprint}, answered by {serves}")

    def _vectors(self, answer: httpx.Response, rows: int) -> Vectors:
        try:
            vectors = unpacked(answer.headers.get("Content-Type", ""), answer.content, self.dimension)
        except ValueError as error:
            raise JobFailed("EncoderRefused", f"encoder: no vectors: {error}") from error
        if len(vectors) != rows:
            raise JobFailed("EncoderRefused", f"encoder: {len(vectors)} vectors where {rows} were expected")
        if not np.isfinite(vectors).all():
            raise JobFailed("EncoderRefused", "encoder: vectors hold values that are not finite")
        return vectors


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds of a Retry-After header; its date form is not used by the encoder and is ignored."""
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.replace(".", "", 1).isdigit() else None


def _error_text(answer: httpx.Response) -> str:
    """The `error` of the encoder's JSON, or the beginning of whatever came instead."""
    try:
        return str(orjson.loads(answer.content)["error"])[:300]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return answer.text[:300]


def _wait_as_told(otherwise: wait_base) -> Callable[[RetryCallState], float]:
    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        told = error.retry_after if isinstance(error, EncoderBusy) else None
        return otherwise(state) if told is None else min(told, 30.0)

    return wait


def _log_retry(state: RetryCallState) -> None:
    # Every tenth attempt and the first: enough to see it, few enough to read.
    if state.attempt_number % 10 == 1 and state.outcome is not None:
        log.warning(
            "encoder not available",
            extra={"attempt": state.attempt_number, "error": str(state.outcome.exception())},
        )

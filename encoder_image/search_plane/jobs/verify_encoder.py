"""An encoder under examination: what it gives is kept only if it is a vector, and what is none is remembered."""

import numpy as np
import numpy.typing as npt

from search_plane.jobs.embedding import EncoderClient, Prompt, TextRefused
from search_plane.jobs.failure import JobFailed
from search_plane.release.identity import EncoderIdentity

Vector = npt.NDArray[np.float32]

# The encoder's own probes allow as much (search_plane.encoder.probes.NORM_TOLERANCE).
NORM_TOLERANCE = 1e-3
_BATCH = 32


class ExaminedEncoder:
    """Embeds texts and notes whether every vector was sound: finite, of the dimension, of unit length if promised."""

    def __init__(self, client: EncoderClient, identity: EncoderIdentity) -> None:
        self._client = client
        self._identity = identity
        self._vectors = 0
        self._fault = ""

    @property
    def sound(self) -> bool | None:
        """Whether all vectors until now were sound; None before the first."""
        if self._fault:
            return False
        return True if self._vectors else None

    @property
    def fault(self) -> str:
        """What was wrong with the first unsound answer; empty while there was none."""
        return self._fault

    async def embed(self, texts: list[str], prompt: Prompt) -> list[Vector | None]:
        """A vector of float32 [dimension] for each text, in order; None for one that was refused or is unsound.

        Raises JobFailed when the encoder is away or serves another fingerprint.
        """
        found: list[Vector | None] = []
        for start in range(0, len(texts), _BATCH):
            found += await self._embed_some(texts[start : start + _BATCH], prompt)
        return found

    async def _embed_some(self, texts: list[str], prompt: Prompt) -> list[Vector | None]:
        try:
            vectors = await self._client.embed(texts, prompt)
        except (TextRefused, JobFailed) as error:
            if isinstance(error, JobFailed) and error.reason != "EncoderRefused":
                raise
            if len(texts) == 1:
                self._remember(error, texts[0])
                return [None]
            # One text spoils the batch; halving finds it.
            middle = len(texts) // 2
            return await self._embed_some(texts[:middle], prompt) + await self._embed_some(
                texts[middle:], prompt
            )
        return [self._checked(vector, text) for vector, text in zip(vectors, texts, strict=True)]

    def _checked(self, vector: Vector, text: str) -> Vector | None:
        self._vectors += 1
        length = float(np.linalg.norm(vector))
        if self._identity.normalize and abs(length - 1) > NORM_TOLERANCE:
            self._fault = self._fault or f"the vector of {text[:20]!r} has length {length:.4f}, expected 1"
            return None
        return vector

    def _remember(self, error: Exception, text: str) -> None:
        # A text that the encoder refuses says nothing of its vectors.
        if isinstance(error, JobFailed):
            self._fault = self._fault or f"{error} for {text[:20]!r}"

"""A session whose scores can be made wrong."""

from collections.abc import Sequence

import numpy as np
from search_plane.encoder.pooling import FloatArray
from search_plane.encoder.session import Runtime
from search_plane.encoder.tokenising import TokenIds


class Broken:
    """A session double around a real one whose scores are not numbers while `broken`."""

    call_tokens = 16
    lanes = 1

    def __init__(self, real: Runtime) -> None:
        self._real = real
        self.broken = False

    def run(self, texts: Sequence[TokenIds]) -> FloatArray:
        """The real scores, or NaN."""
        scores = self._real.run(texts)
        return np.full_like(scores, np.nan) if self.broken else scores

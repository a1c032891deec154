"""The cross-encoder in ONNX Runtime: pairs' token ids in, one score a pair out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from search_plane.encoder.pooling import FloatArray
from search_plane.encoder.session import OnnxModel, SessionError
from search_plane.encoder.settings import Device
from search_plane.encoder.tokenising import TokenIds
from search_plane.reranker.pairs import second_of


class CrossEncoderSession(OnnxModel):
    """A graph with one output [batch, 1]: the score before the sigmoid."""

    def __init__(self, model: Path, threads: int, device: Device = "auto") -> None:
        """Load the graph. Raises SessionError where OnnxModel does, or when it gives anything but one score a pair."""
        super().__init__(model, threads, device)
        if len(self.output_shape) != 2 or self.output_shape[1] != 1:
            raise SessionError(
                f"{model}: {self.output_name}: expected shape [batch, 1], found {self.output_shape}; "
                "only models with one score a pair are served"
            )

    def run(self, texts: Sequence[TokenIds]) -> FloatArray:
        """float32 [pairs, 1]: scores before the sigmoid."""
        types = np.zeros((len(texts), max(map(len, texts))), dtype=np.int64)
        for row, ids in enumerate(texts):
            types[row, second_of(ids) : len(ids)] = 1
        scores, _ = self.outputs(texts, types)
        return np.asarray(scores, dtype=np.float32)

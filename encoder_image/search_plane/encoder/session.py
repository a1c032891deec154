"""The model in ONNX Runtime: token ids in, one unnormalised vector a text out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime

from search_plane.encoder.padding import padded
from search_plane.encoder.pooling import FloatArray, pool
from search_plane.encoder.tokenising import TokenIds
from search_plane.release.identity import Pooling

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
# What a call costs besides its tokens, in tokens (see planning.BatchLimits): CPU measured with bge-small, 2
# cores; a T4 takes about 2 ms for a single short text and computes about 110,000 tokens/s (BERT-base, fp16).
CALL_TOKENS = {CPU: 16, CUDA: 256}
_KNOWN_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})


class SessionError(Exception):
    """The model cannot be used as the identity says; the message is one line."""


class Runtime(Protocol):
    """Anything that turns texts' token ids into vectors. `lanes` batches may be computed at the same time."""

    @property
    def lanes(self) -> int:
        """How many calls of `run` may be under way at once, each from a thread of its own."""
        ...

    @property
    def call_tokens(self) -> int:
        """What one call costs besides its tokens, in tokens."""
        ...

    def run(self, texts: Sequence[TokenIds]) -> FloatArray:
        """float32 [texts, dimension], not normalised; each text has at least one token."""
        ...


class OnnxSession:
    """The model on CUDA where ONNX Runtime has it, else on the CPU.

    On a CPU each lane computes a batch of its own with one thread: no barrier between threads, so a
    neighbour that takes a core slows one batch and not all of them (measured on a contended 2-core machine:
    1.2 times the texts per CPU-second of one session with two threads). On CUDA there is one lane.
    """

    def __init__(self, model: Path, pooling: Pooling, dimension: int, threads: int) -> None:
        """Load the graph.

        Raises SessionError when it cannot be loaded or has another shape than `dimension`.
        """
        self.provider = CUDA if CUDA in onnxruntime.get_available_providers() else CPU
        self.lanes = 1 if self.provider == CUDA else threads
        self.call_tokens = CALL_TOKENS[self.provider]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # A waiting thread that spins takes the core from whoever works.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Memory plans are kept per input shape; with lengths as they come that would grow for ever.
        options.enable_mem_pattern = False
        providers = [CUDA, CPU] if self.provider == CUDA else [CPU]
        try:
            self._session = onnxruntime.InferenceSession(str(model), options, providers=providers)
        except Exception as error:
            raise SessionError(f"{model}: ONNX Runtime cannot load it: {_line(error)}") from error
        self._inputs = tuple(node.name for node in self._session.get_inputs())
        self._output = self._session.get_outputs()[0].name
        self._pooling = pooling
        unknown = set(self._inputs) - _KNOWN_INPUTS
        if unknown:
            raise SessionError(f"{model}: takes inputs that are not known: {', '.join(sorted(unknown))}")
        shape = self._session.get_outputs()[0].shape
        if len(shape) != 3 or shape[2] != dimension:
            raise SessionError(
                f"{model}: {self._output}: expected shape [batch, tokens, {dimension}], found {shape}"
            )

    def run(self, texts: Sequence[TokenIds]) -> FloatArray:
        """float32 [texts, dimension], not normalised; padded to the longest text of this call."""
        ids, mask = padded(texts)
        held = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (hidden,) = self._session.run([self._output], {name: held[name] for name in self._inputs})
        return pool(np.asarray(hidden), mask, self._pooling)


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__

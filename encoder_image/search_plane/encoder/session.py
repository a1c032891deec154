"""Models in ONNX Runtime: token ids in, one unnormalised vector a text out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from search_plane.encoder.padding import padded
from search_plane.encoder.pooling import FloatArray, MaskArray, pool
from search_plane.encoder.settings import Device
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


class OnnxModel:
    """A graph on CUDA where ONNX Runtime has it, else on the CPU.

    On a CPU each lane computes a batch of its own with one thread: no barrier between threads, so a
    neighbour that takes a core slows one batch and not all of them (measured on a contended 2-core machine:
    1.2 times the texts per CPU-second of one session with two threads). On CUDA there is one lane.
    """

    def __init__(self, model: Path, threads: int, device: Device = "auto") -> None:
        """Load the graph.

        Raises SessionError when it cannot be loaded, takes inputs that are not known, or `device` is not to be had.
        """
        offered = onnxruntime.get_available_providers()
        if device == "cuda" and CUDA not in offered:
            raise SessionError(
                f"device cuda: this ONNX Runtime has only {', '.join(offered)}; take the image with CUDA"
            )
        wanted = [CUDA, CPU] if device != "cpu" and CUDA in offered else [CPU]
        if CUDA in wanted:
            # CUDA and cuDNN come as Python packages beside ONNX Runtime, where the loader doesn't look.
            onnxruntime.preload_dlls()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # A waiting thread that spins takes the core from whoever works.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Memory plans are kept per input shape; with lengths as they come that would grow for ever.
        options.enable_mem_pattern = False
        try:
            self._session = onnxruntime.InferenceSession(str(model), options, providers=wanted)
        except Exception as error:
            raise SessionError(f"{model}: ONNX Runtime cannot load it: {_line(error)}") from error
        # What it really got: without a driver or a library it falls back by itself, and only logs that.
        self.provider: str = self._session.get_providers()[0]
        if device == "cuda" and self.provider != CUDA:
            raise SessionError(
                f"{model}: device cuda: ONNX Runtime could not use the GPU and took {self.provider}; "
                "see its own lines above, and whether the pod has a GPU and the node its driver"
            )
        self.device: Device = "cuda" if self.provider == CUDA else "cpu"
        self.lanes = 1 if self.device == "cuda" else threads
        self.call_tokens = CALL_TOKENS[self.provider]
        self._inputs = tuple(node.name for node in self._session.get_inputs())
        self.output_name: str = self._session.get_outputs()[0].name
        self.output_shape: list[int | str] = self._session.get_outputs()[0].shape
        unknown = set(self._inputs) - _KNOWN_INPUTS
        if unknown:
            raise SessionError(f"{model}: takes inputs that are not known: {', '.join(sorted(unknown))}")

    def outputs(
        self, texts: Sequence[TokenIds], types: MaskArray | None = None
    ) -> tuple[NDArray[np.floating[Any]], MaskArray]:
        """The first output, and the mask int64 [texts, tokens]; padded to the longest text of this call.

        `types` are token types, int64 [texts, tokens]; all 0 where None.
        """
        ids, mask = padded(texts)
        held = {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(ids) if types is None else types,
        }
        (given,) = self._session.run([self.output_name], {name: held[name] for name in self._inputs})
        return np.asarray(given), mask


class OnnxSession(OnnxModel):
    """An encoder's graph: token ids in, last hidden states out, pooled here."""

    def __init__(
        self, model: Path, pooling: Pooling, dimension: int, threads: int, device: Device = "auto"
    ) -> None:
        """Load the graph.

        Raises SessionError where OnnxModel does, or when it has another shape than `dimension`.
        """
        super().__init__(model, threads, device)
        self._pooling = pooling
        shape = self.output_shape
        if len(shape) != 3 or shape[2] != dimension:
            raise SessionError(
                f"{model}: {self.output_name}: expected shape [batch, tokens, {dimension}], found {shape}"
            )

    def run(self, texts: Sequence[TokenIds]) -> FloatArray:
        """float32 [texts, dimension], not normalised."""
        hidden, mask = self.outputs(texts)
        return pool(hidden, mask, self._pooling)


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__

"""What callers and the encoder say to each other beside TEI's JSON: headers, and vectors as plain bytes."""

from typing import Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray

FINGERPRINT_HEADER = "X-Encoder-Fingerprint"
# How long the caller waits for its answer, in milliseconds; what is not begun by then is not computed.
TIMEOUT_HEADER = "X-Request-Timeout-Ms"

BINARY = "application/octet-stream"
ACCEPT_FLOAT32 = f"{BINARY};dtype=float32"
ACCEPT_FLOAT16 = f"{BINARY};dtype=float16"

VectorType = Literal["float32", "float16"]


def asked_for(accept: str) -> VectorType | None:
    """The binary form that an Accept header names first; None for JSON. `application/octet-stream` is float32."""
    for offer in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in offer.split(";"))
        if kind == BINARY:
            return "float16" if "dtype=float16" in parameters else "float32"
        if kind == "application/json":
            return None
    return None


def packed(vectors: NDArray[np.float32], form: VectorType) -> bytes:
    """Vectors [texts, dimension] row after row, little-endian, nothing else."""
    return vectors.astype("<f4" if form == "float32" else "<f2", copy=False).tobytes()


def unpacked(content_type: str, content: bytes, dimension: int) -> NDArray[np.float32]:
    """float32 [texts, dimension] of an answer in either form; JSON is what an encoder of an older image gives.

    Raises ValueError for what holds no vectors of that dimension.
    """
    # Servers and proxies call anything octet-stream that they know nothing of; ours says what is in it.
    form = asked_for(content_type) if "dtype=" in content_type else None
    if form is None:
        parsed: Any = orjson.loads(content)
        try:
            with np.errstate(over="ignore"):
                vectors = np.asarray(parsed, dtype=np.float32)
        except TypeError as error:
            raise ValueError(f"not a list of vectors: {error}") from error
    else:
        flat = np.frombuffer(content, dtype="<f4" if form == "float32" else "<f2")
        if flat.size % dimension:
            raise ValueError(f"{flat.size} numbers are no vectors of {dimension}")
        vectors = flat.astype(np.float32).reshape(-1, dimension)
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise ValueError(f"vectors of shape {vectors.shape} where [texts, {dimension}] was expected")
    return vectors

"""The identity of an encoder and its fingerprint: everything that shapes a vector, and nothing else."""

import hashlib
import string
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict

Pooling = Literal["mean", "cls"]
Precision = Literal["fp32", "fp16", "int8"]


class Frozen(BaseModel):
    """Base of the immutable values that travel between the parts as JSON. Unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EncoderIdentity(Frozen):
    """What determines the vector of a text.

    `weights` pins content: `artefact:sha256:<hex>` is the digest of the artefact's manifest.json (checked by
    the encoder when it loads), `image:sha256:<hex>` the digest of an OCI image (checked by the container runtime).
    `dimension` counts float32 components; `max_tokens` counts tokens after which a text is cut.
    """

    model: str
    revision: str
    weights: str
    dimension: int
    pooling: Pooling
    normalize: bool = True
    query_prefix: str = ""
    document_prefix: str = ""
    max_tokens: int
    precision: Precision
    text_template: str

    def fingerprint(self) -> str:
        """`sha256:<64 hex>` over the canonical JSON (sorted keys) of all fields."""
        return f"sha256:{canonical_sha256(self.model_dump())}"


def canonical_sha256(value: Any) -> str:
    """Hex sha256 of a JSON value with sorted keys, so that equal values hash equally everywhere."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()


def template_fields(template: str) -> tuple[str, ...]:
    """The catalogue fields that a text template such as `{brand} {title}` names, in order, without repeats.

    Raises ValueError for a malformed template (an unclosed brace, a positional or formatted placeholder).
    """
    fields: list[str] = []
    for _, name, spec, conversion in string.Formatter().parse(template):
        if name is None:
            continue
        if not name or name.isdigit() or spec or conversion:
            raise ValueError(f"placeholder {{{name}}} must be a plain field name, e.g. {{title}}")
        if name not in fields:
            fields.append(name)
    return tuple(fields)

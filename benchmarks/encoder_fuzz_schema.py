"""Requests that schemathesis makes of the encoder's own OpenAPI description: what it allows, and what it forbids."""

import random
from functools import lru_cache
from typing import Any

import orjson
import requests
import schemathesis
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation

from benchmarks.encoder_fuzz_requests import Attempt, drawn
from benchmarks.encoder_fuzz_wire import framed

_BASE = "http://encoder"


def schema_batch(openapi: str, number: int, count: int) -> list[Attempt]:
    """Batch `number`, of at most `count` requests to one operation; the same for the same number."""
    dice = random.Random(number)
    operation = dice.choice(_operations(openapi))
    mode = dice.choice([GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
    cases = drawn(operation.as_strategy(generation_mode=mode), number, count)
    return [attempt for case in cases if (attempt := _attempt(f"schema, {mode.value}", case)) is not None]


@lru_cache(maxsize=1)
def _operations(openapi: str) -> list[APIOperation[Any, Any, Any, Any]]:
    schema = schemathesis.openapi.from_dict(orjson.loads(openapi))
    found = [one.ok() for one in schema.get_all_operations() if isinstance(one, Ok)]
    # Of a route without body or parameters there is one request only.
    return [operation for operation in found if operation.body]


def _attempt(source: str, case: Any) -> Attempt | None:
    """What it would send; None for what its own HTTP library can't."""
    try:
        prepared = requests.Request(**case.as_transport_kwargs(base_url=_BASE)).prepare()
    except (requests.RequestException, UnicodeError, ValueError):
        return None
    body: Any = prepared.body or b""
    headers = tuple(
        (_encoded(name), _encoded(value))
        for name, value in prepared.headers.items()
        if name.lower() != "content-length"
    )
    content = body.encode() if isinstance(body, str) else bytes(body)
    return framed(source, str(prepared.method), prepared.path_url, headers, content)


def _encoded(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1", "replace")

"""What /openapi.json says about the routes whose bodies are read by hand, for speed and for others' error JSON."""

from collections.abc import Mapping
from typing import Any

from search_plane.encoder.settings import MAX_BODY_BYTES, MAX_CLIENT_BATCH_SIZE, MAX_TOKENIZE_CHARACTERS
from search_plane.release.embedding_wire import FINGERPRINT_HEADER, TIMEOUT_HEADER

Schema = dict[str, Any]


def _object(properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_SAID: Schema = {"type": "string", "minLength": 1}
TEI_ERROR = _object({"error": _SAID, "error_type": {"type": "string"}})
OPENAI_ERROR = _object(
    {
        "error": _object(
            {
                "message": _SAID,
                "type": {"type": "string"},
                "param": {"type": "null"},
                "code": {"type": "string"},
            }
        )
    }
)
_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds until another try is worth it.", "schema": {"type": "integer"}}
}
_STATUSES = {
    "400": "Not an HTTP request; the connection is closed",
    "408": "The request was not whole in time; the connection is closed",
    "409": "Another fingerprint is served (error_type fingerprint_mismatch)",
    "413": "Too many texts, too large a body, or a text too long that may not be cut",
    "422": "The body cannot be understood, a text is blank or cannot be tokenised",
    "424": "The model failed, or none of that kind is served",
    "429": "Too much waits; see Retry-After",
    "431": "The request's line and headers are too large; the connection is closed",
    "503": "The caller's time was over before the computation began; see Retry-After",
}
# What is answered before a route is known has TEI's shape everywhere.
_BEFORE_ROUTES = frozenset({"400", "408", "431"})


def _errors(schema: Schema, *left_out: str) -> Schema:
    return {
        status: {
            "description": description,
            **({"headers": _RETRY_AFTER} if status in ("429", "503") else {}),
            "content": {"application/json": {"schema": TEI_ERROR if status in _BEFORE_ROUTES else schema}},
        }
        for status, description in _STATUSES.items()
        if status not in left_out
    }


def _answer(description: str, content: Mapping[str, Schema]) -> Schema:
    return {
        "description": description,
        "headers": {FINGERPRINT_HEADER: {"description": "What is served.", "schema": {"type": "string"}}},
        "content": {kind: {"schema": schema} for kind, schema in content.items()},
    }


def _texts() -> Schema:
    text = {"type": "string", "pattern": r"\S", "description": "Not blank."}
    return {"oneOf": [text, {**_array(text), "minItems": 1, "maxItems": MAX_CLIENT_BATCH_SIZE}]}


def _body(needed: Schema, properties: Schema, limit: str = "") -> Schema:
    schema = {
        "type": "object",
        "required": list(needed),
        "additionalProperties": False,
        "properties": {**needed, **properties},
    }
    return {
        "required": True,
        "description": f"At most {MAX_BODY_BYTES} bytes{limit}. What its Content-Type says is not looked at.",
        "content": {"application/json": {"schema": schema}},
    }


def _choice(*values: str) -> Schema:
    return {"type": ["string", "null"], "enum": [*values, None]}


def _flag(default: bool) -> Schema:
    return {"type": ["boolean", "null"], "default": default}


_PROMPT_NAME = _choice("query", "document")
_DIMENSIONS: Schema = {
    "type": ["integer", "null"],
    "description": "Only the model's own, which /info tells.",
}
_PARAMETERS = [
    {
        "name": FINGERPRINT_HEADER,
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "The fingerprint of the caller's vectors; another than the served one is refused.",
    },
    {
        "name": TIMEOUT_HEADER,
        "in": "header",
        "required": False,
        "schema": {"type": "integer", "minimum": 1, "maximum": 10**12 - 1},
        "description": "How long the caller waits; what is not begun by then is not computed.",
    },
]
_VECTOR = _array({"type": "number"})

EMBED: Schema = {
    "parameters": _PARAMETERS,
    "requestBody": _body(
        {"inputs": _texts()},
        {
            "prompt_name": _PROMPT_NAME,
            "normalize": {"type": ["boolean", "null"], "description": "As the model's identity says."},
            "truncate": _flag(True),
            "truncation_direction": _choice("right", "Right"),
            "dimensions": _DIMENSIONS,
        },
    ),
    "responses": {
        "200": _answer(
            "One vector a text, in order; rows of little-endian numbers where Accept asks for bytes",
            {
                "application/json": _array(_VECTOR),
                "application/octet-stream": {"type": "string", "format": "binary"},
            },
        ),
        **_errors(TEI_ERROR),
    },
}

EMBEDDINGS: Schema = {
    "parameters": _PARAMETERS,
    "requestBody": _body(
        {"input": _texts()},
        {
            "model": {"description": "Not looked at: the answer says what is served."},
            "encoding_format": _choice("float", "base64"),
            "dimensions": _DIMENSIONS,
            "user": {"description": "Not looked at."},
            "prompt_name": _PROMPT_NAME,
        },
    ),
    "responses": {
        "200": _answer(
            "OpenAI's list of embeddings, with its usage",
            {
                "application/json": _object(
                    {
                        "object": {"const": "list"},
                        "data": _array(
                            _object(
                                {
                                    "object": {"const": "embedding"},
                                    "index": {"type": "integer"},
                                    "embedding": {"oneOf": [_VECTOR, {"type": "string"}]},
                                }
                            )
                        ),
                        "model": {"type": "string"},
                        "usage": _object(
                            {"prompt_tokens": {"type": "integer"}, "total_tokens": {"type": "integer"}}
                        ),
                    }
                )
            },
        ),
        **_errors(OPENAI_ERROR),
    },
}

_PLACE = {"type": ["integer", "null"], "minimum": 0}
TOKENIZE: Schema = {
    "parameters": _PARAMETERS[:1],
    "requestBody": _body(
        {"inputs": _texts()},
        {"add_special_tokens": _flag(True), "prompt_name": _PROMPT_NAME},
        f", and {MAX_TOKENIZE_CHARACTERS} characters of text",
    ),
    "responses": {
        "200": _answer(
            "The tokens of each text, with their places in it",
            {
                "application/json": _array(
                    _array(
                        _object(
                            {
                                "id": {"type": "integer"},
                                "text": {"type": "string"},
                                "special": {"type": "boolean"},
                                "start": _PLACE,
                                "stop": _PLACE,
                            }
                        )
                    )
                )
            },
        ),
        **_errors(TEI_ERROR, "424", "429", "503"),
    },
}

RERANK: Schema = {
    "parameters": _PARAMETERS[1:],
    "requestBody": _body(
        {
            "query": {"type": "string", "pattern": r"\S", "description": "Counts with each of the texts."},
            "texts": _texts()["oneOf"][1],
        },
        {
            "raw_scores": _flag(False),
            "return_text": _flag(False),
            "truncate": _flag(True),
            "truncation_direction": _choice("right", "Right"),
        },
    ),
    "responses": {
        "200": _answer(
            "The texts' places and scores, best first; through the sigmoid unless raw_scores",
            {
                "application/json": _array(
                    {
                        **_object({"index": {"type": "integer"}, "score": {"type": "number"}}),
                        "properties": {
                            "index": {"type": "integer"},
                            "score": {"type": "number"},
                            "text": {"type": "string"},
                        },
                    }
                )
            },
        ),
        **_errors(TEI_ERROR, "409"),
    },
}

# Of the routes for Kubernetes that are ready or not.
NOT_READY: dict[int | str, Schema] = {
    503: {
        "description": "The probe vectors are not right, or the encoder is stopping",
        "content": {"application/json": {"schema": TEI_ERROR}},
    }
}

"""What /openapi.json says about the routes whose bodies are read by hand, for speed and for others' error JSON."""

from typing import Any

_ERROR = {
    "type": "object",
    "required": ["error", "error_type"],
    "properties": {"error": {"type": "string"}, "error_type": {"type": "string"}},
}


def _error(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ERROR}}}


def _texts() -> dict[str, Any]:
    return {
        "oneOf": [
            {"type": "string", "minLength": 1},
            {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 256},
        ]
    }


def _body(needed: str, properties: dict[str, Any]) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": [needed],
        "additionalProperties": False,
        "properties": {needed: _texts(), **properties},
    }
    return {"required": True, "content": {"application/json": {"schema": schema}}}


_PROMPT_NAME = {"type": "string", "enum": ["query", "document"], "nullable": True}
_PARAMETERS = [
    {
        "name": "X-Encoder-Fingerprint",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "The fingerprint of the caller's vectors; another than the served one is refused.",
    },
    {
        "name": "X-Request-Timeout-Ms",
        "in": "header",
        "required": False,
        "schema": {"type": "integer", "minimum": 1},
        "description": "How long the caller waits; what is not begun by then is not computed.",
    },
]
_ERRORS = {
    "409": _error("Another fingerprint is served (error_type fingerprint_mismatch)"),
    "413": _error("Too many texts, too large a body, or a text too long that may not be cut"),
    "422": _error("The body cannot be understood, a text is blank or cannot be tokenised"),
    "424": _error("The model failed, or none of that kind is served"),
    "429": _error("Too much waits; see Retry-After"),
    "503": _error("The caller's time was over before the computation began; see Retry-After"),
}
_ROWS = {"schema": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}}

EMBED_OPENAPI: dict[str, Any] = {
    "parameters": _PARAMETERS,
    "requestBody": _body(
        "inputs",
        {
            "prompt_name": _PROMPT_NAME,
            "normalize": {"type": "boolean", "default": True},
            "truncate": {"type": "boolean", "default": True},
            "truncation_direction": {"type": "string", "enum": ["right", "Right"]},
            "dimensions": {"type": "integer", "nullable": True},
        },
    ),
    "responses": {
        "200": {
            "description": "One vector a text, in order; rows of little-endian numbers where Accept asks for bytes",
            "content": {
                "application/json": _ROWS,
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        },
        **_ERRORS,
    },
}

EMBEDDINGS_OPENAPI: dict[str, Any] = {
    "parameters": _PARAMETERS,
    "requestBody": _body(
        "input",
        {
            "model": {"type": "string", "description": "Not looked at: the answer says what is served."},
            "encoding_format": {"type": "string", "enum": ["float", "base64"]},
            "dimensions": {"type": "integer", "nullable": True},
            "user": {"type": "string"},
            "prompt_name": _PROMPT_NAME,
        },
    ),
    "responses": {
        "200": {
            "description": "OpenAI's list of embeddings, with its usage",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        **_ERRORS,
    },
}

TOKENIZE_OPENAPI: dict[str, Any] = {
    "parameters": _PARAMETERS[:1],
    "requestBody": _body(
        "inputs", {"add_special_tokens": {"type": "boolean", "default": True}, "prompt_name": _PROMPT_NAME}
    ),
    "responses": {
        "200": {
            "description": "The tokens of each text, with their places in it",
            "content": {"application/json": {"schema": {"type": "array", "items": {"type": "array"}}}},
        },
        **{status: _ERRORS[status] for status in ("409", "413", "422")},
    },
}

RERANK_OPENAPI: dict[str, Any] = {
    "parameters": _PARAMETERS[1:],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["query", "texts"],
                    "additionalProperties": False,
                    "properties": {
                        "query": {"type": "string", "minLength": 1},
                        "texts": _texts()["oneOf"][1],
                        "raw_scores": {"type": "boolean", "default": False},
                        "return_text": {"type": "boolean", "default": False},
                        "truncate": {"type": "boolean", "default": True},
                        "truncation_direction": {"type": "string", "enum": ["right", "Right"]},
                    },
                }
            }
        },
    },
    "responses": {
        "200": {
            "description": "The texts' places and scores, best first; through the sigmoid unless raw_scores",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["index", "score"],
                            "properties": {
                                "index": {"type": "integer"},
                                "score": {"type": "number"},
                                "text": {"type": "string"},
                            },
                        },
                    }
                }
            },
        },
        **{status: _ERRORS[status] for status in ("413", "422", "424", "429", "503")},
    },
}

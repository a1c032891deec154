"""What /openapi.json says about POST /embed; the body is read by hand, for speed and for TEI's error JSON."""

from typing import Any

_ERROR = {
    "type": "object",
    "required": ["error", "error_type"],
    "properties": {"error": {"type": "string"}, "error_type": {"type": "string"}},
}


def _error(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ERROR}}}


EMBED_OPENAPI: dict[str, Any] = {
    "parameters": [
        {
            "name": "X-Encoder-Fingerprint",
            "in": "header",
            "required": False,
            "schema": {"type": "string"},
            "description": "The fingerprint of the caller's vectors; another than the served one is refused.",
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["inputs"],
                    "additionalProperties": False,
                    "properties": {
                        "inputs": {
                            "oneOf": [
                                {"type": "string", "minLength": 1},
                                {
                                    "type": "array",
                                    "items": {"type": "string"},
                                    "minItems": 1,
                                    "maxItems": 256,
                                },
                            ]
                        },
                        "prompt_name": {"type": "string", "enum": ["query", "document"], "nullable": True},
                        "normalize": {"type": "boolean", "default": True},
                        "truncate": {"type": "boolean", "default": True},
                        "truncation_direction": {"type": "string", "enum": ["right", "Right"]},
                        "dimensions": {"type": "integer", "nullable": True},
                    },
                }
            }
        },
    },
    "responses": {
        "200": {
            "description": "One vector a text, in order",
            "content": {
                "application/json": {
                    "schema": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
                }
            },
        },
        "409": _error("Another fingerprint is served (error_type fingerprint_mismatch)"),
        "413": _error("Too many texts, too large a body, or a text too long that may not be cut"),
        "422": _error("The body cannot be understood, a text is blank or cannot be tokenised"),
        "424": _error("The model failed"),
        "429": _error("Too much waits; see Retry-After"),
    },
}

"""Bodies of POST /embed: what is understood, and how the rest is refused."""

import orjson
import pytest
from search_plane.encoder.embed_request import EmbedRequest, Refused, parse_embed
from search_plane.encoder.settings import MAX_BODY_BYTES, MAX_CLIENT_BATCH_SIZE


def test_a_single_text_is_a_list_of_one() -> None:
    assert parse_embed('{"inputs": "小米手机"}'.encode(), 512) == EmbedRequest(
        ("小米手机",), None, None, True
    )


def test_all_that_may_be_said() -> None:
    body = {
        "inputs": ["大米", "小米"],
        "prompt_name": "query",
        "normalize": False,
        "truncate": False,
        "truncation_direction": "Right",
        "dimensions": 512,
    }
    assert parse_embed(orjson.dumps(body), 512) == EmbedRequest(("大米", "小米"), "query", False, False)


def test_nulls_are_defaults() -> None:
    body = {"inputs": "米", "prompt_name": None, "normalize": None, "truncate": None, "dimensions": None}
    assert parse_embed(orjson.dumps(body), 512) == EmbedRequest(("米",), None, None, True)


@pytest.mark.parametrize(
    ("body", "status", "error_type", "says"),
    [
        (b"[", 422, "validation", "not JSON"),
        (b"\xff\xfe", 422, "validation", "not JSON"),
        (b"[]", 422, "validation", 'expected an object with "inputs"'),
        (b"{}", 422, "validation", 'expected an object with "inputs"'),
        (b'{"inputs": []}', 422, "empty", '"inputs" is empty'),
        (b'{"inputs": 3}', 422, "validation", "a text or a list of texts"),
        (b'{"inputs": ["a", 3]}', 422, "validation", r'"inputs"\[1\]: expected a text, found int'),
        (b'{"inputs": ["a", null]}', 422, "validation", "found NoneType"),
        (b'{"inputs": ["a", ["b"]]}', 422, "validation", "found list"),
        (b'{"inputs": ""}', 422, "empty", r'"inputs"\[0\] is blank'),
        ('{"inputs": ["米", "\u3000\\n"]}'.encode(), 422, "empty", r'"inputs"\[1\] is blank'),
        (b'{"inputs": "\\ud83d"}', 422, "validation", "not JSON: .*surrogate"),
        (b'{"inputs": "a", "prompt_name": "passage"}', 422, "validation", '"prompt_name"'),
        (b'{"inputs": "a", "normalize": "yes"}', 422, "validation", '"normalize": expected true or false'),
        (b'{"inputs": "a", "truncate": 1}', 422, "validation", '"truncate": expected true or false'),
        (b'{"inputs": "a", "truncation_direction": "Left"}', 422, "validation", "truncation_direction"),
        (b'{"inputs": "a", "truncation_direction": 0}', 422, "validation", "truncation_direction"),
        # As deep as the parser lets through: nothing may be said of it that goes down there.
        (
            b'{"inputs": "a", "truncation_direction": ' + b"[" * 1000 + b"]" * 1000 + b"}",
            422,
            "validation",
            "truncation_direction",
        ),
        (b'{"inputs": "a", "dimensions": 256}', 422, "validation", "only 512 is served"),
        (b'{"inputs": "a", "prompt": "query"}', 422, "validation", "unknown keys: prompt"),
        (
            orjson.dumps({"inputs": ["a"] * (MAX_CLIENT_BATCH_SIZE + 1)}),
            413,
            "validation",
            "257 texts, at most 256",
        ),
        (b" " * (MAX_BODY_BYTES + 1), 413, "validation", "larger than 2097152 bytes"),
    ],
)
def test_what_is_wrong_is_said(body: bytes, status: int, error_type: str, says: str) -> None:
    with pytest.raises(Refused, match=says) as caught:
        parse_embed(body, 512)
    assert caught.value.status == status
    assert caught.value.body == {"error": str(caught.value), "error_type": error_type}


@pytest.mark.parametrize("keys", [["k" * 100_000], [f"k{number}" for number in range(10_000)]])
def test_little_is_said_back_of_a_foreign_body(keys: list[str]) -> None:
    with pytest.raises(Refused, match=r"unknown keys: k.*known are dimensions") as caught:
        parse_embed(orjson.dumps({"inputs": "a", **dict.fromkeys(keys)}), 512)
    assert len(str(caught.value)) < 500

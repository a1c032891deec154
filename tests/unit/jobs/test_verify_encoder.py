"""An encoder under examination, over a fake of its HTTP: what is no vector is kept out and remembered."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest
from search_plane.jobs.embedding import EncoderClient, Prompt
from search_plane.jobs.failure import JobFailed
from search_plane.jobs.verify_encoder import ExaminedEncoder, Vector
from search_plane.release.identity import EncoderIdentity

IDENTITY = EncoderIdentity(
    model="fake",
    revision="1",
    weights="image:sha256:0",
    dimension=2,
    pooling="cls",
    max_tokens=16,
    precision="fp32",
    text_template="{title}",
)
Answering = Callable[[list[str]], tuple[int, Any]]


def examine(
    answering: Answering,
    texts: list[str],
    prompt: Prompt = "document",
    identity: EncoderIdentity = IDENTITY,
    fingerprint: str = "",
) -> tuple[list[Vector | None], ExaminedEncoder, list[dict[str, Any]]]:
    """Embeds texts with a fake encoder that answers (status, JSON) to texts; also what it was asked."""
    asked: list[dict[str, Any]] = []

    def fake(request: httpx.Request) -> httpx.Response:
        body = orjson.loads(request.content)
        asked.append(body)
        status, answer = answering(body["inputs"])
        headers = {"X-Encoder-Fingerprint": fingerprint or identity.fingerprint()}
        return httpx.Response(status, content=orjson.dumps(answer), headers=headers)

    async def story() -> tuple[list[Vector | None], ExaminedEncoder]:
        client = EncoderClient("http://fake", identity.fingerprint(), identity.dimension, patience=0.1)
        await client._http.aclose()
        client._http = httpx.AsyncClient(base_url="http://fake", transport=httpx.MockTransport(fake))
        encoder = ExaminedEncoder(client, identity)
        found = await encoder.embed(texts, prompt)
        await client.close()
        return found, encoder

    found, encoder = asyncio.run(story())
    return found, encoder, asked


def test_sound_vectors_come_back_in_order() -> None:
    texts = [str(number) for number in range(70)]
    found, encoder, asked = examine(lambda some: (200, [[1.0, 0.0] for _ in some]), texts)
    assert len(found) == 70
    assert all(vector is not None for vector in found)
    assert (encoder.sound, encoder.fault) == (True, "")
    assert [len(body["inputs"]) for body in asked] == [32, 32, 6]
    assert {body["prompt_name"] for body in asked} == {"document"}


def test_queries_are_asked_as_queries() -> None:
    _, _, asked = examine(lambda some: (200, [[1.0, 0.0] for _ in some]), ["耳机"], "query")
    assert [body["prompt_name"] for body in asked] == ["query"]


def test_before_any_vector_nothing_is_known() -> None:
    _, encoder, _ = examine(lambda some: (200, []), [])
    assert encoder.sound is None


@pytest.mark.parametrize("spoilt", [[float("nan"), 1.0], [1.0], [3.0, 4.0], [0.0, 0.0], "text"])
def test_only_what_is_no_vector_is_left_out(spoilt: object) -> None:
    def answering(texts: list[str]) -> tuple[int, Any]:
        return 200, [spoilt if text == "坏" else [0.0, 1.0] for text in texts]

    found, encoder, _ = examine(answering, ["一", "二", "坏", "三"])
    assert [vector is not None for vector in found] == [True, True, False, True]
    assert encoder.sound is False
    assert "坏" in encoder.fault


def test_lengths_are_not_asked_of_an_encoder_that_promises_none() -> None:
    unnormalised = IDENTITY.model_copy(update={"normalize": False})
    found, encoder, _ = examine(lambda some: (200, [[3.0, 4.0] for _ in some]), ["a"], identity=unnormalised)
    assert found[0] is not None
    assert encoder.sound


def test_a_refused_text_says_nothing_of_the_vectors() -> None:
    def answering(texts: list[str]) -> tuple[int, Any]:
        return (413, {"error": "too long"}) if "长" in texts else (200, [[0.0, 1.0] for _ in texts])

    found, encoder, _ = examine(answering, ["长", "短"])
    assert [vector is not None for vector in found] == [False, True]
    assert encoder.sound


def test_another_encoder_and_none_end_the_job() -> None:
    with pytest.raises(JobFailed) as other:
        examine(lambda some: (200, [[1.0, 0.0] for _ in some]), ["a"], fingerprint="sha256:another")
    assert other.value.reason == "FingerprintMismatch"
    with pytest.raises(JobFailed) as away:
        examine(lambda some: (503, {"error": "away"}), ["a"])
    assert away.value.reason == "EncoderUnavailable"

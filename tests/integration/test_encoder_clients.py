"""The clients that people have already, against our server, unchanged."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
from huggingface_hub import InferenceClient

from tests.testbed.plane import EncoderServer
from tests.testbed.weights.folder import WeightsFolder

TEXTS = ["小米手机充电器", "五常大米 5kg"]


@pytest.fixture(scope="module")
def server(tiny_encoder: WeightsFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EncoderServer]:
    """An encoder with random weights."""
    with EncoderServer(tiny_encoder, Path(tmp_path_factory.mktemp("encoder"))) as running:
        yield running


@pytest.fixture(scope="module")
def expected(server: EncoderServer) -> np.ndarray:
    """The vectors by our own route."""
    answer = httpx.post(f"{server.url}/embed", json={"inputs": TEXTS}).raise_for_status()
    return np.array(answer.json(), np.float32)


def test_openai_s_client_gets_the_same_vectors(server: EncoderServer, expected: np.ndarray) -> None:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused") as client:
        # It asks for base64 unless told otherwise.
        answer = client.embeddings.create(model="m3e-base", input=TEXTS)
        np.testing.assert_array_equal(np.array([one.embedding for one in answer.data], np.float32), expected)
        plain = client.embeddings.create(model="m3e-base", input=TEXTS[0], encoding_format="float")
        np.testing.assert_array_equal(np.array(plain.data[0].embedding, np.float32), expected[0])
        assert answer.usage.total_tokens > 0
        assert [model.id for model in client.models.list()] == ["tiny-random"]


def test_openai_s_client_understands_a_refusal(server: EncoderServer) -> None:
    with (
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as client,
        pytest.raises(openai.UnprocessableEntityError, match="only 32 is served") as refused,
    ):
        client.embeddings.create(model="m3e-base", input=TEXTS, dimensions=8)
    assert refused.value.type == "invalid_request_error"


def test_huggingface_s_client_gets_the_same_vectors(server: EncoderServer, expected: np.ndarray) -> None:
    client = InferenceClient(model=server.url)
    np.testing.assert_array_equal(client.feature_extraction(TEXTS[0]), expected[:1])
    prompted = client.feature_extraction(TEXTS[1], prompt_name="query", normalize=True, truncate=True)
    np.testing.assert_array_equal(prompted, expected[1:])

"""An int8 model, whose vectors depend a little on the texts beside them, is ready all the same."""

from pathlib import Path

import httpx
import pytest
from search_plane.encoder.artefact import MODEL_FILE
from search_plane.encoder.converting import converted
from search_plane.encoder.packing import normalising_tokenizer, probes_of

from tests.testbed.plane import EncoderServer
from tests.testbed.weights.bge import BGE_SMALL_ZH_V15
from tests.testbed.weights.folder import write_weights


@pytest.mark.weights
def test_an_int8_model_is_ready_and_answers(tmp_path: Path) -> None:
    graph, tokenizer = BGE_SMALL_ZH_V15.original_files()
    model, tokenizer = BGE_SMALL_ZH_V15.model, normalising_tokenizer(tokenizer)
    onnx = tmp_path / MODEL_FILE
    onnx.write_bytes(converted(graph, "int8"))
    weights = write_weights(
        tmp_path / "artefact",
        model,
        model_onnx=onnx.read_bytes(),
        tokenizer_json=tokenizer,
        probes=probes_of(onnx, tokenizer, model),
        revision="int8",
        precision="int8",
        source="a test",
        licence=model.licence,
    )
    with EncoderServer(weights, tmp_path) as server:
        answer = httpx.post(f"{server.url}/embed", json={"inputs": ["小米手机充电器"]}, timeout=30)
        assert [len(row) for row in answer.raise_for_status().json()] == [model.dimension]

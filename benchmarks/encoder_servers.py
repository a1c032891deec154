"""The encoder and the servers it is measured beside, all with the same model file: how each is started and asked.

- `naive`: FastAPI with a run of ONNX Runtime for each request (benchmarks/naive_encoder.py);
- `infinity`: infinity-emb with its ONNX engine, from an environment of its own (requirements/infinity.txt).
"""

import base64
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from search_plane.encoder.artefact import MODEL_FILE, TOKENIZER_FILE
from search_plane.encoder.pooling import FloatArray
from search_plane.release.embedding_wire import ACCEPT_FLOAT32, BINARY

from benchmarks.encoder_load import Told
from benchmarks.encoder_models import Variant
from tests.testbed.cluster import TestbedError
from tests.testbed.plane import REPOSITORY, EncoderServer, free_port
from tests.testbed.stores.server_process import ServerProcess
from tests.testbed.weights.folder import WeightsFolder

START_SECONDS = 300.0
LOAD_SECONDS = 300.0
# Less is another model, tokenizer or pooling; other kernels of the same model differ in the sixth place.
LEAST_COSINE = 0.999


@dataclass(frozen=True)
class Api:
    """A route, the key of the texts in its body, what else the body has, and headers (`name: value`)."""

    route: str
    key: str = "inputs"
    besides: Mapping[str, object] = field(default_factory=dict)
    headers: tuple[str, ...] = ()

    def body(self, texts: Sequence[str]) -> dict[str, object]:
        """The body that asks for these texts' vectors."""
        return {self.key: list(texts), **self.besides}


# Each is asked for vectors in the cheapest form that it gives.
OURS = Api("/embed", headers=(f"Accept: {ACCEPT_FLOAT32}",))
NAIVE = Api("/embed")
INFINITY = Api("/embeddings", "input", {"model": "encoder", "encoding_format": "base64"})


@dataclass(frozen=True)
class Server:
    """A server that runs. `resident` tells its memory in MiB."""

    name: str
    base: str
    api: Api
    resident: Callable[[], int]

    @property
    def url(self) -> str:
        """Of the route."""
        return f"{self.base}{self.api.route}"


Start = Callable[[], contextlib.AbstractContextManager[Server]]


@contextlib.contextmanager
def ours(weights: WeightsFolder, home: Path) -> Iterator[Server]:
    """The encoder as it is deployed, with its defaults."""
    with EncoderServer(weights, home) as server:
        process = server.process
        assert process is not None
        yield Server("ours", server.url, OURS, lambda: process.resident_mib)


def naive(weights: WeightsFolder, home: Path) -> contextlib.AbstractContextManager[Server]:
    """What one writes in an afternoon."""
    command = [
        sys.executable, "-m", "benchmarks.naive_encoder",
        "--model", weights.path / MODEL_FILE, "--tokenizer", weights.path / TOKENIZER_FILE,
        *(["--cls"] if weights.identity.pooling == "cls" else []),
    ]  # fmt: skip
    return _started("naive", command, home, NAIVE, {"PYTHONPATH": str(REPOSITORY)})


def infinity(
    python: str, variant: Variant, weights: WeightsFolder, home: Path
) -> contextlib.AbstractContextManager[Server]:
    """infinity-emb with its own defaults, from the environment that `python` belongs to.

    Its warm-up takes a minute for a large model, yet stays: how long it waits for a batch to fill follows from it.
    """
    model = home / "model"
    variant.write_transformers_folder(weights, model)
    command = [
        python, "-m", "infinity_emb.cli", "v2", "--engine", "optimum", "--model-id", ".", "--device", "cpu",
        "--served-model-name", "encoder", "--pooling-method", weights.identity.pooling,
        "--no-bettertransformer", "--log-level", "warning", "--host", "127.0.0.1",
    ]  # fmt: skip
    environment = {
        "PYTHONPATH": "",
        # It keeps the graph that it optimised there, by the model's name, which is the same for each variant.
        "HF_HOME": str(home / "cache"),
        "HF_HUB_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
        "INFINITY_ANONYMOUS_USAGE_STATS": "0",
    }
    return _started("infinity", command, model, INFINITY, environment)


@contextlib.contextmanager
def _started(
    name: str, command: Sequence[object], folder: Path, api: Api, environment: Mapping[str, str]
) -> Iterator[Server]:
    """A peer that takes --port, and answers /health when it is ready. It runs in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    process = ServerProcess(name, [*command, "--port", port], home=folder, environment=environment)
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        try:
            return httpx.get(f"{url}/health", timeout=2, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    try:
        process.await_ready(ready, timeout=START_SECONDS)
        yield Server(name, url, api, lambda: process.resident_mib)
    finally:
        process.kill()


def check_same(server: Server, texts: Sequence[str], vectors: FloatArray) -> float:
    """The least cosine between the server's vectors and `vectors`, float32 [texts, dimension] of length 1.

    Raises TestbedError where it is less than LEAST_COSINE: who answers something else is no peer.
    """
    headers = dict(header.split(": ", 1) for header in server.api.headers)
    cosines = []
    with httpx.Client(timeout=60, trust_env=False, headers=headers) as client:
        for text, vector in zip(texts, vectors, strict=True):
            answer = client.post(server.url, json=server.api.body([text])).raise_for_status()
            found = _vectors(answer)
            if found.shape != (1, len(vector)):
                raise TestbedError(
                    f"{server.name}: {text!r}: expected {len(vector)} components, found {found.shape}"
                )
            cosines.append(float(found[0] @ vector / np.linalg.norm(found[0])))
            if not cosines[-1] >= LEAST_COSINE:
                raise TestbedError(
                    f"{server.name}: {text!r}: expected the model's vector, found one of cosine {cosines[-1]:.4f}"
                )
    return min(cosines)


def _vectors(answer: httpx.Response) -> FloatArray:
    """The vectors in any of the servers' forms: plain bytes, rows, or OpenAI's JSON; here of one text."""
    if answer.headers["content-type"].startswith(BINARY):
        return np.frombuffer(answer.content, "<f4")[None]
    content = answer.json()
    rows = [one["embedding"] for one in content["data"]] if isinstance(content, dict) else content
    return np.array(
        [np.frombuffer(base64.b64decode(row), "<f4") if isinstance(row, str) else row for row in rows],
        np.float32,
    )


def asked(
    server: Server, requests: Sequence[Sequence[str]], home: Path, *options: object, refusals: bool = False
) -> Told:
    """What benchmarks.encoder_load tells of these requests' texts.

    Raises TestbedError for answers other than 200 unless `refusals` may be.
    """
    path = home / "bodies.json"
    path.write_text(json.dumps([server.api.body(texts) for texts in requests]))
    headers = [part for header in server.api.headers for part in ("--header", header)]
    load = [sys.executable, "-m", "benchmarks.encoder_load", "--url", server.url, "--bodies", path]
    command = [str(part) for part in (*load, *headers, *options)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LOAD_SECONDS)
    except subprocess.TimeoutExpired:
        raise TestbedError(
            f"waited {LOAD_SECONDS:.0f} s for the load on {server.name} to be answered"
        ) from None
    if done.returncode:
        raise TestbedError(f"the load on {server.name} ended with {done.returncode}: {done.stderr[-500:]}")
    told = Told.model_validate_json(done.stdout)
    if set(told.statuses) != {200} and not refusals:
        raise TestbedError(f"{server.name} answered {told.statuses}")
    return told

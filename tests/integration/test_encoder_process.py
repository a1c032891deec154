"""The encoder as the process that runs in its pod: start, refusals, clients that go, and the end."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.testbed.plane import EncoderServer, free_port, plane_environment, wait_until
from tests.testbed.weights.folder import WeightsFolder

REFUSAL_SECONDS = 60
DRAIN_SECONDS = 90
# Enough that a single core needs a second or more, whatever the machine.
LONG_TEXTS = ["家用大容量智能电饭煲多功能预约定时不粘锅内胆" * 3] * 256


@contextmanager
def encoder(
    weights: WeightsFolder, home: Path, **settings: object
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A ready encoder process and its URL; it is ended when the block ends."""
    port = free_port()
    environment = plane_environment(
        ENCODER_IDENTITY=weights.identity.model_dump_json(),
        MODEL_DIR=weights.path,
        HOST="127.0.0.1",
        PORT=port,
        THREADS=1,
        **settings,
    )
    log = home / "encoder.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "search_plane", "encoder"],
            env=os.environ | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until("the encoder to be ready", ready, 60)
        yield process, url
    finally:
        process.kill()
        process.wait(10)


def inflight(url: str) -> float:
    """encoder_inflight_tokens."""
    lines = httpx.get(f"{url}/metrics", timeout=30).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("encoder_inflight_tokens "))


def refusal(environment: dict[str, str]) -> tuple[int, list[dict[str, str]]]:
    """Exit code and JSON log of an encoder that must not start."""
    ended = subprocess.run(
        [sys.executable, "-m", "search_plane", "encoder"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=REFUSAL_SECONDS,
        check=False,
    )
    assert ended.stderr == ""
    return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.parametrize(
    ("update", "says"),
    [
        ({"weights": f"artefact:sha256:{'0' * 64}"}, f"manifest.json: expected sha256 {'0' * 64}, found "),
        ({"dimension": 768}, "dimension: the identity says 768, the artefact of tiny-random 32"),
        ({"weights": "latest"}, "weights of the identity: expected artefact:sha256:<64 hex>"),
    ],
)
def test_what_the_weights_are_not_is_refused_with_one_line(
    tiny_encoder: WeightsFolder, update: dict[str, object], says: str
) -> None:
    identity = tiny_encoder.identity.model_copy(update=update)
    code, lines = refusal(
        plane_environment(ENCODER_IDENTITY=identity.model_dump_json(), MODEL_DIR=tiny_encoder.path)
    )
    assert code == 2
    assert [line["level"] for line in lines] == ["ERROR"]
    assert says in lines[0]["message"]


def test_a_missing_identity_is_refused_with_one_line() -> None:
    code, lines = refusal(plane_environment(ENCODER_IDENTITY=""))
    assert (code, len(lines)) == (2, 1)
    assert "ENCODER_IDENTITY" in lines[0]["message"]


def test_each_connection_is_kept_and_answers_the_fingerprint(
    tiny_encoder: WeightsFolder, tmp_path: Path
) -> None:
    with EncoderServer(tiny_encoder, tmp_path) as server, httpx.Client(base_url=server.url) as client:
        for _ in range(3):
            answer = client.post("/embed", json={"inputs": "小米"}).raise_for_status()
            assert answer.headers["X-Encoder-Fingerprint"] == tiny_encoder.identity.fingerprint()


@pytest.mark.weights
def test_sigterm_finishes_what_is_in_flight_accepts_no_more_and_exits_0(
    bge_artefact: WeightsFolder, tmp_path: Path
) -> None:
    with encoder(bge_artefact, tmp_path, DRAIN_SECONDS=0) as (process, url), ThreadPoolExecutor(1) as thread:
        request = thread.submit(
            httpx.post, f"{url}/embed", json={"inputs": LONG_TEXTS}, timeout=DRAIN_SECONDS
        )
        wait_until("the request to be computed", lambda: inflight(url) > 0)
        process.send_signal(signal.SIGTERM)

        def refused() -> bool:
            try:
                httpx.get(f"{url}/readyz", timeout=5)
            except httpx.ConnectError:
                return True
            return False

        wait_until("new connections to be refused", refused, DRAIN_SECONDS)
        assert not request.done(), (
            "the request was over before the server stopped accepting: nothing was shown"
        )
        answer = request.result(DRAIN_SECONDS)
        assert answer.status_code == 200
        assert len(answer.json()) == len(LONG_TEXTS)
        assert process.wait(DRAIN_SECONDS) == 0


@pytest.mark.weights
def test_a_draining_encoder_turns_unready_while_it_still_accepts(
    bge_artefact: WeightsFolder, tmp_path: Path
) -> None:
    with encoder(bge_artefact, tmp_path, DRAIN_SECONDS=3) as (process, url):
        process.send_signal(signal.SIGTERM)
        wait_until("readiness to go", lambda: httpx.get(f"{url}/readyz", timeout=5).status_code == 503)
        assert httpx.post(f"{url}/embed", json={"inputs": "小米"}, timeout=30).status_code == 200
        assert process.wait(DRAIN_SECONDS) == 0


@pytest.mark.weights
def test_a_client_that_goes_leaves_no_work_behind(bge_artefact: WeightsFolder, tmp_path: Path) -> None:
    with encoder(bge_artefact, tmp_path) as (_, url):
        started = time.monotonic()
        httpx.post(f"{url}/embed", json={"inputs": LONG_TEXTS[:32]}, timeout=60).raise_for_status()
        one_batch = time.monotonic() - started
        body = json.dumps({"inputs": LONG_TEXTS}).encode()
        with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))) as client:
            client.sendall(
                b"POST /embed HTTP/1.1\r\nHost: e\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            wait_until("the request to be computed", lambda: inflight(url) > 0)
        gone = time.monotonic()
        wait_until("the rest of the request to be dropped", lambda: inflight(url) == 0, 60)
        # Eight times as much was asked; what was under way may finish, the rest must not be computed.
        assert time.monotonic() - gone < 4 * one_batch + 1
        text = httpx.get(f"{url}/metrics", timeout=30).text
        assert 'encoder_requests_total{status="499"} 1.0' in text

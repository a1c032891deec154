"""A thousand of the requests of benchmarks/encoder_fuzz.py, on an encoder process, each time the same ones."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.encoder_fuzz_run import fuzz
from tests.testbed.plane import EncoderServer
from tests.testbed.weights.folder import WeightsFolder

SEED = 20261123
REQUESTS = 1000
BATCH = 40


def test_no_request_gets_an_undocumented_answer_or_leaves_anything_behind(
    tiny_encoder: WeightsFolder, tmp_path: Path
) -> None:
    with EncoderServer(tiny_encoder, tmp_path) as server, ThreadPoolExecutor(1) as pool:
        found = fuzz(server, REQUESTS, SEED, pool, schema=False, batch=BATCH)
        log = (tmp_path / "server.log").read_text()
    assert found.asked >= REQUESTS
    assert not found.failures, [(wrong, one.curl()) for wrong, (_, one) in found.failures.items()]
    assert set(found.canary) <= {"same", "429", "503"}
    assert found.canary["same"] > 0
    assert (found.ready, found.inflight, found.sockets_left) == (True, 0, 0)
    # The generators reach what they are for.
    seen = {status for statuses in found.statuses.values() for status in statuses}
    assert seen >= {"200", "400", "404", "405", "409", "413", "422", "431", "gone"}
    assert "Traceback" not in log, log[-3000:]

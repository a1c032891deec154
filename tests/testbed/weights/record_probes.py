"""Record bge-small-zh-v1.5's probe vectors: `python -m tests.testbed.weights.record_probes`.

Needed once a model; the result is committed, so that the artefact's digest does not depend on the machine.
"""

import sys
import tempfile
from pathlib import Path

import orjson
from search_plane.encoder.packing import normalising_tokenizer, probes_of

from tests.testbed.weights.bge import MODEL, PROBES, original_files


def main() -> int:
    """Compute and write the probes."""
    model, tokenizer = original_files()
    with tempfile.TemporaryDirectory() as scratch:
        graph = Path(scratch) / "model.onnx"
        graph.write_bytes(model)
        probes = probes_of(graph, normalising_tokenizer(tokenizer), MODEL)
    PROBES.write_bytes(orjson.dumps([probe.model_dump() for probe in probes]) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

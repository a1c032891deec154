"""Record a model's probe vectors: `python -m tests.testbed.weights.record_probes bge-small-zh`.

Needed once a model; the result is committed, so that the artefact's digest does not depend on the machine.
"""

import sys
import tempfile
from pathlib import Path

import orjson
from search_plane.encoder.packing import normalising_tokenizer, probes_of

from tests.testbed.weights.bge import PUBLISHED


def main(arguments: list[str]) -> int:
    """Compute and write the probes of the models named; 2 with the known names for any other."""
    if not arguments or set(arguments) - set(PUBLISHED):
        print(f"name one or more of {', '.join(PUBLISHED)}", file=sys.stderr)
        return 2
    for weights in (PUBLISHED[name] for name in arguments):
        model, tokenizer = weights.original_files()
        with tempfile.TemporaryDirectory() as scratch:
            graph = Path(scratch) / "model.onnx"
            graph.write_bytes(model)
            probes = probes_of(graph, normalising_tokenizer(tokenizer), weights.model)
        weights.probes.write_bytes(orjson.dumps([probe.model_dump() for probe in probes]) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A model loaded and asked once with nothing around it: `python -m benchmarks.bare_start model.onnx tokenizer.json`.

Prints its resident memory in MiB.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer


def main(model: str, tokenizer: str) -> None:
    """Load, run one text, tell."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    ids = np.array([Tokenizer.from_file(tokenizer).encode("小米手机充电器").ids], dtype=np.int64)
    held = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    session.run(None, {node.name: held[node.name] for node in session.get_inputs()})
    resident = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")
    )
    sys.stdout.write(f"{int(resident.split()[1]) >> 10}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

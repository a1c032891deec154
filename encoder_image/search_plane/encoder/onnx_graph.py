"""A transformers model as an ONNX graph. Needs torch."""

import inspect
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

OPSET = 17
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def trace(model: Any, known_inputs: Sequence[str], output: str, axes: Mapping[int, str]) -> bytes:
    """The ONNX bytes, fp32; inputs are those that both the tokenizer (`known_inputs`) and the model have.

    `output` is the attribute of the model's answer that becomes the graph's output, with `axes` of any size.
    """
    import torch

    inner = model.eval().float().cpu()
    # Attention in plain operators, which can be fused, instead of torch's own kernel.
    inner.set_attn_implementation("eager")
    taken = inspect.signature(inner.forward).parameters
    names = [name for name in _INPUTS if name in known_inputs and name in taken]

    class ByPosition(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        """The model with its inputs by position and one output."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, *values: Any) -> Any:
            return getattr(self.inner(**dict(zip(names, values, strict=True))), output)

    ids = torch.arange(10, 26).reshape(2, 8)
    # Some padding and two kinds of tokens, or a model that leaves them out would be traced without.
    mask, types = torch.ones_like(ids), torch.zeros_like(ids)
    mask[1, 5:] = 0
    if getattr(inner.config, "type_vocab_size", 1) > 1:
        types[:, 3:] = 1
    held = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            ByPosition(),
            tuple(held[name] for name in names),
            str(path),
            input_names=names,
            output_names=[output],
            dynamic_axes={name: {0: "batch", 1: "tokens"} for name in names} | {output: dict(axes)},
            opset_version=OPSET,
            dynamo=False,
        )
        return path.read_bytes()

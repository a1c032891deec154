"""An fp32 graph in half precision or with int8 weights. Needs `onnx`, so it is for tools, not for the server."""

import tempfile
from pathlib import Path

from search_plane.release.identity import Precision


def converted(model_onnx: bytes, precision: Precision) -> bytes:
    """The ONNX bytes in that precision; inputs and outputs keep their types.

    fp16: weights and arithmetic, for GPUs; on a CPU it is no faster. int8: weights by channel, activations quantised
    as they come, so that a text's vector depends a little on the texts beside it.
    """
    if precision == "fp32":
        return model_onnx
    return _half(model_onnx) if precision == "fp16" else _int8(model_onnx)


def fused(model_onnx: bytes, heads: int, hidden: int) -> bytes:
    """The same function with attention, normalisation and GELU as ONNX Runtime's own operators."""
    from onnxruntime.transformers.optimizer import optimize_model

    with tempfile.TemporaryDirectory() as folder:
        whole, made = Path(folder) / "traced.onnx", Path(folder) / "fused.onnx"
        whole.write_bytes(model_onnx)
        optimized = optimize_model(str(whole), model_type="bert", num_heads=heads, hidden_size=hidden)
        optimized.save_model_to_file(str(made))
        return made.read_bytes()


def _half(model_onnx: bytes) -> bytes:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = convert_float_to_float16(onnx.load_from_string(model_onnx), keep_io_types=True)
    return bytes(model.SerializeToString())


def _int8(model_onnx: bytes) -> bytes:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        whole, quantised = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        whole.write_bytes(model_onnx)
        quantize_dynamic(
            whole,
            quantised,
            per_channel=True,
            weight_type=QuantType.QInt8,
            # ONNX can't infer the types behind ONNX Runtime's own operators; all of them are this one.
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
        return quantised.read_bytes()

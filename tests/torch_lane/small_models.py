"""Small sentence-transformers models of each architecture that the catalogue knows, with random weights."""

from pathlib import Path

import torch
from search_plane.release.identity import Pooling
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling as PoolingModule
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors, trainers
from tokenizers import models as token_models
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
    XLMRobertaModel,
)

from sample_catalogue import generate

HIDDEN = 48
# Far wider than a trained model's beginning, or the first token's state would hardly depend on the text.
SPREAD = 0.3
POSITIONS = 66


def corpus() -> list[str]:
    """Product titles: what a small vocabulary is made from."""
    return [str(product.document()["title"]) for product in generate(400, 5)]


def bert(folder: Path, pooling: Pooling) -> SentenceTransformer:
    """BERT with a WordPiece vocabulary of characters, as the Chinese ones have."""
    _write_bert(folder, scores=False)
    return _with_pooling(folder, pooling)


def xlm_roberta(folder: Path) -> SentenceTransformer:
    """XLM-R with a unigram vocabulary: other special tokens, padding with 1, positions that begin after it."""
    _write_xlm_roberta(folder, scores=False)
    return _with_pooling(folder, "mean")


def cross_encoder(folder: Path, architecture: str) -> CrossEncoder:
    """A model with one score a pair: `bert`, as MiniLM's is, or `xlm-r`, as bge-reranker's."""
    _write_bert(folder, scores=True) if architecture == "bert" else _write_xlm_roberta(folder, scores=True)
    return CrossEncoder(str(folder), device="cpu", max_length=POSITIONS - 2)


def _write_bert(folder: Path, *, scores: bool) -> None:
    characters = sorted(
        {character for text in corpus() for character in text.lower() if not character.isspace()}
    )
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {token: number for number, token in enumerate([*special, *characters])}
    tokenizer = Tokenizer(token_models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=HIDDEN, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=96, max_position_embeddings=POSITIONS,
        initializer_range=SPREAD, num_labels=1,
    )  # fmt: skip
    (BertForSequenceClassification if scores else BertModel)(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    ).save_pretrained(folder)  # fmt: skip


def _write_xlm_roberta(folder: Path, *, scores: bool) -> None:
    tokenizer = Tokenizer(token_models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer.train_from_iterator(
        ["query: ", "passage: ", *corpus()],
        trainers.UnigramTrainer(vocab_size=4000, special_tokens=special, unk_token="<unk>"),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    torch.manual_seed(2)
    config = XLMRobertaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=HIDDEN, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=96, max_position_embeddings=POSITIONS, type_vocab_size=1, pad_token_id=1,
        bos_token_id=0, eos_token_id=2,
        initializer_range=SPREAD, num_labels=1,
    )  # fmt: skip
    (XLMRobertaForSequenceClassification if scores else XLMRobertaModel)(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", cls_token="<s>", sep_token="</s>",
        bos_token="<s>", eos_token="</s>", mask_token="<mask>", model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)  # fmt: skip


def _with_pooling(folder: Path, pooling: Pooling) -> SentenceTransformer:
    transformer = Transformer(str(folder), max_seq_length=POSITIONS - 2)
    pooled = PoolingModule(transformer.get_embedding_dimension(), pooling_mode=pooling)
    return SentenceTransformer(modules=[transformer, pooled, Normalize()], device="cpu")

"""LoRA on a sentence-transformers model: checkpoints that a killed job goes on from, adapters merged at the end.

Needs the `finetune` extra (torch, sentence-transformers, peft), which is in no image that serves.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_plane.finetuning.pairs import Pair
from search_plane.finetuning.rows import Refused
from search_plane.finetuning.settings import TrainingSettings
from search_plane.release.models import KnownModel

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Tell = Callable[[str], None]

CHECKPOINTS = "checkpoints"
ADAPTER = "adapter"
# Attention and the two layers after it, as BERT and XLM-R name them; the pooler's output is not used.
_TARGETS = ["query", "key", "value", "dense"]
_NOT_TARGETS = ["pooler.dense"]
_TOLD_STEPS = 20


@dataclass(frozen=True, slots=True)
class Trained:
    """`resumed_from` is the step of the checkpoint that the job went on from, 0 for none."""

    steps: int
    resumed_from: int
    trained_parameters: int
    last_loss: float


def trained(
    published: "SentenceTransformer",
    model: KnownModel,
    pairs: Sequence[Pair],
    settings: TrainingSettings,
    work: Path,
    tell: Tell,
) -> Trained:
    """Train adapters on `published` in place and leave them in `work`/ADAPTER, for `merged`.

    Goes on from the last whole checkpoint in `work`. Raises Refused where the model has no layers to adapt.
    """
    import torch
    from peft import LoraConfig
    from sentence_transformers import SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.sentence_transformer.training_args import BatchSamplers
    from transformers import PrinterCallback, set_seed

    # The adapters' first weights are drawn here, before the trainer would set its seed.
    set_seed(settings.seed)
    lora = LoraConfig(
        task_type="FEATURE_EXTRACTION",
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=_TARGETS,
        exclude_modules=_NOT_TARGETS,
    )
    try:
        published.add_adapter(lora)
    except ValueError as error:
        raise Refused(f"{model.name}: no layer named {', '.join(_TARGETS)} to adapt: {error}") from error
    on_gpu = torch.cuda.is_available()
    # A T4 only emulates bf16, which is slower than fp16.
    half = on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(work / CHECKPOINTS),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup,
        seed=settings.seed,
        bf16=half,
        fp16=on_gpu and not half,
        use_cpu=not on_gpu,
        # Another pair of the same query or product would be taken for a negative.
        batch_sampler=BatchSamplers.NO_DUPLICATES,
        prompts=_prompts(model, pairs),
        save_strategy="steps",
        save_steps=settings.checkpoint_steps,
        save_total_limit=2,
        logging_steps=_TOLD_STEPS,
        dataloader_pin_memory=on_gpu,
        disable_tqdm=True,
        report_to="none",
    )
    trainer = _trainer()(
        model=published,
        args=arguments,
        train_dataset=datasets(pairs),
        loss=MultipleNegativesRankingLoss(published, scale=settings.scale),
        callbacks=[_telling(tell)],
    )
    # Standard output is for the pin alone.
    trainer.remove_callback(PrinterCallback)
    start = last_checkpoint(work / CHECKPOINTS)
    if start is not None:
        tell(f"going on from {start.name}")
    outcome = trainer.train(resume_from_checkpoint=None if start is None else str(start))
    trainer.save_model(str(work / ADAPTER))
    return Trained(
        steps=int(trainer.state.global_step),
        resumed_from=0 if start is None else _step(start),
        trained_parameters=sum(of.numel() for of in published.parameters() if of.requires_grad),
        last_loss=next(
            (float(line["loss"]) for line in reversed(trainer.state.log_history) if "loss" in line),
            float(outcome.training_loss),
        ),
    )


def merged(fresh: "SentenceTransformer", work: Path) -> "SentenceTransformer":
    """`fresh`, the model as it was before training, with the adapters of `work` added to its own weights."""
    from peft import PeftModel

    fresh[0].model = PeftModel.from_pretrained(fresh[0].auto_model, str(work / ADAPTER)).merge_and_unload()
    return fresh


def datasets(pairs: Sequence[Pair]) -> Any:
    """A datasets.DatasetDict, one set for each number of hard negatives: a batch has equally many for each query."""
    from datasets import Dataset, DatasetDict

    sets: dict[int, list[Pair]] = defaultdict(list)
    for pair in pairs:
        sets[len(pair.negatives)].append(pair)
    return DatasetDict(
        {
            f"negatives_{count}": Dataset.from_dict(
                {
                    "query": [pair.query for pair in of],
                    "product": [pair.product for pair in of],
                    **{_negative(place): [pair.negatives[place] for pair in of] for place in range(count)},
                }
            )
            for count, of in sorted(sets.items())
        }
    )


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end: the trainer's state is written last."""
    whole = [path for path in folder.glob("checkpoint-*") if _is_whole(path)]
    return max(whole, key=_step, default=None)


def _is_whole(checkpoint: Path) -> bool:
    try:
        return bool(json.loads((checkpoint / "trainer_state.json").read_bytes()))
    except (OSError, ValueError):
        return False


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _negative(place: int) -> str:
    return f"negative_{place + 1}"


def _prompts(model: KnownModel, pairs: Sequence[Pair]) -> dict[str, str]:
    """What is put before each column's texts."""
    most = max(len(pair.negatives) for pair in pairs)
    documents = ["product", *map(_negative, range(most))]
    return {"query": model.query_prefix, **dict.fromkeys(documents, model.document_prefix)}


def _trainer() -> Any:
    from peft import load_peft_weights, set_peft_model_state_dict
    from sentence_transformers import SentenceTransformerTrainer

    class AdapterTrainer(SentenceTransformerTrainer):  # type: ignore[misc, unused-ignore]
        """Resumes adapters alone: the library would load the base again by its name, without its commit."""

        def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
            """None, or the card in every checkpoint would quote the log's queries."""

        def _load_from_checkpoint(self, checkpoint_path: str, *_: Any) -> None:
            weights = {
                name.removeprefix("base_model.model."): weight
                for name, weight in load_peft_weights(checkpoint_path, device="cpu").items()
            }
            outcome = set_peft_model_state_dict(self.model[0].auto_model, weights)
            if outcome.unexpected_keys:
                raise Refused(
                    f"{checkpoint_path}: holds other adapters ({outcome.unexpected_keys[0]}): remove it"
                )

    return AdapterTrainer


def _telling(tell: Tell) -> Any:
    from transformers import TrainerCallback

    class Telling(TrainerCallback):  # type: ignore[misc, unused-ignore]
        """One line for each few steps, and one for each checkpoint."""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                tell(f"step {state.global_step} of {state.max_steps}, loss {float(logs['loss']):.4f}")

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            tell(f"checkpoint at step {state.global_step}")

    return Telling()

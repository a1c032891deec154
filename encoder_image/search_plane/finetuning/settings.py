"""What decides the training besides the pairs and the model."""

from typing import Annotated

from pydantic import Field

from search_plane.release.identity import Frozen


class TrainingSettings(Frozen):
    """The defaults are for 100,000 pairs on one GPU (docs/fine-tuning.md says where they come from).

    `batch` counts pairs; every other product of a batch is a negative, so a larger one is a harder lesson.
    `learning_rate` is AdamW's at its highest: it rises over `warmup` of the steps, then falls to 0 in a line.
    `rank`, `alpha`: the adapters are two matrices of that rank, their product scaled by alpha / rank.
    `checkpoint_steps`: a killed job loses at most so many steps. `seed` decides adapters, dropout and order.
    """

    epochs: Annotated[int, Field(ge=1)] = 2
    batch: Annotated[int, Field(ge=2)] = 64
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    rank: Annotated[int, Field(ge=1)] = 16
    alpha: Annotated[int, Field(ge=1)] = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    scale: Annotated[float, Field(gt=0)] = 20.0
    checkpoint_steps: Annotated[int, Field(ge=1)] = 200
    seed: Annotated[int, Field(ge=0)] = 7

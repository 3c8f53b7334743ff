"""Where a run stands, as it is written beside its weights."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Union

import pydantic
from pydantic import Field

Count = Annotated[int, Field(strict=True, ge=0, le=10**15)]
Number = Union[
    Annotated[int, Field(strict=True, ge=-(10**15), le=10**15)], Annotated[float, Field(strict=True)]
]


@dataclasses.dataclass
class TrainState:
    """Where a run stands: `step` batches of epoch `epoch` are done, both counted from 0."""

    __pydantic_config__ = pydantic.ConfigDict(extra="forbid")  # for what is read from a file

    epoch: Count = 0
    step: Count = 0
    sums: dict[str, Number] = dataclasses.field(default_factory=dict)  # of losses and notes in this epoch
    history: list[dict[str, Number]] = dataclasses.field(default_factory=list)  # the rows of metrics.csv
    best: Number = -1.0
    images_seen: Count = 0  # views, since the run began
    frozen: dict[str, str] = dataclasses.field(default_factory=dict)  # checksums of what must not change
    ranks: Count = 1  # that share each batch
    scaler: dict[str, Number] = dataclasses.field(default_factory=dict)  # see engine.precision
    warned: list[str] = dataclasses.field(default_factory=list)  # measures that a warning was given about
    # rows of the training and of the evaluated split that could not be read, see engine.unreadable
    unreadable: tuple[list[Count], list[Count]] = dataclasses.field(default_factory=lambda: ([], []))

"""Typed recipes: one YAML file tells a whole experiment; unknown keys are errors, `-o` overrides."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Union

import pydantic
import yaml
from pydantic import Field

from ppcds.errors import UserError
from ppcds.files import write_whole
from ppcds.options import did_you_mean, explain, not_boolean
from ppcds.plain_yaml import NOT_YAML, plain_value, read_yaml

RECIPES = Path(__file__).with_name("recipes")
Integer = Annotated[int, pydantic.BeforeValidator(not_boolean)]
Number = Annotated[float, pydantic.BeforeValidator(not_boolean)]
Positive = Annotated[Integer, Field(gt=0)]
Count = Annotated[Integer, Field(ge=0)]


CHOICES = ("method.name=", "optim.schedule.name=")  # overrides that choose which options there are


class Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", protected_namespaces=(), allow_inf_nan=False)


class MethodSection(pydantic.BaseModel):
    """`name` is a key of METHODS; the other keys are checked against that method's constructor."""

    model_config = pydantic.ConfigDict(extra="allow")
    name: str

    def options(self) -> dict:
        return dict(self.model_extra)


class HeadSection(Section):
    """A projection head: widths [] is none, [128] linear, [2048, 128] SimCLR's, [2048, 2048, 128] v2's."""

    widths: list[Positive]
    batch_norm: Literal["none", "hidden", "all"] = "hidden"


class ModelSection(Section):
    name: str
    width: Positive = 64  # channels of the first stage; the last has 8 x width x expansion
    stem: Literal["small", "imagenet"] = "small"
    head: Optional[HeadSection] = None  # what representations are learned through
    from_head_layer: Count = 0  # layers of the head that a classifier keeps below it
    pretrained: Optional[str] = None  # weights to start from (.pdparams, .safetensors)
    new_classifier: bool = False  # leave the classifier of those weights out
    # stages whose inner results are computed again in the backward pass instead of kept
    recompute: list[Annotated[Integer, Field(ge=1, le=4)]] = []
    channels_last: bool = False  # memory order of images and features: what tensor cores like


class DataSection(Section):
    layout: str  # a key of datasets.LAYOUTS
    root: str  # the folder that holds train_split.csv, or a folder for each class
    # "games": games_train_split.csv and games_val_split.csv, as split_data.py makes them
    splits: Optional[str] = None
    # names in the order of their ids; a run fills them in, so that its weights can be used without the data
    classes: Optional[list[Annotated[str, Field(min_length=1)]]] = None
    size: tuple[Positive, Positive]  # height, width in pixels
    interpolation: Literal["bilinear", "area"] = "bilinear"
    decode: Literal["exact", "fast"] = "exact"  # fast: JPEGs are reduced while they are decoded
    # mean and std of Normalize: as the views have them, or those of the training images; auto: the latter for
    # data without classes of its own (layouts csv and folder)
    colours: Literal["auto", "given", "measured"] = "given"
    cache: Literal["use", "build", "ignore"] = "use"  # the packed images, if there are; build: makes them
    on_bad_image: Literal["error", "skip"] = "error"  # an image that cannot be read
    batch_size: Positive  # of all devices together
    drop_last: bool = True
    num_workers: Count = 0
    train_images: Optional[Positive] = None  # train on so many of the images; None: on all
    hold_back: Annotated[Number, Field(ge=0, lt=1)] = 0.0  # share of train that is evaluated instead of val
    label_fraction: Annotated[Number, Field(gt=0, le=1)] = 1.0  # of the labels that are kept
    labelled_only: bool = False  # leave unlabelled rows out
    labelled_per_batch: Optional[Positive] = None  # the rest of a batch is unlabelled; None: as they come
    subset_seed: Count = 0  # of the keys above: runs of several seeds see the same images and labels


class ViewsSection(Section):
    train: list[list[Any]]  # one list of transforms a view
    eval: list[Any]
    on_device: bool = False  # training views are made by the device that trains, not by the processor


class MultiStepSchedule(Section):
    name: Literal["multistep"]
    milestones: list[Positive]  # epochs at which the learning rate is multiplied by gamma
    gamma: Annotated[Number, Field(gt=0, lt=1)]

    @pydantic.field_validator("milestones")
    @classmethod
    def _rising(cls, milestones: list[int]) -> list[int]:
        if milestones != sorted(set(milestones)):
            raise ValueError("should rise from one to the next")
        return milestones


class CosineSchedule(Section):
    """Linear from 0 over `warmup_epochs`, then half a cosine down to 0."""

    name: Literal["cosine"]
    warmup_epochs: Annotated[Number, Field(ge=0)] = 0.0


class ConstantSchedule(Section):
    name: Literal["constant"]


Schedule = Annotated[Union[MultiStepSchedule, CosineSchedule, ConstantSchedule], Field(discriminator="name")]


class OptimSection(Section):
    name: Literal["momentum", "lars", "adam"] = "momentum"
    learning_rate: Annotated[Number, Field(gt=0)]
    momentum: Annotated[Number, Field(ge=0, lt=1)] = 0.9  # Adam has its own: 0.9 and 0.999
    weight_decay: Annotated[Number, Field(ge=0)] = 0.0
    epochs: Positive
    schedule: Schedule
    # parts of a batch, one of which is in the network at once; the losses see all rows, batch norm a part
    accumulate: Positive = 1


class RunSection(Section):
    output_dir: str
    seed: Count = 0
    threads: Optional[Positive] = (
        None  # of matrix products on a CPU, unless OMP_NUM_THREADS says; None: all cores
    )
    amp: Optional[Literal["bf16", "fp16"]] = None  # automatic mixed precision
    to_static: bool = False  # the network as a static graph
    log_steps: Positive = 20  # steps between two lines of the log
    evaluate_every: Positive = 1  # epochs; the last is always evaluated
    keep_checkpoints: Count = 0  # those of so many last epochs are kept beside the latest
    train_accuracy: Literal["clean", "augmented"] = "clean"  # the views it is measured on
    ten_batch_accuracy: bool = False  # also the notebook's: ten shuffled batches of the validation split
    best_by: Literal["eval_accuracy", "eval_accuracy_ten_batches"] = "eval_accuracy"


class Recipe(Section):
    """A whole experiment. `recipes/*.yaml` are the shipped ones."""

    method: MethodSection
    model: ModelSection
    data: DataSection
    views: ViewsSection
    optim: OptimSection
    run: RunSection

    @pydantic.model_validator(mode="after")
    def _sections_agree(self):
        warmup = getattr(self.optim.schedule, "warmup_epochs", 0)
        if warmup > self.optim.epochs:
            raise ValueError(
                f"optim.schedule.warmup_epochs {warmup:g} is more than optim.epochs {self.optim.epochs}"
            )
        if self.model.from_head_layer > len(self.model.head.widths if self.model.head else []):
            raise ValueError("model.from_head_layer is more than model.head.widths has layers")
        if self.run.best_by == "eval_accuracy_ten_batches" and not self.run.ten_batch_accuracy:
            raise ValueError("run.best_by eval_accuracy_ten_batches needs run.ten_batch_accuracy: true")
        return self

    def save(self, path: Path) -> None:
        """Write the resolved recipe as YAML, whole or not at all."""
        write_whole(path, yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False).encode())


def load_recipe(name_or_path: str, overrides: tuple[str, ...] | list[str] = ()) -> Recipe:
    """The recipe of that name (`sports10`) or file, with `key=value` overrides such as "optim.epochs=20".

    An override of `method.name` or `optim.schedule.name` starts from the defaults of that method or
    schedule, since options of another do not apply.
    Raises UserError naming the file and the key.
    """
    path = find_recipe(name_or_path)
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise UserError(f"{path}: a recipe is a mapping with the sections {', '.join(Recipe.model_fields)}")
    for override in sorted(overrides, key=lambda text: not text.startswith(CHOICES)):
        apply_override(values, override)  # choices first: they clear the options of another
    try:
        return Recipe.model_validate(values)
    except pydantic.ValidationError as error:
        raise UserError(f"recipe {name_or_path}: {explain(error, Recipe)}") from None


def find_recipe(name_or_path: str) -> Path:
    """The file of a shipped recipe's name, or the path itself."""
    shipped = RECIPES / f"{name_or_path}.yaml"
    if shipped.is_file():
        return shipped
    path = Path(name_or_path)
    if path.is_file():
        return path
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        raise UserError(f"no recipe file {name_or_path}")
    known = sorted(file.stem for file in RECIPES.glob("*.yaml"))
    raise UserError(f"no recipe {name_or_path!r}{did_you_mean(name_or_path, known)}")


def apply_override(values: dict, override: str) -> None:
    """Set one dotted key, "optim.learning_rate=0.05", in the nested mapping of a recipe."""
    key, equals, text = override.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise UserError(f"-o {override}: write section.key=value, for instance -o optim.epochs=20")
    try:
        value = plain_value(text)
    except NOT_YAML:
        raise UserError(f"-o {override}: the value is not valid YAML") from None
    for part in path[:-1]:
        if values.get(part) is None:
            values[part] = {}
        values = values[part]
        if not isinstance(values, dict):
            raise UserError(f"-o {override}: {part} holds a value, not a section")
    if f"{key.strip()}=" in CHOICES and values.get("name") != value:
        values.clear()
    values[path[-1]] = value

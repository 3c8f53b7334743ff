"""Typed recipes: one YAML file tells a whole experiment; unknown keys are errors, `-o` overrides."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import pydantic
import yaml
from pydantic import Field

from ppcds.errors import UserError
from ppcds.options import did_you_mean, explain, not_boolean

RECIPES = Path(__file__).with_name("recipes")
Integer = Annotated[int, pydantic.BeforeValidator(not_boolean)]
Number = Annotated[float, pydantic.BeforeValidator(not_boolean)]
Positive = Annotated[Integer, Field(gt=0)]
Count = Annotated[Integer, Field(ge=0)]


class Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", protected_namespaces=(), allow_inf_nan=False)


class MethodSection(pydantic.BaseModel):
    """`name` is a key of METHODS; the other keys are checked against that method's constructor."""

    model_config = pydantic.ConfigDict(extra="allow")
    name: str

    def options(self) -> dict:
        return dict(self.model_extra)


class ModelSection(Section):
    name: str
    width: Positive = 64  # channels of the first stage; the last has 8 x width x expansion
    stem: Literal["small", "imagenet"] = "small"
    pretrained: Optional[str] = None  # weights to start from (.pdparams, .safetensors)


class DataSection(Section):
    layout: str  # a key of datasets.LAYOUTS
    root: str  # the folder that holds train_split.csv
    # names in the order of their ids; a run fills them in, so that its weights can be used without the data
    classes: Optional[list[Annotated[str, Field(min_length=1)]]] = None
    size: tuple[Positive, Positive]  # height, width in pixels
    interpolation: Literal["bilinear", "area"] = "bilinear"
    batch_size: Positive
    drop_last: bool = True
    num_workers: Count = 0


class ViewsSection(Section):
    train: list[list[Any]]  # one list of transforms a view
    eval: list[Any]


class MultiStepSchedule(Section):
    name: Literal["multistep"] = "multistep"
    milestones: list[Positive]  # epochs at which the learning rate is multiplied by gamma
    gamma: Annotated[Number, Field(gt=0, lt=1)]

    @pydantic.field_validator("milestones")
    @classmethod
    def _rising(cls, milestones: list[int]) -> list[int]:
        if milestones != sorted(set(milestones)):
            raise ValueError("should rise from one to the next")
        return milestones


class OptimSection(Section):
    name: Literal["momentum"] = "momentum"
    learning_rate: Annotated[Number, Field(gt=0)]
    momentum: Annotated[Number, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[Number, Field(ge=0)] = 0.0
    epochs: Positive
    schedule: MultiStepSchedule


class RunSection(Section):
    output_dir: str
    seed: Count = 0
    threads: Optional[Positive] = (
        None  # of matrix products on a CPU, unless OMP_NUM_THREADS says; None: all cores
    )
    log_steps: Positive = 20  # steps between two lines of the log
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
    def _best_is_measured(self):
        if self.run.best_by == "eval_accuracy_ten_batches" and not self.run.ten_batch_accuracy:
            raise ValueError("run.best_by eval_accuracy_ten_batches needs run.ten_batch_accuracy: true")
        return self

    def save(self, path: Path) -> None:
        """Write the resolved recipe as YAML."""
        Path(path).write_text(yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False), encoding="utf-8")


def load_recipe(name_or_path: str, overrides: tuple[str, ...] | list[str] = ()) -> Recipe:
    """The recipe of that name (`sports10`) or file, with `key=value` overrides such as "optim.epochs=20".

    An override of `method.name` starts from that method's defaults, since options of another do not apply.
    Raises UserError naming the file and the key.
    """
    path = find_recipe(name_or_path)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: a recipe is a mapping with the sections {', '.join(Recipe.model_fields)}")
    for override in sorted(overrides, key=lambda text: not text.startswith("method.name=")):
        apply_override(values, override)  # the method first: it clears the options of another
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
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UserError(f"-o {override}: the value is not valid YAML") from None
    if path == ["method", "name"] and (values.get("method") or {}).get("name") != value:
        values["method"] = {}
    for part in path[:-1]:
        values = values.setdefault(part, {})
        if not isinstance(values, dict):
            raise UserError(f"-o {override}: {part} holds a value, not a section")
    values[path[-1]] = value


def changed_keys(old: dict, new: dict, prefix: str = "") -> list[str]:
    """Dotted keys whose values differ between two dumped recipes."""
    changed = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            changed += changed_keys(before, after, f"{prefix}{key}.")
        elif before != after:
            changed.append(prefix + key)
    return changed

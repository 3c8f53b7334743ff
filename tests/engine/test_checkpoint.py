"""What of a recipe may change between a stop and a resume."""

import pytest

from ppcds.config import load_recipe
from ppcds.engine.checkpoint import read_position
from ppcds.errors import UserError


@pytest.mark.parametrize("mode", ["build", "ignore"])
def test_packed_images_may_come_and_go_since_their_pixels_are_the_same(teacher_run, mode):
    recipe = load_recipe(str(teacher_run / "recipe.yaml"), [f"data.cache={mode}"])
    assert read_position(teacher_run / "latest.safetensors", recipe).epoch == 0


def test_another_decoding_is_another_run(teacher_run):
    recipe = load_recipe(str(teacher_run / "recipe.yaml"), ["data.decode=fast"])
    with pytest.raises(UserError, match=r"the recipe has changed since, in data\.decode$"):
        read_position(teacher_run / "latest.safetensors", recipe)

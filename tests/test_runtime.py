"""Environment, device and seeds."""

import os
import random
import subprocess
import sys

import numpy as np
import paddle
import pytest

from ppcds.errors import UserError
from ppcds.runtime import (
    available_cores,
    choose_device,
    describe_processor,
    prepare_processor,
    seed_example,
    seed_for,
    seed_step,
)


def in_fresh_python(code: str, **environment: str) -> str:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "MKL_", "MALLOC_"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout + done.stderr


def test_importing_ppcds_sets_the_threads_and_does_not_load_paddle():
    said = in_fresh_python(
        "import os, sys, ppcds; print(os.environ['OMP_NUM_THREADS'], 'paddle' in sys.modules)"
    )
    assert said.split() == [str(available_cores()), "False"]


def test_what_the_user_has_set_stays():
    said = in_fresh_python(
        "from ppcds.runtime import describe_processor as say; print(say())",
        OMP_NUM_THREADS="7",
        MALLOC_ARENA_MAX="1",
    )
    assert "OMP_NUM_THREADS 7 (yours)" in said
    assert "malloc as you set ['MALLOC_ARENA_MAX']" in said
    said = in_fresh_python(
        "from ppcds.runtime import describe_processor as say; print(say())",
        GLIBC_TUNABLES="glibc.malloc.arena_max=1",
    )
    assert "malloc as you set ['GLIBC_TUNABLES']" in said


def test_a_recipe_may_ask_for_fewer_threads_but_not_overrule_the_user():
    code = (
        "import os, ppcds; from ppcds.runtime import *; prepare_processor(1)\n"
        "print(os.environ['OMP_NUM_THREADS'], describe_processor())"
    )
    assert in_fresh_python(code).startswith("1 ") and "(yours)" not in in_fresh_python(code)
    assert in_fresh_python(code, OMP_NUM_THREADS="7").startswith("7 ")


@pytest.mark.parametrize(("name", "expected"), [("AMD EPYC", "5"), ("Intel Xeon", None)])
def test_amd_processors_get_the_fast_path_of_the_matrix_library(monkeypatch, name, expected):
    monkeypatch.delitem(sys.modules, "paddle")
    monkeypatch.delenv("MKL_DEBUG_CPU_TYPE", raising=False)
    monkeypatch.setattr("ppcds.runtime._SET_HERE", {})
    monkeypatch.setattr("ppcds.runtime.processor_name", lambda: name)
    prepare_processor()
    assert os.environ.get("MKL_DEBUG_CPU_TYPE") == expected


def test_nothing_is_changed_once_paddle_is_loaded(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    prepare_processor(3)
    assert "OMP_NUM_THREADS" not in os.environ
    assert "OMP_NUM_THREADS not set" in describe_processor()


def test_pictures_are_written_where_paddle_is_loaded_before_pillow():
    code = (
        "import io, ppcds, paddle\nfrom PIL import Image\n"
        "Image.new('RGB', (200, 200)).save(io.BytesIO(), 'PNG')\nprint('written')"
    )
    assert "written" in in_fresh_python(code).splitlines()


def test_without_paddle_the_import_says_which_extras_there_are():
    said = in_fresh_python(
        "import sys; sys.modules['paddle'] = None\nimport importlib.util as u\nimport ppcds"
    )
    assert 'pip install "ppcds[cpu]" or "ppcds[gpu]"' in said


def test_an_unknown_device_is_a_users_mistake():
    assert choose_device("cpu") == "cpu"
    if not paddle.device.is_compiled_with_cuda():
        with pytest.raises(UserError, match="this Paddle sees no GPU"):
            choose_device("gpu")
    with pytest.raises(UserError, match="--device toaster"):
        choose_device("toaster")


def test_seeds_depend_on_every_part_of_their_path():
    seeds = {seed_for(*path) for path in [(0,), (1,), (0, 0), (0, 1), (1, 0), (0, 0, 1), (0, 1, 0)]}
    assert len(seeds) == 7
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_the_same_path_draws_the_same_numbers():
    def draw():
        seed_example(3, 1, 4)
        seed_step(3, 1)
        return random.random(), np.random.rand(), paddle.rand([1]).item()

    assert draw() == draw()

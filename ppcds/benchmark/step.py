"""The training step of CDS: ResNet-18 with its four heads, on all cores."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable

from ppcds.benchmark.timing import Contestant, Measure, race


def measure(quick: bool) -> dict[str, Measure]:
    shape = {"width": 16 if quick else 64, "size": [32, 32], "images": 32}
    rounds = 2 if quick else 5
    of = f"s a step of {shape['images']} images at 32x32, two views, width {shape['width']}"

    def against(way: str) -> Measure:
        theirs = Contestant(way, "stepping", **shape)
        return race(rounds, theirs, Contestant("step.py", "stepping", **shape), of)

    measures = {"vs_notebook": against("notebook.py")}
    if importlib.util.find_spec("torch"):
        measures["vs_torch"] = against("pytorch_way.py")
    else:
        print("step.vs_torch is left out: PyTorch is not installed here (pip install torch)")
    return measures


def stepping(width: int, size: list[int], images: int, threads: int | None = None):
    """A function that trains one step as a run does, and tells its seconds."""
    step, paddle = prepared_step(width, size, images, threads)
    views = [paddle.randn([images, 3, *size]) for _ in range(2)]
    labels = paddle.arange(images) % 10

    def work() -> float:
        start = time.perf_counter()
        step(views, labels, lambda parts: None)
        return time.perf_counter() - start

    return work


def prepared_step(width: int, size, images: int, threads: int | None, join: Callable | None = None):
    """(TrainStep of recipe sports10 for batches of `images`, paddle), on the processor.

    join: called with the device before anything is built.
    """
    from ppcds.config import load_recipe
    from ppcds.runtime import choose_device, load_paddle, prepare_processor

    prepare_processor(threads)
    paddle, device = load_paddle(), choose_device("cpu")
    if join:
        join(device)
    from ppcds.engine.optimizers import build_optimizer
    from ppcds.engine.sharing import share_batches
    from ppcds.engine.step import TrainStep
    from ppcds.methods.build import build_method

    keys = [f"model.width={width}", f"data.size={list(size)}", f"data.batch_size={images}"]
    keys.append("optim.learning_rate=0.01")  # noise for images has nothing to teach
    recipe = load_recipe("sports10", keys)
    method = build_method(recipe, 10)
    method.train()
    share_batches(recipe, method, [list(range(images))])
    return TrainStep(recipe, method, build_optimizer(recipe.optim, method.parameters())), paddle

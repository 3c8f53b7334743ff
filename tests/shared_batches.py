"""What one process or several make of the same batches; distributed/test_equality.py launches it with
two ranks.

python -m paddle.distributed.launch --nproc_per_node 2 shared_batches.py TEACHER_RUN RESULTS five|all
"""

from __future__ import annotations

import sys

import numpy as np
import paddle

from ppcds.config import load_recipe
from ppcds.datasets import Sports10
from ppcds.distributed import average_gradients, gather_rows, join_ranks, num_ranks, rank, wait_for_all
from ppcds.engine.optimizers import build_optimizer
from ppcds.engine.sharing import share_batches
from ppcds.engine.step import TrainStep
from ppcds.methods.build import build_method
from ppcds.runtime import seed_step

IMAGES, STEPS = {"five": 8, "all": 128}, 20  # of a batch
HEAD = ("model.head={widths: [16, 8]}",)
PLAIN = "{min_area: 0.5, brightness: 0.3, jitter: 0.1}"
METHODS = {
    "byol": (*HEAD, "method.predictor_width=16", "method.tau=0.9"),
    "cds": (),
    "cds_distillation": (
        *("method.teacher_weights=TEACHER/latest.safetensors", "method.teacher_mode=train"),
        "model.width=2",
    ),
    "deep_supervision": ("method.kl_weight=1",),
    "distillation": ("method.teacher_weights=TEACHER/best_model.pdparams", "method.alpha=0.5"),
    "linear": ("model.pretrained=TEACHER/best_model.pdparams",),
    "moco": (*HEAD, "method.queue_size=20"),
    "simclr": ("model.head={widths: [16, 8], batch_norm: all}",),
    "simclr_online_probe": (
        *(f"method.{name}={PLAIN}" for name in ("contrastive", "classification")),
        "model.name=conv4",
    ),
    "supcon": HEAD,
    "supervised": (f"method.augmentation={PLAIN}",),
}  # fmt: skip


def make(name: str, teacher: str, images: int):
    """(recipe, method) of narrow networks, with the same weights in every process."""
    own = [override.replace("TEACHER", teacher) for override in METHODS[name]]
    small = ["model.width=4", "data.size=[32, 32]", f"data.batch_size={images}", "optim.learning_rate=0.01"]
    recipe = load_recipe("demo", [f"method.name={name}", *small, *own])
    recipe.data.classes = list(Sports10.CLASSES)
    seed_step(0)
    method = build_method(recipe, 10)
    share_batches(recipe, method, [list(range(images))])
    method.train()
    return recipe, method


def own_rows(rows):
    """This rank's part of a batch, a list or an array."""
    share = len(rows) // num_ranks()
    return rows[rank() * share : (rank() + 1) * share]


def batch(method, number: int, images: int) -> tuple[list[paddle.Tensor], paddle.Tensor]:
    """This rank's part of batch `number`: noise views and labels, a quarter of them -1."""
    random = np.random.RandomState(number)
    shape = images, 3, 32, 32
    clean = random.rand(*shape)
    views = [clean + 0.2 * random.randn(*shape) for _ in range(method.views_used)]
    labels = random.randint(0, 4, images)
    labels[::4] = -1
    seed_step(number)
    dtype = paddle.get_default_dtype()
    return [paddle.to_tensor(own_rows(v), dtype) for v in views], paddle.to_tensor(own_rows(labels))


def losses(name: str, teacher: str, images: int) -> dict[str, np.ndarray]:
    """Of the first batch, and the gradients."""
    _, method = make(name, teacher, images)
    found = method(*batch(method, 0, images))
    found["loss"].backward()
    average_gradients(method)
    found = {f"loss {part}": value.numpy() for part, value in found.items()}
    for key, parameter in method.named_parameters():
        if parameter.grad is not None:
            found[f"gradient {key}"] = parameter.grad.numpy()
    return found


def weights(name: str, teacher: str, images: int) -> dict[str, np.ndarray]:
    recipe, method = make(name, teacher, images)
    optimizer = build_optimizer(recipe.optim, method.parameters())
    step = TrainStep(recipe, method, optimizer)
    for number in range(STEPS):
        step(*batch(method, number, images), lambda values: None)
    return {f"weight {key}": value.numpy() for key, value in method.state_dict().items()}


def chosen(which: str) -> list[str]:
    return list(METHODS) if which == "all" else ["byol", "cds", "distillation", "simclr", "supcon"]


def results(teacher: str, which: str) -> dict[str, np.ndarray]:
    """In single precision the losses of the first batch; in double precision its gradients too, and weights
    after some steps.
    """
    before, found = paddle.get_default_dtype(), {}
    try:
        for name in chosen(which):
            of = name, teacher, IMAGES[which]
            paddle.set_default_dtype("float32")
            single = losses(*of)
            values = {f"float32 {key}": single[key] for key in single if key.startswith("loss")}
            paddle.set_default_dtype("float64")
            values.update(losses(*of), **weights(*of))
            found.update({f"{name} {key}": np.asarray(value) for key, value in values.items()})
    finally:
        paddle.set_default_dtype(before)
    return found


def gathered() -> dict[str, np.ndarray]:
    """gather_rows of integers, and of numbers with a gradient."""
    rows = paddle.to_tensor(own_rows(np.arange(12.0, dtype="float32").reshape(4, 3)), stop_gradient=False)
    every = gather_rows(rows)
    (every**3).sum().backward()
    numbers = gather_rows(paddle.to_tensor(own_rows([3, 1, 4, 1])))
    return {"rows": every.numpy(), f"gradient {rank()}": rows.grad.numpy(), "numbers": numbers.numpy()}


if __name__ == "__main__":
    paddle.device.set_device("cpu")
    join_ranks(None)
    every = {f"gathered {key}": value for key, value in gathered().items()}
    every.update(results(sys.argv[1], sys.argv[3]))
    np.savez(f"{sys.argv[2]}.{rank()}.npz", **every)
    wait_for_all()

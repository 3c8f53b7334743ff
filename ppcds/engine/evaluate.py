"""What a network says of a whole split, and how well."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import paddle
from paddle.io import DataLoader
from scipy.special import log_softmax

from ppcds.config import Recipe
from ppcds.datasets.bad_images import readable
from ppcds.datasets.loader import batches_of, load_batches
from ppcds.datasets.split import ImageSplit
from ppcds.distributed import gather_batches, num_ranks, rank, read_together, together
from ppcds.engine.features import extract_features, outputs_of
from ppcds.engine.knn import knn_accuracy
from ppcds.errors import UserError
from ppcds.runtime import seed_for


def predict_logits(
    network: paddle.nn.Layer, loader: DataLoader, check: Callable[[], None] = lambda: None
) -> tuple[np.ndarray, np.ndarray]:
    """Logits [N, classes] of the first view, and labels [N], in evaluation mode.

    check: called before each batch; what it raises ends the evaluation. The network's mode is put back.
    """
    return outputs_of(network, network, loader, check)


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Share of labelled rows whose largest logit is the label's."""
    labelled = labels >= 0
    return float((logits[labelled].argmax(1) == labels[labelled]).mean())


def mean_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the labelled rows of the cross entropy of logits [N, C] and labels [N], in nats."""
    labelled = labels >= 0
    likelihoods = log_softmax(logits[labelled].astype(np.float64), axis=1)
    return float(-likelihoods[np.arange(len(likelihoods)), labels[labelled]].mean())


class Evaluation:
    """The accuracies of an epoch: on the whole validation split, and on as many training images.

    eval_loss is the plain cross entropy on that split, whatever the method trains with.

    run.train_accuracy "clean" measures training images as validation images are shown; "augmented", the
    notebook's way, on their first training view. run.ten_batch_accuracy adds the notebook's other measure:
    ten shuffled batches of the validation split, the incomplete one dropped.
    representation: the network gives features; eval_accuracy is then that of the weighted nearest neighbours
    among those training images, and nothing else is measured. Without a label in train that cannot be.
    """

    def __init__(
        self, recipe: Recipe, train_split: ImageSplit, eval_split: ImageSplit, representation: bool = False
    ) -> None:
        self.recipe, self.eval_split, self.representation = recipe, eval_split, representation
        size = recipe.data.batch_size
        if recipe.run.ten_batch_accuracy and len(eval_split) < size:
            raise UserError(
                f"run.ten_batch_accuracy: data.batch_size {size} is larger than the {len(eval_split)} "
                "validation images, and incomplete batches are dropped"
            )
        self.train_split = copy.copy(train_split)
        self.train_split.views = train_split.views[:1]
        self.train_split.on_bad_image = eval_split.on_bad_image
        if recipe.run.train_accuracy == "clean":
            self.train_split.views = eval_split.views
        if representation:
            self.train_split.views = eval_split.views  # the bank is shown as the queries are
            if recipe.run.ten_batch_accuracy:
                raise UserError(f"run.ten_batch_accuracy: method {recipe.method.name} trains no classifier")
        labelled = np.flatnonzero(train_split.labels >= 0)
        chosen = np.random.RandomState(seed_for(recipe.run.seed)).permutation(labelled)[: len(eval_split)]
        self.train_rows = np.sort(chosen)

    def measure(self, network: paddle.nn.Layer, epoch: int, check: Callable[[], None]) -> dict[str, float]:
        """train_accuracy, eval_accuracy, eval_loss; eval_accuracy_ten_batches if the recipe asks for it.

        Several ranks share the images, and every one learns what is found of all of them. Images that cannot
        be read are left out, if data.on_bad_image says so.
        """
        data, seed = self.recipe.data, self.recipe.run.seed
        extract = extract_features if self.representation else predict_logits

        def outputs(split: ImageSplit, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            shared = np.pad(rows, (0, -len(rows) % num_ranks()), mode="edge")  # equally, and cut off below
            batches = [shared[b].tolist() for b in batches_of(len(shared), data.batch_size, drop_last=False)]
            own = load_batches(split, batches, data.num_workers, seed, epoch, 0, rank(), num_ranks())
            found = together(lambda: extract(network, read_together(own), check))
            sizes = [len(batch) for batch in batches]
            return readable(*(gather_batches(array, sizes)[: len(rows)] for array in found))

        eval_rows, found = np.arange(len(self.eval_split)), {}
        if self.representation:
            if not len(self.train_rows):  # no neighbours with a label
                return {}
            bank, queries = outputs(self.train_split, self.train_rows), outputs(self.eval_split, eval_rows)
            return {"eval_accuracy": knn_accuracy(*bank, *queries)}
        if len(self.train_rows):  # none where no training image has a label
            found["train_accuracy"] = accuracy(*outputs(self.train_split, self.train_rows))
        logits, labels = outputs(self.eval_split, eval_rows)
        found["eval_accuracy"] = accuracy(logits, labels)
        found["eval_loss"] = mean_cross_entropy(logits, labels)
        if self.recipe.run.ten_batch_accuracy:
            shuffled = batches_of(len(eval_rows), data.batch_size, True, seed_for(seed, epoch))
            chosen = np.concatenate(shuffled[:10])
            found["eval_accuracy_ten_batches"] = accuracy(*outputs(self.eval_split, chosen))
        return found

"""What a run's network says of every image of a split, and which training images it finds alike."""

from __future__ import annotations

import dataclasses

import numpy as np
import paddle
from scipy.special import softmax
from sklearn.neighbors import NearestNeighbors
from tqdm import tqdm

from ppcds.config import Recipe
from ppcds.datasets.bad_images import LEFT_OUT, readable
from ppcds.datasets.loader import batches_of, load_batches
from ppcds.datasets.split import ImageSplit
from ppcds.datasets.subset import stratified_part
from ppcds.engine.features import extract_features, outputs_of
from ppcds.engine.knn import WeightedKNN
from ppcds.errors import UserError

MOST_TRAINING_IMAGES = 20_000  # to look among for neighbours


@dataclasses.dataclass(frozen=True)
class Answers:
    """split: the images with a class that could be read, N of them.  labels: [N].

    scores: [N, C], logits, or shares of the neighbours' votes where there is no classifier.
    probabilities: [N, C], the softmax of the logits, or those shares.  features: [N, D].
    bank, bank_features: training images and their features [M, D].
    by_neighbours: whether neighbours named the classes.
    """

    split: ImageSplit
    labels: np.ndarray
    scores: np.ndarray
    probabilities: np.ndarray
    features: np.ndarray
    bank: ImageSplit
    bank_features: np.ndarray
    by_neighbours: bool

    @property
    def predicted(self) -> np.ndarray:
        return self.scores.argmax(axis=1)

    @property
    def right(self) -> np.ndarray:
        """bool [N]."""
        return self.predicted == self.labels

    def nearest(self, rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The `count` training images most like these: their rows in `bank`, and cosines, [len(rows), k]."""
        search = NearestNeighbors(n_neighbors=min(count, len(self.bank)), metric="cosine", algorithm="brute")
        distances, found = search.fit(self.bank_features).kneighbors(self.features[rows])
        return found, 1 - distances


def ask(network: paddle.nn.Layer, split: ImageSplit, train: ImageSplit, recipe: Recipe) -> Answers:
    """What the network says of `split`, shown as for evaluation, and the features of training images.

    network: a classifier, or an encoder, for which the nearest of the training images, with labels, vote.
    Images without a class are left out of `split`. Raises UserError if nothing is left.
    """
    split = split.take(np.flatnonzero(split.labels >= 0))
    for part in (split, train):
        if not len(part):
            raise UserError(f"{part.root}: {part.split} has no images with a class to report on")
    if len(train) > MOST_TRAINING_IMAGES:
        train = train.take(stratified_part(train.labels, MOST_TRAINING_IMAGES, recipe.data.subset_seed))
    found, labels = extract_features(network, shown(train, recipe))
    bank_features, _ = readable(found, labels)
    bank = train.take(np.flatnonzero(labels != LEFT_OUT))

    is_classifier = hasattr(network, "classify")

    def both(images: paddle.Tensor) -> paddle.Tensor:
        if not is_classifier:
            return network(images)
        maps = network.last_stage(images)
        return paddle.concat([network.features(maps), network.classify(maps)], axis=1)

    found, labels = outputs_of(network, both, shown(split, recipe), check=lambda: None)
    found, kept_labels = readable(found, labels)
    split = split.take(np.flatnonzero(labels != LEFT_OUT))
    features, scores = found[:, : bank_features.shape[1]], found[:, bank_features.shape[1] :]
    if is_classifier:
        probabilities = softmax(scores.astype(np.float64), axis=1)
    else:
        votes = WeightedKNN(bank_features, bank.labels).scores(features)
        scores = probabilities = np.pad(votes, ((0, 0), (0, len(split.classes) - votes.shape[1])))
    return Answers(
        split, kept_labels, scores, probabilities, features, bank, bank_features, not is_classifier
    )


def shown(split: ImageSplit, recipe: Recipe) -> tqdm:
    """The batches of a split, under a bar."""
    batches = batches_of(len(split), recipe.data.batch_size, drop_last=False)
    loader = load_batches(split, batches, recipe.data.num_workers, recipe.run.seed)
    return tqdm(loader, split.split, total=len(batches), unit="batch", leave=False, disable=None)

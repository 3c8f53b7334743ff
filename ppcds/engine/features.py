"""What a frozen network makes of a split's images, run through it once and kept in a file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import paddle
from sklearn.preprocessing import normalize
from tqdm import tqdm

from ppcds.config import Recipe
from ppcds.datasets.bad_images import readable
from ppcds.datasets.loader import batches_of, load_batches
from ppcds.datasets.packed import digest_files
from ppcds.datasets.split import ImageSplit
from ppcds.engine.unreadable import Unreadable
from ppcds.errors import UserError
from ppcds.losses.embeddings import rank_of_gram
from ppcds.models import Encoder
from ppcds.weights import checksum, load_weights, read_metadata, save_weights

Batches = Iterable[tuple[list[paddle.Tensor], paddle.Tensor]]
Features = tuple[np.ndarray, np.ndarray]  # features [N, D] float32, labels [N] int64


def extract_features(
    network: paddle.nn.Layer,
    batches: Batches,
    check: Callable[[], None] = lambda: None,
    head_layer: int = 0,
) -> Features:
    """Features [N, D] float32 of the first view, and labels [N] int64, in evaluation mode.

    network: an Encoder, whose output they are, or a classifier, whose pooled features below `fc` they are.
    check: called before each batch; what it raises ends the extraction. The network's mode is put back.
    head_layer: so many layers of an Encoder's projection head the features pass through first.
    Raises UserError if a feature is not finite, or if there are fewer layers.
    """
    found, labels = outputs_of(network, feature_function(network, head_layer), batches, check)
    require_finite_features(found)
    return found, labels


def feature_function(
    network: paddle.nn.Layer, head_layer: int = 0
) -> Callable[[paddle.Tensor], paddle.Tensor]:
    """The function images [N, 3, H, W] -> features [N, D] that extract_features applies, and its errors."""
    if head_layer and not isinstance(network, Encoder):
        raise UserError(f"head layer {head_layer}: only an encoder has one, and this is a classifier: use 0")
    layers = len(network.projection.layers) if head_layer else 0
    if not 0 <= head_layer <= layers:
        raise UserError(f"head layer {head_layer}: the projection head has only {layers}")

    def features_of(images: paddle.Tensor) -> paddle.Tensor:
        if hasattr(network, "classify"):
            return network.encode(images)
        features = network(images)
        return network.projection(features, num_layers=head_layer) if head_layer else features

    return features_of


def require_finite_features(found: np.ndarray) -> None:
    """Raise UserError if a feature is a NaN or infinite."""
    if not np.isfinite(found).all():
        raise UserError("the network's features are not finite: train again with a lower optim.learning_rate")


def outputs_of(
    network: paddle.nn.Layer,
    output: Callable[[paddle.Tensor], paddle.Tensor],
    batches: Batches,
    check: Callable[[], None],
) -> tuple[np.ndarray, np.ndarray]:
    """output(images) [N, ...] float32 of the first view of all batches, and labels [N] int64.

    The network is in evaluation mode meanwhile; its mode is put back.  check: called before each batch.
    """
    outputs, labels = [], []
    was_training = network.training
    network.eval()
    try:
        with paddle.no_grad():
            for views, batch_labels in batches:
                check()
                outputs.append(output(views[0]).numpy().astype(np.float32))
                labels.append(batch_labels.numpy().astype(np.int64))
    finally:
        if was_training:
            network.train()
    return np.concatenate(outputs), np.concatenate(labels)


def effective_rank(features: np.ndarray) -> float:
    """How many directions features [N, D] fill: 1 for those of a collapsed network, min(N, D) at most.

    As in `losses.embedding_health`, of all rows: brought to length 1 and not centred.
    """
    rows = normalize(features.astype(np.float64))
    return rank_of_gram(rows.T @ rows)


def fingerprint(network: paddle.nn.Layer, split: ImageSplit, recipe: Recipe, head_layer: int = 0) -> str:
    """A key that changes with whatever features depend on: weights, model, layer, images, labels, size, view.

    An image file counts by its name, length and time of change, so that one that was replaced is seen.
    """
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        array = np.ascontiguousarray(tensor.numpy())
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    shown = {"size": split.size, "interpolation": split.interpolation, "decode": split.decode}
    shown.update(view=recipe.views.eval, on_bad_image=split.on_bad_image)
    settings = [recipe.model.model_dump(mode="json"), head_layer, shown, os.path.abspath(split.root)]
    digest.update(json.dumps(settings, default=str).encode())
    if hasattr(split, "filenames"):  # not every layout has a file an image
        digest.update(digest_files(split.root, split.filenames).encode())
    for numbers in (split.rows, split.labels):
        digest.update(np.asarray(numbers, np.int64).tobytes())
    return digest.hexdigest()


def cached_features(
    path: str | os.PathLike, key: str, make: Callable[[], Features], say: Callable[[str], None] = print
) -> Features:
    """The features kept in `path` (.safetensors) under `key`, else those of `make()`, which are then kept.

    A file of another key, or a damaged one, is made anew, and `say` told; so it is if nothing can be kept.
    """
    path = Path(path)
    if path.exists():
        try:
            about, arrays = read_metadata(path), load_weights(path)
            if about.get("checksum") != checksum(arrays) or set(arrays) != {"features", "labels"}:
                raise UserError(f"{path}: its checksum does not agree")
        except UserError as error:
            say(f"{error}: it is damaged, the features are extracted anew")
        else:
            if about.get("key") == key:
                return arrays["features"], arrays["labels"]
            say(f"{path} is of other weights, images or views: the features are extracted anew")
    features, labels = make()
    try:
        arrays = {"features": features, "labels": labels}
        save_weights(arrays, path, {"key": key, "checksum": checksum(arrays)})
    except OSError as error:
        say(f"the features are not kept: {error}")
    return features, labels


def features_of_split(
    network: paddle.nn.Layer, split: ImageSplit, path: Path, recipe: Recipe, head_layer: int = 0
) -> Features:
    """The features of a whole split, from `path` if it holds them, else extracted with a bar and kept there.

    head_layer: as in extract_features.  Without images that cannot be read, if data.on_bad_image says so.
    Raises UserError if the split is empty, or if the network has no such layer.
    """
    if not len(split):
        raise UserError(f"{split.root}: there are no images to extract features of; has train any class?")

    def make() -> Features:
        unreadable = Unreadable(split)
        batches = batches_of(len(split), recipe.data.batch_size, drop_last=False)
        loader = load_batches(split, batches, recipe.data.num_workers, recipe.run.seed)
        with tqdm(loader, path.stem, total=len(batches), unit="batch", leave=False, disable=None) as bar:
            found = readable(*extract_features(network, bar, head_layer=head_layer))
        unreadable.tell(print)
        unreadable.count(print)
        return found

    return cached_features(path, fingerprint(network, split, recipe, head_layer), make)

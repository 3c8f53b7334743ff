"""What each stage of a network makes of images, and where that lies in a plane."""

from __future__ import annotations

import importlib.util

import numpy as np
import paddle
from sklearn.manifold import TSNE

from ppcds.engine.features import Batches, outputs_of

PERPLEXITY = 30
LEAST = 5  # images of which a map can be made


def stage_embeddings(network: paddle.nn.Layer, batches: Batches) -> list[np.ndarray]:
    """Averages over height and width of the four stages' maps: [N, stage_channels[i]] float32 each.

    network: an Encoder or a classifier, of which the stages are all that is run. In evaluation mode.
    """
    backbone = getattr(network, "backbone", network)

    def averages(images: paddle.Tensor) -> paddle.Tensor:
        return paddle.concat([stage.mean(axis=[2, 3]) for stage in backbone.stage_features(images)], axis=1)

    found, _ = outputs_of(network, averages, batches, check=lambda: None)
    return np.split(found, np.cumsum(backbone.stage_channels)[:-1], axis=1)


def layouts() -> list[str]:
    """Names of the ways to lay embeddings out in a plane: t-SNE, and UMAP where it is installed."""
    return ["t-SNE", "UMAP"] if importlib.util.find_spec("umap") else ["t-SNE"]


def lay_out(embeddings: np.ndarray, layout: str, seed: int) -> np.ndarray:
    """Embeddings [N, D] -> places [N, 2] that keep who is near whom, by cosine; N is at least 5.

    layout: "t-SNE" (van der Maaten and Hinton 2008) or "UMAP" (McInnes et al. 2018, arXiv:1802.03426).
    """
    if len(embeddings) < LEAST:
        raise ValueError(f"{len(embeddings)} images: {LEAST} at least have places in a plane")
    if layout == "UMAP":
        from umap import UMAP

        neighbours = min(15, len(embeddings) - 1)
        return UMAP(n_neighbors=neighbours, metric="cosine", random_state=seed).fit_transform(embeddings)
    perplexity = min(PERPLEXITY, (len(embeddings) - 1) / 3)
    # PCA as the start, and its own learning rate: what is far apart stays so, run after run
    tsne = TSNE(perplexity=perplexity, metric="cosine", init="pca", random_state=seed)
    return tsne.fit_transform(embeddings)

"""Grad-CAM of networks whose maps can be written down."""

import numpy as np
import paddle
import pytest
from paddle import nn

from ppcds.engine.grad_cam import grad_cam


class Averaging(nn.Layer):
    """The images are the last stage's maps; their averages go through `fc`, squared if asked."""

    def __init__(self, weight, squared=False):
        super().__init__()
        self.fc = nn.Linear(3, 2)
        self.fc.weight.set_value(np.asarray(weight, "float32"))
        self.squared = squared

    def last_stage(self, images):
        return images * 1.0

    def classify(self, maps):
        means = maps.mean(axis=[2, 3])
        return self.fc(means * means if self.squared else means)


WEIGHT = [[1.0, -1.0], [0.0, 2.0], [-2.0, 0.5]]  # of three maps for two classes
IMAGES = np.random.RandomState(0).uniform(0, 1, (2, 3, 4, 5)).astype("float32")


def test_behind_an_average_the_map_is_the_class_weights_times_the_maps():
    found = grad_cam(Averaging(WEIGHT), IMAGES, np.array([1, 0]))
    wanted = [np.tensordot(np.array(WEIGHT)[:, c] / 20, image, 1) for c, image in zip((1, 0), IMAGES)]
    assert found == pytest.approx(np.maximum(wanted, 0), abs=1e-7)
    assert found.shape == (2, 4, 5) and (found[1] == 0).any() and (found[1] > 0).any()


def test_evidence_at_one_place_alone_is_found_there():
    images = np.zeros((1, 3, 4, 5), "float32")
    images[0, 1, 2, 3] = 7
    found = grad_cam(Averaging(WEIGHT), images, np.array([1]))[0]
    assert found.argmax() == 2 * 5 + 3 and (found > 0).sum() == 1
    assert not grad_cam(Averaging(WEIGHT), images, np.array([0])).any()  # which does not look at that map


def test_weights_are_the_mean_gradient_by_finite_differences():
    network, step = Averaging(WEIGHT, squared=True), 1e-2
    image = IMAGES[:1].astype("float64")

    def logit(shifted):
        means = shifted.mean(axis=(2, 3))
        return ((means * means) @ np.array(WEIGHT))[0, 1]

    alphas = []
    for k in range(3):
        moved = np.zeros_like(image)
        moved[0, k] = step  # all places of a map at once: the sum of their gradients
        alphas.append((logit(image + moved) - logit(image - moved)) / (2 * step) / 20)
    wanted = np.maximum(np.tensordot(alphas, image[0], 1), 0)
    assert grad_cam(network, IMAGES[:1], np.array([1]))[0] == pytest.approx(wanted, rel=1e-4)


def test_the_network_is_left_as_it_was():
    network = Averaging(WEIGHT)
    network.train()
    grad_cam(network, IMAGES, np.array([0, 1]))
    assert network.training and network.fc.weight.grad is None
    assert paddle.is_grad_enabled()

import numpy as np
import paddle
import pytest

from ppcds.errors import UserError
from ppcds.models import build_backbone
from ppcds.models.channels_last import set_channels_last

WIDTHS = {"resnet18": 4, "resnet50_sk": 4, "mobilenet_v3_small": 16, "conv4": 8}
CASES = [*((name, "small") for name in WIDTHS), ("resnet18", "imagenet"), ("resnet50_sk", "imagenet")]


def outputs_and_gradients(network, images):
    """In double precision, where rounding cannot be taken for a mistake."""
    network.to(dtype="float64")
    network.train()
    stages = network.stage_features(images)
    sum(paddle.square(stage).mean() for stage in stages).backward()
    gradients = {name: p.grad.numpy() for name, p in network.named_parameters() if p.grad is not None}
    return [stage.numpy() for stage in stages], gradients


@pytest.mark.parametrize("name, stem", CASES)
def test_the_stages_their_gradients_and_the_weights_files_are_the_same(name, stem):
    networks = [build_backbone(name, 3, WIDTHS[name], stem, size=(64, 64)) for _ in range(2)]
    networks[1].set_state_dict(networks[0].state_dict())
    set_channels_last(networks[1])
    images = paddle.to_tensor(np.random.RandomState(0).randn(4, 3, 64, 64))
    (first, gradients), (second, others) = (outputs_and_gradients(net, images) for net in networks)
    for one, other in zip(first, second):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-8)  # [N, C, H, W] of both
    largest = max(np.abs(gradient).max() for gradient in gradients.values())
    assert gradients.keys() == others.keys()
    for key, gradient in gradients.items():
        np.testing.assert_allclose(others[key], gradient, rtol=0, atol=1e-8 * largest, err_msg=key)


def test_images_go_in_as_ever_and_small_ones_are_refused():
    network = build_backbone("resnet18", 3, 4)
    set_channels_last(network)
    assert network(paddle.zeros([2, 3, 40, 48])).shape == [2, 3]
    assert network.layer1[0].conv1._data_format == "NHWC"
    with pytest.raises(UserError, match="images of 16x32 px are too small"):
        network(paddle.zeros([2, 3, 16, 32]))

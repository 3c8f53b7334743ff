import numpy as np
import paddle
import pytest

from ppcds.losses import cross_entropy
from ppcds.methods.linear import LinearClassifier
from ppcds.models import HeadedClassifier, ProjectionHead


@pytest.fixture(params=["bare", "headed"])
def backbone(request, make_encoder, make_classifier):
    if request.param == "bare":
        return make_classifier()
    network = make_encoder().backbone
    head = ProjectionHead(network.feature_dim, [16, 8], "hidden", depth=1)
    return HeadedClassifier(network, head, num_classes=4)


def test_only_fc_is_trained(backbone):
    method = LinearClassifier(backbone)
    trained = [name for name, parameter in method.named_parameters() if not parameter.stop_gradient]
    assert trained == ["backbone.fc.weight", "backbone.fc.bias"]


def test_the_frozen_encoder_is_everything_below_fc(backbone):
    below = LinearClassifier(backbone).frozen()["encoder"].state_dict()
    assert set(below) == {name for name in backbone.state_dict() if not name.startswith("fc.")}


def test_the_encoder_stays_in_evaluation_mode_while_fc_is_trained(backbone, make_views, labels):
    method = LinearClassifier(backbone)
    method.train()
    assert method.training
    assert not [layer for layer in method.frozen()["encoder"].sublayers() if layer.training]
    views = make_views(1)
    loss = float(method(views, labels)["cross_entropy"])
    method.eval()
    assert loss == pytest.approx(float(cross_entropy(method.deployed()(views[0]), labels)), rel=1e-6)


def test_unlabelled_rows_do_not_count(backbone, make_views, labels):
    method = LinearClassifier(backbone)
    views = make_views(1)
    half = paddle.to_tensor(np.where(np.arange(8) < 4, labels.numpy(), -1))
    expected = float(method([views[0][:4]], labels[:4])["loss"])
    assert float(method(views, half)["loss"]) == pytest.approx(expected, rel=1e-5)

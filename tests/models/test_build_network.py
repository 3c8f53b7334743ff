from __future__ import annotations

from types import SimpleNamespace

import paddle
import pytest

from ppcds.errors import UserError
from ppcds.models import Encoder, HeadedClassifier, ResNet, build_encoder, build_network


def section(widths=(16, 8), from_head_layer=0, name="resnet18", batch_norm="hidden"):
    head = None if widths is None else SimpleNamespace(widths=list(widths), batch_norm=batch_norm)
    memory = {"recompute": [], "channels_last": False}
    return SimpleNamespace(
        name=name, width=4, stem="small", head=head, from_head_layer=from_head_layer, **memory
    )


def test_a_recipe_without_head_layers_deploys_its_bare_backbone():
    net = build_network(section(widths=None), num_classes=3, size=(32, 32))
    assert isinstance(net, ResNet) and net.num_classes == 3


@pytest.mark.parametrize("kept, feature_dim", [(1, 16), (2, 8)])
def test_a_recipe_with_head_layers_deploys_them_below_the_classifier(kept, feature_dim):
    net = build_network(section(from_head_layer=kept), num_classes=3, size=(32, 32))
    assert isinstance(net, HeadedClassifier) and len(net.projection.layers) == kept
    assert net.feature_dim == feature_dim
    assert net(paddle.randn([2, 3, 32, 32])).shape == [2, 3]


def test_more_layers_than_the_head_has_cannot_be_kept():
    for widths, layers in (((16, 8), 2), ((), 0), (None, 0)):
        with pytest.raises(UserError, match=rf"model\.from_head_layer: 3 of the {layers} layers"):
            build_network(section(widths, from_head_layer=3), num_classes=3, size=(32, 32))


def test_an_encoder_needs_a_head_which_may_be_the_identity():
    encoder = build_encoder(section(widths=()), (32, 32))
    assert isinstance(encoder, Encoder) and encoder.projection.out_dim == encoder.feature_dim == 32
    assert build_encoder(section(), (32, 32)).projection.out_dim == 8
    with pytest.raises(UserError, match=r"model\.head"):
        build_encoder(section(widths=None), (32, 32))


def test_the_images_size_reaches_a_backbone_that_depends_on_it():
    for net in (
        build_network(section(name="conv4"), num_classes=3, size=(32, 48)),
        build_network(section(name="conv4", from_head_layer=1), num_classes=3, size=(32, 48)),
        build_encoder(section(name="conv4"), (32, 48)),
    ):
        assert net(paddle.randn([2, 3, 32, 48])).shape[0] == 2

from __future__ import annotations

import numpy as np
import paddle
import pytest
from paddle import nn

from ppcds.models import Encoder, HeadedClassifier, ProjectionHead, build_backbone
from ppcds.models.projection import UnshiftedBatchNorm1D


def kinds(head):
    return [[type(part) for part in layer] for layer in head.layers]


@pytest.mark.parametrize("widths, out_dim", [([], 12), ([5], 5), ([7, 5], 5), ([7, 7, 5], 5)])
@pytest.mark.parametrize("batch_norm", ["none", "hidden", "all"])
def test_any_depth_gives_its_last_width(widths, out_dim, batch_norm):
    head = ProjectionHead(12, widths, batch_norm)
    assert head.out_dim == out_dim and len(head.layers) == len(widths)
    features = paddle.randn([4, 12])
    assert head(features).shape == [4, out_dim]
    for depth, width in enumerate([12, *widths]):
        assert head(features, depth).shape == [4, width]
    assert (head(features, 0).numpy() == features.numpy()).all()


def test_relu_follows_every_layer_but_the_last_and_batch_norm_where_it_is_asked_for():
    linear, norm, relu = nn.Linear, nn.BatchNorm1D, nn.ReLU
    assert kinds(ProjectionHead(6, [5, 4])) == [[linear, relu], [linear]]
    assert kinds(ProjectionHead(6, [5, 4], "hidden")) == [[linear, norm, relu], [linear]]
    assert kinds(ProjectionHead(6, [5, 4], "all")) == [[linear, norm, relu], [linear, UnshiftedBatchNorm1D]]
    with pytest.raises(ValueError, match="some"):
        ProjectionHead(6, [5, 4], "some")


def test_a_normalised_layer_has_no_bias_and_the_last_no_shift():
    assert [n for n, p in ProjectionHead(6, [5, 4], "all").named_parameters() if not p.stop_gradient] == [
        "layers.0.0.weight",
        "layers.0.1.weight",
        "layers.0.1.bias",
        "layers.1.0.weight",
        "layers.1.1.weight",
    ]
    assert list(ProjectionHead(6, [5, 4]).state_dict())[:2] == ["layers.0.0.weight", "layers.0.0.bias"]


def test_the_scale_of_a_last_batch_norm_learns_although_it_has_no_shift():
    head, features = ProjectionHead(6, [5, 4], "all"), paddle.randn([64, 6])
    scale = head.layers[1][1].weight
    (head(features) ** 2).sum().backward()  # sum of squares = 64 scale^2
    np.testing.assert_allclose(scale.grad.numpy(), 2 * 64, rtol=1e-3)
    assert not any("bias" in name for name in head.layers[1].state_dict())


def test_a_last_batch_norm_gives_projections_of_mean_0_and_variance_1():
    projections = ProjectionHead(6, [5, 4], "all")(paddle.randn([64, 6])).numpy()
    np.testing.assert_allclose(projections.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(projections.var(0), 1, atol=1e-2)


def test_the_start_of_a_head_is_the_same_layers_with_their_relu():
    whole, start = ProjectionHead(6, [5, 5, 4], "all"), ProjectionHead(6, [5, 5, 4], "all", depth=2)
    start.set_state_dict(whole.state_dict())
    whole.eval(), start.eval()
    features = paddle.randn([4, 6])
    assert start.out_dim == 5
    assert (start(features).numpy() == whole(features, 2).numpy()).all()
    assert float(start(features).min()) == 0


def test_an_encoder_gives_features_and_projections_of_them():
    backbone = build_backbone("resnet18", num_classes=0, width=4)
    encoder = Encoder(backbone, ProjectionHead(32, [16, 8], "hidden"))
    encoder.eval()
    images = paddle.randn([3, 3, 32, 32])
    features, projections = encoder.project(images)
    assert features.shape == [3, encoder.feature_dim] == [3, 32]
    assert projections.shape == [3, encoder.projection.out_dim] == [3, 8]
    assert (encoder(images).numpy() == features.numpy()).all()
    assert (encoder.projection(features).numpy() == projections.numpy()).all()
    assert {name.split(".")[0] for name in encoder.state_dict()} == {"backbone", "projection"}
    projections.sum().backward()
    assert all(p.grad is not None for p in encoder.parameters() if not p.stop_gradient)


def test_an_encoder_refuses_a_classifier_and_a_head_of_another_size():
    with pytest.raises(ValueError, match="num_classes=0"):
        Encoder(build_backbone("resnet18", width=4), ProjectionHead(32, [8]))
    with pytest.raises(ValueError, match="32 for a head that takes 30"):
        Encoder(build_backbone("resnet18", num_classes=0, width=4), ProjectionHead(30, [8]))


def test_a_headed_classifier_is_a_backbone_whose_features_are_the_heads():
    backbone = build_backbone("resnet18", num_classes=0, width=4)
    net = HeadedClassifier(backbone, ProjectionHead(32, [16, 8], depth=1), num_classes=3)
    images = paddle.randn([2, 3, 32, 32])
    net(images).sum().backward()
    assert all(p.grad is not None for p in net.parameters() if not p.stop_gradient)
    net.eval()
    stages = net.stage_features(images)
    assert [s.shape[1] for s in stages] == net.stage_channels == [4, 8, 16, 32]
    features = net.features(stages[-1])
    assert features.shape == [2, net.feature_dim] == [2, 16]
    np.testing.assert_allclose(
        features.numpy(), net.projection(backbone(images)).numpy(), rtol=1e-5, atol=1e-6
    )
    logits = net.fc(features).numpy()
    assert (net(images).numpy() == logits).all() and (net.classify(stages[-1]).numpy() == logits).all()
    assert logits.shape == (2, net.num_classes) == (2, 3)
    assert {name.split(".")[0] for name in net.state_dict()} == {"backbone", "projection", "fc"}

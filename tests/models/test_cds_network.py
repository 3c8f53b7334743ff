from __future__ import annotations

import numpy as np
import paddle
import pytest

from ppcds.errors import UserError
from ppcds.models import CDSNetwork, SepConv, build_backbone, resnet18, resnet50


@pytest.mark.parametrize("size", [(32, 32), (72, 128), (360, 640)])
def test_the_notebooks_sizes_give_logits_and_four_embeddings(size):
    net = resnet18(num_classes=10, width=4)
    net.eval()
    with paddle.no_grad():
        logits, embeddings = net(paddle.randn([2, 3, *size]))
    assert logits.shape == [2, 10]
    assert [e.shape for e in embeddings] == [[2, 32]] * 4
    for embedding in embeddings:
        np.testing.assert_allclose(np.linalg.norm(embedding.numpy(), axis=1), 1, rtol=1e-5)


def test_a_bottleneck_network_widens_its_embeddings_by_the_expansion():
    logits, embeddings = resnet50(num_classes=7, width=4)(paddle.randn([2, 3, 32, 32]))
    assert logits.shape == [2, 7]
    assert [e.shape for e in embeddings] == [[2, 4 * 8 * 4]] * 4


def test_without_embeddings_the_heads_are_not_run():
    net = resnet18(width=4)
    ran = []
    for head in net.heads.values():
        head.register_forward_post_hook(lambda *_: ran.append(1))
    images = paddle.randn([2, 3, 32, 32])
    assert isinstance(net(images, False), paddle.Tensor)
    assert ran == []
    net(images)
    assert len(ran) == 4


def test_embeddings_come_from_stage_4_to_stage_1():
    net = resnet18(width=4)
    net.eval()
    images = paddle.randn([2, 3, 32, 32])
    last_stage = net.stage_features(images)[-1].numpy().mean((2, 3))
    last_stage /= np.linalg.norm(last_stage, axis=1, keepdims=True)
    _, embeddings = net(images)
    np.testing.assert_allclose(embeddings[0].numpy(), last_stage, rtol=1e-5, atol=1e-6)
    assert [len(head.blocks) for head in net.heads.values()] == [3, 2, 1, 0]
    # The first stage's embedding does not see what comes after that stage.
    net.backbone.layer2[0].conv1.weight.set_value(net.backbone.layer2[0].conv1.weight * 2)
    _, changed = net(images)
    assert (changed[3].numpy() == embeddings[3].numpy()).all()
    assert (changed[2].numpy() != embeddings[2].numpy()).any()


def test_logits_do_not_depend_on_the_heads_and_equal_the_bare_backbones():
    net = resnet18(width=4)
    net.eval()
    images = paddle.randn([2, 3, 32, 32])
    logits, _ = net(images)
    assert (net(images, False).numpy() == logits.numpy()).all()
    assert (net.backbone(images).numpy() == logits.numpy()).all()


def test_a_sepconv_halves_the_size_and_has_no_biases():
    block = SepConv(6, 10)
    assert block(paddle.randn([2, 6, 9, 16])).shape == [2, 10, 5, 8]
    shapes = [p.shape for p in block.parameters() if not p.stop_gradient]
    assert shapes == [[6, 1, 3, 3], [6, 6, 1, 1], [6], [6], [6, 1, 3, 3], [10, 6, 1, 1], [10], [10]]


def test_heads_on_a_backbone_leave_its_weights_alone():
    backbone = build_backbone("resnet18", width=4)
    before = {name: value.numpy().copy() for name, value in backbone.state_dict().items()}
    net = CDSNetwork(backbone)
    assert all((before[name] == value.numpy()).all() for name, value in net.backbone.state_dict().items())


def test_heads_on_some_stages_keep_the_names_they_have_among_four():
    backbone = build_backbone("resnet18", width=4)
    every, some = CDSNetwork(backbone), CDSNetwork(backbone, stages=(4, 2))
    names = {name: tensor.shape for name, tensor in every.state_dict().items()}
    kept = {n: s for n, s in names.items() if not n.startswith(("heads.0.", "heads.2."))}
    assert {name: tensor.shape for name, tensor in some.state_dict().items()} == kept
    images = paddle.randn([2, 3, 32, 32])
    for net in (every, some):
        net.eval()
    some.heads["1"].set_state_dict(every.heads["1"].state_dict())
    _, (stage4, stage2) = some(images)
    _, (all4, _, all2, _) = every(images)
    assert (stage4.numpy() == all4.numpy()).all() and (stage2.numpy() == all2.numpy()).all()


@pytest.mark.parametrize("stages", [(), (0, 1), (1, 5), (2, 2)])
def test_stages_that_do_not_exist_are_refused(stages):
    with pytest.raises(UserError, match="stages 1, 2, 3, 4"):
        CDSNetwork(build_backbone("resnet18", width=4), stages=stages)


def test_an_mlp_follows_the_pooling_of_each_head():
    net = CDSNetwork(build_backbone("resnet18", width=4), stages=(1, 4), mlp=[16, 6])
    net.eval()
    images = paddle.randn([2, 3, 32, 32])
    logits, embeddings = net(images)
    assert [e.shape for e in embeddings] == [[2, 6]] * 2
    pooled = net.backbone.features(net.stage_features(images)[-1]).numpy()
    first, second = (layer[0] for layer in net.heads["3"].mlp.layers)
    hidden = np.maximum(pooled @ first.weight.numpy() + first.bias.numpy(), 0)
    expected = hidden @ second.weight.numpy() + second.bias.numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(embeddings[0].numpy(), expected, rtol=1e-4, atol=1e-5)
    assert (net.backbone(images).numpy() == logits.numpy()).all()


@pytest.mark.parametrize("name, width", [("mobilenet_v3_small", 4), ("wide_resnet50_2", 2), ("conv4", 6)])
def test_heads_fit_backbones_whose_channels_do_not_double(name, width):
    backbone = build_backbone(name, num_classes=3, width=width, size=(32, 32))
    net = CDSNetwork(backbone)
    logits, embeddings = net(paddle.randn([2, 3, 32, 32]))
    assert logits.shape == [2, 3]
    assert [e.shape for e in embeddings] == [[2, backbone.stage_channels[-1]]] * 4
    for i, embedding in enumerate(embeddings):
        embedding[:, 0].sum().backward(retain_graph=i < 3)
    assert all(p.grad is not None for p in net.heads.parameters() if not p.stop_gradient)

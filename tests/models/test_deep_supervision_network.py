from __future__ import annotations

import paddle
import pytest

from ppcds.models import CDSNetwork, DeepSupervisionNetwork, build_backbone


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "conv4"])
def test_four_classifiers_give_logits_and_each_gets_its_gradient(name):
    backbone = build_backbone(name, num_classes=3, width=4, size=(32, 32))
    net = DeepSupervisionNetwork(backbone)
    logits = net(paddle.randn([4, 3, 32, 32]))
    assert [one.shape for one in logits] == [[4, 3]] * 4
    sum(one.square().sum() for one in logits).backward()
    assert all(p.grad is not None for p in net.parameters() if not p.stop_gradient)


def test_logits_come_from_the_last_stage_to_the_first():
    net = DeepSupervisionNetwork(build_backbone("resnet18", num_classes=3, width=4))
    net.eval()
    images = paddle.randn([2, 3, 32, 32])
    logits = net(images)
    assert (logits[0].numpy() == net.backbone(images).numpy()).all()
    stages = net.backbone.stage_features(images)
    for stage in range(3):
        expected = net.classifiers[stage](stages[stage])
        assert (logits[3 - stage].numpy() == expected.numpy()).all()


def test_the_auxiliary_classifiers_reduce_their_stage_as_the_heads_of_cds_do():
    backbone = build_backbone("resnet18", num_classes=3, width=4)
    auxiliary = DeepSupervisionNetwork(backbone).classifiers.state_dict()
    heads = CDSNetwork(backbone, stages=(1, 2, 3)).heads.state_dict()
    blocks = {name: value.shape for name, value in auxiliary.items() if ".fc." not in name}
    assert blocks == {name: value.shape for name, value in heads.items()}
    assert auxiliary["0.fc.weight"].shape == [32, 3]

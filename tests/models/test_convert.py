from __future__ import annotations

import re

import numpy as np
import pytest

from ppcds.errors import UserError
from ppcds.models import build_backbone, load_torch_state_dict, resnet18


def torch_state_dict(net, heads=True):
    """A PyTorch state dict of the network's sizes with random values: our names and layout undone."""
    rng = np.random.default_rng(0)
    state = {}
    for name, tensor in net.state_dict().items():
        if name.startswith("heads") and not heads:
            continue
        name = name.replace("backbone.", "").replace("._mean", ".running_mean")
        name = name.replace("._variance", ".running_var")
        name = re.sub(r"heads\.(\d)\.blocks", lambda m: f"auxiliary{int(m[1]) + 1}", name)
        shape = tensor.shape[::-1] if tensor.ndim == 2 else tensor.shape
        state[name] = rng.standard_normal(shape).astype("float32")
        if name.endswith("running_var"):
            state[name.replace("running_var", "num_batches_tracked")] = np.array(7)
    return state


def values(net):
    return {name: tensor.numpy().copy() for name, tensor in net.state_dict().items()}


def assert_nothing_loaded(net, before):
    assert all((before[name] == value).all() for name, value in values(net).items())


def test_official_names_reach_backbone_and_heads():
    net = resnet18(num_classes=5, width=4)
    state = torch_state_dict(net)
    load_torch_state_dict(net, state)
    ours = values(net)
    assert (ours["backbone.fc.weight"] == state["fc.weight"].T).all()
    assert (ours["heads.0.blocks.2.op.5.weight"] == state["auxiliary1.2.op.5.weight"]).all()
    assert (ours["heads.2.blocks.0.op.6._variance"] == state["auxiliary3.0.op.6.running_var"]).all()
    assert (ours["backbone.layer2.0.downsample.1._mean"] == state["layer2.0.downsample.1.running_mean"]).all()
    assert len(ours) == len([name for name in state if "num_batches" not in name])


def test_torchvision_weights_load_into_a_bare_backbone():
    net = build_backbone("resnet50", num_classes=6, width=4, stem="imagenet")
    state = torch_state_dict(net)
    load_torch_state_dict(net, state)
    ours = values(net)
    assert (ours["layer4.2.conv3.weight"] == state["layer4.2.conv3.weight"]).all()
    assert (ours["conv1.weight"] == state["conv1.weight"]).all()


def test_torchvision_weights_load_into_a_cds_networks_backbone_and_leave_its_heads():
    net = resnet18(width=4)
    before = values(net)
    state = torch_state_dict(net, heads=False)
    load_torch_state_dict(net, state)
    after = values(net)
    assert (after["backbone.conv1.weight"] == state["conv1.weight"]).all()
    assert all((after[name] == before[name]).all() for name in after if name.startswith("heads"))


def test_an_fc_of_another_number_of_classes_is_named_and_nothing_is_loaded():
    net = resnet18(num_classes=10, width=4)
    before = values(net)
    with pytest.raises(UserError, match=r"fc\.weight is \[32, 1000\], not \[32, 10\]"):
        load_torch_state_dict(net, torch_state_dict(resnet18(num_classes=1000, width=4)))
    assert_nothing_loaded(net, before)


def test_missing_and_unknown_names_are_counted_and_nothing_is_loaded():
    net = resnet18(width=4)
    before = values(net)
    state = torch_state_dict(net)
    for name in [name for name in state if name.startswith("layer3.0.bn1")]:
        del state[name]
    state["layer5.weight"] = np.zeros(3, "float32")
    with pytest.raises(UserError, match=r"4 missing \(.*layer3\.0\.bn1.*\); 1 unknown \(.*layer5\.weight\)"):
        load_torch_state_dict(net, state)
    assert_nothing_loaded(net, before)


def test_head_weights_do_not_fit_a_bare_backbone():
    net = build_backbone("resnet18", width=4)
    with pytest.raises(UserError, match="unknown"):
        load_torch_state_dict(net, torch_state_dict(resnet18(width=4)))


def test_a_deeper_networks_weights_are_refused():
    with pytest.raises(UserError, match="weights of another network"):
        load_torch_state_dict(
            build_backbone("resnet18", width=4), torch_state_dict(build_backbone("resnet34", width=4))
        )

from __future__ import annotations

import numpy as np
import pytest

from ppcds.errors import UserError
from ppcds.models import (
    CDSNetwork,
    DeepSupervisionNetwork,
    Encoder,
    HeadedClassifier,
    ProjectionHead,
    build_backbone,
    load_pretrained,
)


def backbone(num_classes=3, width=2):
    return build_backbone("resnet18", num_classes, width)


def resnet34():
    return build_backbone("resnet34", 3, 2)


def encoder(widths=(16, 8)):
    return Encoder(backbone(0), ProjectionHead(16, list(widths), "hidden"))


def headed(kept=1, num_classes=3, widths=(16, 8)):
    return HeadedClassifier(backbone(0), ProjectionHead(16, widths, "hidden", depth=kept), num_classes)


def arrays_of(net):
    rng = np.random.default_rng(0)
    return {n: rng.standard_normal(t.shape).astype("float32") for n, t in net.state_dict().items()}


def values(net):
    return {name: tensor.numpy().copy() for name, tensor in net.state_dict().items()}


def taken_and_anew(net, before):
    """Names whose values changed, and names whose values did not."""
    after = values(net)
    taken = {name for name in after if (after[name] != before[name]).any()}
    return taken, set(after) - taken


@pytest.mark.parametrize("build", [backbone, headed, encoder])
def test_a_network_takes_all_of_its_own_weights(build):
    net, arrays = build(), arrays_of(build())
    sentence = load_pretrained(net, arrays, "run/best.pdparams")
    kept = "" if build is encoder else "; fc is taken over"
    assert sentence == f"weights of run/best.pdparams{kept}"
    assert all((value == arrays[name]).all() for name, value in values(net).items())


@pytest.mark.parametrize("build", [backbone, headed])
def test_a_new_classifier_is_not_that_of_the_file(build):
    net = build()
    before = values(net)
    assert load_pretrained(net, arrays_of(build()), "a.pdparams", new_classifier=True).endswith(
        "fc starts anew"
    )
    assert taken_and_anew(net, before)[1] >= {"fc.weight", "fc.bias"}


def test_a_classifier_of_other_classes_starts_anew():
    for net, source in ((backbone(3), backbone(5)), (headed(1, 3), headed(1, 5)), (backbone(3), backbone(0))):
        before = values(net)
        assert load_pretrained(net, arrays_of(source), "a.pdparams").endswith("; fc starts anew")
        _, anew = taken_and_anew(net, before)
        assert anew == {"fc.weight", "fc.bias"}


def test_an_encoders_backbone_starts_a_bare_classifier():
    net, arrays = backbone(), arrays_of(encoder())
    before = values(net)
    sentence = load_pretrained(net, arrays, "a.pdparams")
    assert "projection.layers.0, projection.layers.1 left out" in sentence and "fc starts anew" in sentence
    assert taken_and_anew(net, before)[1] == {"fc.weight", "fc.bias"}
    assert (values(net)["layer3.1.bn2._mean"] == arrays["backbone.layer3.1.bn2._mean"]).all()


def test_an_encoder_starts_a_classifier_that_keeps_the_first_layer_of_its_head():
    net, arrays = headed(kept=1), arrays_of(encoder())
    before = values(net)
    sentence = load_pretrained(net, arrays, "a.pdparams")
    assert "projection.layers.1 left out" in sentence and "fc starts anew" in sentence
    assert taken_and_anew(net, before)[1] == {"fc.weight", "fc.bias"}
    assert (values(net)["projection.layers.0.0.weight"] == arrays["projection.layers.0.0.weight"]).all()


def test_a_classifier_that_stood_on_other_features_is_not_taken_even_if_its_size_fits():
    # The head's layer is as wide as the features, so that both classifiers are 16 x 3.
    net = backbone(3)
    before = values(net)
    sentence = load_pretrained(net, arrays_of(headed(kept=1, num_classes=3)), "a.pdparams")
    assert "fc starts anew" in sentence
    assert taken_and_anew(net, before)[1] == {"fc.weight", "fc.bias"}


def test_an_encoders_head_starts_anew_where_the_file_has_none():
    net = encoder()
    before = values(net)
    sentence = load_pretrained(net, arrays_of(backbone()), "a.pdparams")
    assert "the projection head starts anew" in sentence and "fc left out" in sentence
    assert taken_and_anew(net, before)[1] == {n for n in before if n.startswith("projection.")}


@pytest.mark.parametrize("around", [CDSNetwork, DeepSupervisionNetwork])
def test_a_network_with_training_heads_gets_its_backbone_set(around):
    net, arrays = around(backbone()), arrays_of(backbone())
    before = values(net)
    load_pretrained(net, arrays, "a.pdparams")
    assert taken_and_anew(net, before)[0] == {f"backbone.{name}" for name in arrays}


@pytest.mark.parametrize(
    "net, source, message",
    [
        (lambda: backbone(width=4), backbone, r"a\.pdparams: .*of another shape .*conv1\.weight"),
        (encoder, lambda: backbone(width=4), r"a\.pdparams: .*of another shape"),
        (headed, backbone, r"a\.pdparams: holds 0 layers .*from_head_layer keeps 1"),
        (lambda: headed(kept=2), headed, r"holds 1 layers .* keeps 2"),
        (lambda: headed(widths=(16,)), encoder, r"head has 2 layers, model.head has 1: give the model.head"),
        (lambda: headed(widths=(12, 8)), encoder, r"layers\.0\.0\.weight is \[16, 16\], not \[16, 12\]"),
        (lambda: encoder((16, 4)), encoder, r"projection\.layers\.1\.0\.weight"),
        (backbone, resnet34, "unknown"),
        (resnet34, backbone, "missing"),
        (backbone, lambda: CDSNetwork(backbone()), r"unknown \(heads"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_loaded(net, source, message):
    net = net()
    before = values(net)
    with pytest.raises(UserError, match=message):
        load_pretrained(net, arrays_of(source()), "a.pdparams")
    assert taken_and_anew(net, before)[0] == set()

import paddle
import pytest

from ppcds.methods.supervised import Supervised
from ppcds.runtime import seed_step
from ppcds.transforms.batched import BatchedAugmentation


def test_two_views_are_the_mean_of_each(make_classifier, make_views, labels):
    method = Supervised(make_classifier(), views=2)
    views = make_views(2)
    method.eval()
    both = float(method(views, labels)["loss"])
    alone = [float(method([view], labels)["loss"]) for view in views]
    assert both == pytest.approx(sum(alone) / 2, rel=1e-5)


def test_softmax_twice_cannot_fall_below_its_floor(make_classifier, make_views, labels):
    method = Supervised(make_classifier(num_classes=10), softmax_twice=True)
    method.backbone.fc.weight.set_value(method.backbone.fc.weight * 1000)  # as sure as it can be
    assert float(method(make_views(1), labels)["loss"]) > 1.461


def test_the_augmentation_changes_what_is_trained_on_and_not_what_is_deployed(make_classifier, labels):
    augmentation = BatchedAugmentation(min_area=0.25, brightness=0.6, jitter=0.2)
    plain, augmented = (Supervised(make_classifier(), augmentation=a) for a in (None, augmentation))
    seed_step(3)
    images = paddle.rand([8, 3, 32, 32])
    for method in (plain, augmented):
        method.eval()
    assert float(plain([images], labels)["loss"]) != float(augmented([images], labels)["loss"])
    same = plain.deployed()(images) - augmented.deployed()(images)
    assert float(same.abs().max()) == 0

import math

import paddle
import pytest

from ppcds.errors import UserError
from ppcds.losses import supcon_loss
from ppcds.methods.supcon import SupCon
from ppcds.options import check_options


@pytest.mark.parametrize("num_views", [2, 3])
def test_the_loss_is_supcon_of_all_views_in_one_pass(num_views, make_encoder, make_views, labels):
    method = SupCon(make_encoder(), temperature=0.2, views=num_views)
    assert method.views_used == num_views
    method.train()
    views = make_views(num_views)
    loss = float(method(views, labels)["supcon"])
    encoder = make_encoder()  # the same first weights
    encoder.train()
    _, projections = encoder.project(paddle.concat(views))
    expected = supcon_loss([projections[8 * v : 8 * v + 8] for v in range(num_views)], labels, 0.2)
    assert loss == pytest.approx(float(expected), rel=1e-6)
    assert method.noted["supcon_chance"] == pytest.approx(math.log(8 * num_views - 1))


def test_unlabelled_images_attract_their_own_views_alone(make_encoder, make_views, labels):
    method = SupCon(make_encoder())
    method.eval()  # no running statistics in between
    views = make_views(2)
    unlabelled = float(method(views, paddle.full_like(labels, -1))["loss"])
    assert float(method.noted["share_with_classmate"]) == 0
    alone = float(method(views, paddle.arange(8))["loss"])  # a class of its own for each
    together = float(method(views, labels)["loss"])
    assert float(method.noted["share_with_classmate"]) == 1
    assert unlabelled == pytest.approx(alone, rel=1e-6)
    assert abs(together - alone) > 1e-3


def test_one_view_is_refused_by_the_key_of_the_recipe():
    with pytest.raises(UserError, match="method.views: 1 should be greater than or equal to 2"):
        check_options(SupCon, {"views": 1}, "method", skip=("encoder",))

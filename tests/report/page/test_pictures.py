"""Pictures in the page: small, of the right colours, and heat where the map is."""

import base64

import cv2
import numpy as np

from ppcds.report.page.pictures import SIDE, as_seen, data_uri, heated
from ppcds.transforms.arrays import Normalize, ToArray
from ppcds.transforms.view import View


def decoded(uri):
    assert uri.startswith("data:image/jpeg;base64,")
    content = np.frombuffer(base64.b64decode(uri.split(",", 1)[1]), np.uint8)
    return cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1]


def test_a_large_image_is_made_small_and_keeps_its_colours_and_its_shape():
    image = np.zeros((400, 800, 3), np.uint8)
    image[:] = (200, 30, 90)
    found = decoded(data_uri(image))
    assert found.shape == (SIDE // 2, SIDE, 3)
    assert np.abs(found.astype(int) - (200, 30, 90)).max() <= 4
    assert decoded(data_uri(image[:1, :8])).shape == (1, 8, 3)  # a small one stays
    assert decoded(data_uri(image[:1])).shape[:2] == (1, SIDE)


def test_what_the_network_is_shown_has_the_colours_of_the_image():
    image = np.random.RandomState(0).randint(0, 256, (6, 8, 3)).astype("uint8")
    view = View([ToArray(), Normalize([0.4, 0.5, 0.6], [0.2, 0.3, 0.1])])
    assert np.array_equal(as_seen(view(image), view), image)
    plain = View([ToArray()])
    assert np.array_equal(as_seen(plain(image), plain), image)


def test_heat_is_where_the_map_is_largest():
    grey = np.full((40, 80, 3), 100, np.uint8)
    heat = np.zeros((2, 4), np.float32)
    heat[1, 3] = 0.001  # the scale is the map's own
    found = heated(grey, heat).astype(int)
    assert found[39, 79, 0] > found[0, 0, 0] + 60 and (found[0, 0] == 75).all()
    assert (heated(grey, np.zeros((2, 4), np.float32)) == 75).all()

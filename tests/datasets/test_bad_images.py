"""Images that cannot be read: an error with its name, another one in their place, or none."""

import numpy as np
import pytest

from ppcds.datasets import Sports10, packing
from ppcds.datasets.bad_images import LEFT_OUT, Substitutes, readable
from ppcds.datasets.cache import make_packed, packed_images
from ppcds.datasets.loader import batches_of, load_batches
from ppcds.datasets.packed import (
    NotUsable,
    crc_of,
    describe_packing,
    folder_of,
    open_packed,
    sealed,
    unsealed,
)
from ppcds.errors import UserError
from ppcds.runtime import seed_for
from ppcds.transforms import notebook_views

SIZE = (24, 32)


def show(image):
    """A view that is the image itself."""
    return np.ascontiguousarray(image.transpose(2, 0, 1).astype(np.float32))


@pytest.fixture
def split(tiny_sports10):
    """The training split, whose rows 3, 17 and 30 cannot be read."""
    made = Sports10(tiny_sports10, views=[show], size=SIZE)
    for row, content in (
        (3, b""),
        (17, b"text"),
        (30, (tiny_sports10 / made.filenames[30]).read_bytes()[:-300]),
    ):
        (tiny_sports10 / made.filenames[row]).write_bytes(content)
    return made


BAD = {3, 17, 30}


def read(split, batches, **options):
    loaded = load_batches(split, batches, **options)
    return [(views[0].numpy(), labels.numpy()) for views, labels in loaded]


def rows_of(split, batches, **options):
    """The rows whose images were shown, found by their pixels; -1 for none."""
    known = {split.load_image(row).tobytes(): row for row in range(len(split)) if row not in BAD}
    shown = read(split, batches, **options)
    found = [[known.get(image.transpose(1, 2, 0).astype(np.uint8).tobytes(), -1) for image in images]
             for images, _ in shown]  # fmt: skip
    return found, [labels.tolist() for _, labels in shown]


BATCHES = batches_of(40, 8, True, 5)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_names_the_file_the_reason_and_the_way_on(workers, split):
    with pytest.raises(UserError) as caught:
        read(split, BATCHES, num_workers=workers)
    message = str(caught.value)
    assert any(split.filenames[row] in message for row in BAD)
    assert message.endswith("or go on without it: -o data.on_bad_image=skip")
    assert "\n" not in message


@pytest.mark.parametrize("workers", [0, 2])
def test_another_image_and_its_label_take_the_place_and_no_batch_has_it_twice(workers, split):
    split.on_bad_image = "replace"
    found, labels = rows_of(split, BATCHES, num_workers=workers)
    for wanted, rows, given in zip(BATCHES, found, labels):
        assert [new for old, new in zip(wanted, rows) if old not in BAD] == [
            old for old in wanted if old not in BAD
        ]
        assert not BAD & set(rows) and -1 not in rows
        assert len(set(rows)) == len(rows)
        assert given == split.labels[rows].tolist()
    assert split.unreadable.keys() == BAD
    for row, reason in split.unreadable.items():
        assert split.filenames[row] in reason


def test_which_image_it_is_follows_from_seed_epoch_and_batch_alone(split):
    split.on_bad_image = "replace"
    whole, labels = rows_of(split, BATCHES, seed=1, epoch=2)
    assert rows_of(split, BATCHES, seed=1, epoch=2, num_workers=3) == (whole, labels)
    later = rows_of(split, BATCHES[2:], seed=1, epoch=2, first_batch=2)  # as after a resume
    assert later == (whole[2:], labels[2:])
    ranks = [rows_of(split, BATCHES, seed=1, epoch=2, rank=rank, num_ranks=2)[0] for rank in (0, 1)]
    assert [first + second for first, second in zip(*ranks)] == whole
    assert rows_of(split, BATCHES, seed=1, epoch=3)[0] != whole
    assert rows_of(split, BATCHES, seed=2, epoch=2)[0] != whole


def test_views_of_the_other_images_stay_what_they_were(split, tiny_sports10):
    split.views, split.on_bad_image = notebook_views()[:1], "replace"
    with_bad = read(split, BATCHES)
    sound = split.take(np.arange(40))
    for row in BAD:  # now they can be read
        sound.filenames[row] = sound.filenames[0]
    for batch, (images, _), (expected, _) in zip(BATCHES, with_bad, read(sound, BATCHES)):
        for place, row in enumerate(batch):
            if row not in BAD:
                np.testing.assert_array_equal(images[place], expected[place])


def test_a_substitute_that_is_bad_itself_is_passed_over_and_named(split, tiny_sports10):
    batch = [0, 1, 3, 5]
    first = next(Substitutes(split.labels, np.array(batch), seed=seed_of_first_batch()).of(2))
    (tiny_sports10 / split.filenames[first]).write_bytes(b"")
    split.on_bad_image = "replace"
    ((_, labels),) = read(split, [batch])
    assert split.unreadable.keys() == {3, first}
    second = list(Substitutes(split.labels, np.array(batch), seed=seed_of_first_batch()).of(2))
    second = next(row for row in second[1:] if row not in BAD)
    assert labels[2] == split.labels[second]


def seed_of_first_batch():
    return seed_for(0, 0, 0)


def test_an_unlabelled_image_is_replaced_by_an_unlabelled_one(split):
    split.labels = np.where(np.arange(40) % 2, split.labels, -1)  # of the bad ones 30 is unlabelled
    split.on_bad_image = "replace"
    for seed in range(5):
        ((_, labels),) = read(split, [[30, 0, 3, 1]], seed=seed)
        assert labels[0] == -1 and labels[2] >= 0


def test_every_place_of_a_batch_has_its_own_first_choice():
    labels = np.zeros(100, np.int64)
    batch = np.arange(20)
    choices = [list(Substitutes(labels, batch, 7).of(place)) for place in range(20)]
    assert len({choice for found in choices for choice in found[:4]}) == 80
    for found in choices:
        assert sorted(found) == list(range(100))
        assert set(found[80:]) == set(range(20))  # of the batch itself, when nothing else is left


def test_a_batch_of_everything_is_filled_from_itself(split):
    split.on_bad_image = "replace"
    small = split.take([1, 3, 5])
    ((_, labels),) = read(small, [[0, 1, 2]])
    assert labels[1] in (split.labels[1], split.labels[5])
    assert small.unreadable is split.unreadable and small.unreadable.keys() == {3}


@pytest.mark.parametrize("workers", [0, 2])
def test_nothing_that_can_be_read_is_an_error(workers, split, tiny_sports10):
    for filename in split.filenames:
        (tiny_sports10 / filename).write_bytes(b"")
    split.on_bad_image = "replace"
    with pytest.raises(
        UserError, match="no image of train can be read to take the place of a bad one: .*empty"
    ):
        read(split, BATCHES, num_workers=workers)
    split.on_bad_image = "leave out"
    ((_, labels),) = read(split, [[0, 1]])
    with pytest.raises(UserError, match="none of the 2 images can be read"):
        readable(np.zeros((2, 3)), labels)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_is_left_out_has_a_label_that_does_not_count(workers, split):
    split.on_bad_image = "leave out"
    batches = batches_of(40, 16, False)
    shown = read(split, batches, num_workers=workers)
    labels = np.concatenate([labels for _, labels in shown])
    assert set(np.flatnonzero(labels == LEFT_OUT)) == BAD
    found, kept = readable(np.arange(40), labels)
    assert set(range(40)) - set(found.tolist()) == BAD
    assert kept.tolist() == split.labels[found].tolist()


def test_packed_bad_images_are_marked_not_decoded_again_and_never_served(split, monkeypatch):
    expected = rows_of_policy(split, "replace"), rows_of_policy(split, "leave out")
    split.on_bad_image = "replace"
    packed = make_packed(split)
    assert packed.bad.keys() == BAD
    monkeypatch.setattr("ppcds.datasets.file_split.read_image", None)  # no file is read any more
    split.packed = packed_images(split, "use")
    for policy, (found, labels) in zip(("replace", "leave out"), expected):
        split.on_bad_image = policy
        shown = read(split, BATCHES)
        assert [labels.tolist() for _, labels in shown] == labels
        for (images, _), rows in zip(shown, found):
            for image, row in zip(images, rows):
                expected_pixels = packed.pixels[row].transpose(2, 0, 1) if row >= 0 else np.zeros((3, *SIZE))
                np.testing.assert_array_equal(image, expected_pixels)
    for row in BAD:
        with pytest.raises(UserError, match=split.filenames[row]):
            split.load_image(row)
    with pytest.raises(UserError, match=r"train_\d.jpg"):
        split.load_images([0, 3])
    part = split.take([30, 1])
    with pytest.raises(UserError, match=split.filenames[30]):
        part.load_image(0)
    assert part.load_image(1).any()


def rows_of_policy(split, policy):
    split.on_bad_image = policy
    return rows_of(split, BATCHES)


def test_what_was_packed_with_bad_images_is_refused_by_a_run_that_wants_none(split):
    split.on_bad_image = "replace"
    make_packed(split)
    split.on_bad_image = "error"
    split.packed = packed_images(split, "use")
    with pytest.raises(UserError, match="on_bad_image=skip"):
        read(split, BATCHES)


def test_packing_that_stops_at_a_bad_image_goes_on_with_skip_and_back_is_an_error(split, monkeypatch):
    monkeypatch.setattr(packing, "CHUNK", 3 * 24 * 32 * 3)
    with pytest.raises(UserError, match=r"train_\d.jpg"):
        make_packed(split)
    split.on_bad_image = "leave out"
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(packing, "describe_packing", stop)  # when all is packed
        make_packed(split)
    split.on_bad_image = "error"
    with pytest.raises(UserError, match=r"train_\d.jpg"):
        make_packed(split)
    split.on_bad_image = "leave out"
    assert make_packed(split).bad.keys() == BAD


def stop(split):
    raise RuntimeError


def test_an_image_that_was_mended_is_packed_anew(split, tiny_sports10):
    split.on_bad_image = "leave out"
    make_packed(split)
    (tiny_sports10 / split.filenames[3]).write_bytes((tiny_sports10 / split.filenames[4]).read_bytes())
    said = []
    assert make_packed(split, said.append).bad.keys() == BAD - {3}
    assert "image files have changed since" in said[0]


@pytest.mark.parametrize("content", ["", "[1]", '{"x": "y"}', '{"40": "y"}', '{"-1": "y"}', "[" * 100_000])
def test_a_list_of_bad_images_that_is_none_makes_the_folder_unusable(content, split):
    split.on_bad_image = "leave out"
    make_packed(split)
    folder = folder_of(split)
    (folder / "bad.json").write_text(content)
    about = unsealed((folder / "packed.json").read_bytes())
    about["blocks"]["bad.json"] = [[len(content), crc_of(folder / "bad.json", 0, len(content))]]
    (folder / "packed.json").write_text(sealed(about))
    with pytest.raises(NotUsable, match="bad.json"):
        open_packed(folder, describe_packing(split))

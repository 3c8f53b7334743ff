"""A folder of class folders, without a table."""

import cv2
import numpy as np
import pytest

from ppcds.datasets import ClassFolders
from ppcds.datasets.cache import make_packed
from ppcds.datasets.packed import describe_packing
from ppcds.errors import UserError


@pytest.fixture
def animals(tmp_path):
    """cat with 10 pictures, one of them deeper, and dog with 7, in no splits; other files between them."""
    root = tmp_path / "animals"
    for name, count in (("dog", 7), ("cat", 9)):
        (root / name).mkdir(parents=True)
        for i in range(count):
            write(root / name / f"{i}.JPG", i)
    (root / "cat" / "2024" / "may").mkdir(parents=True)
    write(root / "cat" / "2024" / "may" / "a b.png", 100)
    (root / "cat" / "notes.txt").write_text("no picture")
    (root / "cat" / ".thumbs").mkdir()
    write(root / "cat" / ".thumbs" / "0.jpg", 0)
    (root / ".git").mkdir()
    (root / "README.md").write_text("animals")
    return root


def write(path, number):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.RandomState(number).randint(0, 256, (20, 30, 3), np.uint8))


def message_of(root, split="train", **options):
    with pytest.raises(UserError) as caught:
        ClassFolders(root, split, **options)
    return str(caught.value)


def test_one_image_in_five_of_each_class_is_val_and_none_is_both(animals):
    train, val = ClassFolders(animals, "train"), ClassFolders(animals, "val")
    assert train.classes == val.classes == ("cat", "dog")
    assert np.bincount(train.labels).tolist() == [8, 6] and np.bincount(val.labels).tolist() == [2, 1]
    both = sorted(train.filenames + val.filenames)
    expected = (
        {f"dog/{i}.JPG" for i in range(7)} | {f"cat/{i}.JPG" for i in range(9)} | {"cat/2024/may/a b.png"}
    )
    assert set(both) == expected and len(both) == 17
    assert all(
        train.classes[label] == name.split("/")[0] for name, label in zip(train.filenames, train.labels)
    )


def test_the_parts_do_not_depend_on_the_order_of_listing_nor_on_the_place(animals, tmp_path):
    moved = tmp_path / "moved"
    before = ClassFolders(animals, "val").filenames
    animals.rename(moved)
    for name in ("dog", "cat"):  # listed in another order by most file systems
        (moved / name).rename(moved / "x")
        (moved / "x").rename(moved / name)
    assert ClassFolders(moved, "val").filenames == before


def test_folders_train_and_val_are_taken_as_they_are(tmp_path):
    for split, count in (("train", 3), ("val", 2)):
        for name in ("b", "a"):
            for i in range(count):
                write(tmp_path / split / name / f"{i}.png", i)
    train, val = ClassFolders(tmp_path, "train"), ClassFolders(tmp_path, "val")
    assert train.filenames[0] == "train/a/0.png" and train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert val.filenames == ["val/a/0.png", "val/a/1.png", "val/b/0.png", "val/b/1.png"]
    named = ClassFolders(tmp_path, "val", classes=("b", "a"))
    assert named.labels.tolist() == [1, 1, 0, 0]


def test_an_example_is_as_in_any_split(animals):
    val = ClassFolders(animals, "val", size=(24, 24))
    views, label = val[0]
    assert [view.shape for view in views] == [(3, 24, 24)] and label == val.labels[0]
    part = val.take([1])
    assert part.filenames == [val.filenames[1]] and np.array_equal(part.load_image(0), val.load_image(1))


def test_packed_images_are_stale_when_a_picture_is_added(animals):
    train = ClassFolders(animals, size=(24, 24))
    packed = make_packed(train, say=lambda line: None)
    assert np.array_equal(packed.read(3), train.load_image(3))
    assert ClassFolders(animals).classes == ("cat", "dog")  # "packed" is no class
    before = describe_packing(train)
    for number in range(200, 203):
        write(animals / "dog" / f"{number}.jpg", number)
    after = describe_packing(ClassFolders(animals, size=(24, 24)))
    assert before["list"] != after["list"]


def test_what_is_no_set_of_class_folders_is_refused_with_its_place(animals, tmp_path):
    assert message_of(tmp_path / "absent").startswith(f"no folder {tmp_path / 'absent'}")
    assert "class folders have the splits train and val, not 'test'" in message_of(animals, "test")
    write(animals / "loose.png", 0)
    assert message_of(animals) == f"{animals}/loose.png lies in no class's folder, beside 2 of them"
    (animals / "loose.png").unlink()
    (animals / "bird").mkdir()
    assert message_of(animals).startswith(f"{animals}/bird has no image")
    (animals / "bird").rmdir()
    (animals / "train").mkdir()
    assert message_of(animals).startswith(f"{animals} has a folder train and no val")
    (animals / "val").mkdir()
    assert "has 0 folders with images" in message_of(animals)


def test_a_class_of_val_that_train_does_not_have_is_named(tmp_path):
    for folder in ("train/cat", "train/dog", "val/cat", "val/dig"):
        write(tmp_path / folder / "0.png", 0)
    assert message_of(tmp_path, "val") == f"{tmp_path}: val has a folder of class 'dig', did you mean 'dog'?"


def test_a_link_that_leaves_the_folder_is_refused_and_one_within_is_read(animals, tmp_path):
    write(tmp_path / "outside.png", 0)
    (animals / "dog" / "within.jpg").symlink_to(animals / "dog" / "0.JPG")
    both = ClassFolders(animals, "train").filenames + ClassFolders(animals, "val").filenames
    assert "dog/within.jpg" in both
    (animals / "dog" / "outside.png").symlink_to(tmp_path / "outside.png")
    assert f"{animals}/dog/outside.png is a link that leaves {animals}" in message_of(animals)

"""STL-10's binary files: whole, cut by their user, cut off, and mislabelled."""

import pickle
import tarfile

import numpy as np
import pytest

from ppcds.datasets import STL10
from ppcds.datasets.loader import load_batches
from ppcds.datasets.prepare import place
from ppcds.datasets.verify import verify
from ppcds.datasets.verify_report import report
from ppcds.errors import UserError

COUNTS = {"train": 7, "test": 5, "unlabeled": 4}


@pytest.fixture
def pictures():
    """{part: RGB uint8 [N, 96, 96, 3]}."""
    random = np.random.RandomState(0)
    return {
        part: random.randint(0, 256, (count, 96, 96, 3)).astype(np.uint8) for part, count in COUNTS.items()
    }


@pytest.fixture
def labels():
    """{part: labels from 1}."""
    return {"train": [1, 10, 2, 3, 3, 7, 10], "test": [5, 1, 10, 4, 8]}


@pytest.fixture
def folder(tmp_path, pictures, labels):
    folder = tmp_path / "official" / "stl10_binary"
    folder.mkdir(parents=True)
    for part, images in pictures.items():
        with open(folder / f"{part}_X.bin", "wb") as file:
            for image in images:  # the red plane first, each plane column by column
                file.write(
                    b"".join(image[:, x, channel].tobytes() for channel in range(3) for x in range(96))
                )
    for part, values in labels.items():
        (folder / f"{part}_y.bin").write_bytes(bytes(values))
    (folder / "class_names.txt").write_text("\n".join(STL10.CLASSES) + "\n")
    (folder / "fold_indices.txt").write_text("0 1 2\n")
    return folder


def message_of(folder, split="train"):
    with pytest.raises(UserError) as caught:
        STL10(folder, split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_pixel_and_label_is_read(folder, pictures, labels):
    train = STL10(folder, views=[lambda image: image])
    assert train.labels.tolist() == [label - 1 for label in labels["train"]] + [-1] * 4
    assert train.labels.dtype == np.int64
    for i, picture in enumerate([*pictures["train"], *pictures["unlabeled"]]):
        np.testing.assert_array_equal(train.load_image(i), picture)
        views, label = train[i]
        np.testing.assert_array_equal(views[0], picture)
        assert label == train.labels[i]
    val = STL10(folder, "val")
    assert val.labels.tolist() == [4, 0, 9, 3, 7]
    np.testing.assert_array_equal(val.load_image(4), pictures["test"][4])
    assert [val.classes[label] for label in val.labels[:3]] == ["deer", "airplane", "truck"]
    with pytest.raises(IndexError):
        val[5]


def test_images_are_resized_and_shown_through_views(folder):
    assert STL10(folder, size=(32, 24))[0][0][1].shape == (3, 32, 24)
    assert len(STL10(folder, "val")[0][0]) == 1


def test_the_official_folder_may_lie_in_the_root_and_unlabelled_images_may_be_absent(folder, pictures):
    (folder / "unlabeled_X.bin").unlink()
    (folder / "class_names.txt").unlink()
    train = STL10(folder.parent)
    assert train.root == folder.parent and len(train) == 7
    np.testing.assert_array_equal(train.load_image(6), pictures["train"][6])


def test_a_part_reads_its_own_rows(folder, pictures):
    part = STL10(folder, views=[lambda image: image]).take([9, 0, 6]).take([2, 0])
    assert part.labels.tolist() == [9, -1] and part.rows.tolist() == [6, 9]
    np.testing.assert_array_equal(part[0][0][0], pictures["train"][6])
    np.testing.assert_array_equal(part[1][0][0], pictures["unlabeled"][2])


def test_a_split_is_small_when_handed_to_another_process_and_read_there(folder):
    train = STL10(folder, views=[])
    assert len(pickle.dumps(train)) < 5000
    train = STL10(folder)
    batches = [[0, 8], [10, 3]]
    alone, shared = (list(load_batches(train, batches, workers)) for workers in (0, 2))
    for (views, labels), (others, same) in zip(alone, shared):
        np.testing.assert_array_equal(views[0].numpy(), others[0].numpy())
        assert labels.tolist() == same.tolist()


@pytest.mark.parametrize("left", [0, 1000, 27648 * 6, 27648 * 7 - 1])
def test_a_truncated_file_is_named_with_the_bytes_expected(folder, left):
    path = folder / "train_X.bin"
    path.write_bytes(path.read_bytes()[:left])
    said = message_of(folder)
    assert said.startswith(f"{path} has {left} bytes, expected {7 * 27648}: 27648 for each of the 7 labels")
    assert "the official file has 138240000" in said
    assert len(STL10(folder, "val")) == 5  # another file


@pytest.mark.parametrize("left", [0, 100, 27649])
def test_a_truncated_unlabelled_file_is_named_too(folder, left):
    path = folder / "unlabeled_X.bin"
    path.write_bytes(path.read_bytes()[:left])
    assert message_of(folder) == (
        f"{path} has {left} bytes, no whole number of images of 27648 (the official file has 2764800000)"
    )


def test_a_file_that_is_cut_while_it_is_read_is_named(folder):
    train = STL10(folder)
    path = folder / "unlabeled_X.bin"
    path.write_bytes(path.read_bytes()[:-1])
    train.load_image(9)
    with pytest.raises(UserError, match="unlabeled_X.bin ends before the end of image 3"):
        train.load_image(10)
    path.unlink()
    with pytest.raises(UserError, match=r"cannot read .*unlabeled_X.bin: No such file"):
        train.load_image(10)


@pytest.mark.parametrize("wrong", [0, 11, 255])
def test_a_label_that_is_no_class_is_named_with_its_place(folder, wrong):
    path = folder / "test_y.bin"
    path.write_bytes(bytes([5, 1, wrong, 4, wrong]))
    expected = f"{path}: 2 of 5 labels are not from 1 to 10, the first is {wrong} at byte 2"
    assert message_of(folder, "val") == expected


@pytest.mark.parametrize("count", [6, 8])
def test_another_number_of_labels_than_images_is_refused(folder, count):
    (folder / "train_y.bin").write_bytes(bytes([1] * count))
    assert f"expected {count * 27648}" in message_of(folder)


def test_missing_files_other_classes_and_splits_are_named(folder):
    assert "STL-10 has the splits train and val" in message_of(folder, "test")
    (folder / "class_names.txt").write_text("\n".join(sorted(STL10.CLASSES, reverse=True)))
    assert "class_names.txt does not name STL-10's classes in their order: airplane" in message_of(folder)
    (folder / "class_names.txt").unlink()
    (folder / "train_y.bin").unlink()
    assert f"{folder / 'train_y.bin'} is missing" in message_of(folder)
    (folder / "train_X.bin").unlink()
    assert f"there is no train_X.bin in {folder}: get stl10_binary.tar.gz" in message_of(folder)


def archive_of(folder, *extra):
    path = folder.parent / "stl10_binary.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, folder.name)
        for file, name in extra:
            archive.add(file, name)
    return path


@pytest.mark.parametrize("source", ["archive", "folder", "parent"])
def test_prepare_data_puts_the_known_files_in_place_and_counts_them(tmp_path, folder, source):
    given = {"archive": archive_of(folder), "folder": folder, "parent": folder.parent}[source]
    made = place(given, tmp_path / "d")
    assert made == tmp_path / "d" / "STL10"
    names = {path.name for path in folder.iterdir()} - {"fold_indices.txt"}
    assert {path.name for path in made.iterdir()} == names
    assert all((made / name).read_bytes() == (folder / name).read_bytes() for name in names)
    summary = verify(made)
    assert summary["images"] == 16
    assert summary["splits"]["train"] == {
        "images": 11,
        "classes": {"": 4, "airplane": 1, "bird": 1, "car": 2, "horse": 1, "truck": 2},
    }
    assert (made / "prepare_summary.json").is_file()
    assert "unlabelled" in report(summary) and "most common sizes: 96x96 (16)" in report(summary)


def test_files_in_place_are_left_there(tmp_path, folder):
    root = folder.parent.parent
    assert place(folder, root / "official", "stl10_binary") == folder
    folder.parent.rename(root / "STL10")
    assert place(root / "STL10", root) == root / "STL10"
    assert not (root / "STL10" / "train_X.bin").exists()
    assert len(STL10(root / "STL10")) == 11


def test_an_archive_with_more_than_the_known_files_leaves_the_rest_out(tmp_path, folder):
    made = place(archive_of(folder, (__file__, "stl10_binary/run.py"), (__file__, "run.py")), tmp_path / "d")
    assert not list(made.rglob("*.py")) and len(STL10(made)) == 11
    with pytest.raises(UserError, match="leaves the folder"):
        place(archive_of(folder, (__file__, "../train_X.bin")), tmp_path / "e")
    assert not (tmp_path / "e").exists()


def test_a_truncated_archive_is_refused(tmp_path, folder):
    path = archive_of(folder)
    path.write_bytes(path.read_bytes()[:-20000])
    with pytest.raises(UserError, match="stl10_binary.tar.gz is damaged"):
        place(path, tmp_path / "d")
    assert not (tmp_path / "d").exists()

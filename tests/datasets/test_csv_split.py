import os
import time

import numpy as np
import pytest

from ppcds.datasets import CSVSplit, Sports10
from ppcds.datasets.images import read_image, resize
from ppcds.errors import UserError


def write_csv(root, *rows, split="train", header="filename,class"):
    (root / f"{split}_split.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def message_of(root, split="train", **options):
    with pytest.raises(UserError) as caught:
        Sports10(root, split, **options)
    return str(caught.value)


def test_an_example_is_a_list_of_views_and_a_label(tiny_sports10):
    train = Sports10(tiny_sports10, split="train")
    views, label = train[17]
    assert len(train) == 40
    assert type(views) is list and [view.shape for view in views] == [(3, 72, 128)] * 2
    assert {view.dtype for view in views} == {np.dtype(np.float32)}
    assert label == 4 and type(label) is int
    views, label = Sports10(tiny_sports10, split="val")[19]
    assert len(views) == 1 and label == 9


def test_labels_follow_the_order_of_the_classes(tiny_sports10):
    train = Sports10(tiny_sports10)
    assert train.classes[:3] == ("AmericanFootball", "Basketball", "BikeRacing")
    assert train.classes[7:] == ("TableTennis", "Tennis", "Volleyball")
    assert train.labels.dtype == np.int64
    assert train.labels.tolist() == [label for label in range(10) for _ in range(4)]
    assert train.filenames[4] == "Basketball/train_0.jpg"
    reordered = CSVSplit(tiny_sports10, classes=Sports10.CLASSES[::-1])
    assert reordered.labels.tolist() == [9 - label for label in train.labels]


def test_without_classes_the_sorted_names_of_train_are_taken(tiny_sports10):
    write_csv(tiny_sports10, "Tennis/train_0.jpg,Tennis", "Hockey/train_0.jpg,Hockey")
    write_csv(tiny_sports10, "Tennis/val_0.jpg,Tennis", split="val")
    val = CSVSplit(tiny_sports10, "val")
    assert val.classes == ("Hockey", "Tennis") and val.labels.tolist() == [1]


def test_load_image_is_the_resized_file_before_the_views(tiny_sports10):
    path = tiny_sports10 / "Tennis" / "val_0.jpg"
    options = {"split": "val", "views": [lambda image: image]}
    for size, interpolation in (((72, 128), "bilinear"), ((20, 30), "area")):
        val = Sports10(tiny_sports10, size=size, interpolation=interpolation, **options)
        expected = resize(read_image(path), size, interpolation)
        np.testing.assert_array_equal(val.load_image(16), expected)
        np.testing.assert_array_equal(val[16][0][0], expected)
    assert Sports10(tiny_sports10, size=None, **options).load_image(16).shape == (60, 100, 3)


def test_fast_decoding_reads_the_image_at_half_its_size(tiny_sports10):
    options = {"split": "val", "size": (30, 50), "interpolation": "area"}
    exact, fast = Sports10(tiny_sports10, **options), Sports10(tiny_sports10, decode="fast", **options)
    assert exact.read_image(16).shape == (60, 100, 3) and fast.read_image(16).shape == (30, 50, 3)
    difference = np.abs(fast.load_image(16).astype(int) - exact.load_image(16))
    assert 0 < difference.mean() < 3
    assert Sports10(tiny_sports10, size=None, decode="fast").load_image(16).shape == (60, 100, 3)


def test_a_part_holds_its_rows_in_the_order_asked_and_the_whole_stays(tiny_sports10):
    whole = Sports10(tiny_sports10, views=[lambda image: image])
    part = whole.take(np.array([17, 3, 39])).take([2, 0])
    assert part.filenames == ["Volleyball/train_3.jpg", "Fighting/train_1.jpg"]
    assert part.labels.tolist() == [9, 4] and part.rows.tolist() == [39, 17]
    assert len(part) == 2 and len(whole) == 40
    np.testing.assert_array_equal(part[1][0][0], whole[17][0][0])
    assert len(whole.take([])) == 0


def test_each_view_gets_the_image_and_any_number_is_possible(tiny_sports10):
    train = Sports10(tiny_sports10, views=[lambda x: x[0], lambda x: x[1], lambda x: x[2]])
    views, _ = train[0]
    assert [view.shape for view in views] == [(128, 3)] * 3


def test_a_blank_class_in_train_is_label_minus_one(tiny_sports10):
    write_csv(tiny_sports10, "Tennis/train_0.jpg,", "Tennis/train_1.jpg,Tennis", "Tennis/train_2.jpg, ")
    train = Sports10(tiny_sports10)
    assert train.labels.tolist() == [-1, 8, -1]
    assert train[0][1] == -1
    assert CSVSplit(tiny_sports10).classes == ("Tennis",)


def test_a_blank_class_in_val_is_a_mistake(tiny_sports10):
    write_csv(tiny_sports10, "Tennis/val_0.jpg,Tennis", "Tennis/val_1.jpg,", split="val")
    assert message_of(tiny_sports10, "val") == "val_split.csv line 3: no class"


def test_paths_as_windows_writes_them_and_a_byte_order_mark_are_read(tiny_sports10):
    text = "filename,class\r\nTennis\\train_0.jpg,Tennis\r\n"
    (tiny_sports10 / "train_split.csv").write_bytes(text.encode("utf-8-sig"))
    assert Sports10(tiny_sports10).filenames == ["Tennis/train_0.jpg"]


def test_more_columns_in_another_order_are_fine(tiny_sports10):
    write_csv(tiny_sports10, "0,Tennis,Tennis/train_0.jpg", header=",class,filename")
    assert Sports10(tiny_sports10).labels.tolist() == [8]


def test_a_missing_image_is_reported_with_its_line_in_the_file(tiny_sports10):
    rows = ["Tennis/train_0.jpg,Tennis", "", "Tennis/train_1.jpg,Tennis", "Tennis/a.jpg,Tennis"]
    write_csv(tiny_sports10, *rows)
    expected = f"train_split.csv line 5: 'Tennis/a.jpg' not found under {tiny_sports10}"
    assert message_of(tiny_sports10) == expected


def test_a_folder_is_no_image(tiny_sports10):
    (tiny_sports10 / "Tennis" / "x.jpg").mkdir()
    write_csv(tiny_sports10, "Tennis/x.jpg,Tennis")
    assert "'Tennis/x.jpg' not found" in message_of(tiny_sports10)


def test_an_unknown_class_suggests_the_nearest(tiny_sports10):
    write_csv(tiny_sports10, "Tennis/train_0.jpg,Tenis")
    assert (
        message_of(tiny_sports10) == "train_split.csv line 2: unknown class 'Tenis', did you mean 'Tennis'?"
    )


def test_all_problems_are_counted_and_ten_are_shown(tiny_sports10):
    write_csv(tiny_sports10, *(f"Tennis/none_{i}.jpg,Tenis" for i in range(20)), "Tennis/train_0.jpg,Tennis")
    lines = message_of(tiny_sports10).splitlines()
    assert lines[0] == "40 problems in train_split.csv, the first 10:"
    assert len(lines) == 11
    assert lines[1].startswith("  train_split.csv line 2: 'Tennis/none_0.jpg' not found")
    assert "line 6: unknown class" in lines[10]


@pytest.mark.parametrize(
    "filename",
    [
        "../outside.jpg",
        "Tennis/../../outside.jpg",
        "Tennis/..",
        "..\\outside.jpg",
        "out/outside.jpg",
        "link.jpg",
    ],
)
def test_paths_that_leave_the_root_are_refused_though_the_file_exists(tiny_sports10, filename):
    outside = tiny_sports10.parent / "elsewhere"
    outside.mkdir()
    for copy in (outside / "outside.jpg", tiny_sports10.parent / "outside.jpg"):
        copy.write_bytes((tiny_sports10 / "Tennis" / "train_0.jpg").read_bytes())
    os.symlink(outside, tiny_sports10 / "out")
    os.symlink(outside / "outside.jpg", tiny_sports10 / "link.jpg")
    write_csv(tiny_sports10, f"{filename},Tennis")
    assert message_of(tiny_sports10).endswith(f"leaves {tiny_sports10}")


@pytest.mark.parametrize("filename", ["/etc/hostname", "C:\\data\\a.jpg", "\\\\server\\a.jpg", "C:a.jpg"])
def test_absolute_paths_are_refused(tiny_sports10, filename):
    write_csv(tiny_sports10, f"{filename},Tennis")
    assert f"is not relative to {tiny_sports10}" in message_of(tiny_sports10)


def test_links_within_the_root_and_to_the_root_are_fine(tiny_sports10):
    os.symlink(tiny_sports10 / "Tennis", tiny_sports10 / "SameTennis")
    os.symlink(tiny_sports10 / "Tennis" / "train_0.jpg", tiny_sports10 / "Hockey" / "link.jpg")
    write_csv(tiny_sports10, "SameTennis/train_1.jpg,Tennis", "Hockey/link.jpg,Tennis")
    link = tiny_sports10.parent / "link"
    os.symlink(tiny_sports10, link)
    assert len(Sports10(link)) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "train_split.csv is empty"),
        ("filename,class\n", "train_split.csv has no rows"),
        ("filename,class\n\n,\n", "train_split.csv has no rows"),
        ("file,label\na,b\n", "train_split.csv line 1: no column filename and class; found file, label"),
        ("filename\na.jpg\n", "train_split.csv line 1: no column class; found filename"),
        ("filename,class\na.jpg,Tennis\n\nb,c.jpg,Tennis\n", "train_split.csv line 4 has 3 fields, not 2"),
        ('filename,class\n"a.jpg,Tennis\n', "train_split.csv line 2: a quote is not closed"),
        (",Tennis\n", "no column filename and class"),
        ("filename,class\n,Tennis\n", "train_split.csv line 2: no filename"),
    ],
)
def test_a_csv_without_rows_or_columns_is_refused(tiny_sports10, content, message):
    (tiny_sports10 / "train_split.csv").write_text(content)
    said = message_of(tiny_sports10)
    assert message in said and "\n" not in said


def test_a_file_of_two_classes_is_a_mistake_and_both_lines_are_told(tiny_sports10):
    rows = ["Tennis/train_0.jpg,Tennis", "Hockey/train_0.jpg,Hockey", "Tennis\\train_0.jpg,Hockey"]
    write_csv(tiny_sports10, *rows)
    said = "train_split.csv line 4: 'Tennis/train_0.jpg' is class 'Hockey' here, and 'Tennis' on line 2"
    assert message_of(tiny_sports10) == said


def test_files_that_several_rows_name_are_counted_and_kept(tiny_sports10):
    rows = ["Tennis/train_0.jpg,Tennis", "Hockey/train_0.jpg,Hockey", "./Tennis/train_0.jpg,Tennis"]
    write_csv(tiny_sports10, *rows, "Hockey/train_0.jpg,")
    with pytest.warns(UserWarning) as caught:
        train = Sports10(tiny_sports10)
    said = "train_split.csv names 2 files in several rows, each of which counts; the first is "
    assert [str(warning.message) for warning in caught] == [f"{said}'Tennis/train_0.jpg' on lines 2, 4"]
    assert train.labels.tolist() == [8, 5, 8, -1]
    assert train.filenames[0] == train.filenames[2]


def test_a_line_that_is_meant_as_a_comment_is_told_that_it_is_none(tiny_sports10):
    write_csv(tiny_sports10, "# the courts", "Tennis/train_0.jpg,Tennis")
    assert "line 2: '# the courts' not found" in message_of(tiny_sports10)
    assert "(no line is a comment)" in message_of(tiny_sports10)


def test_a_name_of_a_thousand_letters_is_cut_in_the_message(tiny_sports10):
    write_csv(tiny_sports10, f"{'x' * 1000},Tennis")
    assert len(message_of(tiny_sports10)) < 400 + len(str(tiny_sports10))


def test_a_missing_folder_and_a_missing_csv_are_named(tiny_sports10):
    assert "no folder" in message_of(tiny_sports10 / "none")
    assert f"no file {tiny_sports10 / 'test_split.csv'}" in message_of(tiny_sports10, "test")


def test_train_without_any_class_cannot_name_its_classes(tiny_sports10):
    write_csv(tiny_sports10, "Tennis/train_0.jpg,")
    with pytest.raises(UserError, match="names no class"):
        CSVSplit(tiny_sports10)


def test_an_unknown_interpolation_or_decoding_is_refused(tiny_sports10):
    assert "did you mean 'bilinear'" in message_of(tiny_sports10, interpolation="bilinar")
    assert "unknown decode 'fats', did you mean 'fast'" in message_of(tiny_sports10, decode="fats")


def test_a_broken_image_is_named_when_it_is_read(tiny_sports10):
    path = tiny_sports10 / "AmericanFootball" / "train_0.jpg"
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(UserError, match="AmericanFootball/train_0.jpg is a truncated JPEG"):
        Sports10(tiny_sports10)[0]


def test_thirty_thousand_rows_are_checked_in_a_second_or_two(tiny_sports10):
    rows = [f"Tennis/{i:05d}.jpg,Tennis" for i in range(30000)]
    for row in rows:
        (tiny_sports10 / row.split(",")[0]).touch()
    write_csv(tiny_sports10, *rows)
    start = time.perf_counter()
    assert len(Sports10(tiny_sports10)) == 30000
    assert time.perf_counter() - start < 3

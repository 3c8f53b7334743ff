"""What prepare_summary.json says of a data set."""

import json
import os
import shutil

import cv2
import numpy as np
import pytest

from ppcds.datasets.verify import count_faults, verify
from ppcds.datasets.verify_report import report, verdict


def test_the_summary_says_what_is_there_and_what_is_not(tiny_sports10):
    tennis, hockey = tiny_sports10 / "Tennis", tiny_sports10 / "Hockey"
    cv2.imwrite(str(tennis / "train_0.jpg"), np.zeros((72, 128, 3), np.uint8))
    (tennis / "train_1.jpg").write_bytes((tennis / "train_1.jpg").read_bytes()[:-200])
    (tennis / "train_2.jpg").write_bytes(b"")
    (tennis / "val_0.jpg").write_text("not an image")
    (hockey / "train_3.jpg").unlink()
    shutil.copy(hockey / "val_0.jpg", hockey / "extra.jpg")
    with open(tiny_sports10 / "train_split.csv", "a", encoding="utf-8") as csv:
        csv.write("../secret.jpg,Hockey\nSoccer/val_0.jpg,\n")

    summary = verify(tiny_sports10)
    assert summary == json.loads((tiny_sports10 / "prepare_summary.json").read_text(encoding="utf-8"))
    assert summary["images"] == 61
    assert summary["splits"]["train"]["images"] == 42
    assert summary["splits"]["train"]["classes"]["Hockey"] == 5
    assert summary["splits"]["train"]["classes"][""] == 1
    assert summary["splits"]["val"]["classes"]["Tennis"] == 2
    assert set(summary["broken"]) == {"Tennis/train_1.jpg", "Tennis/train_2.jpg", "Tennis/val_0.jpg"}
    assert "truncated" in summary["broken"]["Tennis/train_1.jpg"]
    assert set(summary["missing"]) == {"Hockey/train_3.jpg", "../secret.jpg"}
    assert summary["not_listed"] == ["Hockey/extra.jpg"]
    assert summary["in_both_splits"] == {"Soccer/val_0.jpg": "Soccer/val_0.jpg is in both"}
    assert summary["sizes"] == {
        "width": {"min": 100, "median": 100, "max": 128},
        "height": {"min": 60, "median": 60, "max": 72},
        "most_common": {"100x60": 55, "128x72": 1},
    }
    assert count_faults(summary) == 5 and verdict(summary) == "5 broken or missing"
    assert "Tennis/val_0.jpg is not an image" in report(summary)


@pytest.mark.parametrize(
    ("name", "split", "row", "unknown"),
    [
        (
            "Mine",
            "val",
            "Tennis/train_0.jpg,Curling",
            {"Curling": "'Curling': 1 in val_split.csv, none in train"},
        ),
        ("Mine", "val", "Tennis/val_0.jpg,", {"": "no class: 1 in val_split.csv"}),
        ("Mine", "train", "Tennis/val_0.jpg,Curling", {}),
        (
            "Sports10",
            "train",
            "Tennis/val_0.jpg,Tenis",
            {"Tenis": "'Tenis': no class of Sports10, did you mean"},
        ),
        ("Sports10", "train", "Tennis/val_0.jpg,", {}),
    ],
)
def test_a_class_that_training_would_refuse_is_a_fault(name, split, row, unknown, tiny_sports10):
    with open(tiny_sports10 / f"{split}_split.csv", "a", encoding="utf-8") as csv:
        csv.write(f"{row}\n")
    summary = verify(tiny_sports10.rename(tiny_sports10.with_name(name)))
    assert count_faults(summary) == len(unknown)
    assert list(summary["unknown_classes"]) == list(unknown)
    printed = report(summary)
    assert f"unknown classes: {len(unknown)}\n" in printed
    for key, reason in unknown.items():
        assert summary["unknown_classes"][key].startswith(reason)
        assert f"\n  {reason}" in printed


def test_the_same_image_in_train_and_val_is_found_by_its_bytes(tiny_sports10):
    copies = {"Tennis/val_0.jpg": "Tennis/train_1.jpg", "Soccer/val_1.jpg": "Hockey/train_0.jpg"}
    for copy, original in copies.items():
        shutil.copy(tiny_sports10 / original, tiny_sports10 / copy)
    summary = verify(tiny_sports10)
    assert summary["in_both_splits"] == {
        "Soccer/val_1.jpg": "Soccer/val_1.jpg is Hockey/train_0.jpg, byte for byte "
        "(as 'Soccer' here, as 'Hockey' there)",
        "Tennis/val_0.jpg": "Tennis/val_0.jpg is Tennis/train_1.jpg, byte for byte",
    }
    assert summary["copies"] == {} and count_faults(summary) == 0
    assert "in both splits: 2\n  Soccer/val_1.jpg is Hockey/train_0.jpg" in report(summary)


def test_copies_within_a_split_are_counted(tiny_sports10):
    for name in ("Tennis/train_3.jpg", "Tennis/train_0.jpg", "Hockey/val_0.jpg"):
        shutil.copy(tiny_sports10 / "Tennis/train_1.jpg", tiny_sports10 / name)
    summary = verify(tiny_sports10)
    assert list(summary["copies"].values()) == [
        "Tennis/train_1.jpg is Tennis/train_0.jpg, byte for byte",
        "Tennis/train_3.jpg is Tennis/train_0.jpg, byte for byte",
    ]
    assert list(summary["in_both_splits"]) == ["Hockey/val_0.jpg"]


def test_rows_that_repeat_a_file_are_counted_and_two_classes_of_one_are_a_fault(tiny_sports10):
    with open(tiny_sports10 / "train_split.csv", "a", encoding="utf-8") as csv:
        csv.write("Tennis\\train_0.jpg,Tennis\n./Hockey/train_0.jpg,Soccer\n")
    summary = verify(tiny_sports10)
    assert summary["repeated_rows"]["Tennis/train_0.jpg"] == (
        "Tennis/train_0.jpg: lines 34, 42 of train_split.csv"
    )
    said = "train_split.csv line 43: 'Hockey/train_0.jpg' is class 'Soccer' here, and 'Hockey' on line 22"
    assert summary["two_classes"] == {"Hockey/train_0.jpg": said}
    assert count_faults(summary) == 1 and verdict(summary) == "none broken or missing, two classes: 1"
    assert summary["images"] == 60 and summary["splits"]["train"]["images"] == 42


def test_broken_files_that_are_the_same_are_no_images_in_both(tiny_sports10):
    for name in ("Tennis/train_0.jpg", "Tennis/val_0.jpg"):
        (tiny_sports10 / name).write_bytes(b"")
    summary = verify(tiny_sports10)
    assert len(summary["broken"]) == 2 and summary["in_both_splits"] == {}


def test_a_file_whose_name_is_no_text_does_not_stop_the_summary(tiny_sports10):
    shutil.copy(tiny_sports10 / "Tennis/train_0.jpg", os.fsencode(tiny_sports10) + b"/\xcd\xf8.jpg")
    summary = verify(tiny_sports10)
    assert summary["not_listed"] == ["\\udccd\\udcf8.jpg"]
    report(summary).encode("utf-8")

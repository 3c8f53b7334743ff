"""Neighbours are the nearest by cosine, and VisualDL reads back what was written."""

import csv

import numpy as np
import pytest
from visualdl import LogReader

from ppcds.errors import UserError
from ppcds.report import embedding_files
from ppcds.report.embedding_files import nearest_neighbours, write_high_dimensional, write_neighbours

ANGLES = np.radians([0, 10, 40, 180, 0])
ROWS = (np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1) * [[1], [7], [2], [3], [5]]).astype("float32")


def test_neighbours_are_those_of_the_smallest_angle_whatever_the_length():
    distances, rows = nearest_neighbours(ROWS, 2)
    assert [rows[i].tolist() for i in (0, 3, 4)] == [[4, 1], [2, 1], [0, 1]]  # 0 and 4 are doubles
    assert sorted(rows[1].tolist()) == [0, 4] and rows[2][0] == 1
    np.testing.assert_allclose(distances[0], [0, 1 - np.cos(ANGLES[1])], atol=1e-6)
    np.testing.assert_allclose(distances[3], 1 - np.cos(np.radians([140, 170])), atol=1e-6)
    assert (distances >= 0).all()


def test_there_are_at_most_as_many_neighbours_as_other_images():
    assert nearest_neighbours(ROWS[:3], 10)[1].shape == (3, 2)
    for rows, neighbours in ((ROWS[:1], 5), (ROWS, 0)):
        distances, found = nearest_neighbours(rows, neighbours)
        assert distances.shape == found.shape == (len(rows), 0)


def test_the_table_names_the_neighbours_of_each_row(tmp_path):
    names, classes = ["a,b.png", "2.png", "3.png", "4.png", "5.png"], ["x", "x", "", "y", "y"]
    write_neighbours(tmp_path / "t.csv", names, classes, *nearest_neighbours(ROWS, 1))
    with open(tmp_path / "t.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "class", "neighbour1", "distance1"]
    assert [(row["file"], row["class"]) for row in rows] == list(zip(names, classes))
    assert (rows[0]["neighbour1"], float(rows[0]["distance1"])) == ("5.png", 0)
    assert (rows[3]["neighbour1"], rows[3]["distance1"]) == ("3.png", f"{1 - np.cos(np.radians(140)):.6f}")


def points_in(folder, tag):
    (file,) = folder.glob("*vdlrecords*.log")
    (found,) = LogReader(file_path=str(file)).get_data("embeddings", tag)
    points = found.embeddings.embeddings
    return [list(point.vectors) for point in points], [list(point.label) for point in points]


def test_visualdl_reads_vectors_classes_and_files_back(tmp_path):
    names, classes = [f"{i}.png" for i in range(5)], ["x", "x", "", "y", "y"]
    assert write_high_dimensional(tmp_path, "stage2", ROWS, names, classes) == 5
    vectors, labels = points_in(tmp_path, "stage2")
    np.testing.assert_allclose(vectors, ROWS, rtol=1e-6)
    assert labels == [list(pair) for pair in zip(classes, names)]


def test_of_many_rows_some_are_shown_from_the_first_to_the_last(tmp_path, monkeypatch):
    monkeypatch.setattr(embedding_files, "MOST_SHOWN", 3)
    names = [f"{i}.png" for i in range(5)]
    assert write_high_dimensional(tmp_path, "features", ROWS, names, [""] * 5) == 3
    assert [label[1] for label in points_in(tmp_path, "features")[1]] == ["0.png", "2.png", "4.png"]


def test_records_that_cannot_be_written_are_a_mistake_in_words(tmp_path):
    (tmp_path / "vdl").write_text("a file")
    with pytest.raises(UserError, match="cannot write VisualDL's records to .*vdl: is its disk full"):
        write_high_dimensional(tmp_path / "vdl", "features", ROWS, list("abcde"), [""] * 5)

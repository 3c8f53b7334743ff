"""Latencies are medians of turns."""

import time

import numpy as np

from ppcds.export import latency


def test_each_model_is_timed_on_batches_of_the_size_that_was_asked_for(monkeypatch):
    monkeypatch.setattr(latency, "SECONDS", 0.05)
    shapes = set()

    def model(seconds):
        def run(images):
            shapes.add((images.shape, images.dtype.name))
            time.sleep(seconds)

        return run

    found = latency.measure_latency({"fast": model(0.001), "slow": model(0.02)}, (3, 8, 9), batch=5)
    assert shapes == {((5, 3, 8, 9), "float32")}
    assert len(found["fast"]) == len(found["slow"]) == latency.FEWEST
    assert np.median(found["slow"]) > 15 and np.median(found["fast"]) < np.median(found["slow"])


def test_the_table_shows_median_and_spread_in_milliseconds():
    took = {"network": np.arange(1.0, 12.0), "model.onnx": np.full(11, 2.5)}
    lines = latency.latency_table({1: took, 16: took}, "a processor, 1 thread").splitlines()
    assert lines[0].endswith("median (10th to 90th percentile): a processor, 1 thread")
    assert lines[1].split() == ["batch", "network", "model.onnx"]
    assert lines[3].split() == ["16", "6.00", "(2.00", "to", "10.00)", "2.50", "(2.50", "to", "2.50)"]

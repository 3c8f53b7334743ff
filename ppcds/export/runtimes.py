"""Exported models, opened by the libraries that run them on a processor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

Model = Callable[[np.ndarray], np.ndarray]  # images [N, 3, H, W] float32 -> outputs [N, K] float32


def open_model(file: Path, threads: int = 1) -> Model:
    """A .json or .pdmodel (parameters beside it) or .onnx as a function, for one caller at a time."""
    return _open_onnx(file, threads) if file.suffix == ".onnx" else _open_paddle(file, threads)


def _open_paddle(file: Path, threads: int) -> Model:
    """By Paddle Inference, with its defaults for a processor: oneDNN and fused layers."""
    from paddle import inference

    config = inference.Config(str(file), str(file.with_suffix(".pdiparams")))
    config.disable_gpu()
    config.disable_glog_info()
    config.set_cpu_math_library_num_threads(threads)
    predictor = inference.create_predictor(config)
    images_in = predictor.get_input_handle(predictor.get_input_names()[0])
    out = predictor.get_output_handle(predictor.get_output_names()[0])

    def model(images: np.ndarray) -> np.ndarray:
        images_in.copy_from_cpu(np.ascontiguousarray(images))
        predictor.run()
        return out.copy_to_cpu()

    return model


def _open_onnx(file: Path, threads: int) -> Model:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; it warns of constants that the converter leaves unused
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]

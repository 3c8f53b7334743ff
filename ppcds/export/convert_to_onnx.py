"""What formats.py starts: python convert_to_onnx.py PROGRAM PARAMETERS TARGET OPSET"""

from __future__ import annotations

import inspect
import sys


def main(program: str, parameters: str, target: str, opset: str) -> None:
    import paddle2onnx

    options = {"opset_version": int(opset), "auto_upgrade_opset": True}
    if "optimize_tool" in inspect.signature(paddle2onnx.export).parameters:
        # its default installs packages by itself; onnxruntime does the same when it opens a model
        options["optimize_tool"] = "None"
    paddle2onnx.export(program, parameters, target, **options)


if __name__ == "__main__":
    main(*sys.argv[1:])

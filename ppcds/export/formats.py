"""The files a network can be written to, and which of them this installation can write."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import warnings
from importlib import metadata
from pathlib import Path

import paddle
from paddle.static import InputSpec

from ppcds.errors import UserError

STEM = "model"  # of all files but preprocess.json
OPSET = 13  # of ONNX: what every onnxruntime since 1.6 reads
CONVERTER = Path(__file__).with_name("convert_to_onnx.py")


class NotConvertible(UserError):
    """A network that cannot be written in one of the formats, though others can be."""


def write_json(network: paddle.nn.Layer, size: tuple[int, int], folder: Path) -> None:
    """model.json and model.pdiparams, what Paddle 3 writes, of images [N, 3, *size]."""
    _save(network, size, folder)


def write_pdmodel(network: paddle.nn.Layer, size: tuple[int, int], folder: Path) -> None:
    """model.pdmodel and model.pdiparams, what Paddle 2 wrote and 3 still reads.

    Raises NotConvertible: Paddle 3 has operations that its older programs lack (3.3: the sigmoid, of
    selective kernels for instance).
    """
    try:
        with _older_programs():
            _save(network, size, folder)
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:
        if not _writes_pir():
            raise
        reason = str(error).strip().splitlines()[-1].strip()
        raise NotConvertible(f"Paddle {paddle.__version__} cannot write this network so: {reason}") from error
    _forget_call_stack(folder / f"{STEM}.pdmodel")


def write_onnx(network: paddle.nn.Layer, size: tuple[int, int], folder: Path) -> None:
    """model.onnx, converted by paddle2onnx from the format that this Paddle prefers.

    In a process of its own, since its C++ part ends the process where it meets what it does not know; raises
    NotConvertible then.
    """
    with tempfile.TemporaryDirectory(dir=folder) as inner:
        _save(network, size, Path(inner))
        program = next(path for path in Path(inner).iterdir() if path.suffix in (".json", ".pdmodel"))
        parameters, target = program.with_suffix(".pdiparams"), folder / f"{STEM}.onnx"
        command = [sys.executable, str(CONVERTER), str(program), str(parameters), str(target), str(OPSET)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode or not target.is_file():
            said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            reason = said[-1] if said else f"its process ended with status {done.returncode}"
            raise NotConvertible(f"paddle2onnx cannot convert this network: {reason}")


WRITERS = {"json": write_json, "pdmodel": write_pdmodel, "onnx": write_onnx}


def reason_against(name: str) -> str | None:
    """Why this installation cannot write a format, and what to do; None if it can."""
    if name == "json" and not _writes_pir():
        return f"Paddle {paddle.__version__} cannot write it: it takes Paddle 3"
    if name == "pdmodel" and _writes_pir() and _older_guard() is None:
        return f"Paddle {paddle.__version__} no longer writes it"
    if name == "onnx":
        missing = [one for one in ("paddle2onnx", "onnxruntime") if importlib.util.find_spec(one) is None]
        if missing:
            return f'{" and ".join(missing)} not installed: pip install "ppcds[export]"'
        found = metadata.version("paddle2onnx")
        if not _writes_pir() and int(found.split(".")[0]) >= 2:
            return f'paddle2onnx {found} takes Paddle 3: pip install "paddle2onnx<2"'
    return None


def _save(network: paddle.nn.Layer, size: tuple[int, int], folder: Path) -> None:
    images = InputSpec([None, 3, *size], "float32", "images")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Paddle about its own tracing
        paddle.jit.save(network, str(folder / STEM), input_spec=[images])
    # for training it further with paddle.jit.load; a pickle, and nothing that runs a model reads it
    with contextlib.suppress(FileNotFoundError):
        os.unlink(folder / f"{STEM}.pdiparams.info")


def _forget_call_stack(file: Path) -> None:
    """Take out who called what from where: source lines and paths of the machine it was exported on."""
    description = paddle.base.core.ProgramDesc(file.read_bytes())
    for block in map(description.block, range(description.num_blocks())):
        for operation in map(block.op, range(block.op_size())):
            if operation.has_attr("op_callstack"):
                operation.remove_attr("op_callstack")
    file.write_bytes(description.serialize_to_string())


def _writes_pir() -> bool:
    """Whether programs are those of Paddle 3 (PIR), unless FLAGS_enable_pir_api=0 says otherwise."""
    uses_pir = getattr(paddle.framework, "use_pir_api", None)
    return uses_pir is not None and uses_pir()


def _older_guard():
    return getattr(getattr(paddle, "pir_utils", None), "DygraphOldIrGuard", None)


def _older_programs():
    return _older_guard()() if _writes_pir() else contextlib.nullcontext()

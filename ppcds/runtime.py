"""Device, threads and seeds: each is decided here and nowhere else."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import random
import sys
import warnings
import zlib  # noqa: F401  before Paddle 2.6, whose own copy would crash Pillow where it writes a PNG
from pathlib import Path

from ppcds.errors import UserError

_SET_HERE: dict[str, str] = {}  # what prepare_processor has put into the environment


def prepare_processor(threads: int | None = None, log_level: int = 1) -> None:
    """Set the processor's environment before Paddle is loaded; what the user has set stays.

    Paddle's CPU build takes a slow path of its matrix library on AMD processors, and one thread, unless
    MKL_DEBUG_CPU_TYPE and OMP_NUM_THREADS say otherwise. threads: all cores unless given, shared by the
    ranks on this machine; a narrow network is faster with one. log_level: the least that Paddle's C++ code
    tells of: 1 warnings, 2 errors. May be called again as long as Paddle is not loaded.
    """
    for noise in ("No ccache found", "When training, we now always track global mean and variance"):
        warnings.filterwarnings("ignore", message=noise)  # Paddle's, about nothing a user of ppcds can change
    if "paddle" in sys.modules:
        return
    # what paddle.distributed.launch tells of the processes it starts on this machine, which share its cores
    processes = int(os.environ.get("PADDLE_LOCAL_SIZE", 1))
    wanted = {
        "OMP_NUM_THREADS": str(threads or max(1, available_cores() // processes)),
        "GLOG_minloglevel": str(log_level),
    }
    if "AMD" in processor_name():
        wanted["MKL_DEBUG_CPU_TYPE"] = "5"
    for key, value in wanted.items():
        if os.environ.get(key) == _SET_HERE.get(key):  # neither set, or set here
            os.environ[key] = _SET_HERE[key] = value
    if _keep_freed_memory():
        _SET_HERE["malloc"] = "keeps freed memory"


def _keep_freed_memory() -> bool:
    """Let the C library keep what tensors free, instead of handing it back and asking for zeroed pages again.

    Paddle's CPU allocator has no pool: a fifth of a training step went into page faults. Only for glibc, and
    not if the user has set it up. Returns whether it is in force.
    """
    if _malloc_settings():
        return False
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        no_mmap, never_trim, grow_by = (-4, 0), (-1, 2**31 - 1), (-2, 2**26)  # malloc.h: M_MMAP_MAX, ...
        return all(mallopt(*option) for option in (no_mmap, never_trim, grow_by))
    return False


def _malloc_settings() -> list[str]:
    """The environment variables by which the user has set up the C library's allocator."""
    tuned = "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    return [key for key in os.environ if key.startswith("MALLOC_")] + ["GLIBC_TUNABLES"] * tuned


def describe_processor() -> str:
    """One line: the processor, its cores, and which settings are in force, yours or ours."""
    notes = []
    for key in ("OMP_NUM_THREADS", "MKL_DEBUG_CPU_TYPE"):
        value = os.environ.get(key, "not set")
        notes.append(f"{key} {value}" + ("" if value in (_SET_HERE.get(key), "not set") else " (yours)"))
    yours = _malloc_settings()
    notes.append(f"malloc {_SET_HERE.get('malloc', f'as you set {yours}' if yours else 'as it is')}")
    return f"{processor_name()}, {available_cores()} cores; " + ", ".join(notes)


def available_cores() -> int:
    """Cores this process may run on. A quota (docker --cpus) is not seen: set OMP_NUM_THREADS yourself."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_name() -> str:
    """Model name of the processor, "AMD EPYC" for instance."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not Linux
    import platform

    return platform.processor() or "unknown processor"


def choose_device(name: str | None = None) -> str:
    """Set Paddle's device: the one named ("cpu", "gpu", "gpu:1"), else a GPU if there is one.

    Returns the device's name. Raises UserError if this Paddle or machine has no such device.
    """
    paddle = load_paddle()
    has_gpu = paddle.device.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0
    if name is None:
        name = "gpu" if has_gpu else "cpu"
    if name.startswith("gpu") and not has_gpu:
        raise UserError(
            f"--device {name}: this Paddle sees no GPU; install paddlepaddle-gpu or use --device cpu"
        )
    try:
        paddle.device.set_device(name)
    except (ValueError, RuntimeError) as error:
        raise UserError(f"--device {name}: {error}") from error
    return paddle.device.get_device()


def load_paddle():
    """Import Paddle without its warning of any OMP_NUM_THREADS but 1: here more is measured to be faster."""
    with contextlib.redirect_stderr(io.StringIO()) as said:
        import paddle
    for line in said.getvalue().splitlines(keepends=True):
        if "OMP_NUM_THREADS" not in line:
            sys.stderr.write(line)
    return paddle


def seed_for(*path: int) -> int:
    """A 32-bit seed that depends on every number of `path`: (seed, epoch, index) for instance."""
    import numpy as np  # here and below: a command that only prints its help does without

    return int(np.random.SeedSequence((len(path), *path)).generate_state(1)[0])  # (0,) is not (0, 0)


def seed_example(*path: int) -> None:
    """Seed what image transforms draw from (`random` and NumPy) for one example."""
    import numpy as np

    seed = seed_for(*path)
    random.seed(seed)
    np.random.seed(seed)


def seed_step(*path: int) -> None:
    """Seed what layers and methods draw from (Paddle's generators) for one step.

    Every random number follows from (run.seed, epoch, step or index), so there is no random state to save
    and a resumed run draws what the undisturbed one would have drawn.
    """
    import paddle

    paddle.seed(seed_for(*path))

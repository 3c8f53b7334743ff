"""Reads mutated files of every kind that a run reads, under a tripwire: fuzzed_files.py FOLDER COUNT SEED.

Whatever is in a file, it is read or refused in words. Ends with status 1 at the first file that does
anything else: raises another error, opens a file for writing, starts a process, takes more memory than its
size allows, or takes seconds. The file is then left in FOLDER. Prints how many of each kind were read.
"""

from __future__ import annotations

import codecs
import collections
import copy
import faulthandler
import json
import os
import pickle
import pickletools
import random
import resource
import sys
import time
import traceback
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import paddle
from safetensors.numpy import save

from ppcds.config import RECIPES, load_recipe
from ppcds.datasets import packed
from ppcds.engine.checkpoint import TrainState, read_checkpoint
from ppcds.engine.features import cached_features
from ppcds.errors import UserError
from ppcds.weights import load_weights, read_metadata, save_weights

MEGABYTES = 256  # more address space than after the first valid files
SECONDS = 5.0  # for one file
FORBIDDEN = (
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen", "exec", "import",
    "ctypes.", "socket.", "pickle.find_class", "os.remove", "os.rename", "os.mkdir", "shutil.",
)  # fmt: skip
EVIL = [
    b"cos\nsystem\n(S'touch executed'\ntR",
    b'c__builtin__\neval\n(S\'open("executed","w")\'\ntR',
    b"(S'touch executed'\nios\nsystem\n",
    b"(cos\nsystem\nS'touch executed'\no",
    b"\x8c\x02os\x8c\x06system\x93\x8c\x0etouch executed\x85R",
    b"r\xff\xff\xff\xff",
    b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"B\xff\xff\xff\xff",
    b"2t\x942t\x94",
]
ODD = [
    None,
    True,
    -1,
    0,
    1e308,
    float("nan"),
    10**30,
    "",
    "x" * 500,
    [],
    {},
    [[]] * 3,
    {"a": {"b": [None]}},
    "../../a",
]
OPCODES = [opcode.code.encode("latin1") for opcode in pickletools.opcodes]
EXTREMES = [
    value.to_bytes(size, "little")
    for size in (1, 2, 4, 8)
    for value in (0, 1, 2 ** (8 * size - 1), 256**size - 1)
]


class Tripwire:
    """Ends a reading that does what no reading needs; on while `armed`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.armed, self.met = str(folder), False, []
        sys.addaudithook(self)

    def __call__(self, event: str, args: tuple) -> None:
        if not self.armed or not self._bad(event, args):
            return
        self.armed = False  # to report it
        self.met.append(f"{event} {args!r:.200}")
        raise RuntimeError(f"tripwire: {self.met[-1]}")

    def _bad(self, event: str, args: tuple) -> bool:
        own = bool(args) and isinstance(args[0], (str, os.PathLike)) and str(args[0]).startswith(self.folder)
        if event == "open":
            return (
                not own
                and not isinstance(args[0], int)
                and bool(args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
            )
        return event.startswith(FORBIDDEN) and not (own and event in ("os.remove", "os.rename", "os.mkdir"))


def mutated(rng: random.Random, content: bytes, others: list[bytes]) -> bytes:
    """`content` with one to four faults."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 2, 8, 40, 400)))
        kind = rng.randrange(8)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            other = rng.choice(others)
            start = rng.randrange(len(other) or 1)
            data[at:end] = other[start : start + rng.choice((1, 8, 40, 400))]
        elif kind == 3:
            del data[at:end]
        elif kind == 4:
            data[at:at] = data[at:end] * rng.choice((1, 2, 50))
        elif kind == 5:
            value = rng.choice(EXTREMES)
            data[at : at + len(value)] = value
        elif kind == 6:
            data[at : at + 1] = rng.choice(OPCODES)
        else:
            data[at:at] = rng.choice(EVIL)
    return bytes(data)


def mutated_json(rng: random.Random, values: object) -> object:
    """`values` with one to three keys or items replaced, removed, added or renamed."""
    values = copy.deepcopy(values)
    for _ in range(rng.randint(1, 3)):
        place = values
        while True:
            inner = place.values() if isinstance(place, dict) else place
            inner = [value for value in inner if isinstance(value, (dict, list)) and value]
            if not inner or rng.random() < 0.4:
                break
            place = rng.choice(inner)
        odd = copy.deepcopy(rng.choice(ODD))
        if rng.random() < 0.05:
            for _ in range(rng.choice((10, 5000))):
                odd = [odd]
        if isinstance(place, list):
            place[rng.randrange(len(place) or 1) :][:1] = [odd]
            if place:
                place[rng.randrange(len(place))] = odd
        elif place:
            key = rng.choice(list(place))
            change = rng.randrange(4)
            value = place.pop(key) if change in (1, 2) else None
            place.update({0: {key: odd}, 1: {}, 2: {key + "x": value}, 3: {"more": odd}}[change])
    return values


def dumped(rng: random.Random, values: object) -> str:
    """Mutated JSON, of which one in three is mutated as text too."""
    try:
        text = json.dumps(mutated_json(rng, values))
    except RecursionError:
        text = "[" * 100_000
    if rng.random() < 0.3:
        text = mutated(rng, text.encode(), [text.encode()]).decode("latin1")
    return text


class Kinds:
    """Each kind: make(rng) -> {path: bytes}, and read(path), which refuses in words or returns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        rng = np.random.default_rng(0)
        arrays = {
            "conv.weight": rng.standard_normal((3, 2, 3, 3)).astype("float32"),
            "bn._mean": np.zeros(3, "float32"),
            "steps": np.arange(4),
            "flag": np.array([True, False]),
            "half": np.ones((2, 0), "float16"),
        }
        tensors = {name: paddle.to_tensor(value) for name, value in arrays.items()}
        self.pickles = []
        for protocol in (2, 3, 4):
            paddle.save(tensors, str(folder / "whole.pdparams"), protocol=protocol)
            self.pickles += [(folder / "whole.pdparams").read_bytes(), pickle.dumps(arrays, protocol)]
        save_weights(arrays, folder / "whole.safetensors", {"about": "a" * 50})
        self.safetensors = [(folder / "whole.safetensors").read_bytes()]
        row = {"epoch": 1, "learning_rate": 0.1, "images_seen": 80, "train_loss": 2.5, "eval_accuracy": 0.5}
        scaler = {"scale": 2.0, "incr_count": 0, "decr_count": 1}
        state = TrainState(1, 3, {"train_loss": 2.5}, [row], 0.5, 80, {"teacher": "ab"}, 1, scaler)
        self.state, self.recipe = vars(state), load_recipe("demo").model_dump(mode="json")
        self.yaml = [(RECIPES / f"{name}.yaml").read_bytes() for name in ("demo", "simclr")]
        self.arrays = {"method.a": np.ones(2, "float32")}
        cached_features(folder / "whole_features.safetensors", "key", self.make_features, print)
        self.features = [(folder / "whole_features.safetensors").read_bytes()]
        self.wanted = {**dict.fromkeys(packed.STALE, "x"), "images": 4, "size": [2, 3]}
        pixels = folder / "pixels.npy"
        np.save(pixels, np.arange(72, dtype=np.uint8).reshape(4, 2, 3, 3))
        self.pixels = pixels.read_bytes()

    @staticmethod
    def make_features():
        return np.ones((4, 2), np.float32), np.arange(4)

    def weights(self, rng, suffix, whole):
        return {self.folder / f"a{suffix}": mutated(rng, rng.choice(whole), whole)}

    def make(self, kind: str, rng: random.Random) -> dict[Path, bytes]:
        if kind == ".pdparams":
            return self.weights(rng, kind, self.pickles)
        if kind == ".safetensors":
            return self.weights(rng, kind, self.safetensors)
        if kind == "features":
            return self.weights(rng, "_features.safetensors", self.features)
        if kind == "recipe":
            return self.weights(rng, ".yaml", self.yaml)
        if kind == "checkpoint":
            of_state = rng.random() < 0.6
            state = dumped(rng, self.state) if of_state else json.dumps(self.state)
            recipe = json.dumps(self.recipe) if of_state else dumped(rng, self.recipe)
            return {self.folder / "b.safetensors": save(self.arrays, {"state": state, "recipe": recipe})}
        pixels = mutated(rng, self.pixels, [self.pixels]) if rng.random() < 0.5 else self.pixels
        bad = mutated(rng, b'{"1": "why"}', [b"{}"]) if rng.random() < 0.2 else b'{"1": "why"}'
        files = {packed.IMAGES: pixels, packed.BAD: bad}
        blocks = {name: [(len(content), zlib.crc32(content))] for name, content in files.items()}
        about = {**self.wanted, "blocks": blocks}
        if rng.random() < 0.5:
            about = mutated_json(rng, about)
        try:
            sealed = packed.sealed(about).encode()
        except RecursionError:
            sealed = json.dumps([zlib.crc32(b"[" * 100_000), "[" * 100_000]).encode()
        if rng.random() < 0.2:
            sealed = mutated(rng, sealed, [sealed])
        return {self.folder / name: content for name, content in {**files, packed.ABOUT: sealed}.items()}

    def read(self, kind: str, paths: list[Path]) -> bool:
        """Whether it was read; False if it was refused. Anything else raises."""
        path, size = paths[0], sum(path.stat().st_size for path in paths)
        try:
            if kind in (".pdparams", ".safetensors"):
                read_metadata(path)
                arrays = load_weights(path)
                require(all(array.dtype.kind in "biufc" for array in arrays.values()), "numbers")
                require(sum(array.nbytes for array in arrays.values()) <= 2 * size, "no larger than the file")
            elif kind == "checkpoint":
                read_checkpoint(path)
            elif kind == "recipe":
                load_recipe(str(path))
            elif kind == "features":
                said = []
                features, _ = cached_features(path, "key", self.make_features, said.append)
                require((features == 1).all(), "the features themselves")
                return not said
            else:
                packed.open_packed(self.folder, self.wanted)
        except (UserError, packed.NotUsable) as error:
            text = str(error)
            ran_out = any(word in text for word in ("MemoryError", "Unable to allocate"))
            require(not ran_out, f"refused before memory ran out: {text}")
            require(kind == "packed" or path.name in text, f"the file is named: {text}")
            require("\n" not in text, f"one line: {text!r}")
            return False
        return True


def require(held: bool, what: str) -> None:
    if not held:
        raise ArithmeticError(f"does not hold: {what}")


KINDS = (
    ".pdparams",
    ".pdparams",
    ".pdparams",
    ".safetensors",
    ".safetensors",
    "checkpoint",
    "features",
    "recipe",
    "packed",
)


def main(folder: Path, count: int, seed: int) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    kinds, wire = Kinds(folder), Tripwire(folder)
    codecs.lookup("ascii")  # which Python imports when it first reads such a file
    told, found = SimpleNamespace(slowest=0.0), collections.Counter()
    largest = 0
    for number in range(-3 * len(KINDS), count):  # the first to import and allocate what every reading needs
        kind = KINDS[number % len(KINDS)]
        rng = random.Random(f"{seed} {number}")
        files = kinds.make(kind, rng)
        if number == 0:
            limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (limit + MEGABYTES * 2**20, resource.RLIM_INFINITY))
            told.before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for path, content in files.items():
            path.write_bytes(content)
            largest = max(largest, len(content))
        faulthandler.dump_traceback_later(60, exit=True)
        began = time.perf_counter()
        wire.armed = number >= 0
        try:
            outcome = "read" if kinds.read(kind, list(files)) else "refused"
            took = time.perf_counter() - began
            require(took < SECONDS or number < 0, f"read in {SECONDS} s, and not {took:.1f}")
            require(not wire.met, str(wire.met))
        except BaseException:
            wire.armed = False
            traceback.print_exc()
            print(f"file {number} of seed {seed}: {kind}, {list(map(str, files))}", file=sys.stderr)
            return 1
        wire.armed = False
        faulthandler.cancel_dump_traceback_later()
        if number >= 0:
            told.slowest = max(told.slowest, took)
            found[f"{kind} {outcome}"] += 1
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - told.before) / 1024
    print(json.dumps({"found": found, "slowest_s": told.slowest, "grown_mb": grown, "largest_file": largest}))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))

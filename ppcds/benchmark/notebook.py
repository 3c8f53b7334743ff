"""The notebook's way: its item, its loop and its loss, as a user's plain Paddle runs them.

Nothing here may import ppcds before Paddle is loaded: that would set up the processor.
"""

import csv
import random
import re
import time
from pathlib import Path

import cv2
import numpy as np
import paddle
import paddle.nn.functional as F
from paddle.io import DataLoader, Dataset
from paddle.vision.transforms import (
    BaseTransform,
    ColorJitter,
    Compose,
    Normalize,
    RandomHorizontalFlip,
    Resize,
    ToTensor,
)


class Holes(BaseTransform):
    def _apply_image(self, image):
        height, width = image.shape[1:]
        mask = np.ones((height, width), "float32")
        for _ in range(3):
            y, x = np.random.randint(height), np.random.randint(width)
            mask[max(y - 5, 0) : min(y + 5, height), max(x - 5, 0) : min(x + 5, width)] = 0
        return image * paddle.to_tensor(mask).expand_as(image)


class SometimesGrey(BaseTransform):
    def _apply_image(self, image):
        if random.random() >= 0.2:
            return image
        return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


class SometimesJittered(BaseTransform):
    def __init__(self):
        super().__init__()
        self.jitter = ColorJitter(0.4, 0.4, 0.4, 0.1)

    def _apply_image(self, image):
        return self.jitter(image) if random.random() < 0.8 else image


class Items(Dataset):
    """Each image is read, resized and shown twice, one after the other."""

    def __init__(self, root):
        super().__init__()
        self.root = Path(root)
        with open(self.root / "train_split.csv") as file:
            self.rows = [(row["filename"], row["class"]) for row in csv.DictReader(file)]
        self.classes = sorted({name for _, name in self.rows})
        self.resize = Resize((72, 128))
        last = [ToTensor(), Normalize((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))]
        self.first = Compose([RandomHorizontalFlip(), last[0], Holes(), last[1]])
        self.second = Compose([RandomHorizontalFlip(), SometimesJittered(), SometimesGrey(), *last])

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        filename, name = self.rows[index]
        image = cv2.cvtColor(cv2.imread(str(self.root / filename)), cv2.COLOR_BGR2RGB)
        image = self.resize(image)
        return [self.first(image), self.second(image)], self.classes.index(name)


def reading(root: str, batch: int):
    """Seconds a batch, both views as tensors, of an epoch."""
    loader = DataLoader(Items(root), batch_size=batch, shuffle=True, drop_last=True)

    def work():
        start = time.perf_counter()
        for views, _ in loader:
            float(views[1][0, 0, 0, 0])
        return (time.perf_counter() - start) / len(loader)

    return work


def dense_contrast(features, labels, temperature=0.07):
    """SupCon as published code has it: features [N, V, D], every intermediate an [NV, NV] matrix."""
    rows = paddle.concat(paddle.unbind(features, axis=1), axis=0)
    same = (labels.reshape([-1, 1]) == labels.reshape([1, -1])).astype("float32").tile([2, 2])
    logits = paddle.matmul(rows, rows, transpose_y=True) / temperature
    logits = logits - logits.max(axis=1, keepdim=True).detach()
    others = 1 - paddle.eye(len(rows))
    same = same * others
    log_prob = logits - paddle.log((paddle.exp(logits) * others).sum(axis=1, keepdim=True))
    return -((same * log_prob).sum(axis=1) / same.sum(axis=1)).mean()


def stepping(width: int, size: list, images: int):
    """Seconds of a training step: forward, losses, backward, momentum, and the numbers it prints."""
    from ppcds.models import resnet18  # Paddle is loaded: this sets nothing up any more

    network = resnet18(num_classes=10, width=width)
    rate = paddle.optimizer.lr.MultiStepDecay(0.01, [30, 50, 90], gamma=0.8)
    optimizer = paddle.optimizer.Momentum(rate, 0.9, network.parameters(), weight_decay=5e-4)
    views, labels = paddle.randn([2 * images, 3, *size]), paddle.arange(images) % 10

    def work():
        start = time.perf_counter()
        logits, embeddings = network(views)
        loss = F.cross_entropy(logits[:images], labels)
        for embedding in embeddings:
            pair = paddle.stack([embedding[:images], embedding[images:]], axis=1)
            loss = loss + 0.1 * dense_contrast(pair, labels)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        float(loss)
        return time.perf_counter() - start

    return work


def contrasting(rows: int, dims: int, what: str):
    """Seconds, or MiB above the process's own, of the loss of so many rows and its gradient."""
    return measured(dense_contrast, rows, dims, what)


def measured(loss, rows, dims, what):
    """The work of `contrasting` for loss(features [rows / 2, 2, dims] of length 1, labels)."""

    def once(count):
        features = F.normalize(paddle.randn([count // 2, 2, dims]), axis=2)
        features.stop_gradient = False
        labels = paddle.arange(count // 2) % 10
        before, start = peak(), time.perf_counter()
        loss(features, labels).backward()
        float(features.grad.sum())
        return time.perf_counter() - start if what == "seconds" else peak() - before

    once(512)  # what is taken once for all
    return lambda: once(rows)


def peak():
    """MiB this process has held at most; what getrusage tells begins with its parent's size."""
    held = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(held[1]) / 1024

"""PyTorch's way: the network of the official CDS code, its losses and SGD, as a plain loop runs them."""

import time

import torch
import torch.nn.functional as F
from torch import nn


def conv(inputs, outputs, kernel, stride=1, groups=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first, self.norm1 = conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.second, self.norm2 = conv(outputs, outputs, 3), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        inner = self.norm2(self.second(F.relu(self.norm1(self.first(x)))))
        return F.relu(inner + self.shortcut(x))


def separable(inputs, outputs):
    def half(before, after, stride):
        layers = [conv(before, before, 3, stride, before), conv(before, after, 1)]
        return [*layers, nn.BatchNorm2d(after), nn.ReLU()]

    return nn.Sequential(*half(inputs, inputs, 2), *half(inputs, outputs, 1))


class Network(nn.Module):
    def __init__(self, width):
        super().__init__()
        channels = [width, 2 * width, 4 * width, 8 * width]
        self.stem = nn.Sequential(conv(3, width, 3), nn.BatchNorm2d(width), nn.ReLU())
        self.stages = nn.ModuleList()
        self.heads = nn.ModuleList()
        for i, outputs in enumerate(channels):
            first = Block(channels[max(i - 1, 0)], outputs, 2 if i else 1)
            self.stages.append(nn.Sequential(first, Block(outputs, outputs, 1)))
            self.heads.append(
                nn.Sequential(*(separable(*pair) for pair in zip(channels[i:], channels[i + 1 :])))
            )
        self.classifier = nn.Linear(channels[3], 10)

    def forward(self, x):
        x, embeddings = self.stem(x), []
        for stage, head in zip(self.stages, self.heads):
            x = stage(x)
            embeddings.append(F.normalize(head(x).mean((2, 3))))
        return self.classifier(x.mean((2, 3))), embeddings


def contrast(rows, labels, temperature=0.07):
    labels = torch.cat([labels, labels])
    others = 1 - torch.eye(len(rows))
    same = (labels[:, None] == labels[None]).float() * others
    logits = rows @ rows.T / temperature
    logits = logits - logits.max(1, keepdim=True)[0].detach()
    log_prob = logits - torch.log((logits.exp() * others).sum(1, keepdim=True))
    return -((same * log_prob).sum(1) / same.sum(1)).mean()


def stepping(width: int, size: list, images: int):
    """Seconds of a training step, on as many threads as PyTorch takes by itself."""
    network = Network(width)
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
    views, labels = torch.randn(2 * images, 3, *size), torch.arange(images) % 10

    def work():
        start = time.perf_counter()
        logits, embeddings = network(views)
        loss = F.cross_entropy(logits[:images], labels)
        for embedding in embeddings:
            loss = loss + 0.1 * contrast(embedding, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        return time.perf_counter() - start

    return work

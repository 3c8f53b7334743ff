"""Batch norm whose statistics are those of the rows of all ranks."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.autograd import PyLayer

from ppcds.distributed import gather


def synchronise_batch_norm(layer: nn.Layer) -> None:
    """Replace every batch norm within `layer` by one that counts the rows of all ranks, in place.

    Weights, running statistics and their names stay the very same, so that files of one rank and of several
    fit each other. On a GPU it is Paddle's own layer, on a processor, for which that has no kernel,
    ProcessorSyncBatchNorm.
    """
    for name, inner in layer.named_children():
        if isinstance(inner, (nn.BatchNorm1D, nn.BatchNorm2D)):
            setattr(layer, name, _synchronised(inner))
        else:
            synchronise_batch_norm(inner)


def _synchronised(norm: nn.Layer) -> nn.Layer:
    """Not SyncBatchNorm.convert_sync_batchnorm: a layer without shift gets one there, and new weights."""
    on_gpu = paddle.device.get_device().startswith("gpu")
    kind = nn.SyncBatchNorm if on_gpu else ProcessorSyncBatchNorm
    made = kind(norm._num_features, norm._momentum, norm._epsilon, data_format=norm._data_format)
    for name in ("weight", "bias", "_mean", "_variance"):
        tensor = getattr(norm, name)
        if tensor is not None:
            setattr(made, name, tensor)
            continue
        filled = getattr(made, name).detach().clone()  # kernels want a tensor; files and optimisers do not
        filled.stop_gradient = False  # or Paddle gives the scale none either
        del made._parameters[name]
        made.register_buffer(name, filled, persistable=False)
    made.training = norm.training
    return made


class ProcessorSyncBatchNorm(nn.SyncBatchNorm):
    """nn.SyncBatchNorm on a processor: [N, C], [N, C, H, W] or, as data_format says, [N, H, W, C].

    N and the size of the images are the same on all ranks. As in Paddle's batch norm on a processor, the
    running variance is that of the batch, divided by its rows and not by one less.
    """

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        rows = x.astype(self._mean.dtype)  # in mixed precision too
        if not self.training:
            return F.batch_norm(
                rows, self._mean, self._variance, self.weight, self.bias, False, epsilon=self._epsilon,
                data_format=self._data_format,
            ).astype(x.dtype)  # fmt: skip
        with paddle.no_grad():
            mean, variance = batch_statistics(rows, self._data_format)
            keep = self._momentum  # Paddle's is the share that is kept
            paddle.assign(keep * self._mean + (1 - keep) * mean, output=self._mean)
            paddle.assign(keep * self._variance + (1 - keep) * variance, output=self._variance)
        normalised = _Normalise.apply(
            rows, self.weight, self.bias, mean, variance, self._epsilon, self._data_format
        )
        return normalised.astype(x.dtype)


def batch_statistics(x: paddle.Tensor, layout: str) -> tuple[paddle.Tensor, paddle.Tensor]:
    """Mean and variance [C] each of all ranks' rows."""
    channels = x.shape[1 if layout.startswith("NC") else -1]
    own = [paddle.zeros([channels], x.dtype), paddle.ones([channels], x.dtype)]
    F.batch_norm(x, *own, training=True, momentum=0.0, data_format=layout)  # leaves the batch's in them
    every = paddle.stack(gather(paddle.stack(own)))  # [ranks, 2, C]
    means, variances = every[:, 0], every[:, 1]
    mean = means.mean(axis=0)
    return mean, (variances + paddle.square(means - mean)).mean(axis=0)


class _Normalise(PyLayer):
    """weight * (x - mean) / sqrt(variance + epsilon) + bias; mean and variance depend on x of all ranks.

    With n = (x - mean) / sqrt(variance + epsilon) the gradient of x is

        weight / sqrt(variance + epsilon) * (dy - mean of dy - n * mean of (dy * n)),

    means over the rows of all ranks. Its first part, and what weight and bias get, are those of a batch norm
    with fixed statistics; the rest is such a batch norm of x too, with another weight and bias.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, mean, variance, epsilon, layout):
        ctx.save_for_backward(x, weight, bias, mean, variance)
        ctx.options = {"training": False, "epsilon": epsilon, "data_format": layout}
        ctx.wanted = [not tensor.stop_gradient for tensor in (x, weight, bias)]
        return F.batch_norm(x, mean, variance, weight, bias, **ctx.options)

    @staticmethod
    def backward(ctx, gradient):
        saved = ctx.saved_tensor()
        mean, variance = saved[3:]
        with paddle.enable_grad():
            x, weight, bias = given = [tensor.detach() for tensor in saved[:3]]
            for tensor in given:
                tensor.stop_gradient = False
            fixed = F.batch_norm(x, mean, variance, weight, bias, **ctx.options)
            own = paddle.grad(fixed, given, gradient)
        x_gradient, weight_gradient, bias_gradient = own
        every = paddle.stack(gather(paddle.stack([weight_gradient, bias_gradient])))  # [ranks, 2, C]
        rows = every.shape[0] * x.size // mean.size
        scale = weight / paddle.sqrt(variance + ctx.options["epsilon"]) / rows
        with_n, alone = (every.sum(axis=0) * scale).unbind()
        x_gradient = x_gradient - F.batch_norm(x, mean, variance, with_n, alone, **ctx.options)
        found = (x_gradient, weight_gradient, bias_gradient)
        # Paddle insists on None for what was given without gradient
        return (*(value if wanted else None for value, wanted in zip(found, ctx.wanted)), None, None)

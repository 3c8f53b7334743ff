"""What the trainer expects of a way of learning."""

from __future__ import annotations

import paddle


class Method(paddle.nn.Layer):
    """A network and everything that only training needs.

    `views_used` is how many of the recipe's training views an example needs.
    """

    views_used = 1

    def forward(self, views: list[paddle.Tensor], labels: paddle.Tensor) -> dict[str, paddle.Tensor]:
        """Named, weighted losses of a batch and "loss", their sum.

        views: V tensors [N, 3, H, W]; labels: [N], -1 = unlabelled.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def after_step(self) -> None:
        """Called once after each step of the optimiser."""

    def deployed(self) -> paddle.nn.Layer:
        """The network that is evaluated, saved as best and exported: images -> logits."""
        raise NotImplementedError(f"{type(self).__name__} has no deployed network")


def with_total(parts: dict[str, paddle.Tensor]) -> dict[str, paddle.Tensor]:
    """The named losses and their sum as "loss"."""
    return {"loss": paddle.add_n(list(parts.values())), **parts}

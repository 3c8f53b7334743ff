"""Networks whose size others have chosen, looked at before they are made."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import numpy as np
import paddle

from ppcds.errors import UserError
from ppcds.weights import require_fit


def require_fit_unmade(
    make: Callable[[], paddle.nn.Layer], arrays: Mapping[str, np.ndarray], source: str | os.PathLike
) -> None:
    """Raise UserError unless `arrays` fit the layer that `make` makes, before that layer takes any memory.

    A recipe beside the weights of others may ask for a network of any size.
    """
    try:
        with paddle.LazyGuard():  # layers without weights
            layer = make()
    except UserError:
        raise
    except (ArithmeticError, IndexError, MemoryError, RuntimeError, SystemError, ValueError) as error:
        # Paddle's, each in its way, of sizes beyond its numbers
        raise UserError(f"{source}: the recipe asks for a network that is too large to be made") from error
    require_fit(layer, arrays, source)

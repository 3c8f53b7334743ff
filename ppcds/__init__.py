"""ppcds: image classifiers with contrastive supervision on PaddlePaddle."""

from importlib.util import find_spec

if find_spec("paddle") is None:
    raise ImportError(
        'ppcds needs PaddlePaddle: install one of its two extras, pip install "ppcds[cpu]" or "ppcds[gpu]".'
    )

from ppcds.runtime import prepare_processor

prepare_processor()  # environment variables that only count before Paddle is loaded

__version__ = "0.1.0"
__all__ = ["__version__", "load_weights"]


def __getattr__(name: str):
    """`load_weights`, read when it is first used: it takes NumPy, which a command's --help has no use for."""
    if name != "load_weights":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ppcds.weights import load_weights

    return load_weights

"""Reading weights that come from outside, without running anything."""


def load_weights(path):
    raise RuntimeError("being written")

"""What the options of transforms may be in a recipe. An option's name means the same in every transform."""

from __future__ import annotations


def is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_count(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_probability(value) -> bool:
    return is_number(value) and 0 <= value <= 1


def is_strength(value) -> bool:
    return is_number(value) and value >= 0


def is_size(value) -> bool:
    return _is_positive_count(value) or _is_list(value, 2, _is_positive_count)


def is_rising_pair(value) -> bool:
    return _is_list(value, 2, _is_positive) and value[0] <= value[1]


def is_color(value) -> bool:
    return _is_list(value, 3, is_number)


def is_positive_color(value) -> bool:
    return _is_list(value, 3, _is_positive)


def is_level(value) -> bool:
    return _is_grey(value) or _is_list(value, 3, _is_grey)


def _is_grey(value) -> bool:
    return is_number(value) and 0 <= value <= 255


def _is_positive(value) -> bool:
    return is_number(value) and value > 0


def _is_positive_count(value) -> bool:
    return is_count(value) and value > 0


def _is_list(value, length: int, holds) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == length and all(map(holds, value))


# option: (test, what it has to be)
OPTIONS = {
    "func": (None, "a transform"),  # built, not tested
    "p": (is_probability, "a probability from 0 to 1"),
    "prob": (is_probability, "a probability from 0 to 1"),
    "n_holes": (is_count, "a whole number"),
    "length": (is_count, "a whole number of pixels"),
    "kernel_size": (is_count, "a whole number of pixels"),
    "padding": (is_count, "a whole number of pixels"),
    "size": (is_size, "a whole number of pixels or a list [height, width]"),
    "fill": (is_level, "a level from 0 to 255 or a list of three"),
    "mean": (is_color, "a list of three numbers"),
    "std": (is_positive_color, "a list of three numbers above 0"),
    "brightness": (is_strength, "a number of at least 0"),
    "contrast": (is_strength, "a number of at least 0"),
    "saturation": (is_strength, "a number of at least 0"),
    "hue": (is_strength, "a number from 0 to 0.5"),
    "sigma": (is_rising_pair, "a list of two rising numbers above 0"),
    "scale": (is_rising_pair, "a list of two rising numbers above 0"),
    "ratio": (is_rising_pair, "a list of two rising numbers above 0"),
}

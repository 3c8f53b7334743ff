"""What a contrastive loss is worth by chance and at best.

An anchor picks its positive among C candidates, itself not counted. For V views of N images C is
V N - 1 for NT-Xent with all negatives and for SupCon, N for NT-Xent across views, 1 + K for a queue of K.
"""

from __future__ import annotations

import math


def chance_level(num_candidates: int) -> float:
    """log C, the loss where all candidates are equally similar; SupCon's too, however many are positives.

    Raises ValueError if there is no candidate.
    """
    if num_candidates < 1:
        raise ValueError(f"{num_candidates} candidates: an anchor needs its positive at least")
    return math.log(num_candidates)


def lowest_level(num_candidates: int, temperature: float) -> float:
    """log(1 + (C - 1) exp(-2 / temperature)): positive at cosine 1, all others at -1.

    A bound for one positive an anchor, that many images cannot all reach at once; SupCon's is higher.
    Raises ValueError if there is no candidate, or for a temperature that is not above 0.
    """
    if num_candidates < 1:
        raise ValueError(f"{num_candidates} candidates: an anchor needs its positive at least")
    if temperature <= 0:
        raise ValueError("temperature must be above 0")
    return math.log1p((num_candidates - 1) * math.exp(-2 / temperature))


def contrast_levels(
    name: str, num_candidates: int, temperature: float, weight: float = 1.0
) -> dict[str, float]:
    """What to note beside a contrastive loss `name`: its "_chance" and "_lowest", weighted as it is."""
    return {
        f"{name}_chance": weight * chance_level(num_candidates),
        f"{name}_lowest": weight * lowest_level(num_candidates, temperature),
    }

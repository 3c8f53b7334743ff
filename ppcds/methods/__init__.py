"""Ways of learning, by the name a recipe gives them."""

from __future__ import annotations

from ppcds.methods.byol import BYOL
from ppcds.methods.cds import ContrastiveDeepSupervision
from ppcds.methods.cds_distillation import CDSDistillation
from ppcds.methods.deep_supervision import DeepSupervision
from ppcds.methods.distillation import Distillation
from ppcds.methods.linear import LinearClassifier
from ppcds.methods.method import Method
from ppcds.methods.moco import MoCo
from ppcds.methods.simclr import SimCLR
from ppcds.methods.simclr_online_probe import SimCLROnlineProbe
from ppcds.methods.supcon import SupCon
from ppcds.methods.supervised import Supervised

METHODS = {
    "byol": BYOL,
    "cds": ContrastiveDeepSupervision,
    "cds_distillation": CDSDistillation,
    "deep_supervision": DeepSupervision,
    "distillation": Distillation,
    "linear": LinearClassifier,
    "moco": MoCo,
    "simclr": SimCLR,
    "simclr_online_probe": SimCLROnlineProbe,
    "supcon": SupCon,
    "supervised": Supervised,
}

__all__ = ["METHODS", "Method", *sorted(cls.__name__ for cls in METHODS.values())]

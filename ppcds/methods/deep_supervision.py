"""Deep supervision (Lee et al. 2015, arXiv:1409.5185): the baseline that CDS is held against."""

from __future__ import annotations

from typing import Annotated

import paddle
from pydantic import Field

from ppcds.losses import cross_entropy, kl_divergence
from ppcds.methods.method import Method
from ppcds.models import DeepSupervisionNetwork


class DeepSupervision(Method):
    """Cross entropy of the last classifier + weight x that of an auxiliary classifier at stages 1, 2, 3.

    kl_weight: of KL(last classifier || auxiliary one) at each of these stages, in which the last one gets no
    gradient (Zhang et al. 2019, arXiv:1905.08094); 0 leaves it out.  temperature: of both in this term, which
    is not multiplied by its square.
    weight: the official code of CDS has no deep supervision; 0.3 is that of GoogLeNet's auxiliary classifiers
    (arXiv:1409.4842, section 5). Lee et al. let it fall over the run, and use a hinge loss.
    Unlabelled images (-1) take part in the KL term alone.
    """

    def __init__(
        self,
        backbone: paddle.nn.Layer,
        weight: Annotated[float, Field(ge=0)] = 0.3,
        kl_weight: Annotated[float, Field(ge=0)] = 0.0,
        temperature: Annotated[float, Field(gt=0)] = 3.0,
    ) -> None:
        super().__init__()
        self.network = DeepSupervisionNetwork(backbone)
        self.weight = weight
        self.kl_weight = kl_weight
        self.temperature = temperature

    def outputs(self, views, labels):
        (images,) = views
        return dict(zip(("last", "stage3", "stage2", "stage1"), self.network(images)))

    def losses(self, outputs, labels):
        last = outputs["last"]
        parts = {"cross_entropy": cross_entropy(last, labels)}
        for stage in (3, 2, 1):
            logits = outputs[f"stage{stage}"]
            parts[f"cross_entropy_stage{stage}"] = self.weight * cross_entropy(logits, labels)
            if self.kl_weight > 0:
                # kl_divergence takes its second argument, the teacher's, without gradient.
                loss = kl_divergence(logits, last, self.temperature)
                parts[f"kl_stage{stage}"] = self.kl_weight * loss
        return parts

    def deployed(self):
        return self.network.backbone

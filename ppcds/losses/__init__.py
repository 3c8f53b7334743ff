"""Losses: functions and layers on the tensors of one process, one loss a file, and measures beside them."""

from ppcds.losses.byol import byol_loss
from ppcds.losses.cross_entropy import cross_entropy
from ppcds.losses.distillation import (
    distillation_loss,
    embedding_distance,
    kl_divergence,
    similarity_distillation_loss,
)
from ppcds.losses.embeddings import embedding_health, share_with_classmate
from ppcds.losses.levels import chance_level, contrast_levels, lowest_level
from ppcds.losses.nt_xent import info_nce_loss, nt_xent_loss
from ppcds.losses.supcon import SupConLoss, supcon_loss

__all__ = [
    "SupConLoss",
    "byol_loss",
    "chance_level",
    "contrast_levels",
    "cross_entropy",
    "distillation_loss",
    "embedding_distance",
    "embedding_health",
    "info_nce_loss",
    "kl_divergence",
    "lowest_level",
    "nt_xent_loss",
    "share_with_classmate",
    "similarity_distillation_loss",
    "supcon_loss",
]

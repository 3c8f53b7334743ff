"""Losses: functions and layers on the tensors of one process, one loss a file."""

from ppcds.losses.cross_entropy import cross_entropy
from ppcds.losses.supcon import SupConLoss, supcon_loss

__all__ = ["SupConLoss", "cross_entropy", "supcon_loss"]

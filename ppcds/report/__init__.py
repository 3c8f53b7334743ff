"""Tables and pictures of a run."""

from ppcds.report.confusion import draw_confusion
from ppcds.report.evaluation import write_evaluation

__all__ = ["draw_confusion", "write_evaluation"]

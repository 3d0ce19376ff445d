"""What a training is watched for while it runs: losses that are no numbers, that leap, or that tell of overfitting."""

from __future__ import annotations

from .non_finite import PATIENCE, NonFiniteLoss, NonFiniteWatch
from .watch import NON_FINITE, Eye, Watch

__all__ = ["NON_FINITE", "PATIENCE", "Eye", "NonFiniteLoss", "NonFiniteWatch", "Watch"]

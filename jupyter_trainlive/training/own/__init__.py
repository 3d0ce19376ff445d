"""The training of this very process recorded as a job: in a notebook's own kernel, or in any script."""

from .run import Run, track

__all__ = ["Run", "track"]

"""The Python client of a TrainLive server: submit jobs, look at them, follow and cancel them."""

from .api import finetune, get, jobs, launch
from .dry_run import DryRun
from .errors import NoServerError, RequestError, TrainLiveError, VariableError
from .job import Job

__all__ = [
    "DryRun",
    "Job",
    "NoServerError",
    "RequestError",
    "TrainLiveError",
    "VariableError",
    "finetune",
    "get",
    "jobs",
    "launch",
]

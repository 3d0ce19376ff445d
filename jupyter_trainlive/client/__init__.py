"""The Python client of a TrainLive server: submit jobs, look at them, follow and cancel them."""

from .api import finetune, get, jobs, launch
from .errors import NoServerError, RequestError, TrainLiveError
from .job import Job

__all__ = ["Job", "NoServerError", "RequestError", "TrainLiveError", "finetune", "get", "jobs", "launch"]

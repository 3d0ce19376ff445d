"""What can go wrong between a client and its server."""

from __future__ import annotations


class TrainLiveError(Exception):
    """Base of this client's errors."""


class NoServerError(TrainLiveError):
    """No server was found, or it does not answer; the text says what to do."""


class RequestError(TrainLiveError):
    """The server refused a request; the text is its reason.

    `status` is the HTTP status; `field` names the parameter that was wrong, where it was one.
    """

    def __init__(self, message: str, status: int, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.field = field


class VariableError(TrainLiveError):
    """A variable can't be taken along into a job; the text names it and says why, and what to do instead."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name


class JobFailed(TrainLiveError):
    """A job that was waited for did not complete; the text names `job_id` and says how it ended and why."""

    def __init__(self, message: str, job_id: str) -> None:
        super().__init__(message)
        self.job_id = job_id

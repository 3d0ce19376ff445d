"""What can be wrong with a request about a job; the server maps each to one HTTP status."""

from __future__ import annotations


class JobError(Exception):
    """Base of all errors a client can do something about; its text says what."""


class InvalidRequest(JobError):
    """A field that is missing, unknown or malformed."""

    def __init__(self, field: str, message: str) -> None:
        # Some messages begin with the field already.
        super().__init__(message if message.startswith(f"{field} ") else f"{field}: {message}")
        self.field = field


class Unprocessable(InvalidRequest):
    """A well-formed field whose content can't be worked with: a broken dataset, a missing model."""


class UnknownJob(JobError):
    """No job has that id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is no job {job_id[:40]!r} here.")


class NotAllowed(JobError):
    """The state of the job does not allow that."""


class ReadOnly(NotAllowed):
    """Another server, of which the pid may be known, owns the folder of the jobs; this one only shows them."""

    def __init__(self, message: str, owner_pid: int | None) -> None:
        super().__init__(message)
        self.owner_pid = owner_pid


class NoStorage(JobError):
    """The folder of the jobs takes no further one: its disk is full, or it can't be written."""

"""The routes under ``{base_url}trainlive/``."""

from __future__ import annotations

from typing import Any

from .files import ArchiveHandler, FileHandler, FilesHandler
from .jobs import (
    CancelHandler,
    CleanHandler,
    ExecuteHandler,
    JobHandler,
    JobsHandler,
    PauseHandler,
    ReindexHandler,
    ResumeHandler,
    StatusHandler,
)
from .kept import ConsoleHandler, EndKernelHandler
from .metrics import MetricsCsvHandler, MetricsHandler
from .output import LogHandler
from .schema import SchemaHandler
from .stream import TrainingSocket
from .system import HelloHandler, SystemHandler

#: Whatever stands there: one that is no id has an answer like one that is not known.
_JOB = r"(?P<job_id>[^/]+)"

ROUTES: list[tuple[str, type[Any]]] = [
    (r"/trainlive/api/hello", HelloHandler),
    (r"/trainlive/api/system", SystemHandler),
    (r"/trainlive/api/training/execute", ExecuteHandler),
    (r"/trainlive/api/training/schema", SchemaHandler),
    (r"/trainlive/api/training/clean", CleanHandler),
    (r"/trainlive/api/training/reindex", ReindexHandler),
    (r"/trainlive/api/training/jobs", JobsHandler),
    (rf"/trainlive/api/training/jobs/{_JOB}", JobHandler),
    (rf"/trainlive/api/training/jobs/{_JOB}/pause", PauseHandler),
    (rf"/trainlive/api/training/jobs/{_JOB}/resume", ResumeHandler),
    (rf"/trainlive/api/training/jobs/{_JOB}/cancel", CancelHandler),
    (rf"/trainlive/api/training/jobs/{_JOB}/end_kernel", EndKernelHandler),
    (rf"/trainlive/api/training/jobs/{_JOB}/console", ConsoleHandler),
    (rf"/trainlive/api/training/jobs/{_JOB}/log", LogHandler),
    (rf"/trainlive/api/training/jobs/{_JOB}/metrics", MetricsHandler),
    (rf"/trainlive/api/training/jobs/{_JOB}/metrics\.csv", MetricsCsvHandler),
    (rf"/trainlive/api/training/jobs/{_JOB}/files", FilesHandler),
    (rf"/trainlive/api/training/jobs/{_JOB}/files/(?P<path>.+)", FileHandler),
    (rf"/trainlive/api/training/jobs/{_JOB}/archive", ArchiveHandler),
    (rf"/trainlive/api/training/status/{_JOB}", StatusHandler),
    (rf"/trainlive/ws/training/{_JOB}", TrainingSocket),
]

"""The frames of ``trainlive.v1`` from the server, as text; `protocol/schemas/v1.schema.json` describes them."""

from __future__ import annotations

from typing import Any

from .. import __version__
from ..jobs.series import SeriesSummary
from ..protocol.messages import Message
from ..protocol.values import carry, dumps, encode, iso
from .limits import Limits
from .v1_requests import LEAST_PX, MOST_NAMES, MOST_PX, MOST_WAITING


def hello(seq: int, job: dict[str, Any], series: dict[str, SeriesSummary], now: float, limits: Limits) -> str:
    """The first frame; `now` in Unix seconds."""
    summaries = [{"name": name, "count": each.count, "last": carry(each.last)} for name, each in series.items()]
    return dumps(
        {
            "type": "hello",
            "seq": seq,
            "job": job,
            "series": summaries,
            "server_time": iso(now),
            "version": __version__,
            "limits": {
                "message_bytes": limits.message_bytes,
                "least_px": LEAST_PX,
                "most_px": MOST_PX,
                "window_names": MOST_NAMES,
                "windows_waiting": MOST_WAITING,
            },
        }
    )


def points(seq: int, series: dict[str, dict[str, list[Any]]]) -> str:
    """`series` as `frame_columns` gives them: non-finite numbers are words already."""
    return encode({"type": "points", "seq": seq, "series": series}).decode()


def state(seq: int, job: dict[str, Any]) -> str:
    return dumps({"type": "state", "seq": seq, "job": job})


def gauges(system: dict[str, Any]) -> str:
    """`system` as `jobs.gpu_share.reading` gives it."""
    return dumps({"type": "gauges", "system": system})


def log(seq: int, offset: int, next_offset: int, text: str) -> str:
    return dumps({"type": "log", "seq": seq, "offset": offset, "next_offset": next_offset, "text": text})


def window(asked: str | int | None, seq: int, axis: str, buckets: dict[str, list[dict[str, Any]]]) -> str:
    """`asked` is the request's id; None for a snapshot. It may be megabytes: made off the loop."""
    return encode({"type": "window", "id": asked, "seq": seq, "axis": axis, "buckets": buckets}).decode()


def error(asked: str | int | None, field: str | None, message: str) -> str:
    return dumps({"type": "error", "id": asked, "field": field, "message": message})


def end(seq: int, message: Message) -> str:
    return dumps({"type": "end", "seq": seq, "message": message})

"""What a client of ``trainlive.v1`` may ask for, read from its message and checked. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..jobs.curves import AXES, Window
from ..jobs.errors import InvalidRequest
from ..protocol.values import dumps, finite, whole

#: The width of a chart in pixels, and what it is taken to be where a window request does not say.
LEAST_PX, MOST_PX, DEFAULT_PX = 50, 10_000, 1_200
#: Series in one window, and requests of one client that may wait while another one is answered.
MOST_NAMES, MOST_WAITING = 16, 8
#: Where ``log`` is true, so much of the output is sent first.
LOG_TAIL_BYTES = 16 << 10

_LEAST_BUCKETS = 16
#: All series of one snapshot share so many buckets; many series are drawn small.
_SNAPSHOT_BUCKETS = 40_000
_MOST_ID_LENGTH = 100
_LARGEST = 2**62


@dataclass(frozen=True)
class Subscribe:
    """Points behind `since`, of all series (None) or those named; the output from a byte offset on, or none of it.

    A negative offset counts from the end of the output. With `px` a long history comes as buckets for that width.
    """

    since: int = 0
    series: frozenset[str] | None = None
    log_offset: int | None = None
    px: int | None = None


@dataclass(frozen=True)
class WindowRequest:
    """A piece of some curves, to be answered under `id`."""

    id: str | int
    names: tuple[str, ...]
    window: Window


def request_in(message: str | bytes) -> dict[str, Any] | None:
    """The request in a message; None for what is no JSON object with a type, and is passed over."""
    try:
        request = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return request if isinstance(request, dict) and "type" in request else None


def id_of(request: Mapping[str, Any]) -> str | int | None:
    """The id that an answer to the request bears; None where it has none that can be one."""
    given = request.get("id")
    if isinstance(given, str):
        return given if len(given) <= _MOST_ID_LENGTH else None
    return given if type(given) is int and abs(given) <= _LARGEST else None


def parsed(request: Mapping[str, Any]) -> Subscribe | WindowRequest:
    """What is asked for; raises InvalidRequest, which names the field and the remedy. Unknown keys are passed over.

    A key that is null is one that is left out.
    """
    kind = request.get("type")
    if kind == "subscribe":
        return _subscribe(request)
    if kind == "window":
        return _window(request)
    raise InvalidRequest("type", f"must be subscribe or window, but is {_shown(kind)}; a job is controlled over REST")


def most_buckets(px: int, smoothing: float = 0.0) -> int:
    """So many buckets fill a chart of that width: one for two pixels and a half, each with its extremes.

    For three pixels where they are smoothed: an answer for 1,200 pixels is to stay below 60 kB, and they say more then.
    """
    return max(_LEAST_BUCKETS, px // 3 if smoothing else px * 2 // 5)


def snapshot_buckets(px: int, series: int) -> int:
    """Buckets for each of so many series of a snapshot."""
    return max(_LEAST_BUCKETS, min(most_buckets(px), _SNAPSHOT_BUCKETS // max(1, series)))


def _subscribe(request: Mapping[str, Any]) -> Subscribe:
    px = request.get("px")
    return Subscribe(
        since=_count(request, "since", "the seq of the last points frame that you have, or 0"),
        series=_series(request.get("series")),
        log_offset=_log(request.get("log")),
        px=None if px is None else _px(px),
    )


def _window(request: Mapping[str, Any]) -> WindowRequest:
    asked = id_of(request)
    if asked is None:
        raise InvalidRequest("id", f"must be a whole number, or a string of at most {_MOST_ID_LENGTH} characters")
    names: Any = request.get("names")
    if not _are_strings(names) or not 1 <= len(names) <= MOST_NAMES:
        raise InvalidRequest(
            "names", f"must be a list of 1 to {MOST_NAMES} names of series; ask several times for more"
        )
    axis = request.get("axis")
    axis = AXES[0] if axis is None else axis
    if axis not in AXES:
        raise InvalidRequest("axis", f"must be one of {', '.join(AXES)}, but is {_shown(axis)}")
    x0, x1 = _edge(request, "x0"), _edge(request, "x1")
    if x0 is not None and x1 is not None and x0 > x1:
        raise InvalidRequest("x1", f"must not be less than x0 ({x0:g}), but is {x1:g}")
    px = request.get("px")
    smoothing = _smoothing(request)
    most = most_buckets(DEFAULT_PX if px is None else _px(px), smoothing)
    return WindowRequest(asked, tuple(dict.fromkeys(names)), Window(axis, x0, x1, most, smoothing))


def _series(given: Any) -> frozenset[str] | None:
    if given is None or given == "*":
        return None
    if not _are_strings(given):
        raise InvalidRequest("series", 'must be "*" for all, or a list of names')
    return frozenset(given)


def _log(given: Any) -> int | None:
    if given is None or given is False:
        return None
    if given is True:
        return -LOG_TAIL_BYTES
    offset = whole(given)
    if offset is None or not 0 <= offset <= _LARGEST:
        raise InvalidRequest("log", f"must be true, false, or a byte offset from 0, but is {_shown(given)}")
    return offset


def _px(given: Any) -> int:
    px = whole(given)
    if px is None or not LEAST_PX <= px <= MOST_PX:
        raise InvalidRequest("px", f"must be a whole number from {LEAST_PX} to {MOST_PX}, but is {_shown(given)}")
    return px


def _count(request: Mapping[str, Any], name: str, remedy: str) -> int:
    given = request.get(name)
    count = 0 if given is None else whole(given)
    if count is None or not 0 <= count <= _LARGEST:
        raise InvalidRequest(name, f"must be {remedy}, but is {_shown(given)}")
    return count


def _edge(request: Mapping[str, Any], name: str) -> float | None:
    given = request.get(name)
    # The words that stand for non-finite numbers are none here.
    edge = None if isinstance(given, str) else finite(given)
    if given is not None and edge is None:
        raise InvalidRequest(name, f"must be a finite number, or null for no limit, but is {_shown(given)}")
    return edge


def _smoothing(request: Mapping[str, Any]) -> float:
    given = request.get("smoothing")
    weight = 0.0 if given is None else finite(given)
    if weight is None or not 0 <= weight < 1:
        raise InvalidRequest("smoothing", f"must be a number from 0 to less than 1, but is {_shown(given)}")
    return weight


def _are_strings(given: Any) -> bool:
    return isinstance(given, list) and all(isinstance(item, str) for item in given)


def _shown(value: Any) -> str:
    text = dumps(value)
    return text if len(text) <= 40 else text[:40] + "…"

"""How much this server does for those who watch: limits that its operator sets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Each is a trait of `TrainLive` with the same default, which says what it is for."""

    #: WebSockets at a time, all jobs together, and of one job; a further one is answered 503.
    max_watchers: int = 10_000
    max_watchers_per_job: int = 2_000
    #: The longest message of a client; a longer one closes its WebSocket with 1009.
    message_bytes: int = 64 << 10
    #: Who has more than this waiting is left out until it has read it.
    pending_bytes: int = 32 << 10
    #: Who has so much waiting and reads nothing of it for so long is closed with 1013.
    stall_seconds: float = 30.0

"""Lives of jobs for property tests: what server, shim and trainer would write, in an order in which they could."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from jupyter_trainlive.protocol.states import Journal

Entry = tuple[Journal, dict[str, Any]]
Life = dict[Journal, list[dict[str, Any]]]

_numbers = st.one_of(st.integers(0, 50), st.floats(allow_nan=False, allow_infinity=False, width=32))
_texts = st.sampled_from(["", "x", "the disk is full", "restarted", "nan"])


@st.composite
def _attempt(draw: st.DrawFn, attempt: int, request: int) -> tuple[Life, int]:
    """One attempt of a job whose pauses so far number `request`; the number after it."""
    life: Life = {journal: [] for journal in Journal}

    def say(journal: Journal, kind: str, **values: Any) -> None:
        life[journal].append({"kind": kind, **values})

    say(Journal.SERVER, "queued", attempt=attempt)
    if draw(st.booleans()):
        say(Journal.SERVER, "leased", gpus=["GPU-1"])
    if draw(st.integers(0, 5)) == 0:
        say(Journal.SERVER, "cancel_requested")
        return life, request
    say(Journal.SERVER, "starting", attempt=attempt)
    if draw(st.integers(0, 5)) == 0:
        say(Journal.SERVER, "start_failed", error=draw(_texts))
        return life, request
    say(Journal.PROCESS, "spawned", attempt=attempt, pid=7, start_time=1.0, shim_pid=6, shim_start_time=1.0)
    say(Journal.TRAINING, "start", attempt=attempt)
    released = False
    for step in range(draw(st.integers(0, 4))):
        say(Journal.TRAINING, "metrics", step=step, values={"loss": draw(_numbers)})
        if draw(st.booleans()):
            request += 1
            released = draw(st.booleans())
            say(Journal.SERVER, "pause_requested", release=released, request=request)
            if released:
                break
            say(Journal.TRAINING, "held", request=request, step=step)
            say(Journal.SERVER, "resume_requested")
            say(Journal.TRAINING, "resumed", step=step)
    if not released and draw(st.booleans()):
        say(Journal.SERVER, "cancel_requested")
        say(Journal.SERVER, "escalated", to=draw(st.sampled_from(["interrupt", "terminate", "kill"])))
    if draw(st.booleans()):
        status = "released" if released else draw(st.sampled_from(["completed", "failed", "cancelled"]))
        say(Journal.TRAINING, "end", status=status, error=draw(_texts))
        if draw(st.booleans()):
            say(Journal.TRAINING, "kept", until=draw(st.sampled_from([5.0, 1e300, None, "soon"])))
            if draw(st.booleans()):
                say(Journal.SERVER, "end_kernel_requested")
    if draw(st.booleans()):
        say(Journal.PROCESS, "exited", attempt=attempt, code=draw(st.sampled_from([0, 1, None])), signal=None)
    else:
        say(Journal.SERVER, "lost", reason=draw(_texts))
    return life, request


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """The three journals of a job with one to three attempts, numbered as their writers number them."""
    life: Life = {journal: [] for journal in Journal}
    life[Journal.SERVER].append({"kind": "submitted"})
    request = 0
    for attempt in range(1, draw(st.integers(1, 3)) + 1):
        piece, request = draw(_attempt(attempt, request))
        for journal in Journal:
            life[journal].extend(piece[journal])
        life[Journal.SERVER].append({"kind": "resume_requested"})
    life[Journal.SERVER].pop()
    # A clock that is set back is nothing special.
    times = st.floats(0, 1e9)
    return {
        journal: [{"seq": seq, "t": draw(times), **record} for seq, record in enumerate(records, 1)]
        for journal, records in life.items()
    }


@st.composite
def interleavings(draw: st.DrawFn, life: Life) -> list[Entry]:
    """All records in an order that keeps each journal's own."""
    waiting = {journal: list(records) for journal, records in life.items()}
    order: list[Entry] = []
    while left := [journal for journal, records in waiting.items() if records]:
        journal = draw(st.sampled_from(left))
        order.append((journal, waiting[journal].pop(0)))
    return order

"""Whether the server interrupted the work of this job: what returns after that was cut short, however it returned."""

from __future__ import annotations

import functools

from ..protocol.facts import ServerFacts, fold_server
from ..protocol.journal import JournalReader
from .recorder import Recorder


def cut_short(recorder: Recorder, error: BaseException | None) -> bool:
    """Whether work that returned (or raised SystemExit with 0) had been interrupted, as its job is cancelled.

    Training loops often catch KeyboardInterrupt, save what they have and return; that is not complete. The server
    writes down that it interrupts before it does.
    """
    returned = error is None or (isinstance(error, SystemExit) and error.code in (None, 0))
    if not returned:
        return False
    reader, facts = JournalReader(recorder.job_dir.server_journal), ServerFacts()
    try:
        while records := reader.read():
            facts = functools.reduce(fold_server, records, facts)
    except (OSError, ValueError):
        return False
    escalated = facts.attempt == recorder.attempt and facts.escalation is not None
    return escalated and recorder.gate.cancel_requested()

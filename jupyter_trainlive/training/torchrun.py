"""torch's elastic launcher in a process of its own; what it says of failed ranks goes into a file instead of the log.

``python -m jupyter_trainlive.training.torchrun REPORT_FILE`` and then the arguments of ``torchrun``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ..protocol.jobdir import write_json
from .elastic import report_of


def main(report: Path, arguments: list[str]) -> int:
    """Launch, and return the status to exit with; raises what torch raises for other reasons than its ranks."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as launch

    try:
        launch(arguments)
    except ChildFailedError as error:
        write_json(report, report_of(error.failures.items()))
        return 1
    except SignalException as error:
        return 128 + int(error.sigval)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))

"""A notebook's variables on their way into a job: the file that its client writes and its training kernel loads.

The first line is JSON, {"names": […], "python": "3.11.4"}; the pickles of the variables follow, one after another in
that order. The server reads the first line at most: what is pickled is never loaded but in the training kernel.
"""

from __future__ import annotations

import json
import keyword
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

#: In the folder of the jobs; whatever is left there for a day was never asked for.
INBOX = ".inbox"
#: As the job has it, in its inputs.
FILE = "variables.pickle"
#: The pickles can be read by every Python that may run a job, whichever wrote them.
PICKLE_PROTOCOL = 5
_FILE_NAME = re.compile(r"variables-[0-9a-f]{32}")
_HEADER_LIMIT_BYTES = 1 << 20


def inbox(jobs_dir: Path) -> Path:
    """Where clients put the files."""
    return jobs_dir / INBOX


def new_file_name() -> str:
    """A name for such a file that nobody can guess."""
    return f"variables-{secrets.token_hex(16)}"


def is_file_name(text: str) -> bool:
    """Whether `text` has the form of such a name; nothing else becomes part of a path."""
    return _FILE_NAME.fullmatch(text) is not None


def is_name(text: object) -> bool:
    """Whether a variable may be named so."""
    return isinstance(text, str) and text.isidentifier() and not keyword.iskeyword(text)


def write_header(file: BinaryIO, names: Sequence[str], python: str) -> None:
    """Begin the file; raises OSError."""
    file.write(json.dumps({"names": list(names), "python": python}).encode() + b"\n")


def read_header(file: BinaryIO) -> tuple[list[str], str]:
    """The names, and the version of the Python that pickled them; raises OSError or ValueError."""
    line = file.readline(_HEADER_LIMIT_BYTES)
    if not line.endswith(b"\n"):
        raise ValueError("its first line is no header")
    header = json.loads(line)
    names, python = (header.get("names"), header.get("python")) if isinstance(header, dict) else (None, None)
    if not isinstance(names, list) or not all(is_name(name) for name in names) or not isinstance(python, str):
        raise ValueError("its first line names no variables")
    return names, python

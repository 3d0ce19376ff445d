"""Where a server tells its user's own processes how to reach it; see `server.local_access`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

#: The scheme of the Authorization header that bears the secret.
SCHEME = "trainlive"

_PREFIX = "trainlive-"


@dataclass(frozen=True)
class Access:
    """The address of a running server (with its base URL) and the secret that opens its TrainLive routes."""

    url: str
    root_dir: str
    pid: int
    secret: str
    #: The folder of the jobs that it shows; empty where it does not say.
    jobs_dir: str = ""

    def __repr__(self) -> str:
        return f"Access(url={self.url!r}, pid={self.pid})"


def access_file(runtime_dir: Path, pid: int) -> Path:
    """The file of the server with that pid."""
    return runtime_dir / f"{_PREFIX}{pid}.json"


def access_files(runtime_dir: Path) -> list[Path]:
    """The files of all servers, running or not."""
    return sorted(runtime_dir.glob(f"{_PREFIX}*.json"))


def read_access(file: Path) -> Access:
    """What a server wrote there; raises OSError where it can't be read, ValueError where it makes no sense."""
    content = json.loads(file.read_bytes())
    try:
        access = Access(
            content["url"], content["root_dir"], content["pid"], content["secret"], content.get("jobs_dir", "")
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} is not a server's file: {error}") from error
    texts = (access.url, access.root_dir, access.secret, access.jobs_dir)
    if not all(isinstance(text, str) for text in texts) or type(access.pid) is not int:
        raise ValueError(f"{file} is not a server's file")
    return access

"""Run by tests: the server's sampler, asked twice with idleness in between; prints the driver's calls."""

import asyncio
import json
import sys
from pathlib import Path

from jupyter_trainlive.system import GpuReader, HostReader, Sampler

log = Path(sys.argv[2])


def calls() -> list[str]:
    return log.read_text().split()


async def main() -> None:
    gpus = GpuReader()
    sampler = Sampler(gpus.read, HostReader().read, rest=gpus.close, interval_seconds=0, linger_seconds=0)
    for count in (1, 2):
        await sampler.now()
        while calls().count("shutdown") < count:  # noqa: ASYNC110 - the driver's file is all there is
            await asyncio.sleep(0.01)
    print(json.dumps({"calls": calls()}))


asyncio.run(main())

"""Run by tests: the server's sampler on pretend GPUs, one of which stops answering and never answers again.

Prints what was seen, and must then end although a call to the driver is still outstanding.
"""

import asyncio
import json
import sys
import threading
from pathlib import Path

from jupyter_trainlive.system import Sampler
from tests import fake_nvml

settings, log = Path(sys.argv[1]), Path(sys.argv[2])


def calls() -> int:
    return log.read_text().split().count("utilization")


async def main() -> None:
    sampler = Sampler.of_this_machine(interval_seconds=0.01)
    first = await sampler.now()
    assert first is not None
    fake_nvml.configure(settings, LOG=log, BLOCK="utilization")
    before = calls()
    with sampler.watching():
        while calls() == before:  # noqa: ASYNC110 - the driver's file is all there is
            await asyncio.sleep(0.01)
        last = sampler.latest
        for _ in range(10):
            assert await sampler.now(timeout_seconds=0.02) is last
        threads = [thread.name for thread in threading.enumerate()]
    await sampler.close()
    seen = {"first": first.as_dict(), "calls": calls() - before, "threads": threads}
    print(json.dumps(seen), flush=True)


asyncio.run(main())

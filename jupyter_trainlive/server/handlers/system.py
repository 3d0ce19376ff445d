"""The server itself: its version and capabilities, and what the machine is doing."""

from __future__ import annotations

from tornado import web

from ... import __version__
from ...jobs import sources
from ...jobs.gpu_share import reading
from .. import v1
from .base import ApiBase, allowed

KINDS = ("finetune", *sources.KINDS)


class HelloHandler(ApiBase):
    """``GET api/hello``"""

    _track_activity = False

    @allowed("read")
    async def get(self) -> None:
        self.answer(
            {
                "name": "jupyter_trainlive",
                "version": __version__,
                "kinds": KINDS,
                "subprotocols": [v1.NAME],
                "owns_jobs": self.services.manager.owns,
            }
        )


class SystemHandler(ApiBase):
    """``GET api/system``: GPUs, CPU and memory, now and the last minutes."""

    _track_activity = False

    @allowed("read")
    async def get(self) -> None:
        sampler = self.services.sampler
        sample = await sampler.now()
        if sample is None:
            raise web.HTTPError(503, "The machine's gauges can't be read at the moment; try again.")
        manager = self.services.manager
        used_by = {slot.uuid: slot.holder for slot in await manager.slots(sample.gpus)}
        now = reading(sample, manager.occupied)
        now["gpus"] = [{**gpu, "used_by": used_by.get(gpu["uuid"])} for gpu in now["gpus"]]
        self.answer({**now, "history": [past.as_dict() for past in sampler.history()]})

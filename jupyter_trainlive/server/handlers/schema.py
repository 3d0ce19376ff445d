"""The parameters of a fine-tune, for whoever makes a form of them."""

from __future__ import annotations

from ...protocol.contract import schema
from .base import ApiBase, allowed


class SchemaHandler(ApiBase):
    """``GET api/training/schema``: JSON Schema of the recipe's parameters."""

    @allowed("read")
    async def get(self) -> None:
        self.answer(schema("finetune"))

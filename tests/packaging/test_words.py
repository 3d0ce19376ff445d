"""The words of the settings: the server translates them, with what a language pack has for this package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyterlab_server.translation_utils import translator

SCHEMA = Path(__file__).parents[2] / "js" / "lab" / "schema" / "plugin.json"


class MadeUp:
    """The words of a language that has every English one in marks."""

    def pgettext(self, context: str, text: str) -> str:
        return f"«{text}»"


def words(value: Any) -> Iterator[str]:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if key in ("title", "description", "jupyter.lab.setting-icon-label") and isinstance(inner, str):
            yield inner
        else:
            yield from words(inner)


def test_no_word_of_the_settings_is_left_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = json.loads(SCHEMA.read_text())
    count = len(list(words(schema)))
    monkeypatch.setattr(translator, "_LOCALE", "de_DE")
    monkeypatch.setitem(translator._TRANSLATORS, "jupyter_trainlive", MadeUp())
    said = list(words(translator.translate_schema(schema)))
    assert len(said) == count > 15
    assert [word for word in said if not word.startswith("«")] == []

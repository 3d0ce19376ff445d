"""Being called right after a module was imported, and never having it imported."""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Hook = Callable[[ModuleType], None]


class PostImport(importlib.abc.MetaPathFinder):
    """A finder that finds nothing by itself: it asks the others, and stands between a watched module and its loader."""

    def __init__(self) -> None:
        self._hooks: dict[str, Hook] = {}

    def watch(self, name: str, hook: Hook) -> None:
        """Call `hook` with the module of that name, now where it was imported, else once it is."""
        module = sys.modules.get(name)
        # One that is being imported right now is not complete yet, and passes here no more.
        if module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False):
            hook(module)
            return
        self._hooks[name] = hook
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        hook = self._hooks.get(fullname)
        if hook is None:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None) if finder is not self else None
            spec: ModuleSpec | None = find(fullname, path, target) if find is not None else None
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader, self, hook)
                return spec
        return None

    def done(self, name: str) -> None:
        """It was imported."""
        self._hooks.pop(name, None)


class _Loader(importlib.abc.Loader):
    """Loads as the module's own loader does, and gives its place back to that."""

    def __init__(self, loader: Any, finder: PostImport, hook: Hook) -> None:
        self._loader = loader
        self._finder = finder
        self._hook = hook

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._finder.done(module.__name__)
        self._hook(module)

    def __getattr__(self, name: str) -> Any:
        # Who looks for a module without importing it may ask its loader for more.
        return getattr(self.__dict__["_loader"], name)

"""Measures, keeps the numbers in ``tests/benchmarks/results`` and shows all of them in one Markdown table."""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from . import machine
from .measure import HEAD, RULE, lines, with_ratios

RESULTS = Path(__file__).parent / "results"
#: Each is a module with `run(folder) -> list[Row]`, and in the table in this order.
PARTS = (
    *("logging", "lost", "latency", "pixel", "ingest", "load", "watchers", "stalled", "curves", "keeping", "idle"),
    "loading",
    "plots",
)
_MODULES = {"logging": "logging_cost", "load": "eight_jobs"}


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which of {', '.join(PARTS)}; all by default")
    names = parser.parse_args().names or list(PARTS)
    if unknown := set(names) - set(PARTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    RESULTS.mkdir(exist_ok=True)
    # Who ends it ends all that it started: servers, jobs, workers, the peers' servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    failed = [name for name in names if not measure(name)]
    table = whole_table()
    (RESULTS / "table.md").write_text(table)
    print(f"\n{table}")
    if failed:
        print(f"Not measured, see above: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def measure(name: str) -> bool:
    """Run one part and keep its numbers; whether that worked."""
    before, began = machine.state(), time.monotonic()
    print(f"{name} … (load {before['load']})", flush=True)
    try:
        benchmark = importlib.import_module(f".{_MODULES.get(name, name)}", __package__)
        # A short path: Unix sockets lie in it.
        with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
            rows = with_ratios(benchmark.run(Path(folder)))
    except Exception:  # noqa: BLE001 - the other parts are worth having
        traceback.print_exc()
        return False
    taken = round(time.monotonic() - began)
    content = {"machine": before, "seconds": taken, "rows": [row.as_dict() for row in rows]}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    print("\n".join([HEAD, RULE, *lines(name, content["rows"])]), f"\n{name}: {taken} s\n", flush=True)
    return True


def whole_table() -> str:
    """All results that there are, also those of earlier runs."""
    contents: dict[str, dict[str, Any]] = {}
    for name in PARTS:
        file = RESULTS / f"{name}.json"
        if file.exists():
            contents[name] = json.loads(file.read_text())
    text = ["# What things cost", "", *machine.described({name: each["machine"] for name, each in contents.items()})]
    text += ["", HEAD, RULE]
    for name, content in contents.items():
        text += lines(name, content["rows"])
    return "\n".join(text) + "\n"


if __name__ == "__main__":
    sys.exit(main())

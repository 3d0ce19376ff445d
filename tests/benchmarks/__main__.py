"""Measures, prints a Markdown table, and keeps both table and numbers in ``tests/benchmarks/results``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from pathlib import Path

from . import latency, loading, logging_cost
from .measure import table

RESULTS = Path(__file__).parent / "results"
BENCHMARKS = {"loading": loading, "logging": logging_cost, "latency": latency}


def main() -> None:
    parser = argparse.ArgumentParser("python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which of {', '.join(BENCHMARKS)}; all by default")
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    RESULTS.mkdir(exist_ok=True)
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    tables = [f"{machine}\n"]
    print(tables[0])
    for name in names:
        benchmark = BENCHMARKS[name]
        # A short path: Unix sockets lie in it.
        with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
            rows = benchmark.run(Path(folder))
        content = {"machine": machine, "rows": [row.as_dict() for row in rows]}
        (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        tables.append(table(benchmark.TITLE, rows))
        print(tables[-1], flush=True)
    (RESULTS / "table.md").write_text("\n".join(tables))


if __name__ == "__main__":
    main()

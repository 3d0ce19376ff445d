"""CONTRIBUTING.md tells what the faults of this suite led to, in this very run."""

from __future__ import annotations

import pytest

from .table import Table, write, written


def test_contributing_has_the_table_that_this_suite_writes(table: Table, request: pytest.FixtureRequest) -> None:
    if not table.rows:
        pytest.skip("the faults did not run")
    if request.config.getoption("--write-faults"):
        write(table)
    missing = [row for row in table.rows if row not in written()]
    assert not missing, "run `make test ARGS='tests/faults --write-faults'` and look at what changed"

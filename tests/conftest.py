"""Before any test: what is compiled must be what the sources say."""

from __future__ import annotations

import pytest

from tools.compiled import Compiled


def pytest_configure(config: pytest.Config) -> None:
    if Compiled().is_stale():
        raise pytest.UsageError(
            "compiled modules are older than their sources: `make dev` builds them anew, "
            "`ETCDPY_PURE=1 make dev` takes them away"
        )

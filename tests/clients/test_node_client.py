"""The npm package etcd3 sees the same in the real etcd and in ours."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.clients.environments import node_environment
from tests.clients.machine import find_program, lack, need
from tests.clients.running import run_program_on_both

pytestmark = pytest.mark.slow


def test_etcd3_of_npm(tmp_path: Path) -> None:
    node, npm = (need("node", partial(find_program, name)) for name in ("node", "npm"))
    try:
        folder = node_environment("npm", str(npm), "etcd3@1.1.2")
    except RuntimeError as error:
        lack("node", str(error))
    seen = run_program_on_both(tmp_path, [str(node)], "use_etcd3.js", NODE_PATH=str(folder / "node_modules"))
    assert seen.ours == seen.theirs

"""Our own programs, as a user starts them."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def ours_binary(name: str) -> Path:
    """Path of our `etcd` or `etcdctl` beside the running interpreter; a missing one is an error."""
    path = Path(sys.executable).parent / name
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"{path}: run `make dev`")
    return path

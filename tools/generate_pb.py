"""Generate src/etcdpy/pb/*_pb2.py and .pyi from the .proto files beside them.

python tools/generate_pb.py            write the modules
python tools/generate_pb.py --check    exit 1 when a committed module is not what the .proto gives
"""

from __future__ import annotations

import filecmp
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

SOURCE = Path(__file__).resolve().parent.parent / "src"
PB = SOURCE / "etcdpy" / "pb"


def generate(target: Path) -> list[Path]:
    protos = sorted(str(path.relative_to(SOURCE)) for path in PB.glob("*.proto"))
    status = protoc.main(["protoc", f"-I{SOURCE}", f"--python_out={target}", f"--mypy_out=quiet:{target}", *protos])
    if status != 0:
        raise SystemExit(status)
    return sorted((target / "etcdpy" / "pb").glob("*_pb2.py*"))


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        stale = 0
        for made in generate(Path(scratch)):
            committed = PB / made.name
            if committed.exists() and filecmp.cmp(made, committed, shallow=False):
                continue
            stale += 1
            if "--check" in sys.argv:
                print(f"stale: {committed.relative_to(SOURCE.parent)} (run python tools/generate_pb.py)")
            else:
                committed.write_bytes(made.read_bytes())
                print(f"wrote {committed.relative_to(SOURCE.parent)}")
        if stale and "--check" in sys.argv:
            raise SystemExit(1)


if __name__ == "__main__":
    main()

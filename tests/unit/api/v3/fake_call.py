"""A streaming call without a transport: what a handler does to it is written down."""

from __future__ import annotations


class FakeCall:
    """Takes `room` messages before it says that it has enough."""

    def __init__(self, *, room: int = 1 << 30, metadata: dict[bytes, bytes] | None = None) -> None:
        self.user: object = None
        self.path = b"/etcdserverpb.Watch/Watch"
        self.message = b""
        self.peer = "127.0.0.1:1"
        self.deadline: float | None = None
        self.closed = False
        self.connection: object = self
        self.is_crowded = False
        self.room = room
        self.written: list[bytes] = []
        self.status: tuple[int, str] | None = None
        self.is_reading = True
        self._metadata = metadata or {}

    def peer_common_name(self) -> bytes | None:
        return None

    def has_room(self, size: int) -> bool:
        return not self.is_crowded

    def put_off(self) -> bool:
        return False

    def metadata(self, name: bytes) -> bytes | None:
        return self._metadata.get(name)

    def respond(self, message: bytes | list[bytes]) -> None:
        raise AssertionError("a streaming call has no single answer")

    def start(self) -> None:
        pass

    def write(self, message: bytes | list[bytes]) -> bool:
        assert self.status is None, "written to after its end"
        self.written.append(message if isinstance(message, bytes) else b"".join(message))
        self.room -= 1
        return self.room > 0

    def fail(self, code: int, text: str) -> None:
        assert self.status is None, "ended twice"
        self.status = (code, text)

    def finish(self, code: int = 0, text: str = "") -> None:
        self.fail(code, text)

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def take(self) -> list[bytes]:
        written, self.written = self.written, []
        return written

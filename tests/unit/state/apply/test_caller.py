"""Who asks."""

from __future__ import annotations

from etcdpy.state.apply.caller import IMPOSTOR, NOBODY, Caller


def test_nobody_is_no_impostor() -> None:
    assert NOBODY.is_valid and not IMPOSTOR.is_valid
    assert NOBODY.revision == IMPOSTOR.revision == 0, "neither gets past a check"
    assert repr(Caller(b"u", 3)) == "Caller(b'u', 3, is_valid=True)"

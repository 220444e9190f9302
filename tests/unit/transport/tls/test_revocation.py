"""Lists of revoked certificates: PEM or DER, read anew when they change, and nobody passes one that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from etcdpy.transport.tls.revocation import RevocationList, Revoked
from tests.certificates import Authority


@pytest.mark.parametrize("der", [False, True], ids=["pem", "der"])
def test_serials_in_the_list_are_refused(tmp_path: Path, der: bool) -> None:
    authority = Authority(tmp_path, "ca")
    good, bad = authority.issue("good"), authority.issue("bad")
    revoked = RevocationList(str(authority.revoke(tmp_path / "crl", [bad], der=der)))

    revoked.check([good.serial])
    with pytest.raises(Revoked, match=f"transport: certificate serial {bad.serial:x} revoked"):
        revoked.check([good.serial, bad.serial])


def test_a_changed_list_counts_at_once(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    pair = authority.issue("pair")
    path = authority.revoke(tmp_path / "crl", [])
    revoked = RevocationList(str(path))
    revoked.check([pair.serial])

    authority.revoke(path, [pair])
    with pytest.raises(Revoked):
        revoked.check([pair.serial])

    authority.revoke(path, [])
    revoked.check([pair.serial])


def test_a_list_that_cannot_be_read_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "crl"
    revoked = RevocationList(str(path))

    with pytest.raises(Revoked, match="no such file"):
        revoked.check([1])
    path.write_text("nonsense")
    with pytest.raises(Revoked):
        revoked.check([1])

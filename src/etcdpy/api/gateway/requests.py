"""The requests in a body: JSON values one after the other, taken off as they come."""

from __future__ import annotations

import codecs
from typing import Any, Final

from etcdpy.api.gateway.exchange import Exchange
from etcdpy.api.gateway.go_json import Incomplete, JsonError, parse_first

# What may stand between two requests without an end of the first; the largest message fits in base64 and JSON.
WAITING_CHARACTERS_MAX: Final = 4 * 1024 * 1024
# What ends a value, or a line. Only when one of these has come is it worth to look for a value's end, or a defect.
_ENDS: Final = frozenset('}]"el0123456789\n')


class RequestReader:
    """Reads JSON values from a body that may come in pieces."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._text = ""
        self._is_ended = False

    async def read_only(self) -> Any:
        """Return the first value of a body that has to be there as a whole; None for an empty one. Raise JsonError."""
        pieces = []
        while (piece := await self._exchange.read()) is not None:
            pieces.append(piece)
        try:
            return parse_first(b"".join(pieces).decode("utf-8", "replace"))[0]
        except EOFError:
            return None

    async def next(self) -> Any:
        """Return the next value as soon as it is there. Raise EOFError after the last, JsonError for a bad one."""
        while True:
            if self._text:
                try:
                    value, end = parse_first(self._text)
                except Incomplete:
                    if self._is_ended:
                        raise
                except EOFError:
                    self._text = ""
                else:
                    self._text = self._text[end:]
                    return value
            if self._is_ended:
                raise EOFError
            await self._read_more()

    async def _read_more(self) -> None:
        """Read until something came that can end a value, or the body ends."""
        while True:
            piece = await self._exchange.read()
            self._is_ended = piece is None
            more = self._decode(piece or b"", self._is_ended)
            self._text += more
            if len(self._text) > WAITING_CHARACTERS_MAX:
                raise JsonError("http: request body too large")
            if self._is_ended or not _ENDS.isdisjoint(more):
                return

"""From the name of a format to its printer; only that printer's module is imported."""

from __future__ import annotations

from typing import BinaryIO, Final

from etcdpy.cli.etcdctl.printer.base import Printer

FORMATS: Final = ("simple", "json", "fields", "table", "protobuf")


def make_printer(name: str, out: BinaryIO, *, hex_wanted: bool) -> Printer:
    """Return the printer called `name` (one of FORMATS)."""
    if name == "simple":
        from etcdpy.cli.etcdctl.printer.simple import SimplePrinter

        return SimplePrinter(out, hex_wanted=hex_wanted)
    if name == "json":
        from etcdpy.cli.etcdctl.printer.json import JsonPrinter

        return JsonPrinter(out, hex_wanted=hex_wanted)
    if name == "fields":
        from etcdpy.cli.etcdctl.printer.fields import FieldsPrinter

        return FieldsPrinter(out, hex_wanted=hex_wanted)
    if name == "table":
        from etcdpy.cli.etcdctl.printer.table import TablePrinter

        return TablePrinter(out, hex_wanted=hex_wanted)
    from etcdpy.cli.etcdctl.printer.protobuf import ProtobufPrinter

    return ProtobufPrinter(out, hex_wanted=hex_wanted)

"""Generate docs/flags.md from the table of flags.

python tools/generate_flags_doc.py            write it
python tools/generate_flags_doc.py --check    exit 1 when the committed page is not what the table gives
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from etcdpy.embed.flag_table import FLAGS, HARMLESS, LATER, REFUSED, SECTIONS, WORKS, Flag

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "flags.md"

INTRODUCTION: Final = """# Flags of `etcd`

Made by `tools/generate_flags_doc.py` from `src/etcdpy/embed/flag_table.py`; edit there.

Every flag of etcd 3.5 is known, and those that 3.6 added. What becomes of a value other than the default:

- **works**: it takes effect;
- **harmless**: it is taken and changes nothing, because what it tunes does not exist here;
- **later**: the start is refused with a plain text. Nothing is taken and then silently not done;
- **refused**: the same, and so it will stay, for the reason given.

A flag is written `-name` or `--name`, with its value behind `=` or as the next argument; booleans take theirs behind
`=` only. Each flag has a variable, `ETCD_` and the name in upper case with `_` for `-` (`ETCD_DATA_DIR`); to give both
is refused. With `--config-file` (or `ETCD_CONFIG_FILE`) all others are ignored. Keys of the file are the names of the
flags, but durations are whole nanoseconds there, and the TLS and socket flags stand in maps
(`client-transport-security`, `peer-transport-security`, `socket-options`).
"""

SUPPORT_ORDER: Final = (WORKS, HARMLESS, LATER, REFUSED)


def page_text() -> str:
    counts = ", ".join(f"{sum(flag.support == level for flag in FLAGS)} {level}" for level in SUPPORT_ORDER)
    parts = [INTRODUCTION, f"\n{len(FLAGS)} flags: {counts}.\n"]
    for section in (*SECTIONS, ""):
        rows = [_row(flag) for flag in FLAGS if flag.section == section]
        title = section or "Not in the help text"
        parts.append(f"\n## {title}\n\n| flag | default | support | |\n| --- | --- | --- | --- |\n" + "".join(rows))
    return "".join(parts)


def _row(flag: Flag) -> str:
    default = f"`{flag.shown_default}`" if flag.shown_default else ""
    note = f" *{flag.note}*" if flag.note else ""
    return f"| `--{flag.name}` | {default} | {flag.support} | {flag.help}{note} |\n".replace("'|'", "'\\|'")


def main() -> None:
    text = page_text()
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text() != text:
            raise SystemExit(f"stale: {PAGE.name} (run python tools/generate_flags_doc.py)")
        return
    PAGE.write_text(text)
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()

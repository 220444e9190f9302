"""etcdutl completion bash: a script for the shell, made from the tables of commands and flags."""

from __future__ import annotations

from etcdpy.cli.etcdctl.exits import BAD_ARGS, Exit
from etcdpy.cli.etcdctl.tree import Command
from etcdpy.cli.etcdutl.session import Session
from etcdpy.cli.etcdutl.table import ROOT, flags_of


def run(session: Session) -> None:
    if session.words != ["bash"]:
        raise Exit(BAD_ARGS, "completion requires the name of a shell: bash")
    print(bash_script(), end="")


def bash_script() -> str:
    """Return a script that offers what may follow the words typed so far; files where that is nothing of ours."""
    cases = "".join(
        f'    "{" ".join(command.name for command in path[1:])}") offered="{" ".join(_offers(path))}" ;;\n'
        for path in _paths([ROOT])
    )
    return (
        "_etcdutl_complete() {\n"
        '  local word path="" offered=""\n'
        '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do\n'
        '    case "$word" in -*) ;; *) path="${path:+$path }$word" ;; esac\n'
        "  done\n"
        '  case "$path" in\n'
        f"{cases}"
        "  esac\n"
        '  COMPREPLY=($(compgen -W "$offered" -- "${COMP_WORDS[COMP_CWORD]}"))\n'
        "}\n"
        "complete -o default -F _etcdutl_complete etcdutl\n"
    )


def _paths(path: list[Command]) -> list[list[Command]]:
    below = [more for child in path[-1].children if not child.deprecated for more in _paths([*path, child])]
    return [path, *below]


def _offers(path: list[Command]) -> list[str]:
    children = [child.name for child in path[-1].children if not child.deprecated]
    return [*children, *(f"--{flag.name}" for flag in flags_of(path))]

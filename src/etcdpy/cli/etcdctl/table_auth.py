"""The commands about authentication, as data: see `table`."""

from __future__ import annotations

from typing import Final

from etcdpy.cli.etcdctl.flags import BOOL, STRING, Flag
from etcdpy.cli.etcdctl.tree import Command

AUTH: Final = Command(
    "auth",
    "<enable or disable>",
    "Switch authentication on and off",
    children=(
        Command("enable", "", "Switches authentication on", module="auth", function="run_enable"),
        Command("disable", "", "Switches authentication off", module="auth", function="run_disable"),
        Command("status", "", "Tells whether authentication is on", module="auth", function="run_status"),
    ),
)

USER: Final = Command(
    "user",
    "<subcommand>",
    "Manage users",
    children=(
        Command(
            "add",
            "<user name or user:password> [options]",
            "Adds a user",
            flags=(
                Flag("interactive", BOOL, "true", "ask for the password twice; otherwise read one word from stdin"),
                Flag("new-user-password", STRING, "", "the password"),
                Flag("no-password", BOOL, "false", "a user who can only come with a certificate"),
            ),
            module="user",
            function="run_add",
        ),
        Command("delete", "<user name>", "Deletes a user", module="user", function="run_delete"),
        Command(
            "get",
            "<user name> [options]",
            "Shows a user's roles",
            flags=(Flag("detail", BOOL, "false", "also what each role permits"),),
            module="user",
            function="run_get",
        ),
        Command("list", "", "Lists all users", module="user", function="run_list"),
        Command(
            "passwd",
            "<user name> [options]",
            "Changes a user's password",
            flags=(
                Flag("interactive", BOOL, "true", "ask for the password twice; otherwise read one word from stdin"),
            ),
            module="user",
            function="run_passwd",
        ),
        Command(
            "grant-role", "<user name> <role name>", "Gives a role to a user", module="user", function="run_grant_role"
        ),
        Command(
            "revoke-role",
            "<user name> <role name>",
            "Takes a role from a user",
            module="user",
            function="run_revoke_role",
        ),
    ),
)

RANGE_FLAGS: Final = (
    Flag("from-key", BOOL, "false", "all keys from the given one on"),
    Flag("prefix", BOOL, "false", "all keys that begin with the given one"),
)

ROLE: Final = Command(
    "role",
    "<subcommand>",
    "Manage roles",
    children=(
        Command("add", "<role name>", "Adds a role", module="role", function="run_add"),
        Command("delete", "<role name>", "Deletes a role", module="role", function="run_delete"),
        Command("get", "<role name>", "Shows what a role permits", module="role", function="run_get"),
        Command("list", "", "Lists all roles", module="role", function="run_list"),
        Command(
            "grant-permission",
            "[options] <role name> <permission type> <key> [endkey]",
            "Lets a role read or write keys",
            flags=RANGE_FLAGS,
            module="role",
            function="run_grant_permission",
        ),
        Command(
            "revoke-permission",
            "<role name> <key> [endkey]",
            "Takes a permission from a role",
            flags=RANGE_FLAGS,
            module="role",
            function="run_revoke_permission",
        ),
    ),
)

"""Writes the reference page of the commands from the commands themselves."""

import inspect
import sys
from collections.abc import Iterator

import click

from hyper2kvm.accelerator import DEADLINE_VARIABLE
from hyper2kvm.cli.app import Unavailable, app
from hyper2kvm.cli.pod import TERMINATION_LOG
from hyper2kvm.privileges import DEVICES_VARIABLE, USER_VARIABLE
from hyper2kvm.report.model import Report
from hyper2kvm_api.generated import Table, header, json_schema, main
from hyper2kvm_api.reasons import EXIT_INTERRUPTED, EXIT_OK, EXIT_RETRY, Category

HEADER = header("conversion-image/hyper2kvm")

_INTRODUCTION = """\
# The command h2k

A command that is interrupted or killed is continued by the same command. What happens meanwhile is shown as progress
bars on a terminal, otherwise, or with `--json`, as one JSON object a line
([crds/schemas/event.json](../../crds/schemas/event.json)). Every error has one of the [reasons](reasons.md)."""

VARIABLES = {
    TERMINATION_LOG: "Set in the operator's pods: the file that takes the verdict (at most 4096 bytes of JSON).",
    USER_VARIABLE: "Set in the operator's privileged pods: the user and group that root becomes before the work begins.",
    DEVICES_VARIABLE: "Beside it: the device nodes that this user is given, separated by colons.",
    DEADLINE_VARIABLE: "Seconds that a kernel may take to show that KVM works. Default: 20.",
    "LIBGUESTFS_PATH": "Folder of a fixed appliance (libguestfs' own variable); the conversion image has one.",
    "XDG_CACHE_HOME": "Folder under which `hyper2kvm` keeps what it found out of this machine. Default: ~/.cache.",
    "TMPDIR": "Folder for sockets and other short-lived files. Default: /tmp.",
    "KUBECONFIG": "The kubeconfig with which `status` and `report --namespace` ask a cluster. Default: ~/.kube/config.",
}
"""Environment variable → what it is for."""

_EXIT_CODES = {
    EXIT_OK: "success",
    **{category.exit_code: f"a reason of the group {category.name.capitalize()}" for category in Category},
    EXIT_RETRY: "in a pod: failed, and worth another try",
    EXIT_INTERRUPTED: "interrupted",
}


def commands() -> dict[str, click.Command]:
    """Every command by its name, those of the operator's package among them; hidden ones too.

    Raises:
        HostError: an extra is not installed that one of them needs.
    """
    context = click.Context(app)
    found = {name: app.get_command(context, name) for name in app.list_commands(context)}
    for command in found.values():
        if isinstance(command, Unavailable):
            raise command.error
    return {name: command for name, command in found.items() if command is not None}


def page() -> str:
    """The page, in Markdown."""
    shown = {name: command for name, command in commands().items() if not command.hidden}
    lines = [f"<!-- {HEADER} -->", _INTRODUCTION]
    for name, command in shown.items():
        lines += ["", f"## h2k {name}", "", *_section(name, command)]
    lines += ["", "## Exit codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {code} | {meaning} |" for code, meaning in _EXIT_CODES.items()]
    lines += ["", "## Environment variables", "", "| variable | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in VARIABLES.items()]
    return "\n".join(lines) + "\n"


def _section(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=f"h2k {name}")
    yield "```text"
    yield " ".join((f"h2k {name}", *command.collect_usage_pieces(context)))
    yield "```"
    yield ""
    yield inspect.cleandoc(command.help or "")
    records = [record for each in command.params if (record := each.get_help_record(context)) and record[1]]
    if records:
        yield ""
    for names, text in records:
        yield f"* `{names}`: {' '.join(text.split())}"


GENERATED: Table = {
    "docs/reference/cli.md": page,
    "crds/schemas/report.json": lambda: json_schema(Report, HEADER),
}
"""What this package generates."""


if __name__ == "__main__":
    sys.exit(main(GENERATED, sys.argv[1:]))

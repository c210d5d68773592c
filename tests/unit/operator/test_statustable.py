"""`h2k status`: the table of migrations."""

import datetime as dt
import io

from rich.console import Console

from hyper2kvm_operator.clustercli import table

NOW = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def shown(**status):
    metadata = {"namespace": "moves", "name": "web01", "creationTimestamp": "2026-01-01T10:00:00Z"}
    console = Console(file=io.StringIO(), width=200, color_system=None)
    console.print(table([{"metadata": metadata, "status": status}], NOW))
    return console.file.getvalue()


def test_texts_of_a_status_command_no_terminal_and_are_no_markup():
    text = shown(phase="Converting", progress="copying [bold]\x1b]0;owned\x07 \x9b2J", stage="Convert")
    assert "copying [bold]\N{REPLACEMENT CHARACTER}]0;owned" in text
    assert not [c for c in text if not c.isprintable() and c != "\n"]

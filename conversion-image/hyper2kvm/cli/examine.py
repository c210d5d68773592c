"""`h2k plan`, `h2k inspect` and `h2k fix`: the stages that find out and decide, without a target.

Standard output has the document alone; what happens meanwhile is shown on standard error.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import click
import yaml

from hyper2kvm.cli.options import mapped, migration_options
from hyper2kvm.cli.run import running, workspace_of
from hyper2kvm.pipeline import examine, flat, repair
from hyper2kvm.prepare import read_request, start
from hyper2kvm.stages.documents import Fixed
from hyper2kvm.stages.opened import OpenedDisks
from hyper2kvm_api.document import Document
from hyper2kvm_api.migration import Mode

Folders = tuple[tuple[str, Path], ...]


@click.command()
@migration_options
@click.option("--effective", is_flag=True, help="Print the spec with its profiles merged in, and stop.")
def plan(
    files: tuple[Path, ...],
    volumes: Folders,
    secrets: Folders,
    output: Path,
    workspace: Path | None,
    as_json: bool,
    effective: bool,
) -> None:
    """Show what `h2k run` would do: the machine, the disks and the options, as a plan that `h2k run` takes."""
    request = read_request(files, mapped(volumes, secrets, output))
    if effective:
        _print(request.plan or request.spec or request.source, as_json=as_json)
        return
    place = workspace_of(request, output, workspace)
    with running(place, sys.stderr, as_json=as_json) as events:
        work, _ = start(request, place, events)
    _print(work.plan, as_json=as_json)


@click.command()
@migration_options
def inspect(
    files: tuple[Path, ...], volumes: Folders, secrets: Folders, output: Path, workspace: Path | None, as_json: bool
) -> None:
    """Show what is inside the disks: operating system, kernels and their drivers, boot loader, network."""
    request = read_request(files, mapped(volumes, secrets, output))
    place = workspace_of(request, output, workspace)
    with running(place, sys.stderr, as_json=as_json) as events:
        work, fetched = start(request, place, events)
        flattened = flat(work, fetched)
        with OpenedDisks(work, flattened) as opened:
            guest = examine(work, flattened, opened)
    _print(guest, as_json=as_json)


@click.command()
@migration_options
@click.option("--dry-run", is_flag=True, help="Only show the changes, as a unified diff with reasons.")
def fix(
    files: tuple[Path, ...],
    volumes: Folders,
    secrets: Folders,
    output: Path,
    workspace: Path | None,
    as_json: bool,
    dry_run: bool,
) -> None:
    """Plan the changes that make the guest boot, and make them in the workspace (never in the source).

    `h2k run` with the same workspace goes on from there.
    """
    request = read_request(files, mapped(volumes, secrets, output))
    place = workspace_of(request, output, workspace)
    with running(place, sys.stderr, as_json=as_json) as events:
        work, fetched = start(request, place, events)
        if dry_run:
            work = replace(work, plan=work.plan.replaced(mode=Mode.PLAN))
        flattened = flat(work, fetched)
        with OpenedDisks(work, flattened) as opened:
            guest = examine(work, flattened, opened)
            fixed = repair(work, guest, opened)
    if as_json:
        _print(fixed, as_json=True)
    else:
        click.echo(as_diff(fixed), nl=False)


def as_diff(fixed: Fixed) -> str:
    """The changes as one patch: reasons as comments before each file, summaries for what is no text."""
    parts = []
    for edit in fixed.edits:
        parts += [f"# {reason}\n" for reason in edit.reasons]
        parts.append(edit.diff or f"# {edit.kind} {edit.path}: {edit.summary}\n")
        parts.append("\n")
    parts += [f"# unchanged: {note}\n" for note in fixed.notes]
    return "".join(parts)


def _print(document: Document, *, as_json: bool) -> None:
    if as_json:
        click.echo(document.to_json())
        return
    text = json.loads(document.to_json())
    yaml.safe_dump(text, sys.stdout, sort_keys=False, allow_unicode=True, width=120)

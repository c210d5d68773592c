"""`h2k plan`, `h2k inspect` and `h2k fix`: the stages that find out and decide, without a target.

Standard output has the document alone; what happens meanwhile is shown on standard error.
"""

import sys
from dataclasses import replace

import click
import yaml

from hyper2kvm.cli.options import Given, migration_options
from hyper2kvm.cli.session import Session, pass_session
from hyper2kvm.cli.working import working
from hyper2kvm.pipeline import examine, flat, look
from hyper2kvm.prepare import start
from hyper2kvm.stages.documents import Fixed
from hyper2kvm.stages.opened import OpenedDisks
from hyper2kvm_api.document import Document
from hyper2kvm_api.migration import Mode
from hyper2kvm_api.text import printable


@click.command()
@pass_session
@migration_options
@click.option("--effective", is_flag=True, help="Print the spec with its profiles merged in, and stop.")
def plan(session: Session, given: Given, effective: bool) -> None:
    """Show what `h2k run` would do: the machine, the disks and the options, as a plan that `h2k run` takes."""
    request = given.request()
    if effective:
        _print(request.plan or request.spec or request.source, as_json=session.json)
        return
    place = given.workspace(request)
    with working(session, place, sys.stderr) as at_work:
        work, _ = start(request, place, at_work.events)
    _print(work.plan, as_json=session.json)


@click.command()
@pass_session
@migration_options
def inspect(session: Session, given: Given) -> None:
    """Show what is inside the disks: operating system, kernels and their drivers, boot loader, network."""
    request = given.request()
    place = given.workspace(request)
    with working(session, place, sys.stderr) as at_work:
        work, fetched = start(request, place, at_work.events)
        flattened = flat(work, fetched)
        with OpenedDisks(work, flattened) as opened:
            guest = examine(work, flattened, opened)
    _print(guest, as_json=session.json)


@click.command()
@pass_session
@migration_options
@click.option("--dry-run", is_flag=True, help="Only show the changes, as a unified diff with reasons.")
def fix(session: Session, given: Given, dry_run: bool) -> None:
    """Plan the changes that make the guest boot, and make them in the workspace (never in the source).

    `h2k run` with the same workspace goes on from there.
    """
    request = given.request()
    place = given.workspace(request)
    with working(session, place, sys.stderr) as at_work:
        work, fetched = start(request, place, at_work.events)
        if dry_run:
            work = replace(work, plan=work.plan.replaced(mode=Mode.PLAN))
        _, _, fixed = look(work, fetched)
    if session.json:
        _print(fixed, as_json=True)
    else:
        click.echo(printable(as_diff(fixed)), nl=False)


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
        text = document.to_json()
        click.echo(printable(text) if sys.stdout.isatty() else text)
        return
    yaml.safe_dump(document.to_object(), sys.stdout, sort_keys=False, allow_unicode=True, width=120)

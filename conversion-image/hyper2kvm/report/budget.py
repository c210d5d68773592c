"""A report of a bounded size: what is long is cut, and says so."""

from collections.abc import Callable

from hyper2kvm.guest.edits import EditRecord
from hyper2kvm.report.model import Report

_STEPS = ((64 * 1024, 4000), (16 * 1024, 2000), (4 * 1024, 1000), (1024, 500), (400, 200), (200, 50), (100, 10))
"""Ever less of a report: characters of a diff or summary, and number of edits."""

WHERE = "fix.json in the workspace has all of it"


def within(limit: int, report: Report, write: Callable[[Report], str]) -> str:
    """The report as `write` writes it, with as much of the changes as fits into `limit` bytes."""
    text = write(report)
    for characters, count in _STEPS:
        if len(text.encode()) <= limit:
            break
        text = write(_shorter(report, characters, count))
    return text


def _shorter(report: Report, characters: int, count: int) -> Report:
    fixed = report.fixed
    if fixed is None:
        return report
    kept = fixed.edits[:count]
    shorter = fixed.replaced(
        edits=tuple(_cut(edit, characters) for edit in kept),
        notes=tuple(_text(note, characters) for note in fixed.notes[:count]),
    )
    return report.replaced(fixed=shorter, omitted=len(fixed.edits) - len(kept))


def _cut(edit: EditRecord, characters: int) -> EditRecord:
    return edit.replaced(
        diff=_text(edit.diff, characters) if edit.diff else edit.diff,
        summary=_text(edit.summary, characters) if edit.summary else edit.summary,
    )


def _text(text: str, characters: int) -> str:
    """Whole lines of a text, as many as fit, and what is left out."""
    if len(text) <= characters:
        return text
    kept = text[:characters].rpartition("\n")[0] or text[:characters]
    return f"{kept}\n… {len(text) - len(kept)} more characters are left out here; {WHERE}"

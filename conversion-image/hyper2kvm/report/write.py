"""Writes report.json and report.html into a workspace."""

import base64
from importlib.metadata import version
from pathlib import Path

import jinja2

from hyper2kvm.evidence import SCREENSHOT, SERIAL_LOG
from hyper2kvm.guest.description import Guest
from hyper2kvm.history import History
from hyper2kvm.report.budget import within
from hyper2kvm.report.model import BootOutcome, Documents, Report, build
from hyper2kvm.report.picture import fitted
from hyper2kvm.report.text import FILTERS
from hyper2kvm.sources.description import Fetched
from hyper2kvm.stages.documents import FIX_PLAN, Converted, Fixed, Flattened, Validated
from hyper2kvm.workspace import IDENTITY, Identity, Workspace
from hyper2kvm_api.migration import Mode
from hyper2kvm_api.plan import Plan
from hyper2kvm_api.result import Result
from hyper2kvm_api.stage import Stage

MAX_JSON = 280 * 1024
MAX_HTML = 690 * 1024
"""Bytes. Both files of a report lie in one ConfigMap, which holds 1 MiB."""

_MAX_SCREENSHOT = 150 * 1024
_SERIAL_LINES = 60
_SERIAL_BYTES = 16 * 1024


def write_report(workspace: Workspace) -> tuple[Path, Path]:
    """Write both forms of the report, from what the workspace holds; returns their paths.

    Raises:
        HostError: WorkspaceFull or WorkspaceUnusable.
    """
    report = build(_documents(workspace), History(workspace.folder).events(), version("hyper2kvm-operator"))
    as_json, as_html = workspace.folder / "report.json", workspace.folder / "report.html"
    workspace.put(as_json, within(MAX_JSON, report, lambda each: each.to_json(indent=2) + "\n").encode())
    shown = report.boot in {BootOutcome.BOOTED, BootOutcome.FAILED}
    screenshot = _bytes(workspace.evidence / SCREENSHOT) if shown else None
    picture = fitted(screenshot, _MAX_SCREENSHOT) if screenshot else None
    serial = _serial(workspace) if shown else None
    workspace.put(as_html, within(MAX_HTML, report, lambda each: page(each, picture, serial)).encode())
    return as_json, as_html


def page(report: Report, screenshot: bytes | None, serial: str | None) -> str:
    """The report as one self-contained HTML page. Every text of a guest is escaped.

    Args:
        report: the report.
        screenshot: the last screen as PNG, or None.
        serial: the end of the serial log, or None.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hyper2kvm.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    encoded = base64.b64encode(screenshot).decode() if screenshot else None
    return environment.get_template("report.html.j2").render(report=report, screenshot=encoded, serial=serial)


def _documents(workspace: Workspace) -> Documents:
    plan = workspace.read(Plan, "plan")
    planned = plan is not None and plan.mode is Mode.PLAN
    return Documents(
        identity=workspace.read(Identity, IDENTITY),
        plan=plan,
        result=workspace.read(Result, "result"),
        fetched=workspace.read(Fetched, Stage.FETCH.document),
        flattened=workspace.read(Flattened, Stage.FLATTEN.document),
        guest=workspace.read(Guest, Stage.INSPECT.document),
        fixed=workspace.read(Fixed, FIX_PLAN if planned else Stage.FIX.document),
        converted=workspace.read(Converted, Stage.CONVERT.document),
        validated=workspace.read(Validated, Stage.VALIDATE.document),
    )


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _serial(workspace: Workspace) -> str | None:
    log = workspace.evidence / SERIAL_LOG
    if not log.is_file() or log.stat().st_size == 0:
        return None
    with log.open("rb") as handle:
        handle.seek(max(0, log.stat().st_size - _SERIAL_BYTES))
        lines = handle.read().decode(errors="replace").splitlines()[-_SERIAL_LINES:]
    return "\n".join("".join(c for c in line if c.isprintable() or c == "\t") for line in lines)

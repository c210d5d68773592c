"""Migrations of disks without a system: INSPECT tells so from their first sectors, and no appliance is started."""

import random
from collections.abc import Callable
from dataclasses import replace

from hyper2kvm.events import Events
from hyper2kvm.pipeline import migrate
from hyper2kvm.prepare import Mapped, read_request, start
from hyper2kvm.workspace import Workspace
from hyper2kvm_api.event import EventType
from lab.command import manifest
from unit.disk.images import convert, digest

MIB = 1 << 20
SIZE = 12 * MIB
STAGES = ["Fetch", "Flatten", "Inspect", "Fix", "Convert", "Validate"]

_VMX = 'displayName = "web01"\nmemSize = "512"\nfirmware = "bios"\nscsi0.present = "TRUE"\n'


def make_source(folder, disks=2, size=SIZE):
    """A VMX folder; the raw disks are returned."""
    folder.mkdir()
    lines, raws = [_VMX], []
    for number in range(disks):
        raw = folder.with_name(f"disk{number}.raw")
        raw.write_bytes(bytes(MIB) + random.Random(number).randbytes(size // 2 - MIB) + bytes(size // 2))
        convert(raw, folder / f"web01-{number}.vmdk", "vmdk", subformat="monolithicFlat")
        lines.append(f'scsi0:{number}.present = "TRUE"\nscsi0:{number}.fileName = "web01-{number}.vmdk"\n')
        raws.append(raw)
    (folder / "web01.vmx").write_text("".join(lines))
    return raws


class Case:
    """A migration as `h2k run` does it, in this process.

    Attributes:
        source: the folder that the machine is in.
        raws: what its disks hold.
        out: the folder for targets.
        seen: the events of the last run.
    """

    def __init__(self, folder, disks=2):
        self.folder = folder
        self.source = folder / "source"
        self.raws = make_source(self.source, disks)
        self.out = folder / "out"
        self.workspace = Workspace(self.out / "web01.h2k")
        self.seen = []

    @property
    def targets(self):
        return [self.out / f"web01-disk{number}.raw" for number in range(len(self.raws))]

    @property
    def partials(self):
        return [self.out / f".web01-disk{number}.raw.partial" for number in range(len(self.raws))]

    @property
    def domain(self):
        return self.out / "web01.xml"

    def run(self, *, watch: Callable = lambda _: None, version: Callable = lambda document: document, **spec):
        """One run of the same command; what VALIDATE found. `version` makes plan and source those of another version."""
        self.seen = []
        with self.workspace.lock():
            work, fetched = start(self.request(**spec), self.workspace, Events([self.seen.append, watch]))
            return migrate(replace(work, plan=version(work.plan)), version(fetched))

    def request(self, **spec):
        guest = {"whenUnsupported": "Copy"} | spec.pop("guest", {})
        options = {"guest": guest, "validation": {"boot": {"enabled": False}}} | spec
        file = manifest(self.folder, "web01", self.source, ".", **options)
        return read_request([file], Mapped(output=self.out))

    @property
    def started(self):
        """The stages that the last run did not skip."""
        return [str(event.stage) for event in self.seen if event.type is EventType.STAGE_STARTED]

    @property
    def skipped(self):
        return [str(event.stage) for event in self.seen if event.type is EventType.STAGE_SKIPPED]

    def progress(self, stage):
        return [event for event in self.seen if event.type is EventType.PROGRESS and event.stage == stage]

    def check_targets(self):
        """Whether the targets hold what the source's disks do."""
        for target, raw in zip(self.targets, self.raws, strict=True):
            assert digest(target) == digest(raw)

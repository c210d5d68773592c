"""The disks of a guest, opened: a fresh overlay on each, served over NBD, all of them in one appliance."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from hyper2kvm import accelerator
from hyper2kvm.disk.connection import Connection
from hyper2kvm.disk.nodes import overlay_options
from hyper2kvm.disk.overlay import create_overlay
from hyper2kvm.disk.server import NbdServer
from hyper2kvm.guest import firmware
from hyper2kvm.guest.appliance import Appliance
from hyper2kvm.stages.documents import Fixed, FlatDisk, Flattened, OverlayState
from hyper2kvm.stages.work import Work
from hyper2kvm_api.errors import SourceError
from hyper2kvm_api.reasons import Reason


class OpenedDisks:
    """Opens the disks when they are first needed, as a context manager. Both INSPECT and FIX use them.

    The overlays are always made anew, so that nothing of an earlier, interrupted FIX is left in them; and they are
    removed at the end unless FIX keeps them.
    """

    def __init__(self, work: Work, flattened: Flattened) -> None:
        """Nothing is opened yet."""
        self._work = work
        by_id = {disk.id: disk for disk in flattened.disks}
        self._disks: tuple[FlatDisk, ...] = tuple(by_id[disk.id] for disk in work.plan.machine.disks)
        self._opened = ExitStack()
        self._appliance: Appliance | None = None
        self._kept = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.close()
        finally:
            self._end()

    @property
    def appliance(self) -> Appliance:
        """The appliance with all disks in the machine's order; started at the first use.

        Raises:
            HostError: ApplianceFailed, ProgramMissing, ProgramFailed or WorkspaceFull.
        """
        if self._appliance is None:
            self._appliance = self._open()
        return self._appliance

    def first_sectors(self) -> Iterator[bytes]:
        """The first 512 bytes of each disk in the machine's order, read without the appliance.

        Raises:
            SourceError: SourceUnreadable.
            HostError: ProgramFailed when a disk cannot be served.
        """
        for disk in self._disks:
            yield self._first_sector(disk)

    def close(self) -> None:
        """Unmount, write everything to the overlays and end the appliance. Does nothing when nothing is open.

        Raises:
            HostError: ApplianceFailed: what was written may not be in the overlays.
        """
        if self._appliance is not None:
            self._appliance.close()

    def keep(self) -> tuple[OverlayState, ...]:
        """Close, and leave the overlays as they are now for the stages that follow.

        Returns:
            How they look, for `overlays_hold`.

        Raises:
            HostError: as `close`.
        """
        self.close()
        self._opened.close()
        self._kept = True
        return tuple(state for disk in self._disks if (state := self._state(disk.id)) is not None)

    def overlays_hold(self, fixed: Fixed) -> bool:
        """Whether the overlays of an applied FIX are as it left them."""
        return not fixed.applied or (
            len(fixed.overlays) == len(self._disks) and all(self._state(each.disk) == each for each in fixed.overlays)
        )

    def _open(self) -> Appliance:
        proven = accelerator.proven()
        self._work.events.note(f"opening {len(self._disks)} disk(s) in the appliance ({proven})")
        scratch = self._work.workspace.scratch
        with ExitStack() as opening:
            # Paths of sockets end at 107 bytes (unix(7)), which a workspace's may exceed.
            folder = Path(opening.enter_context(tempfile.TemporaryDirectory(prefix="h2k-")))
            sockets = [folder / f"{number}.sock" for number in range(len(self._disks))]
            for disk, socket in zip(self._disks, sockets, strict=True):
                opening.enter_context(self._serve(disk, socket))
            appliance = opening.enter_context(Appliance(sockets, accelerator=proven, log=scratch / "appliance.log"))
            self._opened = opening.pop_all()
        return appliance

    def _first_sector(self, disk: FlatDisk) -> bytes:
        log = self._work.workspace.scratch / "first-sector.nbd.log"
        with (
            tempfile.TemporaryDirectory(prefix="h2k-") as folder,
            NbdServer(disk.node.options(), Path(folder, "disk.sock"), writable=False, log=log) as server,
        ):
            try:
                with Connection(server.uri) as connection:
                    return connection.read(0, min(firmware.SECTOR, connection.size))
            except OSError as error:
                message = f"disk {disk.id} cannot be read: {error.strerror}"
                raise SourceError(Reason.SOURCE_UNREADABLE, message, disk=disk.id) from error

    def _serve(self, disk: FlatDisk, socket: Path) -> NbdServer:
        overlay = self._work.workspace.overlay(disk.id)
        create_overlay(overlay, disk.capacity)
        log = self._work.workspace.scratch / f"{overlay.stem}.nbd.log"
        return NbdServer(overlay_options(str(overlay), disk.node.options()), socket, writable=True, log=log)

    def _state(self, disk: str) -> OverlayState | None:
        path = self._work.workspace.overlay(disk)
        if not path.is_file():
            return None
        found = path.stat()
        return OverlayState(disk=disk, size=found.st_size, modified=found.st_mtime_ns)

    def _end(self) -> None:
        if self._appliance is None:
            return
        self._appliance.discard()
        self._opened.close()
        if not self._kept:
            for disk in self._disks:
                self._work.workspace.overlay(disk.id).unlink(missing_ok=True)

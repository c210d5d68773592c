"""The disks of a guest, opened: a fresh overlay on each, served over NBD, all of them in one appliance."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from hyper2kvm import accelerator
from hyper2kvm.disk.connection import Connection
from hyper2kvm.disk.location import Exports, unreadable
from hyper2kvm.disk.nodes import FlatDisk, overlay_options
from hyper2kvm.disk.overlay import create_overlay
from hyper2kvm.disk.server import NbdServer
from hyper2kvm.guest import firmware
from hyper2kvm.guest.appliance import Appliance
from hyper2kvm.sockets import socket_folder
from hyper2kvm.stages.documents import Fixed, Flattened, OverlayState
from hyper2kvm.stages.work import Work
from hyper2kvm.workspace import host_errors
from hyper2kvm_api.errors import GuestError, HostError
from hyper2kvm_api.reasons import Reason

Made = TypeVar("Made")

_ROOM = 1 << 20
"""Bytes that a workspace has room for unless it is full: an overlay grows by less at a time."""


class OpenedDisks:
    """Opens the disks when they are first needed, as a context manager. Both INSPECT and FIX use them.

    The overlays are always made anew, and removed at the end unless FIX keeps them: only then do they take the place of
    those that an earlier FIX kept, which a look at the guest leaves alone.

    Attributes:
        flattened: how the disks' bytes are read.
    """

    def __init__(self, work: Work, flattened: Flattened) -> None:
        """Nothing is opened yet."""
        self.flattened = flattened
        self._work = work
        by_id = {disk.id: disk for disk in flattened.disks}
        self._disks: tuple[FlatDisk, ...] = tuple(by_id[disk.id] for disk in work.plan.machine.disks)
        self._opened = ExitStack()
        self._appliance: Appliance | None = None

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
            SourceError: SourceUnreadable.
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
        with socket_folder(self._work.workspace.scratch) as sockets, self._work.source.opened() as exports:
            for disk in self._disks:
                yield self._first_sector(disk, sockets, exports)

    def looking(self, produce: Callable[[], Made]) -> Made:
        """What `produce` gives, which uses the appliance. What fails there when the workspace is full, fails for that.

        The appliance sees an error of its disk and nothing of why.

        Raises:
            HostError: WorkspaceFull.
        """
        try:
            return produce()
        except (GuestError, HostError) as error:
            if error.reason is not Reason.WORKSPACE_FULL:
                self._check_room(error)
            raise

    def forget_kept(self) -> None:
        """Remove what an earlier FIX kept. Raises HostError."""
        for disk in self._disks:
            path = self._work.workspace.overlay(disk.id)
            with host_errors(path):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount, write everything to the overlays and end the appliance. Does nothing when nothing is open.

        Raises:
            HostError: ApplianceFailed: what was written may not be in the overlays.
        """
        if self._appliance is not None:
            self._appliance.close()

    def keep(self) -> tuple[OverlayState, ...]:
        """Close, and keep the overlays as they are now for the stages that follow.

        Returns:
            How they look, for `overlays_hold`.

        Raises:
            HostError: as `close`.
        """
        self.close()
        self._opened.close()
        for disk in self._disks:
            path = self._work.workspace.overlay(disk.id)
            with host_errors(path):
                self._fresh(disk).replace(path)
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
            folder = opening.enter_context(socket_folder(scratch))
            exports = opening.enter_context(self._work.source.opened())
            sockets = [folder / f"{number}.sock" for number in range(len(self._disks))]
            for disk, socket in zip(self._disks, sockets, strict=True):
                opening.enter_context(self._serve(disk, socket, exports))
            appliance = opening.enter_context(Appliance(sockets, accelerator=proven, log=scratch / "appliance.log"))
            self._opened = opening.pop_all()
        return appliance

    def _first_sector(self, disk: FlatDisk, sockets: Path, exports: Exports) -> bytes:
        log = self._work.workspace.scratch / "first-sector.nbd.log"
        with NbdServer(disk.node.options(exports), sockets / "disk.sock", writable=False, log=log) as server:
            try:
                with Connection(server.uri) as connection:
                    return connection.read(0, min(firmware.SECTOR, connection.size))
            except OSError as error:
                failed = unreadable(f"disk {disk.id}", error)
                failed.disk = disk.id
                raise failed from error

    def _serve(self, disk: FlatDisk, socket: Path, exports: Exports) -> NbdServer:
        overlay = self._fresh(disk)
        create_overlay(overlay, disk.capacity)
        log = overlay.with_suffix(".nbd.log")
        return NbdServer(overlay_options(str(overlay), disk.node.options(exports)), socket, writable=True, log=log)

    def _fresh(self, disk: FlatDisk) -> Path:
        """The overlay while it is worked on."""
        return self._work.workspace.scratch / self._work.workspace.overlay(disk.id).name

    def _state(self, disk: str) -> OverlayState | None:
        path = self._work.workspace.overlay(disk)
        if not path.is_file():
            return None
        found = path.stat()
        return OverlayState(disk=disk, size=found.st_size, modified=found.st_mtime_ns)

    def _check_room(self, cause: Exception) -> None:
        probe = self._work.workspace.scratch / "probe"
        try:
            with host_errors(probe):
                probe.write_bytes(bytes(_ROOM))
        except HostError as error:
            raise error from cause
        finally:
            probe.unlink(missing_ok=True)

    def _end(self) -> None:
        if self._appliance is not None:
            self._appliance.discard()
        self._opened.close()
        for disk in self._disks:
            self._fresh(disk).unlink(missing_ok=True)

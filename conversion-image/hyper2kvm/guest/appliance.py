"""The appliance: a small virtual machine of libguestfs, in which a guest's disks are opened.

Everything inside of the disks is looked at by its kernel and programs, never by this machine's. It has no network.
"""

import ctypes
import importlib
import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hyper2kvm.accelerator import CPUS, Accelerator
from hyper2kvm.guest import appliancekernel
from hyper2kvm.guest.appliancefiles import ApplianceFiles
from hyper2kvm.guest.description import Guest, Mount
from hyper2kvm.guest.handle import Handle, appliance_failed, guarded, said
from hyper2kvm.interruption import called_from_c
from hyper2kvm.run import last_lines, scrub
from hyper2kvm_api.errors import GuestError, HostError
from hyper2kvm_api.reasons import Reason

MEMORY = 1792
"""MiB of the appliance. A LUKS2 key takes up to 1 GiB to derive (cryptsetup(8), --pbkdf-memory)."""

LAUNCH_DEADLINE = 300.0
"""Seconds until it must have started: about 6 under emulation on a quiet machine."""

PROCESSORS = min(2, len(os.sched_getaffinity(0)))
"""Processors of the appliance: its start has work for two."""

_BACKEND_SETTINGS = {"kvm": "force_kvm", "tcg": "force_tcg"}
_ALL_CACHES = 3
_KILL_INTERVAL = 0.5


class Appliance(ApplianceFiles):
    """A running appliance over NBD exports, as a context manager. The guest's files are there once it is mounted.

    Attributes:
        handle: the libguestfs handle.
        log: what the appliance and libguestfs said.
    """

    def __init__(
        self,
        sockets: Sequence[Path],
        *,
        accelerator: Accelerator,
        log: Path,
        readonly: bool = False,
        memory: int = MEMORY,
        processors: int = PROCESSORS,
        deadline: float = LAUNCH_DEADLINE,
    ) -> None:
        """Nothing starts before the context is entered.

        Raises HostError (ProgramMissing) where libguestfs' Python module is not installed.

        Args:
            sockets: Unix sockets of NBD servers, whose default exports are the raw disks in the machine's order.
            accelerator: what the appliance runs with.
            log: file that takes its messages.
            readonly: whether writes go to throw-away overlays of libguestfs.
            memory: MiB.
            processors: number of its processors.
            deadline: seconds that the launch may take.
        """
        self._bindings = _bindings()
        raw = self._bindings.GuestFS(python_return_dict=True)
        self._raw = raw
        self.handle: Handle = raw
        super().__init__(self.handle)
        self.log = log
        self._deadline = deadline
        self._open = False
        raw.set_identifier("hyper2kvm")
        raw.set_backend("direct")
        raw.set_backend_settings([_BACKEND_SETTINGS[accelerator]])
        raw.set_memsize(memory)
        raw.set_smp(processors)
        folder = appliancekernel.choose()
        if folder is not None:
            raw.set_cachedir(str(folder))
        # QEMU takes the last one: libguestfs gives one before it.
        raw.config("-cpu", CPUS[accelerator])
        # QEMU would stop the appliance for ever when a disk has no room, and wait for somebody who makes some.
        raw.config("-global", "scsi-hd.werror=report")
        # A group of its own: Ctrl-C at the terminal must not end the appliance before the disks are unmounted.
        raw.set_pgroup(True)
        for socket in sockets:
            optional = {"readonly": True} if readonly else {"discard": "enable"}
            raw.add_drive_opts("", format="raw", protocol="nbd", server=[f"unix:{socket}"], **optional)

    def __enter__(self) -> Self:
        with self.log.open("wb"):
            pass
        kinds = self._bindings
        events = kinds.EVENT_APPLIANCE | kinds.EVENT_LIBRARY | kinds.EVENT_WARNING
        self._raw.set_event_callback(self._record, events)
        try:
            self._launch()
        except BaseException:
            self._raw.close()
            raise
        self._open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.discard()

    def close(self) -> None:
        """Unmount, write everything to the disks and end. Does nothing when it has ended.

        Raises:
            HostError: ApplianceFailed: what was written may not be on the disks.
        """
        if not self._open:
            return
        try:
            with guarded(self.handle, appliance_failed):
                self.handle.umount_all()
                self.handle.sync()
            self._shutdown()
        finally:
            self.discard()

    def discard(self) -> None:
        """End without caring for what was written."""
        if self._open:
            self._open = False
            self._raw.close()

    def mount(self, mounts: Sequence[Mount], *, writable: bool) -> None:
        """Mount a guest's file systems in place of what is mounted, those above first.

        Raises:
            GuestError: FilesystemNotMounted, naming the file system.
        """
        self.unmount()
        for mount in sorted(mounts, key=lambda each: each.path.rstrip("/").count("/") if each.path != "/" else -1):
            self.mount_one(mount.device, mount.path, writable=writable)

    def mount_guest(self, guest: Guest, *, writable: bool = True) -> None:
        """Mount what INSPECT found, as the guest would. Encrypted devices are unlocked before (encryption.py).

        Raises:
            GuestError: FilesystemNotMounted, naming the file system.
        """
        self.mount(guest.mounts, writable=writable)

    def mount_one(self, device: str, path: str, *, writable: bool) -> None:
        """Mount one file system beside what is mounted.

        Raises:
            GuestError: FilesystemNotMounted, with what the appliance's kernel said of it.
        """
        mount = self.handle.mount if writable else self.handle.mount_ro
        with guarded(self.handle, lambda words: self._not_mounted(device, path, words)):
            mount(device, path)
        self.forget()

    def unmount(self) -> None:
        """Unmount everything."""
        with guarded(self.handle, appliance_failed):
            self.handle.umount_all()
        self.forget()

    def sync(self) -> None:
        """Write everything to the disks; what is read afterwards comes from them."""
        with guarded(self.handle, appliance_failed):
            self.handle.sync()
            self.handle.drop_caches(_ALL_CACHES)
        self.forget()

    def _launch(self) -> None:
        """In a thread: the call itself cannot be interrupted, neither by a deadline nor by Ctrl-C."""
        failures: list[str] = []
        # Not Thread.join: Python 3.11 takes a thread for ended when Ctrl-C interrupts the join.
        ended = threading.Event()
        raise_only = _raising_only(self._raw)

        def launch() -> None:
            try:
                raise_only()
                self._raw.launch()
            except RuntimeError as error:
                failures.append(said(error))
            finally:
                ended.set()

        launching = threading.Thread(target=launch, name="appliance", daemon=True)
        try:
            launching.start()
            ended.wait(self._deadline)
        finally:
            late = not ended.is_set()
            while not ended.is_set():
                for process in _children(launching.native_id):
                    with suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                ended.wait(_KILL_INTERVAL)
        if late:
            raise self._not_started(f"it did not start in {self._deadline:.0f} s")
        if failures:
            raise self._not_started(failures[0])

    def _shutdown(self) -> None:
        try:
            self._raw.shutdown()
        except RuntimeError as error:
            raise appliance_failed(said(error)) from error

    def _not_started(self, words: str) -> HostError:
        logged = last_lines(scrub(self.log.read_bytes()[-4096:]))
        return HostError(
            Reason.APPLIANCE_FAILED,
            f"the libguestfs appliance failed: {words} ({logged})",
            hint=f"Run `h2k doctor`, which starts one. All that it said is in {self.log}; LIBGUESTFS_DEBUG=1 says more.",
        )

    def _not_mounted(self, device: str, path: str, words: str) -> GuestError:
        kernel = self._kernel_words(device, path)
        return GuestError(
            Reason.FILESYSTEM_NOT_MOUNTED,
            f"{device}, the guest's {path}, cannot be mounted: {kernel or words}",
            hint=self._mount_hint(kernel),
            file=path,
        )

    def _kernel_words(self, device: str, path: str) -> str:
        """What the appliance's kernel says of a file system that it does not mount, such as an unknown feature."""
        with guarded(self.handle, appliance_failed):
            before = self.handle.dmesg()
        with suppress(RuntimeError):
            self.handle.mount_ro(device, path)
        with guarded(self.handle, appliance_failed):
            lines = scrub(self.handle.dmesg().removeprefix(before)).splitlines()
        return "; ".join(line.partition("] ")[2] for line in lines[-3:])

    def _mount_hint(self, kernel: str) -> str | None:
        if "feature" not in kernel.lower():
            return None
        with guarded(self.handle, appliance_failed):
            release = self.handle.utsname()["uts_release"]
        return (
            f"The file system is newer than the appliance's kernel, {release}: run the conversion where a newer kernel "
            "is installed (a newer conversion image has one)."
        )

    @called_from_c
    def _record(self, _event: int, _handle: int, buffer: str | bytes, _array: Sequence[int]) -> None:
        data = buffer if isinstance(buffer, bytes) else buffer.encode("utf-8", "replace")
        with self.log.open("ab") as log:
            log.write(data)


def _bindings() -> Any:
    """The distribution's Python module, imported when it is needed, so that `h2k doctor` can say that it is missing."""
    try:
        return importlib.import_module("guestfs")
    except ImportError as error:
        raise HostError(
            Reason.PROGRAM_MISSING,
            "the Python module guestfs is not installed",
            hint="Install the package python3-guestfs (Debian's name), and use the distribution's own Python.",
        ) from error


def _raising_only(raw: Any) -> Callable[[], object]:
    """What a thread calls to keep libguestfs from printing errors that its calls raise as well.

    The library prints them in every thread that has not said otherwise, and its Python module says so for the one alone
    that makes the handle (libguestfs, lib/errors.c; guestfs(3), "guestfs_set_error_handler").
    """
    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    set_handler = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(
        ("guestfs_set_error_handler", ctypes.CDLL("libguestfs.so.0"))
    )
    library_handle = pointer(raw._o, b"guestfs_h")  # noqa: SLF001 -- where the module keeps it
    return partial(set_handler, library_handle, None, None)


def _children(thread: int | None) -> list[int]:
    """The processes that a thread of this one has started: supermin, then QEMU (proc(5), children)."""
    return [int(process) for process in _read(Path(f"/proc/self/task/{thread}/children")).split()]


def _read(path: Path) -> bytes:
    """A file of proc(5); empty when its thread or process has ended meanwhile, before or after it was opened."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""

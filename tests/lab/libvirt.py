"""A libvirt that judges domains: inside of virsh, without a daemon, and gone afterwards."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

_NOBODY = 65534
_KVM = Path("/dev/kvm")


class Virsh:
    """Calls virsh with a connection of its own, as a context manager. Not as root, whose libvirt wants a user of its own."""

    def __enter__(self) -> Self:
        self._folder = tempfile.mkdtemp(prefix="h2k-libvirt-")
        group = _KVM.stat().st_gid if _KVM.exists() else _NOBODY
        self._drop: list[str] = []
        if os.geteuid() == 0:
            self._drop = ["setpriv", "--reuid", str(_NOBODY), "--regid", str(group), "--clear-groups"]
            shutil.chown(self._folder, _NOBODY, group)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder)

    def __call__(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of virsh."""
        environment = os.environ | {"HOME": self._folder, "XDG_RUNTIME_DIR": self._folder, "LC_ALL": "C"}
        program = [*self._drop, "virsh", "--connect", f"qemu:///embed?root={self._folder}", *command]
        return subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60, check=False)

    def define(self, text: str) -> subprocess.CompletedProcess[str]:
        """Define a domain, validated against the schema. Where there is no KVM it is asked for emulation."""
        if not _KVM.exists():
            text = text.replace('type="kvm"', 'type="qemu"').replace("host-model", "maximum").replace("partial", "none")
        file = Path(self._folder, "domain.xml")
        file.write_text(text)
        return self("define", "--validate", str(file))

"""`make demo-local`: a VMware guest that does not boot under KVM becomes one that does, on this machine, without a cluster."""

import shutil
import subprocess
import sys
from pathlib import Path

from lab.cluster.progress import say
from lab.command import H2K
from lab.demo.ending import carried_out
from lab.guests.build import ensure_guest
from lab.guests.sample import SampleGuest

GUEST = "debian12-bios"
FOLDER = Path(__file__).resolve().parents[3] / "out/demo"

_MANIFEST = """\
apiVersion: hyper2kvm.io/v1alpha1
kind: VirtualMachineMigration
metadata:
  name: {guest}
spec:
  source:
    files:
      volume:
        hostPath:
          path: {folder}
      path: {ova}
  target:
    disks:
      format: qcow2
"""


def main() -> int:
    """Carry the demonstration out; the exit code."""
    return carried_out(_demonstrate, f"all of it is in {FOLDER}; the same command begins anew")


def _demonstrate() -> int:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    return migrate(ensure_guest(GUEST), FOLDER)


def migrate(guest: SampleGuest, folder: Path) -> int:
    """Migrate a guest's OVA into a folder, and start what came out; the command's exit code."""
    manifest = folder / f"{guest.name}.yaml"
    manifest.write_text(_MANIFEST.format(guest=guest.name, folder=guest.folder, ova=guest.ova.name))
    say(f"an OVA as VMware exports it: {guest.ova}")
    command = [H2K, "run", str(manifest), "--output", str(folder)]
    say(f"h2k {' '.join(command[1:])}")
    return subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode


if __name__ == "__main__":
    sys.exit(main())

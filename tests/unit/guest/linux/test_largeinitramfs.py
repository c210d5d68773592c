"""A guest whose initramfs is larger than what the pipeline may take of memory: planned, applied and verified."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import VERSION, module_files

MIB = 1 << 20
NOISE = 150 * MIB
LIMIT = 192 * MIB
"""Bytes of memory of a process that does this alone; the whole pipeline may take 256 MiB."""

PROGRAM = f"""
from pathlib import Path
from hyper2kvm.guest.apply import apply, verify
from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.linux import drivers, kernels
from hyper2kvm.guest.records import describe
from unit.guest.linux.folderguest import FolderGuest
from unit.guest.linux.situations import situation

guest = FolderGuest(Path.cwd())
draft = Draft(guest)
drivers.FIXER.plan(draft, situation(kernels=kernels.find(guest)))
describe(draft.edits(), guest)
apply(draft.edits(), guest)
verify(draft.edits(), guest)
(kernel,) = kernels.find(guest)
assert kernel.version == {VERSION!r} and kernel.boots_from_virtio
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


@pytest.mark.parametrize("compressor", ["plain", "zstd"])
def test_a_large_initramfs_takes_little_memory(images, tmp_path, compressor):
    root = tmp_path / "guest"
    noise = {"usr/lib/firmware/blob.bin": random.Random(0).randbytes(NOISE)}
    files = {
        **module_files(),
        f"/boot/vmlinuz-{VERSION}": b"kernel",
        f"/boot/initrd.img-{VERSION}": images.initramfs_tools(compressor=compressor, extra=noise),
    }
    for path, content in files.items():
        (root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (root / path.lstrip("/")).write_bytes(content)
    assert (root / f"boot/initrd.img-{VERSION}").stat().st_size > sum(map(len, noise.values()))
    tests = str(Path(__file__).parents[3])
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=root, env={"PYTHONPATH": tests}, capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < LIMIT

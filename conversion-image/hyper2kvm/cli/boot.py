"""`h2k boot`: the boot check alone, of disks that are finished, whoever made them."""

import sys
from pathlib import Path

import click

from hyper2kvm.boot.existing import ExistingDisk, boot_disks
from hyper2kvm.cli.session import Session, json_option, pass_session
from hyper2kvm.cli.working import working
from hyper2kvm.stages.documents import BootProof
from hyper2kvm.workspace import Workspace
from hyper2kvm_api.machine import Cpu, Firmware
from hyper2kvm_api.options import DiskFormat, MachineOptions, TargetBus
from hyper2kvm_api.text import printable

_FORMATS = {
    ".raw": DiskFormat.RAW,
    ".img": DiskFormat.RAW,
    ".qcow2": DiskFormat.QCOW2,
    ".vdi": DiskFormat.VDI,
}
"""A disk's format by its name, where --format does not state it."""


@click.command()
@pass_session
@click.argument("disks", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--format",
    "format_",
    type=click.Choice([str(each) for each in DiskFormat]),
    help="Format of the disks.  [default: by each file's extension; raw for block devices]",
)
@click.option("--firmware", type=click.Choice([str(each) for each in Firmware]), help="[default: the disks' own]")
@click.option("--memory", type=int, default=2048, show_default=True, help="Memory in MiB.")
@click.option("--cpus", type=int, default=1, show_default=True, help="Number of CPUs.")
@click.option(
    "--bus",
    type=click.Choice([str(each) for each in TargetBus]),
    default=str(TargetBus.VIRTIO),
    show_default=True,
    help="What the disks hang on.",
)
@click.option("--timeout", type=int, default=600, show_default=True, help="Seconds that the guest may take.")
@click.option(
    "--keys",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder whose files are tried as keys of encrypted disks.",
)
@click.option(
    "--workspace",
    "-w",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("boot.h2k"),
    show_default=True,
    help="Folder that takes the serial log and the screenshot.",
)
@json_option("Write JSON lines instead of progress bars.")
def boot(
    session: Session,
    *,
    disks: tuple[Path, ...],
    format_: str | None,
    firmware: str | None,
    memory: int,
    cpus: int,
    bus: str,
    timeout: int,
    keys: Path | None,
    workspace: Path,
) -> None:
    """Start a machine from DISKS, all of its disks in their order, and say whether it comes up.

    The disks are only read: whatever the guest writes goes to an overlay that is thrown away.
    """
    existing = [ExistingDisk(disk.absolute(), _format(disk, format_)) for disk in disks]
    options = MachineOptions(
        cpu=Cpu(cores=cpus), memory=f"{memory}Mi", firmware=Firmware(firmware) if firmware else None
    )
    place = Workspace(workspace.absolute())
    with working(session, place, sys.stderr) as at_work:
        proof = boot_disks(existing, options, place, at_work.events, bus=TargetBus(bus), timeout=timeout, keys=keys)
    click.echo(proof.to_json() if session.json else printable(_summary(place, proof)))


def _format(disk: Path, stated: str | None) -> DiskFormat:
    if stated is not None:
        return DiskFormat(stated)
    if disk.is_block_device():
        return DiskFormat.RAW
    known = _FORMATS.get(disk.suffix.lower())
    if known is None:
        raise click.BadParameter(f"the format of {disk} is not clear from its name: state it with --format")
    return known


def _summary(workspace: Workspace, proof: BootProof) -> str:
    lines = [f"boot       up after {proof.seconds:.0f} s ({proof.accelerator}, shown by {proof.evidence})"]
    if proof.probe:
        lines.append(f"reached    {proof.probe.target}, kernel {proof.probe.kernel}, root {proof.probe.root_device}")
    if proof.screenshot:
        lines.append(f"screen     {workspace.folder / proof.screenshot}")
    return "\n".join(lines)

"""The fixers, in the order in which they plan: what a later one reads, an earlier one has planned."""

from collections.abc import Sequence

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.files import GuestFiles
from hyper2kvm.guest.fixer import Fixer, Situation
from hyper2kvm.guest.linux import (
    cloudinit,
    cmdline,
    console,
    crypttab,
    drivers,
    efi,
    fstab,
    grub,
    lvmdevices,
    lvmfilter,
    mdadmdevices,
    modprobe,
    mountunits,
    netnames,
    vendortools,
)

FIXERS: Sequence[Fixer] = (
    vendortools.FIXER,
    modprobe.FIXER,
    fstab.FIXER,
    crypttab.FIXER,
    mountunits.FIXER,
    lvmdevices.FIXER,
    lvmfilter.FIXER,
    mdadmdevices.FIXER,
    cmdline.FIXER,
    grub.FIXER,
    console.FIXER,
    netnames.FIXER,
    cloudinit.FIXER,
    # The initramfs carries copies of what stands above.
    drivers.FIXER,
    efi.FIXER,
)
"""Every fixer of the systems that are repaired."""


def plan(files: GuestFiles, situation: Situation, fixers: Sequence[Fixer] = FIXERS) -> Draft:
    """What is changed in a guest, as edits with their reasons. Nothing is written.

    Args:
        files: the guest's files.
        situation: what the fixers decide on.
        fixers: the fixers; all that there are unless given.

    Raises:
        GuestError: the guest cannot be made to boot.
    """
    draft = Draft(files)
    for fixer in fixers:
        if fixer.wanted(situation):
            fixer.plan(draft, situation)
    return draft

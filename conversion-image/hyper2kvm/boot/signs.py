"""What a guest shows when its start has ended somewhere: a table of texts, their meaning, and what to do about them.

Texts of the screen come from OCR, so they are compared folded: without what Tesseract mixes up in console fonts
(l, 1, I and |; o and 0; u and v; 5 and s) and without everything that is neither a letter nor a digit.
"""

import re
from dataclasses import dataclass

_CONFUSED = str.maketrans({"1": "l", "i": "l", "|": "l", "0": "o", "©": "o", "@": "o", "v": "u", "5": "s"})
_SLACK = 2
_MAX_QUOTE = 240
_LOGIN_LINES = 6

_LOGIN = re.compile(r"(?:^|\s)[l1I|]og[i1l|]n\s?[:;]\s?\S{0,2}$", re.IGNORECASE)
"""The last words of agetty's, busybox's and FreeBSD's prompt, a cursor behind it. `Last login: Mon` is none."""


@dataclass(frozen=True)
class Sign:
    """A text that tells where a start has ended.

    Attributes:
        phrases: any of these, anywhere in what is shown; `…` stands for anything. Folded they must be words that no
            start without trouble shows, in whichever words beside them; a prompt is too short for that.
        meaning: what it means, as the end of a sentence that begins with "the guest".
        hint: what to do.
        prompt: whether the phrase must be the last line, and all of it.
        settle: seconds for which the guest must show nothing else.
        details: words of lines that say more than the phrase: they are quoted instead, the first one that is shown.
        unlock: whether the guest waits for the passphrase of a disk.
    """

    phrases: tuple[str, ...]
    meaning: str
    hint: str
    prompt: bool = False
    settle: float = 6.0
    details: tuple[str, ...] = ()
    unlock: bool = False


MAINTENANCE_HINT = (
    "A mount that /etc/fstab asks for, or a unit that the start requires, has failed: the serial log and the screen "
    "name it. Give it the option nofail in the source guest, or correct it there."
)
_ROOT_HINT = (
    "The kernel runs and the initramfs does not find the root file system: see in the report whether FIX gave every "
    "kernel virtio drivers, and compare the name that is waited for with the file systems that INSPECT found."
)
_GRUB_HINT = (
    "The boot loader started and lost its own files: the disk that holds /boot must be among the disks and be the "
    "first in the boot order."
)
_UEFI_HINT = (
    "The firmware found no boot loader that it may start: a UEFI guest needs one at EFI/BOOT on its EFI system "
    "partition (spec.guest.fallbackLoader), and a BIOS guest needs spec.machine.firmware: bios."
)
_BIOS_HINT = (
    "The firmware found no boot loader on the disks: a UEFI guest needs spec.machine.firmware: uefi; otherwise the "
    "boot disk is not among the disks, or its boot sector was not exported."
)
_SECURE_BOOT_HINT = (
    "The boot loader is not signed with a key that the firmware knows: set spec.machine.secureBoot: false, or install "
    "the distribution's signed loader (shim) in the source guest."
)
_WINDOWS_HINT = "Windows lacks a driver for the target's disk, or its boot configuration names another one."
_UNLOCK_HINT = "The disk is encrypted: the start goes on after its passphrase is typed."
_DRACUT_SAYS = ("does not exist", "Could not boot", "Warning:")

SIGNS: tuple[Sign, ...] = (
    Sign(
        ("Kernel panic - not syncing",),
        "stopped with a kernel panic",
        "The quoted line says why; without a root file system (VFS: Unable to mount root fs) the kernel has no "
        "initramfs or no driver for its disk.",
        settle=0,
    ),
    Sign(
        ("RUN fsck MANUALLY", "requires a manual fsck"),
        "stopped because a file system is damaged",
        "Shut the source guest down cleanly, run fsck in it, and export it again.",
        details=("requires a manual fsck", "UNEXPECTED INCONSISTENCY"),
    ),
    Sign(
        ("(initramfs)",),
        "stopped in the shell of its initramfs",
        _ROOT_HINT,
        prompt=True,
        details=("ALERT! … does not exist", "Gave up waiting for"),
    ),
    Sign(
        ("rdsosreport.txt",),
        "stopped in dracut's emergency shell",
        _ROOT_HINT,
        details=_DRACUT_SAYS,
    ),
    Sign(
        ("dracut:/#",),
        "stopped in dracut's emergency shell",
        _ROOT_HINT,
        prompt=True,
        details=_DRACUT_SAYS,
    ),
    Sign(
        ("ERROR: Unable to find root device", "You are being dropped to a recovery shell"),
        "stopped in the shell of its initramfs",
        _ROOT_HINT,
        details=("Unable to find root device",),
    ),
    Sign(
        ("mountroot>",),
        "stopped and asks for its root file system",
        _ROOT_HINT,
        prompt=True,
        details=("Mounting from",),
    ),
    Sign(
        ("You are in emergency mode", "Welcome to emergency mode"),
        "stopped in emergency mode",
        MAINTENANCE_HINT,
        details=("Dependency failed for", "Failed to mount", "Timed out waiting for device"),
    ),
    Sign(("You are in rescue mode", "Welcome to rescue mode"), "stopped in rescue mode", MAINTENANCE_HINT),
    Sign(
        ("Cannot open access to console, the root account is locked", "Give root password for maintenance"),
        "stopped and asks for root's password",
        MAINTENANCE_HINT,
        details=("Dependency failed for", "Failed to mount", "Timed out waiting for device"),
    ),
    Sign(
        ("grub rescue>",),
        "stopped in GRUB's rescue shell",
        _GRUB_HINT,
        prompt=True,
        details=("error: no such", "error: file", "error: disk", "error: unknown filesystem"),
    ),
    Sign(
        ("grub>",),
        "stopped in GRUB's shell: it found no menu",
        _GRUB_HINT,
        prompt=True,
        details=("error: no such", "error: file", "error: disk"),
    ),
    Sign(
        (
            "error: no such device",
            "error: no such partition",
            "error: no such disk",
            "error: you need to load the kernel",
        ),
        "stopped in GRUB, which does not find what its menu names",
        _GRUB_HINT,
        settle=20,
    ),
    Sign(
        ("Could not find kernel image", "Missing parameter in configuration file", "No DEFAULT or UI configuration"),
        "stopped in SYSLINUX, which does not find what its configuration names",
        _GRUB_HINT,
    ),
    Sign(
        (
            "BdsDxe: failed to load … Access Denied",
            "BdsDxe: failed to start … PciRoot … Security Violation",
            "Verification failed: … Security Violation",  # shim's words
            "bad shim signature",
        ),
        "was stopped by Secure Boot",
        _SECURE_BOOT_HINT,
        settle=10,
        details=("Access Denied", "Security Violation"),
    ),
    Sign(
        ("Shell>",),
        "was not started: the firmware found no boot loader and opened its own shell",
        _UEFI_HINT,
        prompt=True,
        details=("BdsDxe: failed to",),
    ),
    Sign(
        ("UEFI Interactive Shell", "No bootable option or device was found"),
        "was not started: the firmware found no boot loader",
        _UEFI_HINT,
        settle=15,
        details=("BdsDxe: failed to", "No bootable option"),
    ),
    Sign(
        ("No bootable device", "Boot failed: not a bootable disk"),
        "was not started: no disk is bootable",
        _BIOS_HINT,
        details=("No bootable device",),
    ),
    Sign(
        (
            "Missing operating system",
            "Error loading operating system",
            "Invalid partition table",
            "Operating System not found",
        ),
        "was not started: its boot sector finds no active partition with a boot loader",
        _BIOS_HINT,
    ),
    Sign(
        ("INACCESSIBLE_BOOT_DEVICE", "INACCESSIBLE BOOT DEVICE"),
        "stopped with INACCESSIBLE_BOOT_DEVICE",
        _WINDOWS_HINT,
    ),
    Sign(
        (
            "BOOTMGR is missing",
            "NTLDR is missing",
            "Your PC needs to be repaired",
            "Windows failed to start",
            "0xc0000225",
        ),
        "stopped in the boot loader of Windows",
        _WINDOWS_HINT,
    ),
    Sign(
        ("Your PC ran into a problem", "Your device ran into a problem", "A problem has been detected and Windows"),
        "stopped with a stop code of Windows",
        _WINDOWS_HINT,
        details=("Stop code", "STOP:", "What failed"),
    ),
    Sign(
        ("Please unlock disk", "Please enter passphrase for disk", "Enter passphrase for"),
        "asks for the passphrase of an encrypted disk",
        _UNLOCK_HINT,
        settle=20,
        unlock=True,
    ),
)
"""In the order in which they are looked for: what is shown last in a start, and says most, first."""


_NO_MEMORY = (
    "Out of memory: Kill",
    "Out of memory and no killable processes",
    "System is deadlocked on memory",
    "oom-kill:constraint",
    "Initramfs unpacking failed: write error",
)
"""What kernels say when they have too little memory (Linux, mm/oom_kill.c, init/initramfs.c)."""


def find_sign(text: str) -> Sign | None:
    """The first sign in the table that a text shows."""
    folded = [line for line in map(fold, text.splitlines()) if line]
    whole, last = "".join(folded), folded[-1] if folded else ""
    return next((sign for sign in SIGNS if _shows(sign, whole, last)), None)


def quote(sign: Sign, text: str) -> str:
    """The line of a text that says most about a sign; of a prompt without details, the prompt."""
    lines = [line.strip() for line in text.splitlines() if fold(line)]
    for words in (*sign.details, *(() if sign.prompt else sign.phrases)):
        found = next((line for line in lines if _contains(fold(line), words)), None)
        if found is not None:
            return found[:_MAX_QUOTE]
    return last_line(text)


def asks_to_unlock(text: str) -> str | None:
    """The last line of a text, where it asks for the passphrase of a disk."""
    last = last_line(text)
    asking = (phrase for sign in SIGNS if sign.unlock for phrase in sign.phrases)
    return last if any(_contains(fold(last), phrase) for phrase in asking) else None


def ran_out_of_memory(*texts: str) -> bool:
    """Whether one of the texts shows that the guest's kernel had too little memory."""
    folded = [fold(text) for text in texts]
    return any(_contains(text, words) for text in folded for words in _NO_MEMORY)


def last_line(text: str) -> str:
    """The last line of a text that has anything to read."""
    return next((line.strip()[:_MAX_QUOTE] for line in reversed(text.splitlines()) if fold(line)), "")


def shows_login(text: str) -> bool:
    """Whether a text ends with a login prompt; messages of the kernel may have come after it."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return any(_LOGIN.search(line) for line in lines[-_LOGIN_LINES:])


def fold(text: str) -> str:
    """A text in the form in which it is compared."""
    return "".join(c for c in text.lower().translate(_CONFUSED) if c.isascii() and c.isalnum())


def _shows(sign: Sign, whole: str, last: str) -> bool:
    if sign.prompt:
        return any(wanted in last and len(last) <= len(wanted) + _SLACK for wanted in map(fold, sign.phrases))
    return any(_contains(whole, phrase) for phrase in sign.phrases)


def _contains(whole: str, phrase: str) -> bool:
    position = 0
    for part in phrase.split("…"):
        wanted = fold(part)
        found = whole.find(wanted, position)
        if found < 0:
            return False
        position = found + len(wanted)
    return True

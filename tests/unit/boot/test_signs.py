import re
from pathlib import Path

import pytest

from hyper2kvm.boot.signs import (
    SIGNS,
    asks_to_unlock,
    find_sign,
    fold,
    last_line,
    quote,
    ran_out_of_memory,
    shows_login,
)


@pytest.mark.parametrize(
    ("shown", "meaning"),
    [
        ("[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)", "kernel panic"),
        ("(initramfs) ", "shell of its initramfs"),
        ("/dev/sda1: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.\n(initramfs)", "file system is damaged"),
        (
            'Generating "/run/initramfs/rdsosreport.txt"\n\nEntering emergency mode.\ndracut:/#',
            "dracut's emergency shell",
        ),
        (
            "ERROR: Unable to find root device 'UUID=x'.\nYou are being dropped to a recovery shell",
            "shell of its initramfs",
        ),
        ("VFS: not found\nmountroot> ", "asks for its root file system"),
        ("You are in emergency mode. After logging in, type", "emergency mode"),
        ('Welcome to emergency mode! After logging in, type "journalctl -xb"', "emergency mode"),
        ("You are in rescue mode. After logging in", "rescue mode"),
        ("Cannot open access to console, the root account is locked.", "asks for root's password"),
        ("error: no such device: 0d8c.\nEntering rescue mode...\ngrub rescue> ", "GRUB's rescue shell"),
        ("   Minimal BASH-like line editing is supported.\n\ngrub> _", "GRUB's shell"),
        ("error: no such device: 0d8c.\n\nPress any key to continue...", "does not find what its menu names"),
        ("Could not find kernel image: linux\nboot: ", "SYSLINUX"),
        ("Shell> _", "opened its own shell"),
        ('BdsDxe: failed to load Boot0001 "UEFI Misc Device" from PciRoot(0x0): Access Denied', "Secure Boot"),
        ("BdsDxe: No bootable option or device was found.\nBdsDxe: Press any key", "found no boot loader"),
        ("Booting from Hard Disk...\nBoot failed: not a bootable disk\n\nNo bootable device.", "no disk is bootable"),
        ("Missing operating system_", "no active partition"),
        ("Stop code: INACCESSIBLE_BOOT_DEVICE", "INACCESSIBLE_BOOT_DEVICE"),
        ("BOOTMGR is missing\nPress Ctrl+Alt+Del to restart", "boot loader of Windows"),
        ("Your PC ran into a problem and needs to restart.", "stop code"),
        ("Please unlock disk vda3_crypt: ", "passphrase"),
        ("Please enter passphrase for disk luks (luks-1): (press TAB for no echo)", "passphrase"),
    ],
)
def test_what_guests_show_where_they_stop_is_known(shown, meaning):
    sign = find_sign(shown)
    assert sign is not None
    assert meaning in sign.meaning
    assert sign.hint


def systemd_says():
    """What systemd shows of each unit that it and dracut bring (systemd, src/core/job.c)."""
    folders = (Path("/usr/lib/systemd/system"), Path("/usr/lib/dracut/modules.d"))
    for unit in (path for folder in folders for path in folder.rglob("*.*") if path.is_file()):
        described = re.search(r"^Description=(.*)$", unit.read_text(errors="replace"), re.MULTILINE)
        named = f"{unit.name} - {described[1]}" if described else unit.name
        yield from (
            f"Starting {named}...",
            f"Mounted {named}.",
            f"Reached target {named}.",
            f"[  OK  ] Finished {named}.",
        )


def test_nothing_that_systemd_starts_is_a_sign():
    """A guest may be slow at any of them."""
    said = list(systemd_says())
    assert any("Remount Root" in line for line in said)
    assert any("dracut-initqueue" in line for line in said)
    assert [line for line in said if find_sign(f"booting\n{line}")] == []


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "\n \n",
        "[    0.5] Unpacking initramfs...\n[    1.1] Freeing initrd memory: 33252K",
        "update-initramfs: Generating /boot/initrd.img",
        "Booting `Debian GNU/Linux'\n\nLoading Linux 6.1.0-56-amd64 ...\nLoading initial ramdisk ...",
        "[  OK  ] Started emergency.service - Emergency Shell.",
        "BdsDxe: failed to load Boot0001 from PciRoot(0x0): Not Found\nBdsDxe: starting Boot0002",
        "GNU GRUB  version 2.06\n\n Debian GNU/Linux\n Advanced options",
        "sshd: Access Denied for root",
        "Debian GNU/Linux 12 web01 tty1\n\nweb01 login: ",
    ],
)
def test_a_start_that_goes_on_shows_no_sign(shown):
    assert find_sign(shown) is None


@pytest.mark.parametrize(
    ("read", "meaning"),
    [
        ("Enter 'help' for a list\nCinitramfs) _", "initramfs"),
        ("Shel I>", "own shell"),
        ("She 11>", "own shell"),
        ("Kernel panic —- not syncing: UFS: Unable to mount root f= on unkno", "kernel panic"),
        ("N0 bootab1e device.", "no disk is bootable"),
        ("grub rescue > _", "rescue shell"),
    ],
)
def test_tesseracts_mistakes_do_not_hide_a_sign(read, meaning):
    sign = find_sign(read)
    assert sign is not None
    assert meaning in sign.meaning


def test_the_line_that_names_the_cause_is_quoted_before_the_prompt():
    shown = (
        "Gave up waiting for root file system device.  Common problems:\n"
        "ALERT!  UUID=4a1b does not exist.  Dropping to a shell!\n\n(initramfs) "
    )
    sign = find_sign(shown)
    assert sign is not None
    assert quote(sign, shown) == "ALERT!  UUID=4a1b does not exist.  Dropping to a shell!"


def test_without_such_a_line_the_prompt_is_quoted():
    sign = find_sign("UEFI Interactive Shell v2.2\nShell>")
    assert sign is not None
    assert quote(sign, "UEFI Interactive Shell v2.2\nShell>") == "Shell>"


def test_quotes_are_bounded():
    shown = "Kernel panic - not syncing: " + "x" * 5000
    sign = find_sign(shown)
    assert sign is not None
    assert len(quote(sign, shown)) <= 240
    assert len(last_line(shown)) <= 240


@pytest.mark.parametrize(
    "shown",
    [
        "Debian GNU/Linux 12 web01 tty1\n\nweb01 login: ",
        "web01 login: _",
        "FreeBSD/amd64 (bsd) (ttyu0)\n\nlogin:",
        "web01 1ogin: _",
        "web01 login:\n[   40.1] random: crng init done\n[   41.0] audit: type=1400",
    ],
)
def test_login_prompts_are_known(shown):
    assert shows_login(shown)


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "Last login: Mon Nov 23 13:47:08 UTC 2026 on tty1",
        "[  OK  ] Reached target getty.target - Login Prompts.",
        "Starting systemd-logind.service - User Login Management...",
        "web01 login: root\nPassword: \nlogin incorrect\n" + "line\n" * 10,
    ],
)
def test_what_only_speaks_of_logins_is_no_prompt(shown):
    assert not shows_login(shown)


def test_folding_keeps_letters_and_digits_only():
    assert fold("(Initramfs) |0O©1!") == "lnltramfslooolA".lower().removesuffix("a")


def test_every_sign_of_the_table_can_be_found_by_each_of_its_phrases():
    for sign in SIGNS:
        for phrase in sign.phrases:
            found = find_sign(phrase.replace("…", "something"))
            assert found is not None, phrase
            assert SIGNS.index(found) <= SIGNS.index(sign), phrase


@pytest.mark.parametrize(
    "line",
    [
        "[ 12.3] Out of memory: Killed process 812 (apt-check) total-vm:102400kB",
        "[ 12.3] Kernel panic - not syncing: Out of memory and no killable processes...",
        "[  2.0] Initramfs unpacking failed: write error",
        "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/",
    ],
)
def test_a_lack_of_memory_is_seen(line):
    assert ran_out_of_memory("web01 login: ", f"x\n{line}\n")
    assert not ran_out_of_memory("Memory: 2000000K/2096632K available", "")


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("Please unlock disk vda3_crypt: ", "Please unlock disk vda3_crypt:"),
        ("\x20 P1ease un1ock disk cryptr0ot :\n\n", "P1ease un1ock disk cryptr0ot :"),
        ("Enter passphrase for /dev/vda3:", "Enter passphrase for /dev/vda3:"),
        ("Please unlock disk root:\ncryptsetup: root: set up successfully", None),
        ("web01 login: ", None),
        ("", None),
    ],
)
def test_a_prompt_for_a_passphrase_is_the_last_line(text, prompt):
    assert asks_to_unlock(text) == prompt

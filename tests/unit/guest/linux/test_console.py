import subprocess

import pytest

from hyper2kvm.guest.linux import console
from hyper2kvm.guest.linux.console import FIXER
from hyper2kvm_api.options import GuestOptions

from .situations import memory, plan, situation

BOTH = "console=ttyS0,115200n8 console=tty0"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("linux /v root=UUID=1 ro quiet", f"linux /v root=UUID=1 ro quiet {BOTH}"),
        ("linux /v ro \\", f"linux /v ro {BOTH} \\"),
        ("linux /v ro \r", f"linux /v ro {BOTH} \r"),
        ("linux /v console=tty0 ro", f"linux /v {BOTH} ro"),
        ("linux /v console=tty1", "linux /v console=ttyS0,115200n8 console=tty1"),
        ("linux /v console=hvc0", f"linux /v console=hvc0 {BOTH}"),
        ("linux /v console=ttyS0 ro", "linux /v console=ttyS0 ro"),
        ("linux /v console=ttyS0,9600", "linux /v console=ttyS0,9600"),
    ],
)
def test_the_serial_console_stands_before_the_graphical_one(before, after):
    assert console.with_console(before, "ttyS0") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('A=1\nGRUB_CMDLINE_LINUX=""\nB=2\n', f'A=1\nGRUB_CMDLINE_LINUX="{BOTH}"\nB=2\n'),
        ("GRUB_CMDLINE_LINUX='x' # y\r\n", f"GRUB_CMDLINE_LINUX='x {BOTH}' # y\r\n"),
        ("GRUB_CMDLINE_LINUX=quiet", f'GRUB_CMDLINE_LINUX="quiet {BOTH}"'),
        ('GRUB_CMDLINE_LINUX_DEFAULT="quiet"', f'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX="{BOTH}"\n'),
        ('GRUB_CMDLINE_LINUX="console=ttyS0"', 'GRUB_CMDLINE_LINUX="console=ttyS0"'),
        ('GRUB_CMDLINE_LINUX="quiet \\\n  foo"\n', f'GRUB_CMDLINE_LINUX="quiet \\\n  foo {BOTH}"\n'),
        ('GRUB_CMDLINE_LINUX="\\\n  foo \\\n"\nA=1\n', f'GRUB_CMDLINE_LINUX="\\\n  foo {BOTH} \\\n"\nA=1\n'),
        ('GRUB_CMDLINE_LINUX="console=tty0 \\\n foo"', f'GRUB_CMDLINE_LINUX="{BOTH} \\\n foo"'),
        ("GRUB_CMDLINE_LINUX='a\n b'\nX='c'\n", f"GRUB_CMDLINE_LINUX='a\n b {BOTH}'\nX='c'\n"),
        ('GRUB_CMDLINE_LINUX="quiet"; export X\n', f'GRUB_CMDLINE_LINUX="quiet {BOTH}"; export X\n'),
        ('GRUB_CMDLINE_LINUX=a;export X # "\n', f'GRUB_CMDLINE_LINUX="a {BOTH}";export X # "\n'),
        ('GRUB_CMDLINE_LINUX="a=\\"b c\\" $D" # "\n', f'GRUB_CMDLINE_LINUX="a=\\"b c\\" $D {BOTH}" # "\n'),
        (
            'GRUB_CMDLINE_LINUX=$(date)\nGRUB_CMDLINE_LINUX=""\n',
            f'GRUB_CMDLINE_LINUX=$(date)\nGRUB_CMDLINE_LINUX="{BOTH}"\n',
        ),
        ('# GRUB_CMDLINE_LINUX="\n', f'# GRUB_CMDLINE_LINUX="\nGRUB_CMDLINE_LINUX="{BOTH}"\n'),
        ("", f'GRUB_CMDLINE_LINUX="{BOTH}"\n'),
    ],
)
def test_the_next_menu_has_it_too(before, after):
    assert console.with_grub_default(before, "ttyS0") == after


@pytest.mark.parametrize(
    "text",
    [
        "GRUB_CMDLINE_LINUX=a' b'\n",
        "GRUB_CMDLINE_LINUX=\"a\"' b'\n",
        "GRUB_CMDLINE_LINUX=a\\ b\n",
        "GRUB_CMDLINE_LINUX=$(cat /etc/kernel/more)\n",
        "GRUB_CMDLINE_LINUX=`cat /etc/kernel/more`\n",
        'GRUB_CMDLINE_LINUX="a"\nGRUB_CMDLINE_LINUX+=" b"\n',
        '[ -e /etc/quiet ] && GRUB_CMDLINE_LINUX="quiet"\n',
        'GRUB_CMDLINE_LINUX="quiet\n',
    ],
)
def test_a_setting_that_is_not_understood_is_left_alone_and_told(text):
    draft = plan(FIXER, memory({"/etc/default/grub": text}))
    assert draft.edits() == ()
    (finding,) = draft.findings
    assert (finding.reason, BOTH in finding.hint) == ("ConsoleNotAdded", True)


@pytest.mark.parametrize(
    "value", ['"quiet \\\n  foo"', '"quiet"; export X', '"a \\\n"', "'a \\ b'", "a$B", '"a\\"b" # "', "a\\ b", "a'b'"]
)
def test_a_shell_understands_what_is_written(value):
    text = f"GRUB_CMDLINE_LINUX={value}\n"
    after = plan(FIXER, memory({"/etc/default/grub": text})).text("/etc/default/grub")
    old, new = (
        subprocess.run(
            ["sh", "-ec", f'{each}printf %s "$GRUB_CMDLINE_LINUX"'], capture_output=True, check=True, text=True
        ).stdout
        for each in (text, after)
    )
    assert new.split() == [*old.split(), *([] if after == text else BOTH.split())]


def test_menus_get_it_where_they_start_linux():
    menu = "set root='hd0,msdos1'\n\tlinux\t/boot/vmlinuz-6 root=UUID=1 ro\n\tlinux16\t/boot/memtest86+x64.bin\n"
    draft = plan(FIXER, memory({"/boot/grub/grub.cfg": menu.encode(), "/etc/default/grub": b""}))
    assert draft.text("/boot/grub/grub.cfg") == menu.replace("ro\n", f"ro {BOTH}\n")
    assert BOTH in draft.text("/etc/default/grub")


def test_command_lines_without_a_menu_get_it():
    draft = plan(FIXER, memory({"/etc/kernel/cmdline": b"root=UUID=1 ro\n"}))
    assert draft.text("/etc/kernel/cmdline") == f"root=UUID=1 ro {BOTH}\n"


def test_the_port_is_the_architectures():
    draft = plan(FIXER, memory({"/etc/kernel/cmdline": b"ro"}), situation(architecture="aarch64"))
    assert draft.text("/etc/kernel/cmdline") == "ro console=ttyAMA0,115200n8 console=tty0"


def test_sysvinit_gets_a_login_there():
    inittab = b"id:2:initdefault:\n#T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\n"
    draft = plan(FIXER, memory({"/etc/inittab": inittab}), situation(init="sysvinit"))
    assert draft.text("/etc/inittab").endswith("\nT0:23:respawn:/sbin/getty -L ttyS0 115200 vt100\n")
    assert plan(FIXER, memory({"/etc/inittab": inittab})).edits() == ()


def test_it_must_be_asked_for():
    assert not FIXER.wanted(situation())
    assert FIXER.wanted(situation(options=GuestOptions(serial_console=True)))

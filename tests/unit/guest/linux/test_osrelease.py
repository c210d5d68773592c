import struct

import pytest

from hyper2kvm.guest.description import Family
from hyper2kvm.guest.linux import osrelease

from .situations import memory

BOOKWORM = b"""PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
HOME_URL="https://www.debian.org/"
"""
NOBLE = b"""PRETTY_NAME="Ubuntu 24.04.1 LTS"
NAME="Ubuntu"
VERSION_ID="24.04"
ID=ubuntu
ID_LIKE=debian
"""
ALMA = b"""NAME="AlmaLinux"
VERSION="9.4 (Seafoam Ocelot)"
ID="almalinux"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.4"
PRETTY_NAME="AlmaLinux 9.4 (Seafoam Ocelot)"
"""


def elf(machine: int, order: str = "<") -> bytes:
    return b"\x7fELF\x02" + (b"\x01" if order == "<" else b"\x02") + bytes(10) + struct.pack(f"{order}HH", 2, machine)


def test_debian_is_described():
    guest = memory(
        {
            "/usr/lib/os-release": BOOKWORM,
            "/usr/bin/dash": elf(62),
            "/etc/hostname": b"# name\nweb01\n",
            "/usr/bin/apt-get": b"",
            "/usr/lib/systemd/systemd": b"",
        },
        links={
            "/etc/os-release": "../usr/lib/os-release",
            "/bin": "usr/bin",
            "/usr/bin/sh": "dash",
            "/sbin": "usr/sbin",
            "/usr/sbin/init": "/lib/systemd/systemd",
            "/lib": "usr/lib",
        },
    )
    found = osrelease.read(guest)
    assert found.family is Family.DEBIAN
    assert (found.id, found.version, found.name) == ("debian", "12", "Debian GNU/Linux 12 (bookworm)")
    assert (found.architecture, found.hostname) == ("x86_64", "web01")
    assert (found.package_manager, found.init) == ("apt", "systemd")


@pytest.mark.parametrize(
    ("text", "family"),
    [
        (BOOKWORM, Family.DEBIAN),
        (NOBLE, Family.DEBIAN),
        (b"ID=linuxmint\nID_LIKE='ubuntu debian'\n", Family.DEBIAN),
        (ALMA, Family.UNKNOWN),
        (b"", Family.UNKNOWN),
    ],
)
def test_the_family_is_the_ids_or_what_it_is_like(text, family):
    assert osrelease.read(memory({"/etc/os-release": text})).family is family


def test_a_file_system_without_os_release_is_no_system():
    assert osrelease.read(memory({"/home/me/notes": b""})) is None


@pytest.mark.parametrize(
    ("program", "name"),
    [
        (elf(62), "x86_64"),
        (elf(183), "aarch64"),
        (elf(3), "i686"),
        (elf(22, ">"), "s390x"),
        (elf(9999), "unknown"),
        (b"\x7fELF", "unknown"),
        (b"#!/bin/busybox\n", "unknown"),
    ],
)
def test_the_architecture_is_the_programs(program, name):
    assert osrelease.architecture(memory({"/bin/sh": program})) == name


@pytest.mark.parametrize(
    ("files", "links", "init"),
    [
        ({}, {"/sbin/init": "/lib/systemd/systemd"}, "systemd"),
        ({"/sbin/init": b"", "/etc/inittab": b""}, {}, "sysvinit"),
        ({"/sbin/openrc": b"", "/etc/inittab": b""}, {"/sbin/init": "/bin/busybox"}, "openrc"),
        ({}, {}, None),
    ],
)
def test_the_init_system_is_what_init_leads_to(files, links, init):
    guest = memory({"/etc/os-release": BOOKWORM, **files}, links=links)
    assert osrelease.read(guest).init == init


def test_values_with_broken_quotes_are_taken_as_they_are():
    assert osrelease.assignments("NAME=\"It's\nID=debian\n# X=1\nlower=1\n") == {"NAME": "It's", "ID": "debian"}

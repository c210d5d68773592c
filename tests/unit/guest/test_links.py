import pytest

from hyper2kvm.guest.links import MAX_LINKS, resolve

LINKS = {
    "/bin": "usr/bin",
    "/usr/bin/sh": "dash",
    "/etc/os-release": "../usr/lib/os-release",
    "/etc/alternatives/x": "/bin/sh",
    "/out": "../../../../etc",
    "/loop": "loop",
    "/a": "b",
    "/b": "a",
    "/here": ".",
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("/etc/fstab", "/etc/fstab"),
        ("//etc/./fstab", "/etc/fstab"),
        ("/etc/../usr", "/usr"),
        ("/../..", "/"),
        ("/bin/sh", "/usr/bin/dash"),
        ("/etc/os-release", "/usr/lib/os-release"),
        ("/etc/alternatives/x", "/usr/bin/dash"),
        ("/out/shadow", "/etc/shadow"),
        ("/here/here/etc", "/etc"),
    ],
)
def test_links_stay_inside_the_guest(path, expected):
    assert resolve(path, LINKS.get) == expected


def test_the_last_link_is_followed_on_demand_only():
    assert resolve("/bin/sh", LINKS.get, last=False) == "/usr/bin/sh"


@pytest.mark.parametrize("path", ["/loop", "/a", "/loop/x"])
def test_a_loop_ends(path):
    assert resolve(path, LINKS.get) in {"/loop", "/a", "/b", "/loop/x"}


def test_a_long_chain_is_followed_as_far_as_linux_does():
    chain = {f"/{number}": str(number + 1) for number in range(100)}
    assert resolve("/0", chain.get) == f"/{MAX_LINKS}"

import pytest

from hyper2kvm.guest.linux import aptsources

TOOLS = ["packages.vmware.com/tools"]


@pytest.mark.parametrize(
    ("line", "after"),
    [
        (
            "deb http://packages.vmware.com/tools/esx/5.5 precise main",
            "# deb http://packages.vmware.com/tools/esx/5.5 precise main",
        ),
        (
            "  deb-src [a=b] https://packages.vmware.com/tools x y",
            "#   deb-src [a=b] https://packages.vmware.com/tools x y",
        ),
        (
            "# deb http://packages.vmware.com/tools/esx/5.5 precise main",
            "# deb http://packages.vmware.com/tools/esx/5.5 precise main",
        ),
        ("deb https://packages.vmware.com/horizon x y", "deb https://packages.vmware.com/horizon x y"),
    ],
)
def test_one_line_entries_become_comments(line, after):
    assert aptsources.without("/etc/apt/sources.list", f"{line}\n".encode(), TOOLS) == f"{after}\n".encode()


@pytest.mark.parametrize(
    ("stanza", "after"),
    [
        (
            "Types: deb\nURIs: http://packages.vmware.com/tools\n",
            "Enabled: no\nTypes: deb\nURIs: http://packages.vmware.com/tools\n",
        ),
        (
            "Enabled: yes\nURIs: http://packages.vmware.com/tools\n",
            "Enabled: no\nURIs: http://packages.vmware.com/tools\n",
        ),
        (
            "Enabled: No\nURIs: http://packages.vmware.com/tools\n",
            "Enabled: No\nURIs: http://packages.vmware.com/tools\n",
        ),
        ("URIs: http://deb.debian.org/debian\n", "URIs: http://deb.debian.org/debian\n"),
    ],
)
def test_stanzas_are_switched_off(stanza, after):
    assert aptsources.without("/x.sources", stanza.encode(), TOOLS).decode() == after

import pytest

from hyper2kvm.guest.linux import netplan
from hyper2kvm.guest.linux.interface import Chosen, Trait
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.reasons import Reason

from .situations import memory

PATH = "/etc/netplan/50-cloud-init.yaml"
TEXT = """\
# written by cloud-init
network:
  version: 2
  ethernets:
    ens192:
      dhcp4: true
      addresses:
        - 192.0.2.10/24
        - "2001:db8::1/64": {lifetime: 0}
    lan:
      match:
        macaddress: 00:50:56:AA:00:02
      set-name: lan0
    any:
      match: {driver: vmxnet3, name: "en*"}  # old
      dhcp6: yes
  bonds:
    bond0: {interfaces: [ens192], addresses: [198.51.100.1/24]}
  vlans:
    vlan5: {id: 5, link: lan}
"""


def test_interfaces_are_found_by_what_matches_them():
    found = {i.name: i for i in netplan.find(memory({PATH: TEXT.encode()}))}
    assert found["ens192"].addresses == ("192.0.2.10/24", "2001:db8::1/64")
    assert found["ens192"].dhcp
    assert (found["lan0"].mac, found["lan0"].binds) == ("00:50:56:aa:00:02", True)
    assert (found["en*"].driver, found["en*"].dhcp, found["en*"].binds) == ("vmxnet3", True, False)
    assert found["bond0"].virtual
    assert found["vlan5"].virtual


def test_a_driver_is_replaced_and_nothing_else_changes():
    asked = []

    def choose(trait, value):
        asked.append((trait, value))
        return Chosen(("00:50:56:aa:00:01",), "virtio_net") if trait is Trait.DRIVER else None

    after = netplan.rewritten(PATH, TEXT, choose)
    assert after == TEXT.replace("driver: vmxnet3", 'macaddress: "00:50:56:aa:00:01"')
    assert asked == [(Trait.DRIVER, "vmxnet3"), (Trait.MAC, "00:50:56:aa:00:02")]


def test_an_address_is_replaced_whatever_form_it_has():
    new = Chosen(("52:54:00:aa:00:02",), "virtio_net")
    after = netplan.rewritten(PATH, TEXT, lambda trait, _: new if trait is Trait.MAC else None)
    assert after == TEXT.replace("macaddress: 00:50:56:AA:00:02", 'macaddress: "52:54:00:aa:00:02"')


def test_a_driver_that_stays_is_left_alone():
    assert netplan.rewritten(PATH, TEXT, lambda trait, value: None) == TEXT


def test_several_matches_are_all_replaced_and_one_of_several_adapters_stays_one_by_driver():
    text = "network: {ethernets: {a: {match: {driver: [vmxnet3, e1000]}}, b: {match: {driver: e1000}}}}\n"
    after = netplan.rewritten(PATH, text, lambda _, value: Chosen(("m",) * len(value.split()), "e1000e"))
    assert after == 'network: {ethernets: {a: {match: {driver: e1000e}}, b: {match: {macaddress: "m"}}}}\n'


LISTED = """\
network:
  ethernets:
    lan:
      match:
        name: en*
        driver:
        - vmxnet3  # the first
        # another
        - "e1000"  # the second
        # what follows
      dhcp4: true
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (LISTED, LISTED.replace(LISTED[LISTED.index("driver") : LISTED.index("  # the second")], "{}")),
        (
            "network: {ethernets: {a: {match: {driver: [\nvmxnet3,\n]\n}}}}",
            "network: {ethernets: {a: {match: {{}\n}}}}",
        ),
        (
            "network:\n ethernets:\n  a:\n   match:\n    driver:\n      - e1000",
            "network:\n ethernets:\n  a:\n   match:\n    {}",
        ),
    ],
    ids=["lines", "brackets", "the file's end"],
)
@pytest.mark.parametrize("macs", [("m",), ("m", "n")])
def test_what_stands_around_a_list_of_drivers_stays(before, after, macs):
    new = 'macaddress: "m"' if len(macs) == 1 else "driver: virtio_net"
    assert netplan.rewritten(PATH, before, lambda *_: Chosen(macs, "virtio_net")) == after.replace("{}", new)


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "network:\n", "- a\n", "network: {ethernets: [a]}\n", "network: 5\n"]
)
def test_files_that_say_nothing_hold_no_interface(text):
    assert list(netplan.find(memory({PATH: text.encode()}))) == []


ONE = "network:\n  ethernets:\n    ens192:\n      dhcp4: true\n"


@pytest.mark.parametrize(
    "text",
    [
        ONE.replace("dhcp4: true", "addresses: [192.0.2.1/24]\t# static"),
        ONE.replace("dhcp4: true", "dhcp4: true\t"),
        ONE.replace("dhcp4: true", "dhcp4:\ttrue \t # on"),
        ONE.replace("dhcp4: true", "addresses: [\t192.0.2.1/24\t,\n\t192.0.2.2/24]\t"),
        ONE.replace("ens192:", '"ens192"\t:\t# first'),
    ],
)
def test_tabs_between_words_are_blanks(text):
    (found,) = netplan.find(memory({PATH: text}))
    assert (found.name, found.dhcp or bool(found.addresses)) == ("ens192", True)


def test_a_rewritten_file_keeps_its_tabs():
    text = "network:\n  ethernets:\n    a:\t# tab\n      match:\t{driver:\tvmxnet3\t}\t# old\n"
    after = netplan.rewritten(PATH, text, lambda *_: Chosen(("m",), "virtio_net"))
    assert after == text.replace("driver:\tvmxnet3", 'macaddress: "m"')


@pytest.mark.parametrize("more", ["---\n" + ONE.replace("192", "224"), "...\n---\n", "---\n[ }\n"])
def test_the_first_document_alone_counts(more):
    for start in ("", "---\n", "# x\n--- # y\n"):
        assert [each.name for each in netplan.find(memory({PATH: start + ONE + more}))] == ["ens192"]
    assert netplan.rewritten(PATH, TEXT + "---\n" + TEXT, lambda *_: Chosen(("m",), "")).endswith("---\n" + TEXT)


TABS = (
    "network:\n\tethernets: {}\n",
    "network:\n  \tethernets: {}\n",
    "network:\n-\ta\n",
    "a: 1\n\t# x\nb: 1\n",
    "\ta: 1\n",
)


@pytest.mark.parametrize(
    "text", ["network: [\n", "a: b: c\n", "[" * 20_000, "\x01", "a: *b\n", *TABS], ids=range(5 + len(TABS))
)
def test_what_is_no_yaml_is_an_error_that_names_the_file(text):
    with pytest.raises(GuestError, match=PATH) as caught:
        list(netplan.find(memory({PATH: text.encode()})))
    assert caught.value.reason is Reason.GUEST_FILE_INVALID
    assert "Correct the file in the guest" in caught.value.hint


def test_references_that_multiply_do_no_harm():
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    assert list(netplan.find(memory({PATH: "\n".join(lines).encode()}))) == []

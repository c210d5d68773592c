import pytest

from hyper2kvm.boot import verdict
from hyper2kvm.boot.verdict import CameUp, Expected, Shown, Snapshot, Stopped, decide, missing_addresses, missing_leases
from hyper2kvm.stages.documents import Evidence, Probe, ProbedInterface

PROBED = Expected(probe=True, encrypted=False)
UNPROBED = Expected(probe=False, encrypted=False)
STILL = 30.0


def report(target="multi-user", uptime=20.0, addresses=(), **fields):
    interface = ProbedInterface(name="enp1s0", addresses=addresses)
    made = {"target": target, "kernel": "6.1.0", "root_device": "/dev/vda1", "uptime": uptime}
    return Probe.model_validate(made | {"interfaces": (interface,)} | fields)


def serial(text, still=STILL, **fields):
    return Snapshot(serial=Shown(text, still), screen=Shown("", STILL), **fields)


def screen(text, still=STILL, **fields):
    return Snapshot(serial=Shown("", STILL), screen=Shown(text, still), **fields)


def test_a_guest_that_shows_nothing_is_undecided():
    assert decide(PROBED, Snapshot()) is None


def test_a_second_report_proves_that_the_guest_came_up():
    seen = Snapshot(probes=(report(uptime=20.0), report(uptime=25.5, failed_units=("late.service",))), reported=5)
    found = decide(PROBED, seen)
    assert isinstance(found, CameUp)
    assert found.evidence is Evidence.PROBE
    assert found.probe is not None
    assert found.probe.uptime == 20.0
    assert found.probe.failed_units == ("late.service",)


def test_one_report_is_enough_after_a_while():
    assert decide(PROBED, Snapshot(probes=(report(),), reported=1)) is None
    assert isinstance(decide(PROBED, Snapshot(probes=(report(),), reported=verdict.SETTLE_SECONDS)), CameUp)


def test_addresses_that_the_configuration_states_are_waited_for():
    expected = Expected(probe=True, encrypted=False, addresses=("192.0.2.10/24",))
    absent, present = report(), report(addresses=("192.0.2.10/24",))
    assert decide(expected, Snapshot(probes=(absent, absent), reported=10)) is None
    assert isinstance(decide(expected, Snapshot(probes=(absent, present), reported=10)), CameUp)
    assert isinstance(decide(expected, Snapshot(probes=(absent,), reported=verdict.ADDRESS_SECONDS)), CameUp)


def test_when_the_time_is_over_nothing_more_is_waited_for():
    expected = Expected(probe=True, encrypted=False, addresses=("192.0.2.10/24",))
    assert isinstance(decide(expected, Snapshot(probes=(report(),), reported=1, over=True)), CameUp)
    assert decide(PROBED, Snapshot(serial=Shown("login:", 9, login=9), over=True)) == CameUp(Evidence.SERIAL_LOGIN)
    assert decide(PROBED, Snapshot(over=True)) is None


@pytest.mark.parametrize("target", ["emergency", "rescue"])
def test_a_report_from_another_target_is_a_failure(target):
    told = ("Timed out waiting for device /dev/sdb1.", "Dependency failed for data.mount - /data.")
    found = decide(PROBED, Snapshot(probes=(report(target, complaints=told),) * 2))
    assert isinstance(found, Stopped)
    assert target in found.meaning
    assert "data.mount" in found.quote
    assert "/etc/fstab" in (found.hint or "")


def test_failed_units_are_named_where_the_journal_tells_nothing():
    found = decide(PROBED, Snapshot(probes=(report("emergency", failed_units=("a.mount", "b.service")),) * 2))
    assert isinstance(found, Stopped)
    assert found.quote == "failed units: a.mount, b.service"


def test_a_guest_that_ends_after_it_came_up_has_failed():
    found = decide(PROBED, Snapshot(probes=(report(),), ended=True))
    assert isinstance(found, Stopped)
    assert "after multi-user.target" in found.meaning


def test_a_panic_counts_after_a_report_too():
    seen = serial("Kernel panic - not syncing: Fatal exception", still=0, probes=(report(), report()), reported=5)
    assert isinstance(decide(PROBED, seen), Stopped)


def test_a_panic_counts_at_once():
    assert isinstance(decide(PROBED, serial("Kernel panic - not syncing: Attempted to kill init!", still=0)), Stopped)


def test_a_prompt_must_stand_still():
    assert decide(PROBED, screen("(initramfs)", still=2)) is None
    assert isinstance(decide(PROBED, screen("(initramfs)", still=8)), Stopped)


def test_a_complaint_on_a_still_screen_does_not_count_while_the_serial_port_talks():
    talking = Snapshot(serial=Shown("[  1.0] Booting", 0.5), screen=Shown("No bootable device.", 60))
    assert decide(PROBED, talking) is None


def test_a_prompt_on_the_serial_port_counts_although_a_splash_moves():
    moving = Shown("", 0.0)
    assert decide(PROBED, Snapshot(serial=Shown("(initramfs) ", 10), screen=moving)) is None
    assert isinstance(decide(PROBED, Snapshot(serial=Shown("(initramfs) ", 30), screen=moving)), Stopped)
    assert decide(PROBED, Snapshot(serial=Shown("You are in emergency mode", 30), screen=moving)) is None


def test_old_lines_of_the_serial_port_do_not_count():
    old = "You are in emergency mode\n" + "[  OK  ] Started something.\n" * 60
    assert decide(PROBED, serial(old)) is None


def test_a_prompt_for_a_passphrase_is_proof_of_encrypted_guests_only():
    asks = screen("Please unlock disk vda3_crypt: ")
    assert decide(Expected(probe=True, encrypted=True), asks) == CameUp(Evidence.UNLOCK_PROMPT)
    assert isinstance(decide(PROBED, asks), Stopped)


def test_a_prompt_that_is_answered_is_no_end():
    asks = screen("Please unlock disk vda3_crypt: ", unlocking=True)
    assert decide(Expected(probe=True, encrypted=True), asks) is None
    stopped = screen("Please unlock disk vda3_crypt: \nALERT! x\n(initramfs)", unlocking=True)
    assert isinstance(decide(Expected(probe=True, encrypted=True), stopped), Stopped)


def test_a_guest_that_restarts_has_failed_and_its_last_words_are_quoted():
    found = decide(PROBED, serial("Rebooting in 1 seconds..", ended=True))
    assert isinstance(found, Stopped)
    assert (found.meaning, found.quote) == ("restarted or switched itself off", "Rebooting in 1 seconds..")


def test_a_sign_explains_a_restart():
    found = decide(PROBED, screen("Kernel panic - not syncing: x", still=0, ended=True))
    assert isinstance(found, Stopped)
    assert "panic" in found.meaning


def test_a_guest_that_floods_its_serial_port_has_failed():
    found = decide(PROBED, serial("yyyy", flooded=True))
    assert isinstance(found, Stopped)
    assert "without end" in found.meaning


@pytest.mark.parametrize(
    ("seen", "evidence"),
    [
        (Snapshot(serial=Shown("login:", 9, login=9)), Evidence.SERIAL_LOGIN),
        (Snapshot(screen=Shown("login:", 9, login=9)), Evidence.SCREEN_LOGIN),
    ],
)
def test_without_a_probe_a_login_prompt_counts(seen, evidence):
    assert decide(UNPROBED, seen) == CameUp(evidence)


def test_a_login_prompt_must_stay():
    assert decide(UNPROBED, Snapshot(serial=Shown("login:", 1, login=1))) is None


def test_with_a_probe_a_login_prompt_counts_when_the_probe_stays_silent():
    assert decide(PROBED, Snapshot(serial=Shown("login:", 9, login=9))) is None
    silent = Snapshot(serial=Shown("login:", 9, login=verdict.SILENCE_SECONDS))
    assert decide(PROBED, silent) == CameUp(Evidence.SERIAL_LOGIN)


def test_missing_addresses_are_compared_without_their_prefix():
    found = report(addresses=("192.0.2.10/32", "2001:db8::1/64"))
    assert missing_addresses(("192.0.2.10/24", "2001:db8::0:1/64", "192.0.2.11/24"), found) == ("192.0.2.11/24",)
    assert missing_addresses(("192.0.2.10/24",), None) == ()


MACS = frozenset({"52:54:00:aa:bb:01", "52:54:00:aa:bb:02"})
FIRST, SECOND = sorted(MACS)


def leased(*names):
    return Expected(probe=True, encrypted=False, leased=names, macs=MACS)


def adapter(name, mac, *addresses):
    return ProbedInterface(name=name, mac=mac, addresses=addresses)


@pytest.mark.parametrize(
    "interfaces",
    [
        (adapter("ens192", FIRST, "10.0.2.15/24"), adapter("enp2s0", SECOND)),
        (adapter("ens192", FIRST, "10.0.2.15/24"), adapter("ens224", SECOND, "fe80::1/64")),
        (adapter("ens192", FIRST, "10.0.2.15/24"), adapter("ens224", SECOND, "169.254.7.7/16")),
        (adapter("ens192", FIRST, "10.0.2.15/24"),),
    ],
    ids=["another name", "link-local", "IPv4 link-local", "no driver"],
)
def test_an_adapter_that_dhcp_gave_no_address_is_missed(interfaces):
    assert missing_leases(leased("ens192", "ens224"), report(interfaces=interfaces)) == ("ens224",)


@pytest.mark.parametrize(
    "interfaces",
    [
        (adapter("ens192", FIRST, "10.0.2.15/24"), adapter("ens224", SECOND, "fec0::5/64")),
        (adapter("enp1s0", FIRST, "10.0.2.15/24"), adapter("enp2s0", SECOND, "198.18.1.15/24")),
        (
            adapter("ens192", FIRST, "10.0.2.15/24"),
            adapter("enp2s0", SECOND),
            adapter("br0", SECOND, "198.18.1.15/24"),
        ),
        (adapter("ens192", FIRST), adapter("ens224", SECOND), adapter("unknown", None, "10.0.2.15/32")),
    ],
    ids=["both have one", "of other adapters", "by a bridge", "on an interface that is not told"],
)
def test_where_every_adapter_has_an_address_none_is_missed(interfaces):
    assert missing_leases(leased("ens192", "ens224"), report(interfaces=interfaces)) == ()
    assert missing_leases(leased("ens192", "ens224"), None) == ()


def test_leases_are_waited_for():
    absent = report(interfaces=(adapter("ens192", FIRST), adapter("ens224", SECOND)))
    present = report(interfaces=(adapter("ens192", FIRST, "10.0.2.15/24"), adapter("ens224", SECOND)))
    assert decide(leased("ens192"), Snapshot(probes=(absent, absent), reported=10)) is None
    assert isinstance(decide(leased("ens192"), Snapshot(probes=(absent, present), reported=10)), CameUp)
    late = Snapshot(probes=(absent,), reported=verdict.ADDRESS_SECONDS)
    assert isinstance(decide(leased("ens192"), late), CameUp)

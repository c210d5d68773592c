"""How the lab looks at the console of a machine that KubeVirt runs."""

import json
from types import SimpleNamespace

import pytest

from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from lab import running

LOGIN = "debian12-bios ttyS0"
BOOTING = "[    0.000000] Linux version 6.1.0\n"
STALLED = f"""{BOOTING}[   21.788727] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
[   21.788727] NMI backtrace for cpu 1 skipped: idling at native_safe_halt+0xb/0x10
"""


class Kubectl:
    """A machine whose consoles show one text after the other; deleting it starts the next console."""

    def __init__(self, *consoles: list[str]) -> None:
        self._consoles = list(consoles)
        self.deleted: list[str] = []

    def __call__(self, verb: str, *words: str, **_: object) -> str:
        if verb == "delete":
            self.deleted.append("/".join(words[:2]))
            self._consoles.pop(0)
        return json.dumps({"items": [{"metadata": {"name": "virt-launcher-web01"}}]})

    def run(self, *_: object, **__: object) -> SimpleNamespace:
        shown = self._consoles[0]
        return SimpleNamespace(text=shown.pop(0) if len(shown) > 1 else shown[0])


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(running, "STALLED_SECONDS", 0.1)
    monkeypatch.setattr(running, "PAUSE", 0.05)


def wait(kubectl: Kubectl, deadline: float = 5) -> str:
    return running.wait_console(SimpleNamespace(kubectl=kubectl), "vms", "web01", LOGIN, deadline=deadline)


def test_all_that_a_console_has_shown_is_given():
    kubectl = Kubectl([BOOTING, BOOTING + LOGIN])
    assert wait(kubectl) == BOOTING + LOGIN
    assert kubectl.deleted == []


def test_a_kernel_that_goes_on_after_a_stall_is_left_alone():
    kubectl = Kubectl([STALLED, STALLED + LOGIN])
    assert wait(kubectl) == STALLED + LOGIN
    assert kubectl.deleted == []


def test_a_machine_whose_kernel_stalls_is_started_again(capsys):
    kubectl = Kubectl([STALLED], [STALLED], [BOOTING, BOOTING + LOGIN])
    assert wait(kubectl) == BOOTING + LOGIN
    assert kubectl.deleted == ["virtualmachineinstance/web01"] * 2
    assert capsys.readouterr().out.count("vms/web01: its kernel says that a processor stalls") == 2


def test_a_machine_that_never_comes_up_fails_with_its_console():
    kubectl = Kubectl([STALLED], [STALLED], [STALLED], [LOGIN])
    with pytest.raises(HostError) as caught:
        wait(kubectl, deadline=1)
    assert caught.value.reason is Reason.PROGRAM_TIMED_OUT
    assert "detected stalls on CPUs/tasks" in caught.value.message
    assert len(kubectl.deleted) == 2

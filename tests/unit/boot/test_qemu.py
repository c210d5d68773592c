import functools
import json
import os
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from hyper2kvm.accelerator import QEMU
from hyper2kvm.boot.firmware import Flash
from hyper2kvm.boot.qemu import MIN_MEMORY, BootDisk, BootFiles, BootHardware, arguments, hardware
from hyper2kvm_api.machine import Cpu, Nic
from hyper2kvm_api.options import NicModel, TargetBus
from unit.boot.situations import MAC, make_machine

GIB = 2**30
GOLDEN = Path(__file__).parent / "golden"
FILES = BootFiles(Path("/evidence/serial.log"), Path("/scratch/report"), Path("/run/h2k/control"))
FLASH = Flash(Path("/usr/share/OVMF/OVMF_CODE_4M.fd"), Path("/scratch/nvram.fd"))
CARDS = {NicModel.VIRTIO: "virtio-net-pci", NicModel.E1000E: "e1000e"}
UUID = "564d1a2b-0000-1111-2222-333344445555"


def make_disk(number: int, bus: TargetBus, order: int) -> BootDisk:
    node = {"driver": "raw", "file": {"driver": "file", "filename": f"/scratch/{number}.raw"}}
    return BootDisk(node, bus, f"h2k-{number}", order)


def make_hardware(*disks: BootDisk, flash: Flash | None = None, secure: bool = False) -> BootHardware:
    machine = make_machine(uuid=UUID, secure_boot=secure)
    return hardware(machine, disks, flash, accelerator="tcg", memory=2 * GIB)


under_kvm = functools.partial(hardware, accelerator="kvm", memory=GIB)


MACHINES = {
    "bios-virtio": make_hardware(make_disk(0, TargetBus.VIRTIO, 1), make_disk(1, TargetBus.VIRTIO, 0)),
    "uefi-scsi": make_hardware(make_disk(0, TargetBus.SCSI, 0), make_disk(1, TargetBus.SCSI, 1), flash=FLASH),
    "secure-boot-sata": make_hardware(*(make_disk(n, TargetBus.SATA, n) for n in range(8)), flash=FLASH, secure=True),
}


def as_lines(given: list[str]) -> str:
    """An option and its value a line."""
    return "".join(f"\n{word}" if word.startswith("-") else f" {word}" for word in given) + "\n"


@pytest.mark.parametrize("name", MACHINES)
def test_arguments_are_as_recorded(name):
    """With REGENERATE=1 in the environment the records are written anew: read their diff."""
    text = as_lines(arguments(MACHINES[name], FILES))
    record = GOLDEN / f"{name}.txt"
    if os.environ.get("REGENERATE"):
        GOLDEN.mkdir(exist_ok=True)
        record.write_text(text)
    assert record.read_text() == text


@pytest.mark.parametrize(
    ("own", "allowed", "given"), [(256, 2, 2), (256, 8, 8), (1, 8, 1), (0.125, 2, MIN_MEMORY / GIB), (4, 0.25, 0.5)]
)
def test_memory_is_the_machines_own_as_far_as_it_is_allowed(own, allowed, given):
    machine = make_machine(memory=int(own * GIB))
    assert under_kvm(machine, (), None, memory=int(allowed * GIB)).memory == given * GIB


@pytest.mark.parametrize(
    ("accelerator", "own", "given"), [("kvm", 64, 2), ("kvm", 1, 1), ("tcg", 64, 1), ("tcg", 1, 1)]
)
def test_cpus_are_bounded(accelerator, own, given):
    machine = make_machine(cpu=Cpu(sockets=own))
    assert hardware(machine, (), None, accelerator=accelerator, memory=GIB).cpus == given


@pytest.mark.parametrize(("accelerator", "cpu"), [("kvm", "max"), ("tcg", "max,la57=off,-erms,-fsrm")])
def test_an_emulated_processor_does_not_promise_fast_strings(accelerator, cpu):
    given = arguments(hardware(make_machine(), (), None, accelerator=accelerator, memory=GIB), FILES)
    assert given[given.index("-cpu") + 1] == cpu


def test_every_adapter_has_its_mac_and_a_network_of_its_own():
    nics = (Nic(id="a", mac=MAC), Nic(id="b", mac="52:54:00:AA:BB:02"))
    given = arguments(under_kvm(make_machine(nics=nics), (), None), FILES)
    networks = [value for option, value in pairwise(given) if option == "-netdev"]
    assert networks == ["user,id=net0,restrict=on", "user,id=net1,restrict=on,net=198.18.1.0/24"]
    cards = [json.loads(word) for word in given if "netdev" in word and word.startswith("{")]
    assert [card["mac"] for card in cards] == [MAC, "52:54:00:aa:bb:02"]
    assert {card["driver"] for card in cards} == {"virtio-net-pci"}


def test_secure_boot_needs_uefi():
    assert not under_kvm(make_machine(secure_boot=True), (), None).secure_boot


@pytest.mark.parametrize("uuid", ["", "not a uuid", None])
def test_a_uuid_that_is_none_is_left_out(uuid):
    assert "-uuid" not in arguments(under_kvm(make_machine(uuid=uuid), (), None), FILES)


def test_a_comma_in_a_path_does_not_end_it():
    files = BootFiles(Path("/a,b/serial"), Path("/report"), Path("/control"))
    assert "file,id=serial,path=/a,,b/serial" in arguments(under_kvm(make_machine(), (), None), files)


@pytest.mark.parametrize(
    ("bus", "model"), [*((bus, NicModel.VIRTIO) for bus in TargetBus), (TargetBus.SATA, NicModel.E1000E)]
)
def test_qemu_takes_a_machine_with_many_disks_and_adapters(bus, model, tmp_path):
    """With 64 disks and 64 adapters: `-S` and no accelerator's work, so that nothing runs; QMP ends it."""
    disks = tuple(BootDisk({"driver": "null-co", "read-zeroes": True}, bus, f"h2k-{n}", n) for n in range(64))
    nics = tuple(Nic(id=f"n{n}", mac=f"52:54:00:00:00:{n:02x}") for n in range(64))
    files = BootFiles(tmp_path / "serial", tmp_path / "report", tmp_path / "control")
    machine = hardware(make_machine(nics=nics), disks, None, accelerator="tcg", memory=GIB, network_model=model)
    given = arguments(machine, files)
    assert sum(f'"{CARDS[model]}"' in word for word in given) == 64
    monitor = given.index("chardev=control,mode=control")
    given[monitor - 1 : monitor + 1] = ["-qmp", "stdio"]
    commands = '{"execute": "qmp_capabilities"}\n{"execute": "quit"}\n'
    done = subprocess.run([*given, "-S"], input=commands, capture_output=True, text=True, timeout=60, check=False)
    assert given[0] == QEMU
    assert (done.returncode, done.stderr) == (0, "")

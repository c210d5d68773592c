import pytest

from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.machine import DiskBus, Firmware, Machine, MachineDisk, Nic
from hyper2kvm_api.options import Compression, DiskFormat, NicModel
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.resolve import Places, effective_spec, made_up_addresses, resolve

PLACES = Places("/volumes/exports", "/out")


def disk(unit):
    return MachineDisk(
        id=f"scsi0:{unit}",
        bus=DiskBus.SCSI,
        controller=0,
        unit=unit,
        capacity=(unit + 1) << 30,
        format="vmdk",
        file=f"web01_{unit}.vmdk",
    )


MACHINE = Machine(
    name="Web 01",
    memory=2 << 30,
    firmware=Firmware.UEFI,
    disks=(disk(0), disk(1)),
    nics=(Nic(id="ethernet0", mac="00:50:56:AA:BB:CC", slot=192), Nic(id="ethernet1")),
)


def migration(**spec):
    source = {"files": {"volume": {"hostPath": {"path": "/volumes/exports"}}, "path": "web01/web01.ova"}}
    return {"metadata": {"name": "web01", "namespace": "moves"}, "spec": {"source": source, **spec}}


def test_a_minimal_migration_has_sensible_defaults():
    plan = resolve(migration(), [], MACHINE, PLACES)
    assert plan.source.path == "/volumes/exports/web01/web01.ova"
    assert [(d.id, d.target, d.format, d.capacity) for d in plan.disks] == [
        ("scsi0:0", "/out/web01-disk0.raw", DiskFormat.RAW, 1 << 30),
        ("scsi0:1", "/out/web01-disk1.raw", DiskFormat.RAW, 2 << 30),
    ]
    assert plan.boot.enabled
    assert (plan.boot.timeout, plan.boot.memory) == (600, 2 << 30)
    assert plan.domain_xml == "/out/web01.xml"
    assert plan.keys_folder is None


def test_mac_addresses_are_kept_and_missing_ones_are_the_same_in_every_run():
    first, second = (resolve(migration(), [], MACHINE, PLACES).machine.nics for _ in range(2))
    assert first == second
    assert first[0].mac == "00:50:56:aa:bb:cc"
    assert first[1].mac is not None
    assert first[1].mac.startswith("52:54:00:")


def test_addresses_that_were_made_up_can_be_told_from_the_plan():
    plan = resolve(migration(), [], MACHINE, PLACES)
    assert made_up_addresses(plan) == {plan.machine.nics[1].mac}


def test_profiles_lie_under_the_spec_in_order():
    profiles = [
        {"spec": {"guest": {"trim": False, "serialConsole": True}, "target": {"disks": {"format": "qcow2"}}}},
        {"spec": {"guest": {"serialConsole": None}, "target": {"disks": {"compression": "Zstd"}}}},
    ]
    plan = resolve(migration(guest={"trim": True}), profiles, MACHINE, PLACES)
    assert plan.guest.trim
    assert not plan.guest.serial_console
    assert {(d.format, d.compression, d.target[-5:]) for d in plan.disks} == {
        (DiskFormat.QCOW2, Compression.ZSTD, "qcow2")
    }


def test_overrides_replace_what_the_source_says():
    options = {"memory": "4Gi", "firmware": "bios", "cpu": {"sockets": 2, "cores": 2}, "tpm": True}
    machine = resolve(migration(machine=options), [], MACHINE, PLACES).machine
    assert (machine.memory, machine.firmware, machine.cpu.count, machine.tpm) == (4 << 30, Firmware.BIOS, 4, True)


def test_the_boot_check_may_have_more_memory():
    assert resolve(migration(validation={"boot": {"memory": "8Gi"}}), [], MACHINE, PLACES).boot.memory == 8 << 30


def test_a_virtual_machine_is_named_by_a_host_name():
    for name in ("web01.example", "a" * 64, "Web01"):
        with pytest.raises(SpecError, match=r"virtualMachine\.name"):
            effective_spec(migration(target={"virtualMachine": {"name": name}}), [])
    options = effective_spec(migration(target={"virtualMachine": {"name": "w" * 63, "networkModel": "e1000e"}}), [])
    assert options.target.virtual_machine.network_model is NicModel.E1000E


@pytest.mark.parametrize("spec", [{"machine": {"memory": "99999999999999P"}}, {"machine": {"memory": "0.0Gi"}}])
def test_a_machine_that_cannot_be_is_refused(spec):
    with pytest.raises(SpecError) as caught:
        resolve(migration(**spec), [], MACHINE, PLACES)
    assert caught.value.reason is Reason.INVALID_SPEC
    assert "machine" in caught.value.message
    assert "memory" in caught.value.message


def test_a_namespace_that_is_none_is_refused():
    wrong = migration()
    wrong["metadata"]["namespace"] = "Not a name"
    with pytest.raises(SpecError, match=r"metadata: namespace"):
        resolve(wrong, [], MACHINE, PLACES)


def test_others_may_write_into_the_metadata_what_they_like():
    """kubectl apply keeps the whole object in an annotation, and any tool its notes."""
    noted = migration()
    noted["metadata"] |= {"annotations": {str(n): "x" * 5000 for n in range(100)}, "labels": {"team": "x" * 63}}
    assert resolve(noted, [], MACHINE, PLACES) == resolve(migration(), [], MACHINE, PLACES)


SECURE, LEGACY = (
    MACHINE.replaced(secure_boot=True),
    MACHINE.replaced(firmware=Firmware.BIOS),
)


@pytest.mark.parametrize(
    ("machine", "options", "expected"),
    [
        (SECURE, {}, (Firmware.UEFI, True)),
        (SECURE, {"firmware": "bios"}, (Firmware.BIOS, False)),
        (SECURE, {"secureBoot": False}, (Firmware.UEFI, False)),
        (LEGACY, {"firmware": "uefi", "secureBoot": True}, (Firmware.UEFI, True)),
        (LEGACY.replaced(secure_boot=True), {}, (Firmware.BIOS, False)),
        (MACHINE.replaced(firmware=None), {"secureBoot": True}, (None, True)),
    ],
)
def test_bios_never_has_secure_boot(machine, options, expected):
    found = resolve(migration(machine=options), [], machine, PLACES).machine
    assert (found.firmware, found.secure_boot) == expected


def test_secure_boot_on_a_source_with_bios_is_refused():
    with pytest.raises(SpecError) as caught:
        resolve(migration(machine={"secureBoot": True}), [], LEGACY, PLACES)
    assert "the source's is bios" in caught.value.message
    assert "firmware: uefi" in caught.value.hint


def test_targets_may_be_claims():
    places = Places("/s", "/out", targets={"scsi0:1": "/dev/target1"}, domain=False)
    plan = resolve(migration(), [], MACHINE, places)
    assert [d.target for d in plan.disks] == ["/out/web01-disk0.raw", "/dev/target1"]
    assert plan.domain_xml is None


def test_plan_mode_boots_nothing():
    assert not resolve(migration(mode="Plan"), [], MACHINE, PLACES).boot.enabled


def test_keys_are_taken_only_when_they_are_asked_for():
    places = Places("/s", "/out", keys="/secrets/luks")
    assert resolve(migration(), [], MACHINE, places).keys_folder is None
    assert (
        resolve(migration(guest={"keys": {"secretName": "luks"}}), [], MACHINE, places).keys_folder == "/secrets/luks"
    )


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"target": {"disks": {"compression": "Zlib"}}}, "only qcow2 disks can be compressed"),
        ({"target": {"handoff": "Import"}}, "target: handoff Adopt needs disks.format raw, Import needs qcow2"),
        ({"target": {"handoff": "Adopt", "disks": {"format": "qcow2"}}}, "handoff Adopt needs disks.format raw"),
        ({"machine": {"secureBoot": True, "firmware": "bios"}}, "machine: secureBoot needs firmware uefi"),
        ({"source": {}}, "exactly one of files"),
    ],
)
def test_rules_that_span_fields(spec, said):
    with pytest.raises(SpecError) as caught:
        resolve(migration(**spec), [], MACHINE, PLACES)
    assert caught.value.reason is Reason.INVALID_SPEC
    assert said in caught.value.message


@pytest.mark.parametrize("path", ["/etc/shadow", "../other", "a/../../b"])
def test_a_source_path_cannot_leave_its_volume(path):
    source = {"files": {"volume": {"hostPath": {"path": "/v"}}, "path": path}}
    with pytest.raises(SpecError) as caught:
        resolve(migration(source=source), [], MACHINE, PLACES)
    assert "must be relative" in caught.value.message


def test_the_effective_spec_is_checked_after_merging():
    with pytest.raises(SpecError) as caught:
        effective_spec(migration(), [{"spec": {"guest": {"trim": "never"}}}])
    assert "spec: guest.trim" in caught.value.message

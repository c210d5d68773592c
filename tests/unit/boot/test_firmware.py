import pytest

from hyper2kvm.boot.firmware import find_firmware, fresh_flash
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from lab.smallvolume import small_volume


def lay(root, *names):
    for name in names:
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def test_this_machine_has_firmware_of_both_kinds():
    assert find_firmware(secure_boot=False).code.stat().st_size > 1024 * 1024
    assert "ms" in find_firmware(secure_boot=True).variables.name


@pytest.mark.parametrize(
    ("code", "variables"),
    [
        ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
        ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
        ("/usr/share/qemu/ovmf-x86_64-4m-code.bin", "/usr/share/qemu/ovmf-x86_64-4m-vars.bin"),
        ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ],
)
def test_each_distributions_place_is_known(tmp_path, code, variables):
    lay(tmp_path, code, variables)
    assert find_firmware(secure_boot=False, root=tmp_path).code == tmp_path / code.lstrip("/")


def test_code_without_its_variables_is_not_taken(tmp_path):
    lay(tmp_path, "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd")
    assert find_firmware(secure_boot=False, root=tmp_path).code.name == "OVMF_CODE.fd"


@pytest.mark.parametrize("secure", [False, True])
def test_missing_firmware_says_where_it_was_looked_for(tmp_path, secure):
    with pytest.raises(HostError, match="/usr/share/OVMF") as caught:
        find_firmware(secure_boot=secure, root=tmp_path)
    assert caught.value.reason is Reason.FIRMWARE_MISSING
    assert "Install OVMF" in caught.value.hint


def test_plain_firmware_does_not_serve_secure_boot(tmp_path):
    lay(tmp_path, "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd")
    with pytest.raises(HostError, match="Secure Boot"):
        find_firmware(secure_boot=True, root=tmp_path)


def test_every_start_gets_variables_of_its_own(tmp_path):
    template = find_firmware(secure_boot=False)
    before = template.variables.read_bytes()
    flash = fresh_flash(template, tmp_path)
    flash.variables.write_bytes(b"changed")
    assert template.variables.read_bytes() == before
    assert flash.code == template.code


def test_a_full_disk_has_no_room_for_them(tmp_path):
    with small_volume(tmp_path / "small", "64k") as folder, pytest.raises(HostError, match=r"nvram\.fd") as caught:
        fresh_flash(find_firmware(secure_boot=False), folder)
    assert caught.value.reason is Reason.WORKSPACE_FULL

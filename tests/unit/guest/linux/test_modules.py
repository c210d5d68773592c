from hyper2kvm.guest.linux import modules

from .situations import memory

FOLDER = "/lib/modules/5.10.0-1-amd64"


def tree(dep: str, builtin: str = "") -> modules.ModuleTree:
    guest = memory({f"{FOLDER}/modules.dep": dep.encode(), f"{FOLDER}/modules.builtin": builtin.encode()})
    return modules.read(guest, FOLDER)


def test_names_are_the_kernels():
    assert modules.module_name("kernel/drivers/char/virtio-rng.ko.xz") == "virtio_rng"
    assert modules.is_module("a/b.ko.zst")
    assert not modules.is_module("a/b.ko.debug")


def test_paths_and_dependencies_are_read():
    found = tree("kernel/b.ko.xz: kernel/a.ko.xz\nkernel/a.ko.xz:\n")
    assert found.paths == {"b": "kernel/b.ko.xz", "a": "kernel/a.ko.xz"}
    assert found.depends == {"b": ("a",), "a": ()}


def test_absolute_paths_of_old_depmod_are_taken_below_the_folder():
    assert tree(f"{FOLDER}/kernel/a.ko:\n").paths == {"a": "kernel/a.ko"}


def test_paths_that_lead_elsewhere_are_passed_over():
    assert tree("/etc/shadow.ko:\n../../../etc/a.ko:\n").paths == {}


def test_built_in_modules_are_known():
    assert tree("", "kernel/drivers/block/virtio_blk.ko\n").built_in == {"virtio_blk"}


def test_the_closure_holds_what_is_needed_and_is_there():
    found = tree("c.ko: b.ko\nb.ko: a.ko gone.ko\na.ko: b.ko\n")
    assert found.closure(["c", "unknown"]) == ("a", "b", "c")


def test_a_folder_without_index_has_no_modules():
    assert modules.read(memory({}), FOLDER).paths == {}

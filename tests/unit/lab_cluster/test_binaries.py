import pytest

from lab.cluster import binaries, images, toolchain
from lab.cluster.binaries import Group
from lab.cluster.digest import digest, digest_tree

GROUPS = (binaries.KUBERNETES, binaries.CDI, binaries.KUBEVIRT, binaries.VIRT_CHROOT)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_every_group_is_pinned(group):
    assert (binaries.MODULE / "go.sum").stat().st_size > 0
    pinned = (binaries.MODULE / "go.mod").read_text().split()
    for package in group.packages:
        assert package.startswith("./") or package in pinned


@pytest.mark.parametrize(
    ("group", "requirement"),
    [
        (binaries.KUBERNETES, f"k8s.io/kubernetes {binaries.KUBERNETES_VERSION}"),
        (binaries.CDI, f"kubevirt.io/containerized-data-importer {binaries.CDI_VERSION}"),
        (binaries.KUBEVIRT, f"kubevirt.io/kubevirt {binaries.KUBEVIRT_VERSION}"),
        (binaries.KUBERNETES, f"helm.sh/helm/v4 {binaries.HELM_VERSION}"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_versions_that_programs_report_are_those_of_their_modules(group, requirement):
    assert requirement in (binaries.MODULE / "go.mod").read_text()


def test_a_group_is_built_anew_when_its_module_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(binaries, "MODULE", tmp_path)
    (tmp_path / "go.sum").write_text("one")
    group = Group("tool", packages=("./tool",))
    first = group.folder
    (tmp_path / "go.sum").write_text("other")
    assert group.folder != first


def test_a_build_is_nice_and_writes_into_its_folder(tmp_path):
    command = binaries.build_command(tmp_path / "go", binaries.KUBEVIRT, tmp_path / "out")
    assert command[0] == "nice"
    assert "libvirt_dlopen" in command[command.index("-tags") + 1].split(",")
    assert f"{tmp_path}/out/" in command
    assert command[-len(binaries.KUBEVIRT.packages) :] == list(binaries.KUBEVIRT.packages)


def test_go_takes_modules_as_they_are_committed():
    assert "-mod=readonly" in toolchain.environment()["GOFLAGS"]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26)),
        ("go version go1.19.8 linux/amd64", (1, 19)),
        ("go version devel", (0, 0)),
        ("", (0, 0)),
    ],
)
def test_gos_version(text, version):
    assert toolchain.parse_version(text) == version


def test_a_digest_tells_where_a_part_ends(tmp_path):
    assert digest("ab", "c") != digest("a", "bc")
    (tmp_path / "a").write_text("b")
    before = digest_tree(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert digest_tree(tmp_path) != before


@pytest.mark.parametrize("images_of", [images.pause, images.tools, images.cdi, images.kubevirt])
def test_images_have_full_names_with_their_content_as_tag(images_of):
    for reference in images_of().references:
        assert reference.startswith("localhost/hyper2kvm-lab/")
        assert reference.endswith(f":{images_of().digest}")


def test_images_of_a_control_plane_have_a_numeric_user():
    assert {image.user for image in images.cdi().images} == {"1001"}

"""Sources of every format that is read: their disks arrive byte for byte.

What a disk holds in the end is compared with what qemu-img reads in its source.
"""

import pytest

from hyper2kvm.sources.image import EXTENSIONS
from hyper2kvm_api.migration import ImageFormat
from lab.scenario.ending import finished_cleanly
from lab.scenario.images import FORMATS, disk_image, dull_guest, unpacked
from lab.scenario.objects import migration

pytestmark = pytest.mark.cluster

MIB = 1 << 20


def test_a_disk_of_every_format_arrives_as_it_was(operator, project, tmp_path):
    """A qcow2 is the source of the other tests."""
    assert {EXTENSIONS[suffix] for suffix in FORMATS} == set(ImageFormat)
    suffixes = [suffix for suffix in FORMATS if suffix != ".qcow2"]
    images = {f"tiny{suffix}": disk_image(tmp_path / f"tiny{suffix}", size=64, data=8) for suffix in suffixes}
    package = unpacked(dull_guest(tmp_path / "guest", data=12).ova, tmp_path / "ovf")
    project.source({**images, **{f"ovf/{file.name}": file for file in package}})
    wanted = {**{suffix[1:]: f"tiny{suffix}" for suffix in suffixes}, "ovf": "ovf"}
    project.apply(*(migration(name, path) for name, path in wanted.items()))
    sizes = {name: [disk.stat().st_size // MIB for disk in disks(project, name)] for name in wanted}
    assert sizes == {**{suffix[1:]: [64] for suffix in suffixes}, "ovf": [12, 8]}
    finished_cleanly(project, *wanted)


def disks(project, name):
    """The disks of a migration that has succeeded, as the host sees them."""
    status = project.wait_phase(name, "Succeeded", deadline=400)
    return [project.image(disk["claimName"]) for disk in status["disks"]]

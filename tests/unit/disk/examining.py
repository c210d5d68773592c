"""Images as FETCH examines them, as FLATTEN makes graphs of them, and as a client then reads them."""

from pathlib import Path

import nbd
import pytest

from hyper2kvm.disk.graph import check_opens, flatten_disk
from hyper2kvm.disk.image import examine_disk
from hyper2kvm.disk.location import FileRegion
from hyper2kvm.disk.server import NbdServer
from hyper2kvm_api.errors import ImageError
from hyper2kvm_api.migration import ImageFormat


def examined(path, format_=ImageFormat.VMDK, *, siblings=True, length=None, offset=0):
    """The image at a path as FETCH finds it."""
    size = Path(path).stat().st_size if length is None else length
    location = FileRegion(path=str(path), length=size, offset=offset)
    return examine_disk("scsi0:0", format_, location, siblings=str(Path(path).parent) if siblings else None)


def refusal(path, format_=ImageFormat.VMDK, *, kind=ImageError, **options):
    """The error with which an image is refused."""
    with pytest.raises(kind) as caught:
        examined(path, format_, **options)
    assert caught.value.hint
    assert caught.value.disk == "scsi0:0"
    return caught.value


def graph(path, folder, format_=ImageFormat.VMDK, **region):
    """The image's block graph, which QEMU has opened; what is made for it lies in the folder."""
    made = flatten_disk(examined(path, format_, **region), folder / "graph")
    check_opens(made, folder, folder / "open.log")
    return made


def content(options, folder):
    """What a client reads from a graph."""
    with NbdServer(options, folder / "nbd", writable=False, log=folder / "log") as server:
        handle = nbd.NBD()
        handle.connect_uri(server.uri)
        size, step = handle.get_size(), 1 << 20
        data = b"".join(handle.pread(min(step, size - offset), offset) for offset in range(0, size, step))
        handle.shutdown()
    return data


def read(path, folder, format_=ImageFormat.VMDK, **region):
    """What a client reads from an image."""
    return content(graph(path, folder, format_, **region).node.options(), folder)

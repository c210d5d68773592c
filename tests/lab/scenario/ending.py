"""How a scenario has to end: a status that says what happened, the source as it was, and nothing left behind."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hyper2kvm.run import run
from lab.scenario.images import FORMATS, unpacked
from lab.scenario.objects import Json
from lab.scenario.project import Project

_CONDITIONS = ("Planned", "Provisioned", "Converted", "Validated", "HandedOff", "Ready")


def finished_cleanly(project: Project, *names: str, kept: Iterable[str] = (), deadline: float = 400) -> Json:
    """Migrations succeed; their disks hold what the sources held, and outlive them alone. The last one's status.

    Args:
        project: where they are.
        names: all migrations of the namespace.
        kept: what else is to be there when they are gone, as `kind/name`.
        deadline: seconds for each.
    """
    assert names
    disks: list[str] = []
    status: Json = {}
    for name in names:
        status = project.wait_phase(name, "Succeeded", deadline=deadline)
        disks += _succeeded(project, name, status)
    project.delete(*names, deadline=120 + 5 * len(names))
    volumes = [f"datavolume/{disk}" for disk in disks]
    assert project.leftovers([*kept, *volumes, *(f"persistentvolumeclaim/{disk}" for disk in disks)]) == []
    assert project.source_is_unchanged()
    return status


def failed_cleanly(project: Project, name: str, reason: str, words: str = "", *, kept: Iterable[str] = ()) -> Json:
    """A migration fails for a reason that its status, its condition and an Event name; nothing outlives it. The failure.

    Args:
        project: where it is, the only one of the namespace.
        name: its name.
        reason: why.
        words: what the message must say.
        kept: what is to be there when it is gone, as `kind/name`.
    """
    failure = failed(project, name, reason, words)
    project.delete(name)
    assert project.leftovers(kept) == []
    assert project.source_is_unchanged()
    return failure


def failed(project: Project, name: str, reason: str, words: str = "") -> Json:
    """A migration fails for a reason that its status, its condition and an Event name. The failure."""
    status = project.wait_end(name)
    failure: Json = status.get("failure", {})
    assert (status["phase"], failure.get("reason")) == ("Failed", reason), status
    assert words in failure["message"]
    assert failure["hint"]
    ready = _conditions(status)["Ready"]
    assert (ready["status"], ready["reason"]) == ("False", reason)
    project.wait_event(name, reason)
    return failure


def _succeeded(project: Project, name: str, status: Json) -> list[str]:
    """A migration's status, its disks and their content are those of a success; the names of its disks."""
    assert {type_: one["status"] for type_, one in _conditions(status).items()} == dict.fromkeys(_CONDITIONS, "True")
    assert "failure" not in status
    claims = [str(disk["claimName"]) for disk in status["disks"]]
    assert claims
    for disk, claim in zip(status["disks"], claims, strict=True):
        assert disk["handedOff"]
        assert disk["digest"]
        for kind, phase in (("persistentvolumeclaim", "Bound"), ("datavolume", "Succeeded")):
            assert project.cluster.kubectl.field(kind, claim, "status.phase", project.namespace) == phase
    path = str((project.get("virtualmachinemigration", name) or {})["spec"]["source"]["files"]["path"])
    if Path(path).suffix in FORMATS or not status.get("repaired"):
        with _images(project.files, path) as images:
            for image, claim in zip(images, claims, strict=bool(images)):
                assert same_content(image, project.image(claim)), f"{claim} is not what {image.name} holds"
    return claims


@contextmanager
def _images(files: Mapping[str, Path], path: str) -> Iterator[list[Path]]:
    """The images of an image, an OVA or an OVF folder, in the order of the machine's disks; none of another source."""
    if Path(path).suffix in FORMATS:
        yield [files[path]]
    elif path.endswith(".ova"):
        with TemporaryDirectory() as folder:
            yield _disks(unpacked(files[path], Path(folder) / "ova"))
    else:
        yield _disks([file for name, file in sorted(files.items()) if name.startswith(f"{path}/")])


def _disks(package: list[Path]) -> list[Path]:
    """The disks among the files of an OVF package; their names are in the order of their numbers."""
    described = any(file.suffix == ".ovf" for file in package)
    return [file for file in package if described and file.suffix == ".vmdk"]


def same_content(source: Path, target: Path) -> bool:
    """Whether a raw target holds what a disk image does, and zeros behind it."""
    formats = ("-f", FORMATS[source.suffix], "-F", "raw")
    compared = run(["qemu-img", "compare", *formats, str(source), str(target)], deadline=120, check=False)
    assert compared.code in {0, 1}, compared.stderr
    return compared.code == 0


def _conditions(status: Json) -> dict[str, Json]:
    return {one["type"]: one for one in status.get("conditions", [])}

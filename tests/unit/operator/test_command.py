"""`h2k status` and `h2k report --namespace`, with a client that answers from here."""

import datetime as dt
import io

import pytest
from click.testing import CliRunner
from rich.console import Console

from hyper2kvm_api.errors import ClusterError
from hyper2kvm_api.migration import Failure, Phase, VirtualMachineMigrationStatus
from hyper2kvm_operator.command import status as command
from hyper2kvm_operator.command.migrations import Migration, fetch_report, list_migrations
from hyper2kvm_operator.command.status import follow, view
from hyper2kvm_operator.command.table import age, fitted, ordered, whole
from hyper2kvm_operator.kube.client import KubeClient
from hyper2kvm_operator.kube.errors import RefusedError, UnreachableError
from hyper2kvm_operator.kube.resources import Resources

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
PHASES = [Phase.SUCCEEDED, Phase.PENDING, Phase.FAILED, Phase.CONVERTING, Phase.CANCELLED, Phase.PLANNING]


class Answers(KubeClient):
    """Answers each list with the next of what it is given, errors raised, the last one again and again."""

    def __init__(self, *lists, objects=None, installed=True):
        self.lists = list(lists)
        self.objects = objects or {}
        self.installed = installed

    def list(self, resource, namespace=None, **_):
        answer = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
        if isinstance(answer, Exception):
            raise answer
        return [one for one in answer if namespace in {None, one["metadata"]["namespace"]}]

    def get(self, resource, namespace, name):
        return self.objects.get((resource.kind, namespace, name))

    def serves(self, resource):
        return self.installed


def written(name, namespace="moves", **status):
    return {
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": "2026-01-02T03:00:00Z"},
        "status": status,
    }


def migration(name, phase=None, minutes=0, **fields):
    return Migration(
        "moves", name, NOW - dt.timedelta(minutes=minutes), VirtualMachineMigrationStatus(phase=phase, **fields)
    )


def drawn(renderable, width=160):
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    return console.file.getvalue()


def test_what_works_comes_first_then_what_failed_then_what_waits():
    found = [migration(phase.value, phase) for phase in PHASES]
    names = [m.name for m in ordered([*found, migration("new")])]
    assert set(names[:2]) == {"Converting", "Planning"}
    assert names[2] == "Failed"
    assert set(names[3:5]) == {"Pending", "new"}
    assert set(names[5:]) == {"Succeeded", "Cancelled"}


def test_in_a_group_the_oldest_comes_first():
    found = [migration(f"m{age}", Phase.CONVERTING, minutes=age) for age in (1, 30, 5)]
    assert [m.name for m in ordered(found)] == ["m30", "m5", "m1"]


def test_every_phase_has_its_place():
    assert {m.phase for m in ordered([migration("m", phase) for phase in Phase])} == set(Phase)


@pytest.mark.parametrize("hostile", ["[/dev/sda]", "[bold red]", "[/]", "[scsi0:0] is full"])
def test_what_the_cluster_says_is_no_markup(hostile):
    failure = Failure(reason=hostile[:64], message="m")
    text = drawn(whole([migration("web01", Phase.FAILED, failure=failure), migration("x", progress=hostile)], NOW))
    assert text.count(hostile) == 2


def test_what_the_cluster_says_does_not_move_the_cursor():
    text = drawn(whole([migration("web01", progress="a\x1b[2J\x07\nb\u202ec")], NOW))
    assert "a\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER} b\N{REPLACEMENT CHARACTER}c" in text
    assert "\x1b" not in text


def test_a_small_screen_shows_what_works_and_counts_the_rest():
    found = [migration(f"done{n}", Phase.SUCCEEDED) for n in range(50)] + [migration("web01", Phase.CONVERTING)]
    text = drawn(view(found, None, NOW, 10)).splitlines()
    assert len(text) == 10
    assert "web01" in text[1]
    assert text[-1].strip() == "1 Converting · 50 Succeeded · 8 of 51 shown"


def test_on_a_small_screen_a_long_message_takes_one_line():
    found = [migration(f"m{n}", Phase.CONVERTING, progress="words " * 30) for n in range(3)]
    assert fitted(found, NOW, 10).row_count == 3
    assert len(drawn(view(found, None, NOW, 10), width=80).splitlines()) == 3 + 2


def test_without_a_screen_all_are_shown():
    found = [migration(f"done{n}", Phase.SUCCEEDED) for n in range(500)]
    text = drawn(view(found, None, NOW))
    assert text.count("done") == 500
    assert "shown" not in text


def test_watching_outlives_a_server_that_does_not_answer():
    client = Answers([written("web01")], UnreachableError("GET /apis: connection refused"), [written("web02")])
    shown = []

    def pause():
        if len(shown) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(
            lambda: list_migrations(client, None),
            lambda found, trouble: shown.append(([m.name for m in found], trouble and trouble.message)),
            pause,
        )
    assert shown == [(["web01"], None), (["web01"], "GET /apis: connection refused"), (["web02"], None)]


def test_the_last_answer_stays_shown_beside_the_error():
    text = drawn(view([migration("web01")], ClusterError("RequestRefused", "no [answer]\x1b[2J"), NOW, 10))
    assert "web01" in text
    assert "not up to date: RequestRefused: no [answer]\N{REPLACEMENT CHARACTER}[2J" in text


def test_a_first_look_that_fails_ends_the_watch():
    client = Answers(RefusedError(403, "Forbidden", "you may not", "GET /apis"))
    with pytest.raises(ClusterError) as caught:
        follow(lambda: list_migrations(client, None), lambda *_: None, lambda: None)
    assert caught.value.reason == "RequestRefused"


def test_a_watch_without_a_terminal_prints_each_look_and_ends_quietly(monkeypatch):
    client = Answers([written("web01", phase="Converting")], [written("web01", phase="Succeeded")])
    looks = iter([None, KeyboardInterrupt])

    def pause(_seconds):
        ending = next(looks)
        if ending:
            raise ending

    monkeypatch.setattr(command, "KubeClient", lambda: client)
    monkeypatch.setattr(command.time, "sleep", pause)
    done = CliRunner().invoke(command.status, ["--watch", "--namespace", "moves"])
    assert done.exit_code == 0
    assert done.output.index("Converting") < done.output.index("Succeeded")


def test_status_shows_the_migrations_of_one_namespace(monkeypatch):
    client = Answers([written("web01"), written("db01", namespace="other")])
    monkeypatch.setattr(command, "KubeClient", lambda: client)
    done = CliRunner().invoke(command.status, ["--namespace", "other"])
    assert "db01" in done.output
    assert "web01" not in done.output


def test_a_cluster_without_the_operator_is_told_from_one_without_migrations():
    assert list_migrations(Answers([]), None) == []
    with pytest.raises(ClusterError) as caught:
        list_migrations(Answers([], installed=False), None)
    assert caught.value.reason == "NotFound"


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ({}, "there is no migration moves/web01"),
        ({("VirtualMachineMigration", "moves", "web01"): written("web01")}, "has no report yet"),
        (
            {("VirtualMachineMigration", "moves", "web01"): written("web01", report="web01-report")},
            "has no report any more",
        ),
    ],
)
def test_a_report_that_is_not_there_says_why(objects, words):
    with pytest.raises(ClusterError) as caught:
        fetch_report("moves", "web01", Answers([], objects=objects))
    assert caught.value.reason == "NotFound"
    assert words in caught.value.message


def test_a_report_is_read_from_its_config_map():
    objects = {
        ("VirtualMachineMigration", "moves", "web01"): written("web01", report="web01-report"),
        (Resources.CONFIG_MAP.value.kind, "moves", "web01-report"): {"data": {"report.json": "{}"}},
    }
    assert fetch_report("moves", "web01", Answers([], objects=objects)) == {"report.json": "{}"}


@pytest.mark.parametrize(
    ("seconds", "text"), [(-30, "0s"), (59, "59s"), (119, "119s"), (120, "2m"), (7200, "2h"), (200_000, "2d")]
)
def test_ages_are_shown_as_kubectl_does(seconds, text):
    assert age(dt.timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UnreachableError("no route"), "ClusterUnreachable"),
        (RefusedError(403, "Forbidden", "you may not", "GET /apis"), "RequestRefused"),
    ],
)
def test_a_refusal_is_told_from_silence(error, reason):
    with pytest.raises(ClusterError) as caught:
        list_migrations(Answers(error), None)
    assert caught.value.reason == reason

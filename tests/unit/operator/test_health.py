import http.client

import pytest

from hyper2kvm_operator.health import MAX_AGE, HealthServer
from hyper2kvm_operator.metrics import Metrics


class Operator:
    """What the server looks at."""

    age = 0.0
    ready = False


@pytest.fixture
def operator():
    return Operator()


@pytest.fixture
def get(operator):
    metrics = Metrics()
    server = HealthServer(0, metrics.registry, lambda: operator.age, lambda: operator.ready)
    server.start()

    def ask(path):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body

    yield ask
    server.stop()


@pytest.mark.parametrize(("age", "code"), [(0.0, 200), (MAX_AGE - 1, 200), (MAX_AGE, 503), (86400.0, 503)])
def test_it_lives_as_long_as_its_workers_come_back(operator, get, age, code):
    operator.age = age
    told = get("/healthz")
    assert told == (code, f"last heartbeat {age:.0f} s ago\n")


def test_it_is_ready_once_its_watches_have_started(operator, get):
    assert get("/readyz") == (503, "starting\n")
    operator.ready = True
    assert get("/readyz") == (200, "watching\n")


def test_it_can_live_and_not_be_ready(get):
    assert get("/healthz")[0] == 200
    assert get("/readyz")[0] == 503


def test_metrics_are_served_as_text(get):
    code, text = get("/metrics")
    assert code == 200
    assert 'hyper2kvm_migrations_finished_total{phase="Failed"} 0.0' in text


@pytest.mark.parametrize("path", ["/", "/metrics/", "/etc/passwd"])
def test_there_is_nothing_else(get, path):
    assert get(path)[0] == 404

"""How tests of the cluster look at a migration; an HTTP server stands in for the API server."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from hyper2kvm_api.errors import HostError
from lab.scenario.project import Project

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
users: [{{name: u, user: {{}}}}]
current-context: c
"""


class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        code, value = self.server.answers.pop(0)
        self.server.asked.append(self.path)
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        server.answers, server.asked = [], []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def project(server, tmp_path):
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG.format(port=server.server_port))
    return Project(SimpleNamespace(kubeconfig=kubeconfig), "vms")


def seen(generation: int, **status):
    return 200, {"metadata": {"generation": generation}, "status": status}


def test_a_phase_counts_when_the_operator_has_seen_the_specification_as_it_is_now(project, server):
    server.answers += [
        (404, {"reason": "NotFound"}),
        seen(2),
        seen(2, observedGeneration=1, phase="Succeeded"),
        seen(2, observedGeneration=2, phase="Converting"),
        seen(2, observedGeneration=2, phase="Succeeded", attempts=1),
    ]
    assert project.wait_phase("web01", "Succeeded")["attempts"] == 1
    assert set(server.asked) == {"/apis/hyper2kvm.io/v1alpha1/namespaces/vms/virtualmachinemigrations/web01"}
    assert server.answers == []


def test_another_end_is_told_at_once(project, server):
    server.answers.append(seen(1, observedGeneration=1, phase="Failed", failure={"reason": "TargetFull"}))
    with pytest.raises(HostError, match=r"does not reach Succeeded: .*TargetFull"):
        project.wait_phase("web01", "Succeeded")


def test_what_is_not_there_has_no_status_and_a_refusal_is_told(project, server):
    server.answers += [(404, {"reason": "NotFound"}), (403, {"reason": "Forbidden", "message": "not you"})]
    assert project.status("web01") == {}
    with pytest.raises(HostError, match="not you"):
        project.status("web01")

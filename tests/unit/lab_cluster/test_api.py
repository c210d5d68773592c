"""Reading a cluster's objects; an HTTP server stands in for the API server."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hyper2kvm_api.errors import HostError
from lab.cluster.api import Api

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
        path = self.path.partition("?")[0]
        self.server.asked.append(self.path)
        code, value = self.server.answers.get(path, (404, {"reason": "NotFound"}))
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def kind(name, plural, verbs=("get", "list", "delete"), scope="Namespaced", **more):
    told = verbs and list(verbs)
    return {"resource": plural, "responseKind": {"kind": name}, "scope": scope, "verbs": told, **more}


def group(name, *versions):
    return {
        "metadata": {"name": name},
        "versions": [{"version": v, "resources": list(kinds)} for v, *kinds in versions],
    }


def groups(*found):
    return 200, {"items": list(found)}


CORE = groups(
    group("", ("v1", kind("Pod", "pods", shortNames=["po"]), kind("Node", "nodes", scope="Cluster"))),
)
OTHERS = groups(
    group("apps.example", ("v2", kind("Scaler", "scalers")), ("v1", kind("Scaler", "scalers"), kind("Old", "olds"))),
    group("other.example", ("v1", kind("Pod", "pods"), kind("Review", "reviews", verbs=["create"]))),
    group("sub.example", ("v1", kind("", "machines", verbs=None))),
)


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        server.answers, server.asked = {"/api": CORE, "/apis": OTHERS}, []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def api(server, tmp_path):
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG.format(port=server.server_port))
    return Api(kubeconfig)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("pod", "/api/v1/namespaces/vms/pods/x"),
        ("po", "/api/v1/namespaces/vms/pods/x"),
        ("pods.other.example", "/apis/other.example/v1/namespaces/vms/pods/x"),
        ("node", "/api/v1/nodes/x"),
        ("scaler", "/apis/apps.example/v2/namespaces/vms/scalers/x"),
        ("old.apps.example", "/apis/apps.example/v1/namespaces/vms/olds/x"),
    ],
)
def test_a_kind_is_found_by_its_names_in_the_group_and_version_that_are_preferred(api, server, name, path):
    server.answers[path] = 200, {"found": True}
    assert api.get(name, "x", "vms") == {"found": True}
    assert server.asked == ["/api", "/apis", path]
    assert api.get(name, "x", "vms") == {"found": True}
    assert server.asked[3:] == [path]


def test_what_is_not_there_is_none_and_nor_is_a_kind_before_it_comes(api, server):
    assert api.get("pod", "x", "vms") is None
    assert api.get("scale", "x", "vms") is None
    assert api.items("scale") == []
    server.answers["/apis"] = groups(group("new.example", ("v1", kind("Scale", "scales"))))
    server.answers["/apis/new.example/v1/scales"] = 200, {"items": [{"metadata": {"name": "x"}}], "metadata": {}}
    (found,) = api.items("scale", selector="a=b", fields="c=d")
    assert found["metadata"]["name"] == "x"
    assert server.asked[-1] == "/apis/new.example/v1/scales?limit=500&labelSelector=a%3Db&fieldSelector=c%3Dd"


def test_the_kinds_of_a_namespace_are_those_that_can_be_read_and_deleted(api):
    assert api.kinds() == ["old.apps.example", "pod", "pod.other.example", "scaler.apps.example"]


@pytest.mark.parametrize("path", ["/api", "/api/v1/namespaces/vms/pods/x"])
def test_a_refusal_is_told(api, server, path):
    server.answers[path] = 403, {"reason": "Forbidden", "message": "not you"}
    with pytest.raises(HostError, match="not you"):
        api.get("pod", "x", "vms")


def test_a_server_that_does_not_answer_is_told(api, server):
    server.shutdown()
    server.server_close()
    with pytest.raises(HostError, match="refused"):
        api.get("pod", "x", "vms")


def test_another_cluster_in_the_same_place_is_asked_anew(api, server, tmp_path):
    assert api.get("pod", "x", "vms") is None
    (tmp_path / "kubeconfig").write_text(KUBECONFIG.format(port=server.server_port) + "# another\n")
    assert api.get("pod", "x", "vms") is None
    assert server.asked.count("/api") == 2

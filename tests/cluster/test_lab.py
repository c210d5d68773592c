"""The embedded cluster itself: what the tests of the product stand on."""

import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hyper2kvm.run import run
from hyper2kvm_api.errors import HostError
from lab.cluster import health, kernel, namespace, toolchain, traces, volumes
from lab.cluster.cluster import Cluster
from lab.cluster.layout import SPARE
from lab.scenario.objects import claim, pod
from lab.scenario.project import Project

pytestmark = pytest.mark.cluster

MIB = 1 << 20


def shell(cluster: Cluster, name: str, script: str, *claims: str, device: str = "") -> dict:
    return pod(name, cluster.tools_image, script, *claims, device=device)


def output(project: Project, name: str) -> str:
    project.cluster.wait("pod", name, "status.phase", "Succeeded", namespace=project.namespace)
    return project.kubectl("logs", name)


def test_a_pod_reaches_the_api_server_by_its_name(cluster, project):
    project.apply(shell(cluster, "caller", "curl --silent --insecure https://kubernetes.default/version"))
    assert json.loads(output(project, "caller"))["gitVersion"] == "v1.34.4"


def test_a_pod_has_no_way_out_of_the_machine(cluster, project):
    script = "curl --silent --max-time 5 http://203.0.113.1/ || echo refused"
    project.apply(shell(cluster, "caller", script))
    assert output(project, "caller").strip() == "refused"


class Greeting(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello from the host")

    def log_message(self, *_):
        pass


def test_pods_reach_servers_on_the_host(cluster, project):
    address = str(cluster.layout.host_address)
    with ThreadingHTTPServer((address, 0), Greeting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        script = f"curl --silent http://{address}:{server.server_port}/"
        project.apply(shell(cluster, "caller", script))
        assert output(project, "caller") == "hello from the host"
        server.shutdown()


def test_the_host_reaches_services(cluster):
    assert health.asked(f"https://{cluster.layout.services[1]}/readyz") is None


@pytest.mark.parametrize("storage_class", ["lab-wait", "lab-immediate"])
def test_a_volume_is_roots_and_its_group_is_the_pods(cluster, project, storage_class):
    script = (
        "stat --format '%u %g' /volumes/data; echo written > /volumes/data/file; stat --format %u /volumes/data/file"
    )
    project.apply(claim("data", storage_class, "64Mi"), shell(cluster, "writer", script, "data"))
    assert output(project, "writer").split() == ["0", "107", "107"]
    assert (project.image("data", "file")).read_text() == "written\n"
    volume = cluster.kubectl.field("persistentvolumeclaim", "data", "spec.volumeName", project.namespace)
    project.kubectl("delete", "pod,persistentvolumeclaim", "--all")
    cluster.wait_gone("persistentvolume", volume, deadline=60)
    assert not list(cluster.layout.volumes.glob(f"{volume}*"))


def test_a_claim_that_waits_has_no_volume_before_its_pod(cluster, project):
    project.apply(claim("waiting", "lab-wait", "64Mi"), claim("ready", "lab-immediate", "64Mi"))
    cluster.wait("persistentvolumeclaim", "ready", "status.phase", "Bound", namespace=project.namespace, deadline=30)
    assert cluster.kubectl.field("persistentvolumeclaim", "waiting", "status.phase", project.namespace) == "Pending"
    with pytest.raises(HostError) as caught:
        project.image("waiting")
    assert "first pod" in caught.value.hint


def test_a_volume_is_full_at_its_size(cluster, project):
    script = "dd if=/dev/zero of=/volumes/data/file bs=1M count=100 2>&1 || true; stat --format %s /volumes/data/file"
    project.apply(claim("data", "lab-wait", "64Mi"), shell(cluster, "writer", script, "data"))
    told = output(project, "writer")
    assert "No space left on device" in told
    assert 40 * MIB < int(told.split()[-1]) < 64 * MIB


def test_a_block_volume_is_a_device_of_its_size_that_the_pods_user_may_write(cluster, project):
    script = "blockdev --getsize64 /dev/volume; echo written | dd of=/dev/volume conv=notrunc status=none; head -c 8 /dev/volume"
    manifests = claim("disk", "lab-block", "64Mi", "Block"), shell(cluster, "writer", script, device="disk")
    project.apply(*manifests)
    assert output(project, "writer").split() == [str(64 * MIB), "written"]
    volume = cluster.kubectl.field("persistentvolumeclaim", "disk", "spec.volumeName", project.namespace)
    project.kubectl("delete", "pod,persistentvolumeclaim", "--all")
    cluster.wait_gone("persistentvolume", volume, deadline=60)


SERVER = """
apiVersion: v1
kind: Service
metadata: {name: images}
spec:
  selector: {app: images}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Pod
metadata: {name: images, labels: {app: images}}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {runAsUser: 107, runAsGroup: 107, fsGroup: 107}
  containers:
    - name: nginx
      image: IMAGE
      imagePullPolicy: Never
      command: [bash, -euc]
      args:
        - |
          cat > /tmp/nginx.conf <<END
          daemon off;
          pid /tmp/nginx.pid;
          error_log /dev/stderr;
          events {}
          http { access_log /dev/stdout; client_body_temp_path /tmp; proxy_temp_path /tmp; fastcgi_temp_path /tmp;
                 uwsgi_temp_path /tmp; scgi_temp_path /tmp; server { listen 8080; root /volumes/exports; } }
          END
          exec nginx -c /tmp/nginx.conf
      readinessProbe: {httpGet: {port: 8080, path: /disk.qcow2}, periodSeconds: 1}
      volumeMounts: [{name: exports, mountPath: /volumes/exports}]
  volumes: [{name: exports, persistentVolumeClaim: {claimName: exports}}]
"""


@pytest.fixture
def served_disk(cluster: Cluster, project: Project, tmp_path: Path) -> bytes:
    """A qcow2 at http://images/disk.qcow2 with Range; the content of its first MiB."""
    content = os.urandom(MIB)
    raw = tmp_path / "disk.raw"
    raw.write_bytes(content)
    os.truncate(raw, 64 * MIB)
    project.apply(claim("exports", "lab-immediate", "64Mi"))
    cluster.wait("persistentvolumeclaim", "exports", "status.phase", "Bound", namespace=project.namespace)
    run(["qemu-img", "convert", "-O", "qcow2", str(raw), str(project.image("exports", "disk.qcow2"))], deadline=60)
    project.apply(SERVER.replace("IMAGE", cluster.tools_image))
    project.kubectl("wait", "--for=condition=Ready", "pod/images", "--timeout=60s", deadline=70)
    return content


IMPORTED = {
    "apiVersion": "cdi.kubevirt.io/v1beta1",
    "kind": "DataVolume",
    "metadata": {"name": "disk", "annotations": {"cdi.kubevirt.io/storage.bind.immediate.requested": "true"}},
    "spec": {
        "source": {"http": {"url": "http://images/disk.qcow2"}},
        "storage": {"storageClassName": "lab-wait", "resources": {"requests": {"storage": "64Mi"}}},
    },
}


def test_cdi_imports_a_qcow2_by_a_services_name(cluster, project, served_disk):
    project.apply(IMPORTED)
    cluster.wait("datavolume", "disk", "status.phase", "Succeeded", namespace=project.namespace, deadline=180)
    imported = project.image("disk")
    with imported.open("rb") as disk:
        assert disk.read(MIB) == served_disk
    assert imported.stat().st_uid == 107
    assert imported.stat().st_size >= 64 * MIB
    assert " 206 " in project.kubectl("logs", "images")


@pytest.mark.alone
def test_a_paused_api_server_answers_nobody_and_comes_back(cluster):
    pid = cluster.process("kube-apiserver")
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(HostError):
            cluster.kubectl("get", "nodes", "--request-timeout=2s")
    finally:
        cluster.pause_apiserver(0)
    assert cluster.names("node") == ["lab"]


def names(folder: Path) -> str:
    return " ".join(sorted(path.name for path in folder.iterdir()))


def host() -> dict[str, str]:
    """What a cluster could leave on the host, apart from loop devices, which come and go with other clusters' volumes."""
    return {
        "links": run(["ip", "-brief", "link"], deadline=30).text,
        "routes": run(["ip", "route"], deadline=30).text,
        "rules": rules("iptables-save"),
        "rules of IPv6": rules("ip6tables-save"),
        "folders": names(Path("/var/lib")),
        "groups": names(Path("/sys/fs/cgroup")),
        "kernel": "\n".join(f"{path}: {path.read_text()}" for path in KERNEL),
        **{name: tree(Path.home() / name) for name in HOME},
    }


HOME = (".kube", ".docker", ".cache/helm", ".cache/go-build", ".config/helm", ".config/go", ".local/share/helm", "go")
"""What kubectl, Helm and Go would write into the user's home."""


KERNEL = [
    *(Path("/proc/sys") / name for name in (*kernel.CHANGED_BY_KUBELET, *kernel.RAISED)),
    *(Path("/proc/sys/net") / name for name in ("ipv4/ip_forward", "ipv4/conf/all/route_localnet")),
    *Path("/proc/sys/net/bridge").glob("bridge-nf-*"),
    *Path("/proc/sys/net/netfilter").glob("nf_conntrack_[mt]*"),
]
"""Settings of the host that programs of Kubernetes are known to change."""


def rules(program: str) -> str:
    """Rules without comments and counters."""
    lines = run([program], deadline=30).text.splitlines()
    return "\n".join(line.partition("[")[0] for line in lines if not line.startswith("#"))


def tree(folder: Path) -> str:
    return "\n".join(sorted(str(path) for path in folder.rglob("*")))


def devices(cluster: Cluster) -> set[tuple[Path, tuple[int, int]]]:
    """Loop devices on the volumes of a cluster, and the kubelet's on top of them."""
    lower = [device for image in cluster.layout.volumes.glob("*.img") for device in volumes.devices_of(image)]
    upper = [above for device in lower for above in volumes.devices_of(device)]
    return {(device, behind) for device, behind in volumes.attachments().items() if device in [*lower, *upper]}


@pytest.mark.alone
@pytest.mark.parametrize("killed", [(), ("containerd", "kubelet", "provisioner")], ids=["whole", "killed"])
def test_a_cluster_leaves_no_trace(killed):
    spare = Cluster(SPARE)
    spare.down()
    before = host()
    try:
        spare.up()
        spare.apply(claim("data", "lab-immediate", "64Mi"), claim("disk", "lab-block", "64Mi", "Block"))
        script = "echo hi > /volumes/data/file; exec sleep 1000"
        spare.apply(shell(spare, "sleeper", script, "data", device="disk"))
        spare.wait("pod", "sleeper", "status.phase", "Running")
        processes = namespace.members(namespace.find(spare.layout))
        attached = devices(spare)
        for component in killed:
            os.kill(spare.process(component), signal.SIGKILL)
    finally:
        spare.down()
    assert traces.remaining(spare.layout) == []
    assert [pid for pid in processes if Path(f"/proc/{pid}").exists()] == []
    assert len(attached) == 3
    assert not attached.intersection(volumes.attachments().items())
    assert host() == before


def test_a_machine_without_go_gets_one_that_builds(tmp_path, monkeypatch):
    monkeypatch.setattr(toolchain, "GO_CACHE", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    go = toolchain.ensure_go()
    assert go.is_relative_to(tmp_path)
    (tmp_path / "go.mod").write_text("module example.test/tiny\n\ngo 1.26\n")
    (tmp_path / "main.go").write_text('package main\n\nfunc main() { println("built") }\n')
    environment = {**toolchain.environment(), "CGO_ENABLED": "0"}
    run([str(go), "-C", str(tmp_path), "build", "-o", "tiny"], deadline=300, environment=environment)
    assert run([str(tmp_path / "tiny")], deadline=10).stderr == "built\n"
    configuration = run([str(go), "env", "GOTELEMETRYDIR", "GOPATH"], deadline=10, environment=environment).text
    assert all(line.startswith(str(tmp_path)) for line in configuration.split())


MACHINE = """
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: tiny}
spec:
  runStrategy: Always
  template:
    spec:
      terminationGracePeriodSeconds: 0
      domain:
        memory: {guest: 128Mi}
        devices:
          disks: [{name: disk, disk: {bus: nonsense}}]
          interfaces: [{name: default, masquerade: {}}]
      networks: [{name: default, pod: {}}]
      volumes: [{name: disk, persistentVolumeClaim: {claimName: disk}}]
"""


def test_kubevirt_refuses_a_machine_that_cannot_be(kubevirt_cluster, project):
    with pytest.raises(HostError) as caught:
        project.apply(MACHINE)
    assert "disks[0].disk" in caught.value.message
    assert "unrecognized bus" in caught.value.message

"""A real control plane: etcd, API server, controllers, scheduler."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from tests.e2e.harness.components import Components
from tests.e2e.harness.machine import NODE_IP

CONTEXT = "kind-redis-image-cache"
"""The context stack `local` names: what `kind create cluster --name redis-image-cache` makes."""
TOKEN = "administrator"  # noqa: S105 (of a server that nobody outside of its namespace can reach)
_ETCD = "http://127.0.0.1:2379"
_SERVER = "https://127.0.0.1"
_SERVICE_RANGE = "10.96.0.0/16"
_FIRST_SERVICE_IP = "10.96.0.1"
"""Where pods look for the API server. Nothing here forwards the addresses of Services, so it listens there itself."""
_READY_WITHIN_S = 120.0
_DAYS_VALID = "2"


def start(components: Components) -> Path:
    """Starts it; returns an administrator's kubeconfig."""
    home = components.home
    _certificates(home)
    subprocess.run(["ip", "addr", "add", f"{_FIRST_SERVICE_IP}/32", "dev", "lo"], check=True)
    kubeconfig = home / "kubeconfig"
    kubeconfig.write_text(json.dumps(_kubeconfig(home / "ca.crt"), indent=1))
    components.start(
        "etcd",
        *("etcd", "--data-dir", f"{home}/etcd", "--unsafe-no-fsync"),
        *("--listen-client-urls", _ETCD, "--advertise-client-urls", _ETCD),
        *("--listen-peer-urls", "http://127.0.0.1:2380", "--log-level", "warn"),
    )
    components.start(
        "kube-apiserver",
        *("kube-apiserver", "--etcd-servers", _ETCD, "--secure-port", "443"),
        *("--bind-address", "0.0.0.0", "--advertise-address", NODE_IP),
        *("--tls-cert-file", f"{home}/server.crt", "--tls-private-key-file", f"{home}/server.key"),
        *("--client-ca-file", f"{home}/ca.crt", "--token-auth-file", f"{home}/tokens.csv"),
        *("--service-account-issuer", "https://e2e", "--service-account-key-file", f"{home}/accounts.key"),
        *("--service-account-signing-key-file", f"{home}/accounts.key", "--authorization-mode", "RBAC"),
        *("--service-cluster-ip-range", _SERVICE_RANGE, "--allow-privileged=true"),
        *("--kubelet-preferred-address-types", "InternalIP", "--profiling=false"),
    )
    components.wait("kube-apiserver", lambda: _is_ready(home / "ca.crt"), _READY_WITHIN_S)
    components.start(
        "kube-controller-manager",
        *("kube-controller-manager", "--kubeconfig", str(kubeconfig), "--leader-elect=false"),
        *("--service-account-private-key-file", f"{home}/accounts.key", "--root-ca-file", f"{home}/ca.crt"),
        # Nodes without a kubelet send no heartbeat.
        "--node-monitor-grace-period=24h",
    )
    components.start(
        "kube-scheduler", "kube-scheduler", "--kubeconfig", str(kubeconfig), "--leader-elect=false", "--profiling=false"
    )
    return kubeconfig


def _is_ready(authority: Path) -> bool:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    request = urllib.request.Request(f"{_SERVER}/readyz", headers=headers)  # noqa: S310 (https, above)
    try:
        tls = ssl.create_default_context(cafile=str(authority))
        with urllib.request.urlopen(request, context=tls, timeout=5) as answer:  # noqa: S310 (https, above)
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _kubeconfig(authority: Path) -> dict[str, object]:
    data = base64.b64encode(authority.read_bytes()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "e2e", "cluster": {"server": _SERVER, "certificate-authority-data": data}}],
        "users": [{"name": "administrator", "user": {"token": TOKEN}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": "e2e", "user": "administrator"}}],
        "current-context": CONTEXT,
    }


def _certificates(home: Path) -> None:
    """An authority, the API server's certificate by it, a key for service accounts, an administrator's token."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=home, check=True, capture_output=True)

    new_key = ("-newkey", "rsa:2048", "-nodes")
    # Python's TLS refuses an authority that does not say what its key is for.
    usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl(
        *("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.crt"),
        *("-subj", "/CN=e2e", "-days", _DAYS_VALID, *usage),
    )
    openssl("req", *new_key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=kube-apiserver")
    names = ("IP:127.0.0.1", f"IP:{NODE_IP}", f"IP:{_FIRST_SERVICE_IP}", "DNS:kubernetes", "DNS:localhost")
    (home / "names.conf").write_text(f"subjectAltName={','.join(names)}\n")
    openssl(
        *("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"),
        *("-days", _DAYS_VALID, "-out", "server.crt", "-extfile", "names.conf"),
    )
    openssl("genrsa", "-out", "accounts.key", "2048")
    (home / "tokens.csv").write_text(f'{TOKEN},administrator,administrator,"system:masters"\n')

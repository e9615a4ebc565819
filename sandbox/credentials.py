"""Stands for `aws eks get-token`, `gke-gcloud-auth-plugin` and `kubelogin`: prints a token for a sandbox cluster.

The kubeconfigs of our stacks carry no credential; they name these programs. In the sandbox they are here, on PATH
before the real ones, and know only the sandbox's clusters.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from sandbox.cloud.client import home

_CLOUD = {"aws": "aws", "gke-gcloud-auth-plugin": "gcp", "kubelogin": "azure"}


def _token(cloud: str, cluster: str | None, server: str | None) -> str | None:
    """The token of the named cluster; of the one at that address; of any of the cloud's, as they share one account."""
    found = [json.loads(f.read_text()) for f in sorted((home() / "clusters" / cloud).glob("*/cluster.json"))]
    for about in found:
        if about["name"] == cluster or about["endpoint"] == server:
            return str(about["token"])
    return str(found[0]["token"]) if found and cluster is None and server is None else None


def main(program: str, args: list[str]) -> int:
    """Print an ExecCredential; exit code 1 where the sandbox has no such cluster."""
    cloud = _CLOUD[program]
    if program == "aws" and args[:2] != ["eks", "get-token"]:
        print("sandbox aws: only `aws eks get-token --cluster-name NAME` is stood in for", file=sys.stderr)
        return 2
    cluster = args[args.index("--cluster-name") + 1] if "--cluster-name" in args else None
    info = json.loads(os.environ.get("KUBERNETES_EXEC_INFO") or "{}")
    server = ((info.get("spec") or {}).get("cluster") or {}).get("server")
    token = _token(cloud, cluster, server)
    if token is None:
        print(
            f"sandbox {Path(program).name}: no {cloud} cluster {cluster or server or ''}; see `fleet sandbox status`",
            file=sys.stderr,
        )
        return 1
    version = info.get("apiVersion") or "client.authentication.k8s.io/v1beta1"
    credential = {"apiVersion": version, "kind": "ExecCredential", "status": {"token": token}}
    print(json.dumps(credential))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))

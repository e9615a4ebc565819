"""AKS's kubeconfig, made fit to be kept and used by machines. Refuses credentials: whatever AKS sent of them is dropped.

https://azure.github.io/kubelogin/concepts/login-modes/azurecli.html
"""

from __future__ import annotations

import base64
import json
from typing import Any

from ruamel.yaml import YAML

# Entra's application "Azure Kubernetes Service AAD Server", the audience of every AKS API server.
_AKS_SERVER = "6dae42f8-4368-4678-94ff-3960e28e3630"
_LOGIN = {
    "apiVersion": "client.authentication.k8s.io/v1beta1",
    "command": "kubelogin",
    "args": ["get-token", "--login", "azurecli", "--server-id", _AKS_SERVER],
    "installHint": "kubelogin is missing: https://azure.github.io/kubelogin/install.html, then run `az login`",
    "interactiveMode": "Never",
    "provideClusterInfo": True,  # tells the plugin which API server asks
}


def with_azure_cli_login(encoded: str) -> str:
    """The kubeconfig as JSON (which is YAML), every user logging in with `kubelogin get-token --login azurecli`.

    AKS answers with `--login devicecode`, which waits for a person at a browser.

    Args:
        encoded: base64 of the kubeconfig, as `listClusterUserCredential` answers it.
    """
    config: dict[str, Any] = YAML(typ="safe").load(base64.b64decode(encoded))
    users = [{"name": user["name"], "user": {"exec": _LOGIN}} for user in config.get("users") or []]
    return json.dumps(config | {"users": users}, sort_keys=True)

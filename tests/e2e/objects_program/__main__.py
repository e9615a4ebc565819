"""A hundred objects of five kinds in the cluster of a kubeconfig file."""

from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

config = pulumi.Config("crash")
kubeconfig = Path(config.require("kubeconfig")).read_text(encoding="utf-8")
space = "objects"
ours = pulumi.ResourceOptions(provider=k8s.Provider("cluster", kubeconfig=kubeconfig))
ours.depends_on = [k8s.core.v1.Namespace(space, metadata={"name": space}, opts=ours)]
for i in range(20):
    name, labels = f"object-{i}", {"generation": config.require("generation")}
    meta = {"name": name, "namespace": space, "labels": labels}
    k8s.core.v1.ConfigMap(name, metadata=meta, data={"i": str(i)}, opts=ours)
    k8s.core.v1.Secret(name, metadata=meta, string_data={"i": str(i)}, opts=ours)
    k8s.core.v1.Service(name, metadata=meta, spec={"selector": {"app": name}, "ports": [{"port": 80}]}, opts=ours)
    k8s.core.v1.ServiceAccount(name, metadata=meta, opts=ours)
    policy = {"podSelector": {"matchLabels": {"app": name}}, "policyTypes": ["Ingress"]}
    k8s.networking.v1.NetworkPolicy(name, metadata=meta, spec=policy, opts=ours)

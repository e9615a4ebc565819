"""A GKE cluster from plain pulumi-gcp: a pool of its own in place of the default one, and a service on it."""

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as k8s

version = gcp.container.get_engine_versions(location="us-central1", version_prefix="1.34.").latest_master_version
cluster = gcp.container.Cluster(
    "cluster",
    location="us-central1",
    initial_node_count=1,
    remove_default_node_pool=True,
    min_master_version=version,
    deletion_protection=False,
)
account = gcp.serviceaccount.Account("nodes", account_id="gke-nodes", display_name="Nodes of the cluster")
pool = gcp.container.NodePool(
    "pool",
    cluster=cluster.name,
    location=cluster.location,
    node_locations=["us-central1-a"],
    node_count=2,
    node_config={
        "machine_type": "e2-standard-4",
        "service_account": account.email,
        "oauth_scopes": ["https://www.googleapis.com/auth/cloud-platform"],
    },
)


def kubeconfig_of(args: dict[str, object]) -> str:
    return f"""apiVersion: v1
kind: Config
current-context: {args["name"]}
clusters:
- name: {args["name"]}
  cluster:
    certificate-authority-data: {args["ca"]}
    server: https://{args["endpoint"]}
contexts:
- name: {args["name"]}
  context:
    cluster: {args["name"]}
    user: {args["name"]}
users:
- name: {args["name"]}
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: gke-gcloud-auth-plugin
      provideClusterInfo: true
      interactiveMode: Never
"""


kubeconfig = pulumi.Output.all(
    name=cluster.name, endpoint=cluster.endpoint, ca=cluster.master_auth.cluster_ca_certificate
).apply(kubeconfig_of)
provider = k8s.Provider("gke", kubeconfig=kubeconfig, opts=pulumi.ResourceOptions(depends_on=[pool]))
on_cluster = pulumi.ResourceOptions(provider=provider)
labels = {"app": "hello"}
namespace = k8s.core.v1.Namespace("apps", opts=on_cluster)
deployment = k8s.apps.v1.Deployment(
    "hello",
    metadata={"namespace": namespace.metadata.name},
    spec={
        "replicas": 3,
        "selector": {"match_labels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "containers": [
                    {
                        "name": "hello",
                        "image": "us-docker.pkg.dev/google-samples/containers/gke/hello-app:1.0",
                        "ports": [{"container_port": 8080}],
                    }
                ]
            },
        },
    },
    opts=on_cluster,
)
service = k8s.core.v1.Service(
    "hello",
    metadata={"namespace": namespace.metadata.name},
    spec={"selector": labels, "ports": [{"port": 80, "target_port": 8080}]},
    opts=pulumi.ResourceOptions(provider=provider, depends_on=[deployment]),
)

pulumi.export("cluster", cluster.name)
pulumi.export("ready", deployment.status.ready_replicas)
pulumi.export("ip", service.spec.cluster_ip)

"""An AKS cluster from plain pulumi-azure-native: one pool inline, and the kubeconfig Azure hands out."""

import base64

import pulumi
import pulumi_kubernetes as k8s
from pulumi_azure_native import containerservice, resources

group = resources.ResourceGroup("aks")
cluster = containerservice.ManagedCluster(
    "cluster",
    resource_group_name=group.name,
    dns_prefix="aks",
    identity={"type": containerservice.ResourceIdentityType.SYSTEM_ASSIGNED},
    agent_pool_profiles=[
        {
            "name": "system",
            "mode": containerservice.AgentPoolMode.SYSTEM,
            "count": 2,
            "vm_size": "Standard_D4s_v5",
            "os_type": containerservice.OSType.LINUX,
        }
    ],
    enable_rbac=True,
)
credentials = containerservice.list_managed_cluster_user_credentials_output(
    resource_group_name=group.name, resource_name=cluster.name
)
kubeconfig = credentials.kubeconfigs[0].value.apply(lambda encoded: base64.b64decode(encoded).decode())
provider = k8s.Provider("aks", kubeconfig=kubeconfig)
settings = k8s.core.v1.ConfigMap("settings", data={"greeting": "hello"}, opts=pulumi.ResourceOptions(provider=provider))
job = k8s.batch.v1.CronJob(
    "nightly",
    spec={
        "schedule": "0 3 * * *",
        "job_template": {
            "spec": {
                "template": {
                    "spec": {
                        "restart_policy": "Never",
                        "containers": [
                            {
                                "name": "report",
                                "image": "busybox:1.37",
                                "command": ["sh", "-c", "echo $GREETING"],
                                "env_from": [{"config_map_ref": {"name": settings.metadata.name}}],
                            }
                        ],
                    }
                }
            }
        },
    },
    opts=pulumi.ResourceOptions(provider=provider),
)

pulumi.export("cluster", cluster.name)
pulumi.export("principal", cluster.identity.principal_id)
pulumi.export("job", job.metadata.name)
pulumi.export("kubeconfig", pulumi.Output.secret(kubeconfig))

"""Every version that a person may want to move, one constant each. Sources are the projects' own release pages.

An image goes by its digest, too, where the catalogue's `digests.csv` has it.
"""

from fleet.catalog.digests import pinned

# Kubernetes minor on offer on all three clouds (EKS, GKE regular channel, AKS), 2026-11: in the middle of those that
# fleet/catalog/data/kubernetes.csv knows, and supported by each until 2027-03 at least.
KUBERNETES = "1.35"

# Device plugins, for clouds that bring none.
NVIDIA_DEVICE_PLUGIN_IMAGE = pinned("nvcr.io/nvidia/k8s-device-plugin:v0.17.4")
NEURON_DEVICE_PLUGIN_IMAGE = pinned("public.ecr.aws/neuron/neuron-device-plugin:2.27.7.0")
# HabanaAI/habanalabs-k8s-device-plugin README, read 2026-11-23.
GAUDI_DEVICE_PLUGIN_IMAGE = pinned("vault.habana.ai/docker-k8s-device-plugin/docker-k8s-device-plugin:1.14.0")
EFA_DEVICE_PLUGIN_IMAGE = pinned("602401143452.dkr.ecr.us-west-2.amazonaws.com/eks/aws-efa-k8s-device-plugin:v0.5.8")
# What stays on a node where an agent's work is done by its init containers, or by its mounts.
PAUSE_IMAGE = pinned("registry.k8s.io/pause:3.10")
# By the cluster's minor, as it simulates that minor's scheduler; patch releases by kubernetes/kops' table and the project's
# own releases, 2026-07.
CLUSTER_AUTOSCALER_IMAGES = {
    "1.34": pinned("registry.k8s.io/autoscaling/cluster-autoscaler:v1.34.4"),
    "1.35": pinned("registry.k8s.io/autoscaling/cluster-autoscaler:v1.35.2"),
    "1.36": pinned("registry.k8s.io/autoscaling/cluster-autoscaler:v1.36.1"),
}

# KEDA, for clusters with a model of `autoscaler: keda`: https://keda.sh/docs/2.21/deploy/, read 2026-11-23.
KEDA_CHART_REPOSITORY = "https://kedacore.github.io/charts"
KEDA_CHART_VERSION = "2.21.0"

# What runs the exporter of the grid's carbon intensity, plain Python: docker.io/library/python, read 2026-11-24.
PYTHON_IMAGE = pinned("docker.io/library/python:3.12-slim")

# Karpenter, for clusters with `provisioning: auto`: https://karpenter.sh/docs/upgrading/compatibility/, Kubernetes 1.26 to
# 1.36, read 2026-11-23. Its CRDs are a chart of their own, for Helm never upgrades what lies in a chart's crds/.
KARPENTER_CHART = "oci://public.ecr.aws/karpenter/karpenter"
KARPENTER_CRD_CHART = "oci://public.ecr.aws/karpenter/karpenter-crd"
KARPENTER_VERSION = "1.14.1"
# Nodes of another image are replaced one by one. A release of your own choice: al2023@v20261115.
KARPENTER_AMI = "al2023@latest"

# Prometheus and Grafana, for clusters with `monitoring: prometheus`: prometheus-community/helm-charts, read 2026-11-24.
PROMETHEUS_CHART_REPOSITORY = "https://prometheus-community.github.io/helm-charts"
PROMETHEUS_CHART_VERSION = "93.6.1"

# DCGM's exporter, of the same clusters: NVIDIA/dcgm-exporter, deployment/examples/dcgm-exporter.yaml, read 2026-11-30.
DCGM_EXPORTER_IMAGE = pinned("nvcr.io/nvidia/k8s/dcgm-exporter:4.6.1-4.8.4-distroless")

# Neuron's scheduler, of the device plugin's release; the second kube-scheduler is of the cluster's own minor.
NEURON_SCHEDULER_IMAGE = pinned("public.ecr.aws/neuron/neuron-scheduler:2.27.7.0")
KUBE_SCHEDULER_IMAGES = {minor: pinned(f"registry.k8s.io/kube-scheduler:v{minor}.0") for minor in CLUSTER_AUTOSCALER_IMAGES}

# Kueue, for clusters with `queueing: kueue`: https://kueue.sigs.k8s.io/docs/installation/, read 2026-11-23.
KUEUE_CHART = "oci://registry.k8s.io/kueue/charts/kueue"
KUEUE_CHART_VERSION = "0.16.2"

# NVIDIA's DRA driver, for pools with `allocation: dra`: kubernetes-sigs/dra-driver-nvidia-gpu, released 2026-08-19.
DRA_DRIVER_CHART = "oci://registry.k8s.io/dra-driver-nvidia/charts/dra-driver-nvidia-gpu"
DRA_DRIVER_CHART_VERSION = "0.5.0"

# GPUDirect on GKE: GoogleCloudPlatform/container-engine-accelerators and cluster-toolkit, read 2026-11-23.
_GCE_AI = "us-docker.pkg.dev/gce-ai-infra"
NCCL_TCPX_IMAGE = pinned(f"{_GCE_AI}/gpudirect-tcpx/nccl-plugin-gpudirecttcpx-dev:v3.1.9")
NCCL_TCPXO_IMAGE = pinned(f"{_GCE_AI}/gpudirect-tcpxo/nccl-plugin-gpudirecttcpx-dev:v1.0.16")
NCCL_GIB_IMAGE = pinned(f"{_GCE_AI}/gpudirect-gib/nccl-plugin-gib:v1.1.0")
NRI_DEVICE_INJECTOR_IMAGE = (
    "gcr.io/gke-release/nri-device-injector@sha256:6e79483d52abdc28454bf186320b10a56b0f117a10e8d65d5c74dbb821a76970"
)

# InfiniBand on AKS, all of one release: Azure/aks-rdma-infiniband@20f3999f, read 2026-11-23.
NETWORK_OPERATOR_REPOSITORY = "https://helm.ngc.nvidia.com/nvidia"
NETWORK_OPERATOR_CHART_VERSION = "25.10.0"
DOCA_DRIVER = "doca3.2.0-25.10-1.2.8.0-2"
SRIOV_DEVICE_PLUGIN = "network-operator-v25.10.0"
NODE_SHELL_IMAGE = pinned("mcr.microsoft.com/mirror/docker/library/ubuntu:24.04")

# Spark of `services: data_jobs` on AWS: the release label of EMR Serverless.
# https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/release-versions.html, read 2026-11-29.
EMR_RELEASE = "emr-7.9.0"

# Images of `services: machines` on GCP, by family: https://cloud.google.com/deep-learning-vm/docs/images, read 2026-11-29.
GCE_GPU_IMAGE = "projects/deeplearning-platform-release/global/images/family/common-cu128-ubuntu-2204-nvidia-570"
GCE_IMAGE = "projects/debian-cloud/global/images/family/debian-12"

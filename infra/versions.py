"""Every version that a person may want to move, one constant each. Sources are the projects' own release pages."""

# Kubernetes minor on offer on all three clouds (EKS, GKE regular channel, AKS), 2026-11: in the middle of those that
# fleet/catalog/data/kubernetes.csv knows, and supported by each until 2027-03 at least.
KUBERNETES = "1.35"

# Device plugins, for clouds that bring none.
NVIDIA_DEVICE_PLUGIN_IMAGE = "nvcr.io/nvidia/k8s-device-plugin:v0.17.4"
NEURON_DEVICE_PLUGIN_IMAGE = "public.ecr.aws/neuron/neuron-device-plugin:2.27.7.0"
# HabanaAI/habanalabs-k8s-device-plugin README, read 2026-11-23.
GAUDI_DEVICE_PLUGIN_IMAGE = "vault.habana.ai/docker-k8s-device-plugin/docker-k8s-device-plugin:1.14.0"
EFA_DEVICE_PLUGIN_IMAGE = "602401143452.dkr.ecr.us-west-2.amazonaws.com/eks/aws-efa-k8s-device-plugin:v0.5.8"
# On GKE, for pools with `allocation: dra`: what stays beside a driver that was installed.
PAUSE_IMAGE = "registry.k8s.io/pause:3.10.1"
# By the cluster's minor, as it simulates that minor's scheduler; patch releases by kubernetes/kops' table and the project's
# own releases, 2026-07.
CLUSTER_AUTOSCALER_IMAGES = {
    "1.34": "registry.k8s.io/autoscaling/cluster-autoscaler:v1.34.4",
    "1.35": "registry.k8s.io/autoscaling/cluster-autoscaler:v1.35.2",
    "1.36": "registry.k8s.io/autoscaling/cluster-autoscaler:v1.36.1",
}

# KEDA, for clusters with a model of `autoscaler: keda`: https://keda.sh/docs/2.21/deploy/, read 2026-11-23.
KEDA_CHART_REPOSITORY = "https://kedacore.github.io/charts"
KEDA_CHART_VERSION = "2.21.0"

# Kueue, for clusters with `queueing: kueue`: https://kueue.sigs.k8s.io/docs/installation/, read 2026-11-23.
KUEUE_CHART = "oci://registry.k8s.io/kueue/charts/kueue"
KUEUE_CHART_VERSION = "0.16.2"

# NVIDIA's DRA driver, for pools with `allocation: dra`: kubernetes-sigs/dra-driver-nvidia-gpu, released 2026-08-19.
DRA_DRIVER_CHART = "oci://registry.k8s.io/dra-driver-nvidia/charts/dra-driver-nvidia-gpu"
DRA_DRIVER_CHART_VERSION = "0.5.0"

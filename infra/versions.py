"""Every version that a person may want to move, one constant each. Sources are the projects' own release pages."""

# Kubernetes minor on offer on all three clouds (EKS, GKE regular channel, AKS), 2026-11.
KUBERNETES = "1.34"

# Device plugins, for clouds that bring none.
NVIDIA_DEVICE_PLUGIN_IMAGE = "nvcr.io/nvidia/k8s-device-plugin:v0.17.4"
NEURON_DEVICE_PLUGIN_IMAGE = "public.ecr.aws/neuron/neuron-device-plugin:2.27.7.0"
EFA_DEVICE_PLUGIN_IMAGE = "602401143452.dkr.ecr.us-west-2.amazonaws.com/eks/aws-efa-k8s-device-plugin:v0.5.8"
# On GKE, for pools with `allocation: dra`: what stays beside a driver that was installed.
PAUSE_IMAGE = "registry.k8s.io/pause:3.10.1"
CLUSTER_AUTOSCALER_IMAGE = "registry.k8s.io/autoscaling/cluster-autoscaler:v1.34.0"

# Kueue, for clusters with `queueing: kueue`: https://kueue.sigs.k8s.io/docs/installation/, read 2026-11-23.
KUEUE_CHART = "oci://registry.k8s.io/kueue/charts/kueue"
KUEUE_CHART_VERSION = "0.16.2"

# NVIDIA's DRA driver, for pools with `allocation: dra`: kubernetes-sigs/dra-driver-nvidia-gpu, released 2026-08-19.
DRA_DRIVER_CHART = "oci://registry.k8s.io/dra-driver-nvidia/charts/dra-driver-nvidia-gpu"
DRA_DRIVER_CHART_VERSION = "0.5.0"

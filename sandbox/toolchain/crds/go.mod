module accelfleet/toolchain/crds

go 1.26.0

// Nothing here imports them, so that `go mod tidy` would take them out: a version is moved by `go mod download MODULE@VERSION`.
require (
	github.com/prometheus-operator/prometheus-operator v0.94.1
	github.com/ray-project/kuberay/ray-operator v1.6.0
	sigs.k8s.io/gateway-api v1.6.3
	sigs.k8s.io/jobset v0.11.0
)

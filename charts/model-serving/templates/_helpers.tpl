{{- define "model-serving.selector" -}}
app.kubernetes.io/name: model-serving
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "model-serving.labels" -}}
{{ include "model-serving.selector" . }}
app.kubernetes.io/part-of: accelfleet
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "model-serving.testLabels" -}}
app.kubernetes.io/name: model-serving-test
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: accelfleet
{{- end }}

{{- /* From the values and the Deployment that is there: "true" where there is one replica at most, for good, or now to
whoever waits for this very release. */ -}}
{{- define "model-serving.single" -}}
{{- $values := index . 0 -}}
{{- $there := index . 1 -}}
{{- if eq $values.autoscaling.kind "none" -}}
{{- if le ($values.replicas.min | int) 1 }}true{{ end -}}
{{- else if $values.rollout.awaited -}}
{{- /* What an autoscaler has not touched yet begins with one, whatever its lower bound. */ -}}
{{- if or (not $there) (le ($there.spec.replicas | int) 1) }}true{{ end -}}
{{- end -}}
{{- end }}

{{- /* Start-up budget in probes: (base + size * secondsPerGiB) / period, rounded up. */ -}}
{{- define "model-serving.startupFailures" -}}
{{- $startup := .Values.probes.startup -}}
{{- $seconds := addf $startup.baseSeconds (mulf .Values.weights.sizeGiB $startup.secondsPerGiB) -}}
{{- divf $seconds $startup.periodSeconds | ceil | int -}}
{{- end }}

{{- /* Name of a claim's template, from the root and the claim. Its spec cannot be changed, so another one has another name. */ -}}
{{- define "model-serving.claim" -}}
{{- $root := index . 0 -}}
{{- $claim := index . 1 -}}
{{- printf "%s-%s-%s" $root.Release.Name $claim.name ($claim | toJson | sha256sum | trunc 8) -}}
{{- end }}

{{- /* A volume is of no namespace: the namespace is in its name. */ -}}
{{- define "model-serving.volume" -}}
{{ .Release.Namespace }}-{{ .Release.Name }}-weights
{{- end }}

{{- /* What is there and what replaces it. */ -}}
{{- define "model-serving.cacheSize" -}}
{{ mul 2 (max 1 (.Values.weights.sizeGiB | int)) }}Gi
{{- end }}

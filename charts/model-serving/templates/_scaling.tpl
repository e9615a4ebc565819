{{- /* Slow to take replicas away: half of them a minute at most, as each that comes back costs a start. Upwards Kubernetes' own. */ -}}
{{- define "model-serving.behavior" -}}
scaleDown:
  {{- with .Values.autoscaling.scaleDown.stabilizationSeconds | int }}
  stabilizationWindowSeconds: {{ . }}
  {{- end }}
  policies:
    - type: Percent
      value: {{ .Values.autoscaling.scaleDown.percent | int }}
      periodSeconds: {{ .Values.autoscaling.scaleDown.periodSeconds | int }}
{{- end }}

{{- define "model-serving.triggers" -}}
{{- toYaml .Values.autoscaling.keda.triggers }}
{{- end }}

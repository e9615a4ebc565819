{{- define "model-serving.podTemplate" -}}
{{- if and (eq .Values.weights.cache.kind "image") (semverCompare "<1.35.0-0" .Capabilities.KubeVersion.Version) }}
{{- fail "weights.cache.kind: image needs Kubernetes 1.35: take pvc instead, or update the cluster" }}
{{- end -}}
metadata:
  # No chart version here: a new one would restart every replica.
  labels:
    {{- include "model-serving.selector" . | nindent 4 }}
    app.kubernetes.io/part-of: accelfleet
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "model-serving.pod" . | nindent 2 }}
{{- end }}

{{- /* What a replica is, and a Job's pod: the Deployment and the ScaledJob have the same. A Job serves nobody: no port, no probe. */ -}}
{{- define "model-serving.pod" -}}
{{- $job := eq .Values.autoscaling.kind "jobs" -}}
serviceAccountName: {{ .Release.Name }}
automountServiceAccountToken: false
# A Service named `vllm` would set VLLM_PORT in every pod of the namespace, and stop the server.
enableServiceLinks: false
{{- with .Values.schedulerName }}
schedulerName: {{ . }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if $job }}
restartPolicy: Never
{{- end }}
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds | int }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .Values.server.runAsUser | int }}
  runAsGroup: {{ .Values.server.runAsUser | int }}
  fsGroup: {{ .Values.server.runAsUser | int }}
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
tolerations:
  # A replica on a node that went silent serves nobody; Kubernetes by itself waits five minutes for such a node.
  {{- range $key := list "not-ready" "unreachable" }}
  - {key: node.kubernetes.io/{{ $key }}, operator: Exists, effect: NoExecute, tolerationSeconds: 30}
  {{- end }}
  {{- with .Values.tolerations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.resourceClaims }}
resourceClaims:
  {{- range . }}
  - name: {{ .name }}
    resourceClaimTemplateName: {{ include "model-serving.claim" (list $ .) }}
  {{- end }}
{{- end }}
{{- with .Values.preferNodes }}
affinity:
  nodeAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      {{- range $rank, $labels := . }}
      - weight: {{ max 1 (sub 100 (mul 20 $rank)) }}
        preference:
          matchExpressions:
            {{- range $key, $value := $labels }}
            - {key: {{ $key | quote }}, operator: In, values: [{{ $value | quote }}]}
            {{- end }}
      {{- end }}
{{- end }}
# Wished, not demanded: an accelerator in the wrong zone is better than none.
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "model-serving.selector" $ | nindent 8 }}
  {{- end }}
containers:
  - name: server
    image: {{ .Values.image.name | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    {{- with .Values.server.command }}
    command:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.server.args }}
    args:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    env:
      - name: MODEL_NAME
        value: {{ .Release.Name | quote }}
      - name: PORT
        value: {{ .Values.server.port | int | quote }}
      {{- $image := eq .Values.weights.cache.kind "image" }}
      {{- with .Values.weights.url | default (ternary .Values.weights.cache.path "" $image) }}
      - name: WEIGHTS_URL
        value: {{ . | quote }}
      {{- end }}
      {{- if ne .Values.weights.cache.kind "none" }}
      - name: WEIGHTS_CACHE
        value: {{ .Values.weights.cache.path | quote }}
      {{- end }}
      # The root file system is read-only: caches of compiled kernels go where home is.
      - name: HOME
        value: /home/model
      {{- with .Values.server.env }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- if not $job }}
    ports:
      - name: http
        containerPort: {{ .Values.server.port | int }}
      {{- with .Values.server.grpcPort | int }}
      - name: grpc
        containerPort: {{ . }}
      {{- end }}
    {{- end }}
    resources:
      requests:
        cpu: {{ .Values.resources.cpu | quote }}
        memory: {{ .Values.resources.memory }}
        ephemeral-storage: {{ .Values.resources.ephemeralStorage }}
        {{- with .Values.accelerator.resource }}
        {{ . }}: {{ $.Values.accelerator.count | int }}
        {{- end }}
        {{- range $resource, $count := .Values.extraResources }}
        {{ $resource }}: {{ $count | int }}
        {{- end }}
      limits:
        {{- with .Values.resources.cpuLimit }}
        cpu: {{ . | quote }}
        {{- end }}
        memory: {{ .Values.resources.memory }}
        ephemeral-storage: {{ .Values.resources.ephemeralStorage }}
        {{- with .Values.accelerator.resource }}
        {{ . }}: {{ $.Values.accelerator.count | int }}
        {{- end }}
        {{- range $resource, $count := .Values.extraResources }}
        {{ $resource }}: {{ $count | int }}
        {{- end }}
      {{- with .Values.resourceClaims }}
      claims:
        {{- range . }}
        - name: {{ .name }}
        {{- end }}
      {{- end }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
    {{- if not $job }}
    startupProbe:
      httpGet:
        path: {{ .Values.probes.readiness.path }}
        port: http
      periodSeconds: {{ .Values.probes.startup.periodSeconds | int }}
      timeoutSeconds: 5
      failureThreshold: {{ include "model-serving.startupFailures" . }}
    livenessProbe:
      httpGet:
        path: {{ .Values.probes.liveness.path }}
        port: http
      periodSeconds: 10
      timeoutSeconds: 5
      # A minute: a restart loads all weights again, so it must be worth it.
      failureThreshold: 6
    readinessProbe:
      httpGet:
        path: {{ .Values.probes.readiness.path }}
        port: http
      periodSeconds: 5
      timeoutSeconds: 5
      failureThreshold: 2
    lifecycle:
      preStop:
        # Until every node has heard that the replica is going.
        sleep:
          seconds: 5
    {{- end }}
    volumeMounts:
      {{- if ne .Values.weights.cache.kind "none" }}
      - name: weights
        mountPath: {{ .Values.weights.cache.path }}
        {{- if eq .Values.weights.cache.kind "image" }}
        readOnly: true
        {{- end }}
      {{- end }}
      - name: shared-memory
        mountPath: /dev/shm
      - name: scratch
        mountPath: /tmp
        subPath: tmp
      - name: scratch
        mountPath: /home/model
        subPath: home
volumes:
  {{- with .Values.weights.cache }}
  {{- if has .kind (list "pvc" "node") }}
  - name: weights
    persistentVolumeClaim:
      claimName: {{ eq .kind "pvc" | ternary .claim.name "" | default (printf "%s-weights" $.Release.Name) }}
  {{- else if eq .kind "image" }}
  - name: weights
    image:
      reference: {{ .image | quote }}
      pullPolicy: IfNotPresent
  {{- end }}
  {{- end }}
  - name: shared-memory
    emptyDir:
      medium: Memory
      sizeLimit: {{ .Values.sharedMemory }}
  - name: scratch
    emptyDir:
      sizeLimit: {{ .Values.resources.ephemeralStorage }}
{{- end }}

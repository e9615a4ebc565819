{{- define "training.selector" -}}
app.kubernetes.io/name: training
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "training.labels" -}}
{{ include "training.selector" . }}
app.kubernetes.io/part-of: accelfleet
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* Labels of what Kueue manages: the job itself, never its pods. */ -}}
{{- define "training.jobLabels" -}}
{{ include "training.labels" . }}
{{- with .Values.queueName }}
kueue.x-k8s.io/queue-name: {{ . }}
{{- end }}
{{- end }}

{{- /* Processes of one worker: one for each accelerator, one without. */ -}}
{{- define "training.processes" -}}
{{- if .Values.accelerator.resource }}{{ .Values.accelerator.count | int }}{{ else }}1{{ end }}
{{- end }}

{{- /* Name by which all workers find the first one: pods of an Indexed Job and of a JobSet have names that last. */ -}}
{{- define "training.first" -}}
{{- if eq .Values.engine "jobset" -}}
{{ printf "%s-workers-0-0.%s" .Release.Name .Release.Name }}
{{- else -}}
{{ printf "%s-0.%s" .Release.Name .Release.Name }}
{{- end -}}
{{- end }}

{{- /* The launcher with its flags, then the script: one word a line. */ -}}
{{- define "training.command" -}}
{{- $workers := .Values.workers | int -}}
{{- $processes := include "training.processes" . | int -}}
{{- /* `accelerate launch` starts one lone process a worker on CPUs, and on nodes of one GPU unless told --multi_gpu. */}}
{{- if and (eq .Values.launcher "accelerate") .Values.accelerator.resource }}
- accelerate
- launch
{{- if gt (mul $workers $processes | int) 1 }}
- --multi_gpu
{{- end }}
- --num_machines={{ $workers }}
- --num_processes={{ mul $workers $processes }}
- --machine_rank=$(NODE_RANK)
- --main_process_ip={{ include "training.first" . }}
- --main_process_port=29500
- --rdzv_backend=c10d
- --max_restarts={{ .Values.backoffLimit | int }}
- --dynamo_backend=no
{{- else }}
- torchrun
{{- /* Underscores: every PyTorch knows them, the older ones nothing else. */}}
- --nnodes={{ $workers }}
- --nproc_per_node={{ $processes }}
- --rdzv_backend=c10d
- --rdzv_endpoint={{ include "training.first" . }}:29500
- --rdzv_id={{ .Release.Name }}
- --max_restarts={{ .Values.backoffLimit | int }}
{{- end }}
{{- range .Values.script.launcherArgs }}
- {{ . | quote }}
{{- end }}
- -m
- {{ .Values.script.module }}
{{- if eq .Values.launcher "deepspeed" }}
- --deepspeed-config=/etc/training/deepspeed.json
{{- end }}
{{- range .Values.script.args }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{- define "training.resources" -}}
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
  memory: {{ .Values.resources.memory }}
  ephemeral-storage: {{ .Values.resources.ephemeralStorage }}
  {{- with .Values.accelerator.resource }}
  {{ . }}: {{ $.Values.accelerator.count | int }}
  {{- end }}
  {{- range $resource, $count := .Values.extraResources }}
  {{ $resource }}: {{ $count | int }}
  {{- end }}
{{- end }}

{{- /* What all pods have alike, a Ray head's, too: identity, user, scratch space. */ -}}
{{- define "training.podBase" -}}
serviceAccountName: {{ .Release.Name }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds | int }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .Values.runAsUser | int }}
  runAsGroup: {{ .Values.runAsUser | int }}
  fsGroup: {{ .Values.runAsUser | int }}
  seccompProfile:
    type: RuntimeDefault
volumes:
  - name: shared-memory
    emptyDir:
      medium: Memory
      sizeLimit: {{ .Values.sharedMemory }}
  - name: scratch
    emptyDir:
      sizeLimit: {{ .Values.resources.ephemeralStorage }}
  {{- with .Values.checkpoint.claim }}
  - name: checkpoints
    persistentVolumeClaim:
      claimName: {{ . }}
  {{- end }}
  {{- if eq .Values.launcher "deepspeed" }}
  - name: configuration
    configMap:
      name: {{ .Release.Name }}
  {{- end }}
{{- end }}

{{- /* Where workers go: the pool's labels and taints. */ -}}
{{- define "training.placement" -}}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "training.containerBase" -}}
image: {{ .Values.image.name | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
env:
  # The root file system is read-only: caches of compiled kernels go where home is.
  - name: HOME
    value: /home/trainer
  - name: WORKERS
    value: {{ .Values.workers | int | quote }}
  - name: PROCESSES
    value: {{ include "training.processes" . | quote }}
  {{- if and (eq .Values.launcher "accelerate") (not .Values.accelerator.resource) }}
  - name: ACCELERATE_USE_CPU
    value: "true"
  {{- end }}
  {{- with .Values.checkpoint.url }}
  - name: CHECKPOINT_URL
    value: {{ . | quote }}
  {{- end }}
  {{- range $name, $value := .Values.script.env }}
  - name: {{ $name }}
    value: {{ $value | quote }}
  {{- end }}
  {{- if ne .Values.engine "rayjob" }}
  # Workers that begin again read in the launcher's store where the dead ones listened: each round has its own.
  # https://github.com/pytorch/pytorch/issues/135712
  - name: TORCH_DISABLE_SHARE_RDZV_TCP_STORE
    value: "1"
  - name: NODE_RANK
    valueFrom:
      fieldRef:
        fieldPath: metadata.annotations['batch.kubernetes.io/job-completion-index']
  {{- end }}
volumeMounts:
  - name: shared-memory
    mountPath: /dev/shm
  - name: scratch
    mountPath: /tmp
    subPath: tmp
  - name: scratch
    mountPath: /home/trainer
    subPath: home
  {{- if .Values.checkpoint.claim }}
  - name: checkpoints
    mountPath: /checkpoints
  {{- end }}
  {{- if eq .Values.launcher "deepspeed" }}
  - name: configuration
    mountPath: /etc/training
    readOnly: true
  {{- end }}
{{- end }}

{{- define "training.podMetadata" -}}
labels:
  {{- include "training.selector" . | nindent 2 }}
  app.kubernetes.io/part-of: accelfleet
  {{- with .Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* The spec of an Indexed Job, alone or in a JobSet. */ -}}
{{- define "training.jobSpec" -}}
completionMode: Indexed
completions: {{ .Values.workers | int }}
parallelism: {{ .Values.workers | int }}
# In a JobSet the set begins anew as a whole, and counts.
backoffLimit: {{ if eq .Values.engine "jobset" }}0{{ else }}{{ .Values.backoffLimit | int }}{{ end }}
# One of an index at a time: a second would join under the same rank.
podReplacementPolicy: Failed
podFailurePolicy:
  rules:
    # Drained, preempted, or its spot node called back: nobody's fault.
    - action: Ignore
      onPodConditions:
        - type: DisruptionTarget
          status: "True"
    - action: FailJob
      onExitCodes:
        containerName: trainer
        operator: In
        values: [{{ .Values.script.hopelessExitCode | int }}]
template:
  metadata:
    {{- include "training.podMetadata" . | nindent 4 }}
  spec:
    restartPolicy: Never
    subdomain: {{ .Release.Name }}
    {{- include "training.podBase" . | nindent 4 }}
    {{- include "training.placement" . | nindent 4 }}
    containers:
      - name: trainer
        command:
          {{- include "training.command" . | nindent 10 }}
        {{- include "training.containerBase" . | nindent 8 }}
        resources:
          {{- include "training.resources" . | nindent 10 }}
{{- end }}

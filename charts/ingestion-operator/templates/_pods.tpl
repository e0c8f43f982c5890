{{/* "true" if operator and gateway share a volume for one node. */}}
{{- define "ingestion.sharesNode" -}}
{{- if and (eq .Values.logArchive.type "volume") (eq .Values.logArchive.volume.accessMode "ReadWriteOnce") .Values.gateway.enabled -}}
true
{{- end -}}
{{- end }}

{{/* Scheduling of a pod. Takes (list $ .Values.operator). */}}
{{- define "ingestion.scheduling" -}}
{{- $ := index . 0 }}{{ $workload := index . 1 -}}
{{- with $.Values.imagePullSecrets -}}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{ end }}
{{- with $workload.priorityClassName -}}
priorityClassName: {{ . }}
{{ end }}
{{- with $workload.nodeSelector -}}
nodeSelector: {{- toYaml . | nindent 2 }}
{{ end }}
{{- with $workload.tolerations -}}
tolerations: {{- toYaml . | nindent 2 }}
{{ end }}
{{- end }}

{{/* Topology spread; empty if a volume keeps the one replica on its node. Takes (list $ "operator"). */}}
{{- define "ingestion.spread" -}}
{{- $ := index . 0 }}{{ $workload := get $.Values (index . 1) -}}
{{- if not (include "ingestion.sharesNode" $) -}}
{{- $selector := dict "matchLabels" (include "ingestion.selector" . | fromYaml) -}}
{{- with $workload.topologySpreadConstraints -}}
topologySpreadConstraints:
  {{- range . }}
  - {{- merge (dict "labelSelector" (deepCopy $selector)) . | toYaml | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* PodDisruptionBudget of a workload. Takes (list $ "operator"). */}}
{{- define "ingestion.disruptionBudget" -}}
{{- $ := index . 0 }}{{ $workload := get $.Values (index . 1) -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include (printf "ingestion.%s" (index . 1)) $ }}
  labels: {{- include "ingestion.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ $workload.podDisruptionBudget.maxUnavailable }}
  selector:
    matchLabels: {{- include "ingestion.selector" . | nindent 6 }}
{{- end }}

{{- define "ingestion.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532  # only this group can access volumes and the files of Secrets
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "ingestion.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Variables from the bucket's Secret. */}}
{{- define "ingestion.envFrom" -}}
{{- if and (eq .Values.logArchive.type "bucket") .Values.logArchive.bucket.existingSecret -}}
envFrom:
  - secretRef: {name: {{ .Values.logArchive.bucket.existingSecret }}}
{{- end }}
{{- end }}

{{- define "ingestion.archiveUrl" -}}
{{- if eq .Values.logArchive.type "volume" -}}
file:///var/lib/ingestion-logs
{{- else if eq .Values.logArchive.type "bucket" -}}
{{ .Values.logArchive.bucket.url }}
{{- end -}}
{{- end }}

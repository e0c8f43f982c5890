{{/* Names start with the release's name, unique in its namespace; cluster-scoped names contain the namespace too. */}}
{{- define "ingestion.base" -}}
{{- $base := .Values.fullnameOverride | default .Release.Name -}}
{{- if gt (len $base) 40 -}}
{{- fail (printf "the release's name %q is longer than 40 characters, too long for the names of Services: use a shorter one, or set fullnameOverride" $base) -}}
{{- end -}}
{{- $base -}}
{{- end }}

{{- define "ingestion.operator" -}}{{ include "ingestion.base" . }}-operator{{- end }}
{{- define "ingestion.gateway" -}}{{ include "ingestion.base" . }}-gateway{{- end }}
{{- define "ingestion.settings" -}}{{ include "ingestion.base" . }}-operator-settings{{- end }}
{{- define "ingestion.clusterRole" -}}ingestion-operator:{{ .Release.Namespace }}:{{ include "ingestion.base" . }}{{- end }}

{{- define "ingestion.operatorAccount" -}}
{{- if .Values.operator.serviceAccount.create -}}
{{- .Values.operator.serviceAccount.name | default (include "ingestion.operator" .) -}}
{{- else -}}
{{- required "operator.serviceAccount.name is empty and create is false: name an existing service account" .Values.operator.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "ingestion.gatewayAccount" -}}
{{- if .Values.gateway.serviceAccount.create -}}
{{- .Values.gateway.serviceAccount.name | default (include "ingestion.gateway" .) -}}
{{- else -}}
{{- required "gateway.serviceAccount.name is empty and create is false: name an existing service account" .Values.gateway.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{/* Empty: runs use the account `default` of their namespace. */}}
{{- define "ingestion.runnerAccount" -}}
{{- if not .Values.runner.serviceAccount.create -}}
{{- .Values.runner.serviceAccount.name -}}
{{- else if ne .Values.watch.scope "cluster" -}}
{{- .Values.runner.serviceAccount.name | default (printf "%s-runner" (include "ingestion.base" .)) -}}
{{- end -}}
{{- end }}

{{- define "ingestion.gatewayNamespace" -}}
{{- .Values.gateway.namespace | default .Release.Namespace -}}
{{- end }}

{{- define "ingestion.gatewayCredentials" -}}
{{- .Values.gateway.credentials.existingSecret | default (printf "%s-gateway-credentials" (include "ingestion.base" .)) -}}
{{- end }}

{{- define "ingestion.gatewayTls" -}}
{{- .Values.gateway.tls.existingSecret | default (printf "%s-gateway-tls" (include "ingestion.base" .)) -}}
{{- end }}

{{- define "ingestion.claim" -}}
{{- .Values.logArchive.volume.existingClaim | default (printf "%s-logs" (include "ingestion.base" .)) -}}
{{- end }}

{{/* The namespaces that have Roles of their own, as JSON: {"namespaces": [...]}. */}}
{{- define "ingestion.namespaces" -}}
{{- if eq .Values.watch.scope "namespace" -}}
{{- dict "namespaces" (list .Release.Namespace) | toJson -}}
{{- else -}}
{{- dict "namespaces" .Values.watch.namespaces | toJson -}}
{{- end -}}
{{- end }}

{{- define "ingestion.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* The labels that select pods; an upgrade must not change them. Takes (list $ "operator"). */}}
{{- define "ingestion.selector" -}}
app.kubernetes.io/name: ingestion-{{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end }}

{{/* Takes (list $ "operator"). */}}
{{- define "ingestion.labels" -}}
{{- $ := index . 0 -}}
helm.sh/chart: {{ $.Chart.Name }}-{{ $.Chart.Version | replace "+" "_" }}
app.kubernetes.io/managed-by: {{ $.Release.Service }}
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: ingestion-operator
{{ include "ingestion.selector" . }}
{{- with $.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Sets the namespace only if it is not the release's. Takes (list $ "namespace"). */}}
{{- define "ingestion.elsewhere" -}}
{{- if ne (index . 1) (index . 0).Release.Namespace }}
  namespace: {{ index . 1 }}
{{- end }}
{{- end }}

{{/* What the operator does in every namespace that it looks after. docs/operations/security.md says what each is for. */}}
{{- define "ingestion.operatorRules" -}}
- apiGroups: [ingestion.openmetadata.org]
  resources: [ingestionpipelines]
  verbs: [get, list, watch]
- apiGroups: [ingestion.openmetadata.org]
  resources: [ingestionpipelines/status]
  verbs: [patch]
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [get, list, watch, create, patch]  # create: server-side apply of what is not there yet
- apiGroups: [batch]
  resources: [cronjobs/status]
  verbs: [patch]  # lastScheduleTime, so that no tick runs late after a pause
- apiGroups: [batch]
  resources: [jobs]
  # create: a run goes on with more memory, where a Job cannot be given it (Kubernetes before 1.36);
  # patch: admit a waiting run, give one more memory; delete: one that was stopped while it waited
  verbs: [list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]  # followed into the log archive; its end, for the report of a run that could not report for itself
- apiGroups: [""]
  resources: [events]
  verbs: [create, list]  # list: why a pod does not start, where the pod itself does not say so
{{- end }}

{{- define "ingestion.secretRules" -}}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]  # to tell whether the Secrets that a pipeline names are there; the token, to report to OpenMetadata
{{- end }}

{{- define "ingestion.leaseRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, patch]  # which replica acts, and that it is alive
{{- end }}

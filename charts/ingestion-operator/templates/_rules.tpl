{{/* What the operator needs in every namespace that it watches. docs/operations/security.md says what each is for. */}}
{{- define "ingestion.operatorRules" -}}
- apiGroups: [ingestion.openmetadata.org]
  resources: [ingestionpipelines]
  verbs: [list, watch]
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
  # get: whether a Job that the cache does not have is really gone; create: a run goes on with more memory, where a Job
  # cannot be given it (Kubernetes before 1.36); patch: admit a waiting run, give one more memory; delete: one that was
  # stopped while it waited, and what the history does not keep
  verbs: [get, list, watch, create, patch, delete]
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
  verbs: [get]  # whether the Secrets that a pipeline names exist; the token, to report to OpenMetadata
{{- end }}

{{/* In the release's own namespace the Lease elects the replica that acts; elsewhere it is a sign of life. */}}
{{- define "ingestion.leaseRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]  # Kubernetes cannot restrict this one by name
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [ingestion-operator]
  verbs: [get, patch]  # which replica acts, and that it is alive
{{- end }}

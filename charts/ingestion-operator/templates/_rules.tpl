{{/* Permissions in every watched namespace. docs/operations/security.md explains each. */}}
{{- define "ingestion.operatorRules" -}}
- apiGroups: [ingestion.openmetadata.org]
  resources: [ingestionpipelines]
  verbs: [list, watch]
- apiGroups: [ingestion.openmetadata.org]
  resources: [ingestionpipelines/status]
  verbs: [patch]
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [get, list, watch, create, patch]  # create: server-side apply of a new object
- apiGroups: [batch]
  resources: [cronjobs/status]
  verbs: [patch]  # lastScheduleTime, so that no run starts late after a pause
- apiGroups: [batch]
  resources: [jobs]
  # get: check that a Job missing in the cache is really gone; create: continue a run with more memory where its Job
  # cannot be changed (Kubernetes before 1.36); patch: admit a queued run, raise the memory of one; delete: a run that
  # was stopped while it was queued, and Jobs beyond the history
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]  # the log archive; the end of a log, for the report of a run that could not report itself
- apiGroups: [""]
  resources: [events]
  verbs: [create, list]  # list: why a pod does not start, if its status has no reason
{{- end }}

{{- define "ingestion.secretRules" -}}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]  # check that the Secrets of a pipeline exist; the token, to report to OpenMetadata
{{- end }}

{{/* In the release's own namespace the Lease is for leader election; elsewhere it is a heartbeat. */}}
{{- define "ingestion.leaseRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]  # Kubernetes cannot restrict create by name
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [ingestion-operator]
  verbs: [get, patch]  # leader election and heartbeat
{{- end }}

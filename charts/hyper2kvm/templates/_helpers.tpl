{{- define "hyper2kvm.name" -}}
{{- if contains "hyper2kvm" .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-hyper2kvm" .Release.Name | trunc 52 | trimSuffix "-" }}{{ end -}}
{{- end }}

{{- define "hyper2kvm.selector" -}}
app.kubernetes.io/name: hyper2kvm-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "hyper2kvm.labels" -}}
{{ include "hyper2kvm.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: hyper2kvm
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* Names, labels and images: the one place that knows them. */ -}}

{{- define "operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default "torrust-operator" .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Objects of the whole cluster are told apart by the namespace of their release. */ -}}
{{- define "operator.clusterName" -}}
{{- printf "%s-%s" (include "operator.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "operator.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* Trackers' NetworkPolicies admit the operator by this name: it is no value. */ -}}
{{- define "operator.selector" -}}
app.kubernetes.io/name: torrust-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "operator.labels" -}}
{{ include "operator.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: torrust
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Takes a list of an image's values and the default tag. */ -}}
{{- define "operator.imageOf" -}}
{{- $image := index . 0 -}}
{{- $image.repository }}:{{ default (index . 1) $image.tag }}
{{- with $image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{- define "operator.selftestNamespace" -}}
{{- if .Values.selftest.namespace -}}
{{- .Values.selftest.namespace -}}
{{- else -}}
{{- first (append .Values.namespaces .Release.Namespace) -}}
{{- end -}}
{{- end -}}

{{- /* The Deployment's selector must not choose the pod of the test. */ -}}
{{- define "operator.selftestLabels" -}}
app.kubernetes.io/name: torrust-operator-selftest
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/part-of: torrust
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "operator.selftestHook" -}}
helm.sh/hook: test
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

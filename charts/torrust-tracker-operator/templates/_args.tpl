{{- /* The arguments of the operator, as a list in YAML. */ -}}
{{- define "operator.args" -}}
- run
- {{ printf "--default-tracker-image=%s" (include "operator.imageOf" (list .Values.trackerImage .Chart.AppVersion)) | quote }}
{{- with .Values.trackerImage.pullPolicy }}
- --default-tracker-pull-policy={{ . }}
{{- end }}
{{- if .Values.namespaces }}
- {{ printf "--namespaces=%s" (join "," (uniq .Values.namespaces)) | quote }}
{{- end }}
{{- if not .Values.leaderElection.enabled }}
- --no-leader-elect
{{- end }}
- --log-level={{ .Values.log.level }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}

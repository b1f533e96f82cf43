{{- define "token-broker.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "token-broker.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "token-broker.labels" -}}
{{ include "token-broker.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "token-broker.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "token-broker.container" -}}
name: token-broker
image: {{ include "token-broker.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- if .Values.sidecar.enabled }}
# Up before the backend, and until after it: a native sidecar.
restartPolicy: Always
{{- end }}
envFrom:
  - configMapRef:
      name: {{ include "token-broker.name" . }}
ports:
  - { name: tokens, containerPort: 8080 }
  - { name: ops, containerPort: 9464 }
startupProbe:
  httpGet: { path: /health/live, port: ops }
  periodSeconds: 1
  failureThreshold: 30
livenessProbe:
  httpGet: { path: /health/live, port: ops }
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 3
readinessProbe:
  httpGet: { path: /health/ready, port: ops }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  capabilities: { drop: [ALL] }
  seccompProfile: { type: RuntimeDefault }
volumeMounts:
  {{- if .Values.secrets }}
  - { name: secrets, mountPath: /var/run/secrets/token-broker, readOnly: true }
  {{- end }}
  {{- if .Values.policy }}
  - { name: policy, mountPath: /etc/token-broker, readOnly: true }
  {{- end }}
{{- end -}}

{{- define "token-broker.volumes" -}}
{{- if .Values.secrets }}
- name: secrets
  projected:
    sources:
      {{- range $name, $from := .Values.secrets }}
      - secret:
          name: {{ $from.secret | quote }}
          items:
            - { key: {{ $from.key | quote }}, path: {{ $name | quote }} }
      {{- end }}
{{- end }}
{{- with .Values.policy }}
- name: policy
  configMap:
    name: {{ .configMap | quote }}
    items:
      - { key: {{ .key | quote }}, path: policy.yaml }
{{- end }}
{{- end -}}

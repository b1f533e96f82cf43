import { describe, expect, test } from 'vitest'
import { schemaMistakes, typeMistakes } from './kubernetes-schemas.ts'
import { chart, kustomized, type Manifest, parsed } from './manifests.ts'

const everything = {
  autoscaling: { enabled: true },
  ingress: { enabled: true, className: 'nginx', annotations: { a: 'b' } },
  serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
  prometheusRule: { enabled: true, runbookBase: 'https://git.example.com/token-broker/blob/main/' },
  policy: { configMap: 'token-broker-policy', key: 'policy.yaml' },
  image: { digest: `sha256:${'0'.repeat(64)}` },
  imagePullSecrets: [{ name: 'registry' }],
  podAnnotations: { a: 'b' },
  podLabels: { a: 'b' },
  nodeSelector: { 'kubernetes.io/os': 'linux' },
  tolerations: [{ key: 'a', operator: 'Exists' }],
  affinity: { podAntiAffinity: {} },
  priorityClassName: 'high',
  serviceAccount: { annotations: { a: 'b' } },
  networkPolicy: { extraEgress: [{ ports: [{ protocol: 'TCP', port: 8443 }] }] },
}

const sidecar = {
  sidecar: {
    enabled: true,
    targetPort: 3000,
    containers: [{ name: 'backend', image: 'backend:1', ports: [{ containerPort: 3000 }] }],
  },
}

const variants = [
  { name: 'the chart as it is', manifests: () => chart({}) },
  { name: 'the chart with everything on', manifests: () => chart(everything) },
  { name: 'the chart as a sidecar', manifests: () => chart(sidecar) },
  { name: 'the Kustomize base', manifests: () => kustomized('base') },
  {
    name: 'the Kustomize overlay with all components',
    manifests: () => kustomized('overlays/example'),
  },
]

describe.each(variants)('$name', ({ manifests }) => {
  test('holds to the Kubernetes schemas, and has no field that they do not know', async () => {
    const objects = await manifests()

    expect(await schemaMistakes(objects)).toEqual([])
    expect(await typeMistakes(objects)).toEqual([])
  })

  test('selects its own pods everywhere, and others as peers alone', async () => {
    const objects = parsed(await manifests())
    const { labels } = objects.deployment.spec.template.metadata
    const fits = (selector: Record<string, string>) =>
      Object.entries(selector).every(([name, value]) => labels[name] === value)

    expect(Object.keys(objects.selectors)).toEqual(
      expect.arrayContaining(['Deployment', 'Service', 'PodDisruptionBudget', 'NetworkPolicy']),
    )
    for (const [kind, selectors] of Object.entries(objects.selectors)) {
      for (const selector of selectors) {
        expect(selector, kind).not.toEqual({})
        expect(fits(selector), kind).toBe(true)
      }
    }
    expect(objects.egressPeers.filter(fits)).toEqual([])
  })

  test('runs as nobody, writes nowhere, and is given secrets by reference alone', async () => {
    const objects = await manifests()
    const { deployment } = parsed(objects)
    const pod = deployment.spec.template.spec
    const broker = [...(pod.initContainers ?? []), ...pod.containers].find(
      ({ name }) => name === 'token-broker',
    )

    expect(pod.automountServiceAccountToken).toBe(false)
    expect(broker?.securityContext).toMatchObject({
      runAsNonRoot: true,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    })
    expect(objects.filter(({ kind }: Manifest) => kind === 'Secret')).toEqual([])
  })
})

test('the chart shows three replicas, and none where an autoscaler says how many', async () => {
  expect(parsed(await chart({})).deployment.spec.replicas).toBe(3)
  expect(parsed(await chart(everything)).deployment.spec.replicas).toBeUndefined()
})

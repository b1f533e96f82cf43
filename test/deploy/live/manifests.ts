import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { parse, parseAllDocuments } from 'yaml'
import { z } from 'zod'

const run = promisify(execFile)
const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))
const CHART = path('../../../deploy/helm/token-broker')
const KUSTOMIZE = path('../../../deploy/kustomize')
const STAND_IN = path('helm-stand-in/main.go')

const Manifest = z.looseObject({ apiVersion: z.string(), kind: z.string() })
export type Manifest = z.output<typeof Manifest>

const manifestsIn = (text: string): Manifest[] =>
  parseAllDocuments(text)
    .map((document): unknown => document.toJS())
    .filter((value) => value !== null)
    .map((value) => Manifest.parse(value))

const works = (command: string, ...args: string[]) =>
  run(command, args).then(
    () => true,
    () => false,
  )

/** What the chart makes of these values: by Helm, or by our stand-in for it. */
export async function chart(values: object): Promise<Manifest[]> {
  const folder = await mkdtemp(join(tmpdir(), 'token-broker-values-'))
  const file = join(folder, 'values.json')
  try {
    await writeFile(file, JSON.stringify(values))
    if (await works('helm', 'version')) {
      const { stdout } = await run('helm', ['template', 'release', CHART, '-n', 'ns', '-f', file])
      return manifestsIn(stdout)
    }
    // As Debian ships Go's packages.
    const env = { ...process.env, GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOFLAGS: '' }
    const args = ['run', STAND_IN, CHART, 'release', 'ns', file]
    const { stdout } = await run('go', args, { env, maxBuffer: 10_000_000 })
    return manifestsIn(stdout)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** What Kustomize makes of one of our folders. */
export async function kustomized(folder: string): Promise<Manifest[]> {
  const where = join(KUSTOMIZE, folder)
  if (await works('kustomize', 'version'))
    return manifestsIn((await run('kustomize', ['build', where])).stdout)
  // Debian's kubectl brings a Kustomize that knows no components yet.
  if (await works('kubectl', 'kustomize', where))
    return manifestsIn((await run('kubectl', ['kustomize', where])).stdout)
  return resourcesOf(where)
}

const Kustomization = z.looseObject({
  resources: z.array(z.string()).default([]),
  components: z.array(z.string()).default([]),
})

/** Where there is no Kustomize: the objects as they lie there, before anything is laid over them. */
async function resourcesOf(folder: string): Promise<Manifest[]> {
  const text = await readFile(join(folder, 'kustomization.yaml'), 'utf8')
  const { resources, components } = Kustomization.parse(parse(text))
  const found: Manifest[] = []
  for (const name of [...resources, ...components]) {
    const where = join(folder, name)
    const isFile = name.endsWith('.yaml')
    found.push(...(isFile ? manifestsIn(await readFile(where, 'utf8')) : await resourcesOf(where)))
  }
  return found
}

const labels = z.record(z.string(), z.string())
const selector = z.object({ matchLabels: labels.default({}) })
const container = z.looseObject({ name: z.string(), securityContext: z.unknown().optional() })

const Deployment = z.looseObject({
  spec: z.object({
    replicas: z.number().optional(),
    selector,
    template: z.object({
      metadata: z.object({ labels }),
      spec: z.looseObject({
        automountServiceAccountToken: z.boolean(),
        initContainers: z.array(container).optional(),
        containers: z.array(container),
      }),
    }),
  }),
})
const Service = z.object({ spec: z.object({ selector: labels }) })
const Budget = z.object({ spec: z.object({ selector }) })
const Policy = z.object({
  spec: z.object({
    podSelector: selector,
    egress: z.array(
      z.object({ to: z.array(z.object({ podSelector: selector.optional() })).default([]) }),
    ),
  }),
})

/** The parts of the manifests that have to fit each other. */
export function parsed(manifests: readonly Manifest[]) {
  const of = <T extends z.ZodType>(kind: string, schema: T) =>
    manifests.filter((manifest) => manifest.kind === kind).map((each) => schema.parse(each))
  const deployment = Deployment.parse(manifests.find(({ kind }) => kind === 'Deployment'))
  const policies = of('NetworkPolicy', Policy)
  return {
    deployment,
    selectors: {
      Deployment: [deployment.spec.selector.matchLabels],
      Service: of('Service', Service).map(({ spec }) => spec.selector),
      PodDisruptionBudget: of('PodDisruptionBudget', Budget).map(
        ({ spec }) => spec.selector.matchLabels,
      ),
      NetworkPolicy: policies.map(({ spec }) => spec.podSelector.matchLabels),
    },
    egressPeers: policies
      .flatMap(({ spec }) => spec.egress.flatMap(({ to }) => to))
      .flatMap(({ podSelector }) => (podSelector ? [podSelector.matchLabels] : [])),
  }
}

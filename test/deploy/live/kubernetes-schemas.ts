import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { z } from 'zod'
import type { Manifest } from './manifests.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const COMPILER = join(ROOT, 'node_modules', '.bin', 'tsc')

/** The npm module with the models of an object's API group. */
const moduleOf = ({ apiVersion }: Manifest) =>
  apiVersion.startsWith('monitoring.coreos.com/')
    ? `@kubernetes-models/prometheus-operator/${apiVersion}`
    : `kubernetes-models/${apiVersion}`

const Models = z.record(z.string(), z.unknown())
const Model = z.custom<new (data: unknown) => { validate(): void }>(
  (value) => typeof value === 'function',
)

const nameOf = ({ apiVersion, kind }: Manifest) => `${apiVersion} ${kind}`

/** What the objects break of the published schemas: types, formats, missing fields. */
export async function schemaMistakes(manifests: readonly Manifest[]): Promise<string[]> {
  const mistakes: string[] = []
  for (const manifest of manifests) {
    const models = Models.parse({ ...(await import(moduleOf(manifest))) })
    const Kind = Model.parse(models[manifest.kind])
    try {
      new Kind(manifest).validate()
    } catch (error) {
      mistakes.push(`${nameOf(manifest)}: ${String(error)}`)
    }
  }
  return mistakes
}

/** The schemas let unknown fields pass; as literals of the models' types, the compiler finds them. */
export async function typeMistakes(manifests: readonly Manifest[]): Promise<string[]> {
  const scratch = join(ROOT, '.test-output')
  await mkdir(scratch, { recursive: true })
  const folder = await mkdtemp(join(scratch, 'manifests-'))
  const file = join(folder, 'manifests.ts')
  const lines = manifests.map(
    (manifest, index) =>
      `import type { I${manifest.kind} as Type${index} } from '${moduleOf(manifest)}'\n` +
      `export const object${index} = ${JSON.stringify(manifest, null, 2)} satisfies Type${index}\n`,
  )
  await writeFile(file, lines.join('\n'))
  try {
    const strict = ['--noEmit', '--strict', '--skipLibCheck', '--ignoreConfig']
    await run(COMPILER, [...strict, '--module', 'nodenext', file], { cwd: ROOT })
    return []
  } catch (error) {
    // Without a word it is the compiler that has failed.
    const { stdout } = z.object({ stdout: z.string().min(1) }).parse(error)
    return stdout.split('\n').filter((line) => line !== '')
  } finally {
    await rm(folder, { recursive: true })
  }
}

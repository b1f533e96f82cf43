import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { leaksIn } from './evidence.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    evidenceFolder: string
  }
}

/** After all tests: no secret of the run may stand in any log line, error, metric or Redis key of the run. */
export function setup(project: TestProject) {
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-evidence-'))
  project.provide('evidenceFolder', folder)
  return () => {
    const leaks = leaksIn(folder)
    rmSync(folder, { recursive: true, force: true })
    for (const { secret, text } of leaks) console.error(`leaked ${secret} after: ${text}`)
    if (leaks.length > 0)
      throw new Error(
        `${leaks.length} secrets of the run stand in its logs, metrics, errors or keys`,
      )
  }
}

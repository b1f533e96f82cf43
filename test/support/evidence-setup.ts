import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
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
  return async () => {
    const leaks = leaksIn(folder, await contentOf(project.getProvidedContext().redisUrl))
    rmSync(folder, { recursive: true, force: true })
    for (const { secret, text } of leaks) console.error(`leaked ${secret} after: ${text}`)
    if (leaks.length > 0)
      throw new Error(
        `${leaks.length} secrets of the run stand in its logs, metrics, errors or keys`,
      )
  }
}

/** Every key of the tests' Redis, and every value as it lies there. */
async function contentOf(redisUrl: string): Promise<string[]> {
  const redis = new Redis(redisUrl, { lazyConnect: true, maxRetriesPerRequest: 1 })
  await redis.connect()
  const keys = await redis.keys('*')
  const values = await Promise.all(keys.map((key) => redis.dump(key)))
  redis.disconnect()
  return [...keys, ...values.map((value) => String(value))]
}

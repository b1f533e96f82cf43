import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { z } from 'zod'
import { brokerEnvironment, type Surroundings, startBroker } from './contestants.ts'
import { putLoad } from './measuring.ts'
import type { Processes } from './processes.ts'
import { type Spread, spreadOf } from './statistics.ts'

const UPSTREAM_DELAY_MS = 50
const UPSTREAM_CONNECTIONS = 32
const FIRST_TOKENS = 1000

/**
 * First tokens of a thousand customers: the rate, as a share of what the upstream's delay allows. The process has
 * minted for others before, so that what is measured is not the compiler.
 */
export async function measureMints(
  processes: Processes,
  around: Surroundings,
  rounds: number,
): Promise<Spread> {
  const upstream = await processes.server(
    './contestants/upstream.ts',
    { DELAY_MS: `${UPSTREAM_DELAY_MS}` },
    { beside: true },
  )
  const upstreamUrl = `http://127.0.0.1:${upstream.port}`
  const idealSeconds = (FIRST_TOKENS / UPSTREAM_CONNECTIONS) * (UPSTREAM_DELAY_MS / 1000)
  const shares: number[] = []
  for (let round = 0; round < rounds; round++) {
    const server = await startBroker(processes, {
      ...brokerEnvironment({ ...around, upstreamUrl }),
      UPSTREAM_MAX_CONCURRENCY: `${UPSTREAM_CONNECTIONS}`,
    })
    const mint = (firstCustomer: number) =>
      putLoad(
        processes,
        { server, customers: FIRST_TOKENS, firstCustomer, credential: 'key' },
        { kind: 'each-once' },
      )
    await mint(0)
    const { seconds } = await mint(FIRST_TOKENS)
    shares.push(idealSeconds / seconds)
    await server.stop()
  }
  await upstream.stop()
  return spreadOf(shares)
}

/** From the start of the process to the first 200 of `/health/ready`, in memory mode. */
export async function measureStart(
  processes: Processes,
  around: Surroundings,
  rounds: number,
): Promise<Spread> {
  const times: number[] = []
  for (let round = 0; round < rounds; round++) {
    const before = performance.now()
    const server = await startBroker(processes, brokerEnvironment(around))
    times.push(performance.now() - before)
    await server.stop()
  }
  return spreadOf(times)
}

const Memory = z.object({
  tokens: z.number(),
  /** Of the heap and beside it, after a collection. */
  usedBytes: z.number(),
  /** With what the heap has taken from the system and not given back. */
  residentBytes: z.number(),
})

/** What the process grows by for each cached token, beside the token's own text. */
export async function measureMemory(tokens: number) {
  const child = fileURLToPath(new URL('./memory-child.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--expose-gc',
    child,
    String(tokens),
  ])
  return Memory.parse(JSON.parse(stdout))
}

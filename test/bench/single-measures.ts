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

export type Mints = {
  /** As a share of what the upstream's delay would allow if nothing else took time. */
  readonly ofDelay: Spread
  /** As a share of what the same upstream gives the same load without a broker between. */
  readonly ofDirect: Spread
}

/**
 * The rate of first tokens of a thousand customers. The process has minted for others before, so that what is
 * measured is not the compiler.
 */
export async function measureMints(
  processes: Processes,
  around: Surroundings,
  rounds: number,
): Promise<Mints> {
  const upstream = await processes.server(
    './contestants/upstream.ts',
    { DELAY_MS: `${UPSTREAM_DELAY_MS}` },
    { beside: true },
  )
  const each = { customers: FIRST_TOKENS, credential: 'key' } as const
  const once = { kind: 'each-once' } as const
  const direct = () => putLoad(processes, { server: upstream, ...each }, once, UPSTREAM_CONNECTIONS)
  await direct()

  const upstreamUrl = `http://127.0.0.1:${upstream.port}`
  const idealSeconds = (FIRST_TOKENS / UPSTREAM_CONNECTIONS) * (UPSTREAM_DELAY_MS / 1000)
  const ofDelay: number[] = []
  const ofDirect: number[] = []
  for (let round = 0; round < rounds; round++) {
    const server = await startBroker(processes, {
      ...brokerEnvironment({ ...around, upstreamUrl }),
      UPSTREAM_MAX_CONCURRENCY: `${UPSTREAM_CONNECTIONS}`,
    })
    const mint = (firstCustomer: number) =>
      putLoad(processes, { server, ...each, firstCustomer }, once)
    await mint(0)
    const { seconds } = await mint(FIRST_TOKENS)
    ofDelay.push(idealSeconds / seconds)
    ofDirect.push((await direct()).seconds / seconds)
    await server.stop()
  }
  await upstream.stop()
  return { ofDelay: spreadOf(ofDelay), ofDirect: spreadOf(ofDirect) }
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

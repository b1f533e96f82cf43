import type { Contestant } from './contestants.ts'
import type { Processes } from './processes.ts'
import { type Spread, spreadOf } from './statistics.ts'

const CONNECTIONS = 64

export type Throughput = {
  readonly name: string
  readonly perSecond: Spread
  /** As a share of what the same round's bare Fastify did. */
  readonly ofFastify: Spread
  readonly cpuMicroseconds: Spread | null
}

export const BARE_FASTIFY = 'Fastify, ready reply'

/** Everybody's first requests, so that what is measured are cached tokens and known callers. */
export async function prime(processes: Processes, contestants: readonly Contestant[]) {
  for (const { server, customers, credential } of contestants)
    await processes.load({
      ...server,
      customers,
      credential,
      connections: CONNECTIONS,
      pattern: { kind: 'each-once' },
    })
}

/** All in turn, several times over: what disturbs the machine for a while disturbs all of them. */
export async function measureThroughput(
  processes: Processes,
  contestants: readonly Contestant[],
  options: { readonly rounds: number; readonly warmUpMs: number; readonly measureMs: number },
): Promise<Throughput[]> {
  const taken = contestants.map(() => ({
    perSecond: [] as number[],
    ofFastify: [] as number[],
    cpu: [] as number[],
  }))
  for (let round = 1; round <= options.rounds; round++) {
    process.stderr.write(`round ${round} of ${options.rounds}\n`)
    for (const [index, { server, customers, credential }] of contestants.entries()) {
      const { replies, seconds, cpuSeconds } = await processes.load({
        ...server,
        customers,
        credential,
        connections: CONNECTIONS,
        pattern: { kind: 'saturating', ...options },
      })
      taken[index]?.perSecond.push(replies / seconds)
      if (cpuSeconds !== null) taken[index]?.cpu.push((cpuSeconds / replies) * 1e6)
    }
    const fastify = contestants.findIndex(({ name }) => name === BARE_FASTIFY)
    const whole = taken[fastify]?.perSecond.at(-1) ?? NaN
    for (const each of taken) each.ofFastify.push((each.perSecond.at(-1) ?? NaN) / whole)
  }
  return contestants.map(({ name }, index) => {
    const { perSecond = [], ofFastify = [], cpu = [] } = taken[index] ?? {}
    return {
      name,
      perSecond: spreadOf(perSecond),
      ofFastify: spreadOf(ofFastify),
      cpuMicroseconds: cpu.length === 0 ? null : spreadOf(cpu),
    }
  })
}

export type Latency = { readonly p50: Spread; readonly p99: Spread; readonly p999: Spread }

/** At half of what each of them can do. */
export async function measureLatency(
  processes: Processes,
  contestants: readonly Contestant[],
  throughput: readonly Throughput[],
  options: { readonly rounds: number; readonly warmUpMs: number; readonly measureMs: number },
): Promise<Map<string, Latency>> {
  const taken = contestants.map(
    () => ({ p50: [], p99: [], p999: [] }) as Record<keyof Latency, number[]>,
  )
  for (let round = 1; round <= options.rounds; round++) {
    process.stderr.write(`half load, round ${round} of ${options.rounds}\n`)
    for (const [index, { server, customers, credential }] of contestants.entries()) {
      const perSecond = (throughput[index]?.perSecond.median ?? 0) / 2
      const { latencyMs } = await processes.load({
        ...server,
        customers,
        credential,
        connections: CONNECTIONS,
        pattern: { kind: 'steady', perSecond, ...options },
      })
      for (const share of ['p50', 'p99', 'p999'] as const)
        taken[index]?.[share].push(latencyMs[share])
    }
  }
  return new Map(
    contestants.map(({ name }, index) => {
      const { p50 = [], p99 = [], p999 = [] } = taken[index] ?? {}
      return [name, { p50: spreadOf(p50), p99: spreadOf(p99), p999: spreadOf(p999) }]
    }),
  )
}

import type { Contestant } from './contestants.ts'
import { type Extent, inTurn, putLoad } from './measuring.ts'
import type { Processes } from './processes.ts'
import { type Spread, spreadOf } from './statistics.ts'

export type Throughput = {
  readonly name: string
  readonly perSecond: Spread
  /** As a share of what the same round's bare Fastify did. */
  readonly ofFastify: Spread
  readonly cpuMicroseconds: Spread | null
  /** The largest share of the server's core that others had. */
  readonly disturbed: number
}

export const BARE_FASTIFY = 'Fastify, ready reply'

/**
 * Everybody's first requests, so that what is measured are cached tokens and known callers; and as many more
 * as Node needs to compile what is run often.
 */
export async function prime(
  processes: Processes,
  contestants: readonly Contestant[],
  measureMs: number,
): Promise<void> {
  for (const contestant of contestants) {
    process.stderr.write(`first requests: ${contestant.name}\n`)
    await putLoad(processes, contestant, { kind: 'each-once' })
    await putLoad(processes, contestant, { kind: 'saturating', warmUpMs: 0, measureMs })
  }
}

export async function measureThroughput(
  processes: Processes,
  contestants: readonly Contestant[],
  { rounds, warmUpMs, measureMs }: Extent,
): Promise<Throughput[]> {
  const results = await inTurn(processes, contestants, rounds, () => ({
    kind: 'saturating',
    warmUpMs,
    measureMs,
  }))
  const perSecond = results.map((each) => each.map(({ replies, seconds }) => replies / seconds))
  const ofFastify = perSecond[contestants.findIndex(({ name }) => name === BARE_FASTIFY)] ?? []

  return contestants.map(({ name }, index) => {
    const mine = results[index] ?? []
    const rates = perSecond[index] ?? []
    const cpu = mine.flatMap(({ cpuSeconds, replies }) =>
      cpuSeconds === null ? [] : [(cpuSeconds / replies) * 1e6],
    )
    return {
      name,
      perSecond: spreadOf(rates),
      ofFastify: spreadOf(rates.map((rate, round) => rate / (ofFastify[round] ?? Number.NaN))),
      cpuMicroseconds: cpu.length === 0 ? null : spreadOf(cpu),
      disturbed: Math.max(...mine.map((each) => each.disturbed)),
    }
  })
}

export type Latency = { readonly p50: Spread; readonly p99: Spread; readonly p999: Spread }

/** At half of what each of them can do. */
export async function measureLatency(
  processes: Processes,
  contestants: readonly Contestant[],
  throughput: readonly Throughput[],
  { rounds, warmUpMs, measureMs }: Extent,
): Promise<ReadonlyMap<string, Latency>> {
  const results = await inTurn(processes, contestants, rounds, (index) => ({
    kind: 'steady',
    perSecond: (throughput[index]?.perSecond.median ?? 0) / 2,
    warmUpMs,
    measureMs,
  }))
  return new Map(
    contestants.map(({ name }, index) => {
      const spread = (share: keyof Latency) =>
        spreadOf((results[index] ?? []).map(({ latencyMs }) => latencyMs[share]))
      return [name, { p50: spread('p50'), p99: spread('p99'), p999: spread('p999') }]
    }),
  )
}

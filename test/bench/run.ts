import { writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { startPrivateRedis } from '../support/private-redis.ts'
import { losses, readBaseline, saveBaseline } from './baseline.ts'
import { startContestants } from './contestants.ts'
import { createProcesses } from './processes.ts'
import { measureMemory, measureMints, measureStart } from './single-measures.ts'
import { rounded, type Spread, table } from './statistics.ts'
import {
  type Latency,
  measureLatency,
  measureThroughput,
  prime,
  type Throughput,
} from './throughput.ts'

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    json: { type: 'string', default: 'bench-results.json' },
    'save-baseline': { type: 'boolean', default: false },
  },
})

const machine = () => {
  const [first, ...others] = cpus()
  return `${others.length + 1} cores (${first?.model.trim() ?? 'unknown'}), Node ${process.versions.node}, ${process.platform}`
}

const range = ({ median, min, max }: Spread, digits = 0) =>
  `${rounded(median, digits)} (${rounded(min, digits)}-${rounded(max, digits)})`

function throughputTable(rows: readonly Throughput[], latencies: ReadonlyMap<string, Latency>) {
  const milliseconds = (name: string, share: keyof Latency) => {
    const latency = latencies.get(name)
    return latency ? rounded(latency[share].median, 2) : '-'
  }
  return table(
    ['', 'of Fastify', 'requests/s', 'CPU µs', 'p50 ms', 'p99 ms', 'p99.9 ms'],
    rows.map(({ name, ofFastify, perSecond, cpuMicroseconds }) => [
      name,
      range(ofFastify, 2),
      range(perSecond),
      cpuMicroseconds ? rounded(cpuMicroseconds.median) : '-',
      milliseconds(name, 'p50'),
      milliseconds(name, 'p99'),
      milliseconds(name, 'p999'),
    ]),
  )
}

const processes = createProcesses()
const redis = await startPrivateRedis()
try {
  const upstream = await processes.server('./contestants/upstream.ts', {}, { beside: true })
  const around = { upstreamUrl: `http://127.0.0.1:${upstream.port}`, redisUrl: redis.url }
  if (options.quick) await quick(around)
  else await full(around)
} finally {
  await processes.stopAll()
  await redis.stop()
}

async function full(around: Parameters<typeof startContestants>[1]) {
  const rounds = Number(options.rounds ?? 5)
  const contestants = await startContestants(processes, around, 'all')
  await prime(processes, contestants, 8000)
  const throughput = await measureThroughput(processes, contestants, {
    rounds,
    warmUpMs: 1000,
    measureMs: 4000,
  })
  const latencies = await measureLatency(processes, contestants, throughput, {
    // Short and many: whatever stalls the machine for a moment spoils one of them, and not the median.
    rounds: 2 * rounds - 1,
    warmUpMs: 200,
    measureMs: 1200,
  })
  await Promise.all(contestants.map(({ server }) => server.stop()))
  const mints = await measureMints(processes, around, 3)
  const start = await measureStart(processes, around, 5)
  const memory = [await measureMemory(100_000), await measureMemory(1_000_000)]

  const found = {
    machine: machine(),
    pinned: processes.isPinned,
    throughput,
    latencies: Object.fromEntries(latencies),
    mints,
    start,
    memory,
  }
  await writeFile(options.json, `${JSON.stringify(found, null, 2)}\n`)
  console.log(`\n${machine()}${processes.isPinned ? ', server and load on a core each' : ''}\n`)
  console.log(throughputTable(throughput, latencies))
  console.log(
    `\nfirst tokens over 32 upstream connections of 50 ms: ${range(mints.ofDelay, 2)} of what the delay allows, ${range(mints.ofDirect, 2)} of what the same upstream gives without a broker`,
  )
  console.log(`start to ready, in memory: ${range(start)} ms`)
  for (const { tokens, usedBytes, residentBytes } of memory)
    console.log(
      `memory for each of ${rounded(tokens)} cached tokens, beside its text: ${rounded(usedBytes)} bytes in use, ${rounded(residentBytes)} with the heap's reserve`,
    )
}

async function quick(around: Parameters<typeof startContestants>[1]) {
  const contestants = await startContestants(processes, around, 'few')
  await prime(processes, contestants, 2500)
  const throughput = await measureThroughput(processes, contestants, {
    rounds: Number(options.rounds ?? 3),
    warmUpMs: 500,
    measureMs: 1500,
  })
  console.log(throughputTable(throughput, new Map()))
  const ratios = Object.fromEntries(
    throughput.map(({ name, ofFastify }) => [name, Number(ofFastify.median.toFixed(3))]),
  )
  if (options['save-baseline']) return saveBaseline(ratios)
  const before = await readBaseline()
  const found = before
    ? losses(before, ratios)
    : ['there is no baseline to compare with: store one with --save-baseline']
  for (const each of found) console.error(each)
  if (found.length > 0) process.exitCode = 1
}

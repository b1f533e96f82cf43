import { readFileSync } from 'node:fs'
import { openConnection } from './connection.ts'
import { SERVICE_KEY, userToken } from './credentials.ts'

export type Job = {
  readonly port: number
  /** Whose processor time is read along with it. */
  readonly pid: number
  /** The core that the server has for itself, but for what else runs on the machine. */
  readonly core: string | null
  readonly customers: number
  /** The number of the first of them. */
  readonly firstCustomer?: number
  readonly credential: 'key' | 'jwt'
  readonly connections: number
  readonly pattern: /** Every customer once, as fast as it goes. */
    | { readonly kind: 'each-once' }
    /** As fast as it goes, any customer. */
    | { readonly kind: 'saturating'; readonly warmUpMs: number; readonly measureMs: number }
    /** At a given rate, whether the replies keep up or not: latency counts from when a request was due. */
    | {
        readonly kind: 'steady'
        readonly perSecond: number
        readonly warmUpMs: number
        readonly measureMs: number
      }
}

export type LoadResult = {
  readonly replies: number
  readonly failures: Readonly<Record<string, number>>
  readonly seconds: number
  /** `null` where the system does not tell. */
  readonly cpuSeconds: number | null
  /** How much of the time others had the server's core, as a share; 0 where the system does not tell. */
  readonly disturbed: number
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly p999: number }
}

/** A hundred a second in Linux, wherever it runs. */
const TICKS_PER_SECOND = 100

function cpuSecondsOf(pid: number): number | null {
  try {
    // After the name in parentheses, which may hold spaces: user time is the 12th field, system time the 13th.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? []
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
  } catch {
    return null
  }
}

/** For how long anybody has been at work on a core. */
function busySecondsOf(core: string): number {
  const line = readFileSync('/proc/stat', 'latin1').split('\n')
  const fields =
    line
      .find((each) => each.startsWith(`cpu${core} `))
      ?.split(' ')
      .map(Number) ?? []
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = fields
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND
}

/** Reads the processor's clocks, to be read again. */
function cpuClock({ pid, core }: Job) {
  const startedAt = performance.now()
  const own = cpuSecondsOf(pid)
  const busy = core === null ? 0 : busySecondsOf(core)
  return () => {
    const seconds = (performance.now() - startedAt) / 1000
    const ownAfter = cpuSecondsOf(pid)
    const cpuSeconds = own === null || ownAfter === null ? null : ownAfter - own
    const others = core === null ? 0 : busySecondsOf(core) - busy - (cpuSeconds ?? 0)
    return { seconds, cpuSeconds, disturbed: Math.max(0, others / seconds) }
  }
}

const requestsOf = ({ customers, firstCustomer = 0, credential }: Job): Buffer[] =>
  Array.from({ length: customers }, (_, index) => {
    const id = `customer-${firstCustomer + index}`
    const bearer = credential === 'jwt' ? userToken(id) : SERVICE_KEY
    return Buffer.from(
      `GET /customers/${id}/token HTTP/1.1\r\nHost: broker.example\r\n` +
        `Authorization: Bearer ${bearer}\r\nUser-Agent: bench\r\nAccept: application/json\r\n\r\n`,
    )
  })

/** A connection that takes its requests from the pattern. */
type Lane = { send(dueAt: number): void; close(): void }

/** Puts one load on one server, and tells how it went. */
export async function runLoad(job: Job): Promise<LoadResult> {
  const { pattern } = job
  const requests = requestsOf(job)
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  const failures: Record<string, number> = {}
  const latencies: number[] = []
  const idle: Lane[] = []
  const overdue: number[] = []
  let sent = 0
  let isOver = false

  const nextRequest = (): Buffer => {
    const index = pattern.kind === 'each-once' ? sent : Math.floor(Math.random() * requests.length)
    sent++
    return requests[index] ?? Buffer.alloc(0)
  }

  /** When the next request of a free lane is due; `undefined`: not yet, or never. */
  function nextDue(now: number): number | undefined {
    if (isOver) return undefined
    if (pattern.kind === 'steady') return overdue.shift()
    return pattern.kind === 'saturating' || sent < requests.length ? now : undefined
  }

  async function openLane(): Promise<Lane> {
    let since = 0
    const connection = await openConnection(job.port, (status) => {
      const now = performance.now()
      latencies.push(now - since)
      if (status !== '200') failures[status] = (failures[status] ?? 0) + 1
      if (pattern.kind === 'each-once' && latencies.length === requests.length) end()
      const due = nextDue(now)
      if (due === undefined) idle.push(lane)
      else lane.send(due)
    })
    const lane: Lane = {
      send(dueAt) {
        since = dueAt
        connection.send(nextRequest())
      },
      close: connection.close,
    }
    return lane
  }

  /** What has become due in a millisecond is sent at its end; a request that finds no free lane waits, and that counts. */
  function keepPace(perSecond: number): void {
    let dueAt = performance.now()
    // Independent callers: the time between two of them is any time, and that much on average.
    const gapMs = () => (-Math.log(1 - Math.random()) * 1000) / perSecond
    const pace = setInterval(() => {
      if (isOver) clearInterval(pace)
      const now = performance.now()
      for (; dueAt <= now; dueAt += gapMs()) overdue.push(now)
      while (idle.length > 0 && overdue.length > 0) idle.pop()?.send(overdue.shift() ?? now)
    }, 1)
  }

  const lanes = await Promise.all(Array.from({ length: job.connections }, openLane))
  let measured = cpuClock(job)
  if (pattern.kind === 'steady') {
    idle.push(...lanes)
    keepPace(pattern.perSecond)
  } else {
    for (const lane of lanes.slice(0, requests.length)) lane.send(performance.now())
  }

  if (pattern.kind !== 'each-once') {
    setTimeout(() => {
      latencies.length = 0
      measured = cpuClock(job)
      setTimeout(end, pattern.measureMs)
    }, pattern.warmUpMs)
  }
  await ended
  const time = measured()
  isOver = true
  for (const lane of lanes) lane.close()

  const sorted = Float64Array.from(latencies).sort()
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0
  return {
    replies: sorted.length,
    failures,
    ...time,
    latencyMs: { p50: at(0.5), p99: at(0.99), p999: at(0.999) },
  }
}

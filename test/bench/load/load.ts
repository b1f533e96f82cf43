import { readFileSync } from 'node:fs'
import { type Connection, openConnection } from './connection.ts'
import { SERVICE_KEY, userToken } from './credentials.ts'

export type Job = {
  readonly port: number
  /** Whose processor time is read along with it. */
  readonly pid: number
  readonly customers: number
  readonly credential: 'key' | 'jwt'
  readonly connections: number
  readonly pattern:
    /** Every customer once, as fast as it goes. */
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

const requestsOf = ({ customers, credential }: Job): Buffer[] =>
  Array.from({ length: customers }, (_, index) => {
    const id = `customer-${index}`
    const bearer = credential === 'jwt' ? userToken(id) : SERVICE_KEY
    return Buffer.from(
      `GET /customers/${id}/token HTTP/1.1\r\nHost: broker.example\r\n` +
        `Authorization: Bearer ${bearer}\r\nUser-Agent: bench\r\nAccept: application/json\r\n\r\n`,
    )
  })

/** Puts one load on one server, and tells how it went. */
export async function runLoad(job: Job): Promise<LoadResult> {
  const { pattern } = job
  const requests = requestsOf(job)
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  const failures: Record<string, number> = {}
  const latencies: number[] = []
  const idle: Connection[] = []
  const due: number[] = []
  let sent = 0
  let replies = 0
  let stopped = false
  let startedAt = performance.now()
  let cpuBefore = cpuSecondsOf(job.pid)

  const next = (): Buffer => {
    const index = pattern.kind === 'each-once' ? sent : Math.floor(Math.random() * requests.length)
    sent++
    return requests[index] ?? Buffer.alloc(0)
  }

  async function open(): Promise<Connection> {
    let since = 0
    const connection = await openConnection(job.port, (status) => {
      const now = performance.now()
      if (status !== '200') failures[status] = (failures[status] ?? 0) + 1
      replies++
      latencies.push(now - since)
      if (pattern.kind === 'each-once' && replies === requests.length) end()
      const isMore = pattern.kind !== 'each-once' || sent < requests.length
      if (stopped || !isMore) return
      const waiting = pattern.kind === 'steady' ? due.shift() : now
      if (waiting === undefined) idle.push(handle)
      else sendAs(waiting)
    })
    const sendAs = (from: number) => {
      since = from
      connection.send(next())
    }
    const handle: Connection = {
      send: () => sendAs(due.shift() ?? performance.now()),
      close: connection.close,
    }
    return handle
  }

  const connections = await Promise.all(Array.from({ length: job.connections }, open))
  idle.push(...connections)
  startedAt = performance.now()

  if (pattern.kind === 'steady') {
    let nextDue = performance.now()
    const turn = () => {
      const now = performance.now()
      for (; nextDue <= now; nextDue -= (Math.log(1 - Math.random()) * 1000) / pattern.perSecond)
        due.push(nextDue)
      while (due.length > 0) {
        const connection = idle.pop()
        if (!connection) break
        connection.send(Buffer.alloc(0))
      }
      if (!stopped) setImmediate(turn)
    }
    turn()
  } else {
    for (const connection of idle.splice(0).slice(0, requests.length))
      connection.send(Buffer.alloc(0))
  }

  if (pattern.kind !== 'each-once') {
    setTimeout(() => {
      replies = 0
      latencies.length = 0
      cpuBefore = cpuSecondsOf(job.pid)
      startedAt = performance.now()
      setTimeout(end, pattern.measureMs)
    }, pattern.warmUpMs)
  }
  await ended
  const seconds = (performance.now() - startedAt) / 1000
  const cpuAfter = cpuSecondsOf(job.pid)
  stopped = true
  for (const connection of connections) connection.close()

  const sorted = Float64Array.from(latencies).sort()
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0
  return {
    replies: sorted.length,
    failures,
    seconds,
    cpuSeconds: cpuBefore === null || cpuAfter === null ? null : cpuAfter - cpuBefore,
    latencyMs: { p50: at(0.5), p99: at(0.99), p999: at(0.999) },
  }
}

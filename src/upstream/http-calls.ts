import { createEgress, type EgressRoute } from '../egress.ts'
import type { ClockWatch } from './clock-skew.ts'
import type { Deadline } from './deadline.ts'

export type Call = {
  readonly method: 'GET' | 'POST'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

export type Reply = {
  readonly status: number
  header(name: string): string | undefined
  readonly text: string
  readonly receivedAt: number
}

/** No reply, or none that is worth reading. */
export class CallFailure extends Error {
  readonly kind: 'network' | 'timeout' | 'too_large'
  /** The system's or undici's code, such as `ECONNREFUSED`. */
  readonly code: string

  constructor(kind: CallFailure['kind'], code: string) {
    super(`${kind} (${code})`)
    this.name = 'CallFailure'
    this.kind = kind
    this.code = code
  }
}

const REPLY_LIMIT_BYTES = 64 * 1024
/** undici's word for a reply beyond the limit. */
const TOO_LARGE = 'UND_ERR_RES_EXCEEDED_MAX_SIZE'

export type CallSettings = EgressRoute & {
  readonly connections: number
  readonly timeoutMs: number
}

export type CallDeps = {
  readonly now: () => number
  readonly clocks: ClockWatch
  readonly onInFlight: (change: 1 | -1) => void
  /** Headers that carry a trace on. */
  readonly outgoing?: (() => Readonly<Record<string, string>>) | undefined
}

function egressFor(settings: CallSettings) {
  const connectTimeout = Math.ceil(settings.timeoutMs / 2)
  return createEgress(settings, {
    connections: settings.connections,
    pipelining: 1,
    // A connection carries one call, so that one which breaks does not take others with it.
    allowH2: false,
    // A host that does not even take the connection leaves time for another try.
    connect: { timeout: connectTimeout },
    connectTimeout,
    // The deadline covers headers and body both.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 30_000,
    maxResponseSize: REPLY_LIMIT_BYTES,
  })
}

/** HTTP to the upstream: pooled, bounded in time and size, and never following a redirect. */
export function createHttpCalls(settings: CallSettings, deps: CallDeps) {
  const egress = egressFor(settings)

  async function exchange(call: Call, deadline: Deadline): Promise<Reply> {
    const url = new URL(call.url)
    const response = await egress.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: call.method,
      headers: {
        accept: 'application/json',
        'user-agent': 'token-broker',
        ...call.headers,
        ...deps.outgoing?.(),
      },
      body: call.body ?? null,
      signal: deadline.signal,
    })
    const text = await response.body.text()
    const receivedAt = deps.now()
    const header = (name: string) => {
      const value = response.headers[name]
      return Array.isArray(value) ? value[0] : value
    }
    deps.clocks.observe(url.host, header('date'), receivedAt)
    return {
      status: response.statusCode,
      header,
      text,
      receivedAt,
    }
  }

  return {
    /** @throws CallFailure */
    async call(call: Call, deadline: Deadline): Promise<Reply> {
      deps.onInFlight(1)
      try {
        return await exchange(call, deadline)
      } catch (error) {
        throw asCallFailure(error, deadline)
      } finally {
        deps.onInFlight(-1)
      }
    },
    close: (): Promise<void> => egress.destroy(),
  }
}

export type HttpCalls = ReturnType<typeof createHttpCalls>

/** Keeps nothing of the error but its code: its other fields may hold what was sent. */
function asCallFailure(error: unknown, deadline: Deadline): CallFailure {
  if (error instanceof CallFailure) return error
  if (deadline.signal.aborted) return new CallFailure('timeout', 'DEADLINE')
  const code = codeOf(error)
  return new CallFailure(code === TOO_LARGE ? 'too_large' : 'network', code)
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'UNKNOWN'
  if ('code' in error && typeof error.code === 'string') return error.code
  return error.cause === undefined ? error.name : codeOf(error.cause)
}

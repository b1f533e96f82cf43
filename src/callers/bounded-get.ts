import { isPrivateHost } from '../config/values.ts'
import { createEgress, type EgressRoute } from '../egress.ts'

export type EgressSettings = EgressRoute & {
  /** Headers that carry a trace on; none unless tracing is on. */
  readonly outgoing?: () => Readonly<Record<string, string>>
}

export type GetLimits = { readonly timeoutMs: number; readonly limitBytes: number }

export type GetReply = { readonly status: number; readonly text: string }

/** No reply, or none worth reading. Carries a code and nothing of what was sent. */
export class GetFailure extends Error {
  constructor(code: string) {
    super(`no usable reply (${code})`)
    this.name = 'GetFailure'
  }
}

export type BoundedGet = {
  /** Never follows a redirect: a 3xx is a reply like any other. @throws GetFailure */
  get(url: string, headers: Readonly<Record<string, string>>, limits: GetLimits): Promise<GetReply>
  close(): void
}

const CONNECTIONS_PER_HOST = 32

/** HTTP GET with a limit in time, body included, and in size. */
export function createBoundedGet(settings: EgressSettings): BoundedGet {
  const egress = createEgress(settings, {
    connections: CONNECTIONS_PER_HOST,
    pipelining: 1,
    // The deadline of the call covers both.
    headersTimeout: 0,
    bodyTimeout: 0,
  })

  return {
    async get(url, headers, { timeoutMs, limitBytes }) {
      const deadline = new AbortController()
      const timer = setTimeout(() => deadline.abort(), timeoutMs)
      timer.unref()
      try {
        const { origin, pathname, search } = new URL(url)
        const response = await egress.request({
          origin,
          path: `${pathname}${search}`,
          method: 'GET',
          headers: {
            accept: 'application/json',
            'user-agent': 'token-broker',
            ...headers,
            ...settings.outgoing?.(),
          },
          signal: deadline.signal,
        })
        return { status: response.statusCode, text: await bounded(response.body, limitBytes) }
      } catch (error) {
        if (error instanceof GetFailure) throw error
        throw new GetFailure(deadline.signal.aborted ? 'TIMEOUT' : codeOf(error))
      } finally {
        clearTimeout(timer)
      }
    },
    close: () => void egress.destroy().catch(() => undefined),
  }
}

async function bounded(body: AsyncIterable<unknown>, limitBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) throw new GetFailure('NOT_BYTES')
    size += chunk.length
    if (size > limitBytes) throw new GetFailure('TOO_LARGE')
    chunks.push(Buffer.from(chunk))
  }
  return Buffer.concat(chunks).toString()
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'UNKNOWN'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}

/** https, or clear text to a place that it does not leave: this machine, or a container network's short names. */
export function isConfidential(url: string): boolean {
  if (!URL.canParse(url)) return false
  const { protocol } = new URL(url)
  return protocol === 'https:' || (protocol === 'http:' && isPrivateHost(url))
}

import type { IncomingMessage } from 'node:http'

/** A request, read to its end. */
export type Incoming = {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly json: unknown
  /** Without parameters, in lower case. */
  readonly mediaType: string
  readonly bearer: string | null
}

const BODY_LIMIT = 1024 * 1024

export async function readIncoming(request: IncomingMessage): Promise<Incoming> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk)
    size += bytes.length
    if (size > BODY_LIMIT)
      throw new Error('the request is larger than anything a client of ours sends')
    chunks.push(bytes)
  }
  const body = Buffer.concat(chunks).toString('utf8')

  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value
  }

  const target = request.url ?? '/'
  const mark = target.indexOf('?')
  return {
    method: request.method ?? 'GET',
    path: mark < 0 ? target : target.slice(0, mark),
    query: mark < 0 ? '' : target.slice(mark),
    headers,
    body,
    json: parsed(body),
    mediaType: (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '',
    bearer: /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1] ?? null,
  }
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

/** The members of a JSON object; `null` for anything else. */
export function fieldsOf(json: unknown): Readonly<Record<string, unknown>> | null {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return null
  return Object.fromEntries(Object.entries(json))
}

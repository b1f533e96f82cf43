import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'

export type SeenRequest = {
  readonly method: string
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

type Answer = (request: SeenRequest, response: ServerResponse) => void

export type Life = { lifeS: number; restS?: number; marginS?: number; clockMs?: number }

/** What the broker sends for a token that lives `lifeS`, of which `restS` are left. */
export function tokenReply(token: string, { lifeS, restS = lifeS, marginS, clockMs }: Life) {
  const expiresAt = (clockMs ?? Date.now()) + restS * 1000
  const margin = marginS ?? Math.min(240, (lifeS * 2) / 5)
  return {
    token,
    type: 'scoped',
    customer_id: 'customer-1',
    workspace_id: null,
    expires_at: new Date(expiresAt).toISOString(),
    expires_in: restS,
    refresh_after: new Date(expiresAt - margin * 1000).toISOString(),
  }
}

export function json(status: number, body: unknown, headers: Record<string, string> = {}): Answer {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(JSON.stringify(body))
  }
}

export const problem = (status: number, code: string, headers: Record<string, string> = {}) =>
  json(status, { status, code, title: code, detail: `no: ${code}`, request_id: 'req-7' }, headers)

/**
 * A server that answers like the broker: with a new token each time, or as `next` was told. It is held
 * to nothing but the contract, so the client is tested against what any broker may send.
 */
export async function startBroker(life: Life = { lifeS: 1200 }) {
  const requests: SeenRequest[] = []
  const planned: Answer[] = []
  let always: Answer | undefined
  const server = createServer(async (incoming, response) => {
    const url = new URL(incoming.url ?? '/', 'http://broker')
    const request = {
      method: incoming.method ?? '',
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: incoming.headers,
      body: await text(incoming),
    }
    requests.push(request)
    const token = `token-${requests.length}`
    const answer = planned.shift() ?? always ?? json(200, tokenReply(token, life))
    answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')

  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    /** The next answers, in order; after them, new tokens again. */
    next: (...answers: Answer[]) => void planned.push(...answers),
    /** From now on this, once the planned ones are used up; `undefined`: new tokens. */
    always: (answer: Answer | undefined) => {
      always = answer
    },
  }
}

import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { BrokerError } from '../errors.ts'
import { refuseOn } from './problems.ts'

/** Node answers these itself, with nothing that says why. */
export function answerForNode({ server }: FastifyInstance): void {
  // Whatever else is expected may be left out of account (RFC 9110, section 10.1.1).
  server.on('checkExpectation', (request, response) => server.emit('request', request, response))
  server.on('connect', (_request, socket) =>
    refuseOn(socket, 'method_not_allowed', 'nothing is tunnelled here'),
  )
}

/** Of these Node takes the first and drops the rest; a proxy before us may have looked at another. */
const ONLY_ONCE = ['host', 'authorization', 'content-type', 'content-length']
const LENGTHS = new Set(ONLY_ONCE.map((name) => name.length))

/** Requests that two readers could read in two ways. */
export function ambiguity({
  rawHeaders,
  headers,
  httpVersion,
}: IncomingMessage): BrokerError | null {
  if (headers.host === undefined && httpVersion === '1.1')
    return refusal('the header Host is missing')
  let seen = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const written = rawHeaders[index] ?? ''
    if (!LENGTHS.has(written.length)) continue
    const which = ONLY_ONCE.indexOf(written.toLowerCase())
    if (which < 0) continue
    if (seen & (1 << which)) return refusal('a header that may be there once is there twice')
    seen |= 1 << which
  }
  return null
}

const refusal = (detail: string) => new BrokerError('invalid_request', detail)

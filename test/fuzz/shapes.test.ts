import { describe, expect, test } from 'vitest'
import { openLine, repliesIn } from '../resilience/sockets.ts'
import { SERVICE_KEY, startService } from '../support/service.ts'

const KEY = `Authorization: Bearer ${SERVICE_KEY}\r\n`
const POST = `POST /customers/acme/token HTTP/1.1\r\nHost: a\r\n${KEY}Content-Type: application/json\r\n`
/** What a smuggler would have us take for a second request. */
const HIDDEN = `GET /customers/victim/token HTTP/1.1\r\nHost: a\r\n${KEY}\r\n`

async function startListening() {
  const service = await startService({
    env: { PORT: '0', HOST: '127.0.0.1' },
    deps: { bounds: { headersTimeoutMs: 200, requestTimeoutMs: 400, checkEveryMs: 50 } },
  })
  const { url } = await service.app.listen()
  const told = async (text: string) => {
    const line = await openLine(url)
    line.send(text)
    return repliesIn(await line.closed)
  }
  return { ...service, told }
}

describe('a message that two readers could read in two ways is refused, and its connection closed', () => {
  test.each([
    [
      'a length and chunks',
      `${POST}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      'chunks and a length',
      `${POST}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n`,
    ],
    ['two lengths', `${POST}Content-Length: 0\r\nContent-Length: 44\r\n\r\n`],
    ['one length twice', `${POST}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}`],
    ['a list of lengths', `${POST}Content-Length: 2, 2\r\n\r\n{}`],
    ['a signed length', `${POST}Content-Length: +2\r\n\r\n{}`],
    ['a negative length', `${POST}Content-Length: -1\r\n\r\n`],
    ['a hexadecimal length', `${POST}Content-Length: 0x2\r\n\r\n{}`],
    ['a length of words', `${POST}Content-Length: two\r\n\r\n{}`],
    ['a length past all numbers', `${POST}Content-Length: 99999999999999999999\r\n\r\n{}`],
    ['a space before the colon', `${POST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`],
    ['an unknown coding', `${POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
    ['a coding after the chunks', `${POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`],
    ['a coding behind a tab', `${POST}Transfer-Encoding:\vchunked\r\n\r\n0\r\n\r\n`],
    ['a folded header', `${POST}X-Folded: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['a bare CR', `${POST}X-Bare: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['bare LFs', POST.replaceAll('\r\n', '\n').concat('\n')],
    ['a NUL', `${POST}X-Nul: a\0b\r\n\r\n`],
    ['a chunk of negative size', `${POST}Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n`],
    ['a chunk past all numbers', `${POST}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n`],
    [
      'a chunk longer than it says',
      `${POST}Transfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n0\r\n\r\n`,
    ],
    ['an empty header name', `${POST}: chunked\r\n\r\n`],
    ['a version of the future', `GET /customers/acme/token HTTP/9.9\r\nHost: a\r\n${KEY}\r\n`],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['TLS on the plain port', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ])('%s', async (_what, text) => {
    const { told, upstream } = await startListening()

    const replies = await told(text + HIDDEN)

    expect(replies.map(({ status }) => status)).toEqual([400])
    expect(replies[0]?.head).toContain('application/problem+json')
    expect(replies[0]?.head).toMatch(/connection: close/i)
    expect(upstream.counts.mints.total).toBe(0)
  })
})

describe('what Node would answer by itself is a problem document', () => {
  const GET = 'GET /customers/acme/token HTTP/1.1\r\n'
  const END = 'Connection: close\r\n\r\n'
  test.each([
    ['no Host', `${GET}${KEY}${END}`, 400, 'invalid_request'],
    ['two Hosts', `${GET}Host: a\r\nHost: b\r\n${KEY}${END}`, 400, 'invalid_request'],
    [
      'two credentials',
      `${GET}Host: a\r\n${KEY}authorization: Bearer another\r\n${END}`,
      400,
      'invalid_request',
    ],
    [
      'two media types',
      `${POST}Content-Type: text/plain\r\nContent-Length: 2\r\n${END}{}`,
      400,
      'invalid_request',
    ],
    ['a tunnel', `CONNECT upstream:443 HTTP/1.1\r\nHost: a\r\n\r\n`, 405, 'method_not_allowed'],
    [
      'QUERY',
      `QUERY /customers/acme/token HTTP/1.1\r\nHost: a\r\n${KEY}${END}`,
      405,
      'method_not_allowed',
    ],
    [
      'TRACE',
      `TRACE /customers/acme/token HTTP/1.1\r\nHost: a\r\n${KEY}${END}`,
      405,
      'method_not_allowed',
    ],
    [
      'PUT with a broken body',
      `PUT /customers/acme/token HTTP/1.1\r\nHost: a\r\n${KEY}Content-Type: text/xml\r\nContent-Length: 1\r\n${END}<`,
      405,
      'method_not_allowed',
    ],
    [
      'a path that leads out',
      `GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n${END}`,
      404,
      'not_found',
    ],
    ['the asterisk', `OPTIONS * HTTP/1.1\r\nHost: a\r\n${END}`, 404, 'not_found'],
  ])('%s', async (_what, text, status, code) => {
    const { told } = await startListening()

    const replies = await told(text)

    expect(replies.map((reply) => reply.status)).toEqual([status])
    expect(replies[0]?.head).toContain('application/problem+json')
    expect(JSON.parse(replies[0]?.body ?? '')).toMatchObject({ status, code })
  })

  test.each([
    ['an expectation nobody knows', `${GET}Host: a\r\nExpect: wonders\r\n${KEY}${END}`],
    [
      'an offer to upgrade',
      `${GET}Host: a\r\nConnection: upgrade, close\r\nUpgrade: h2c\r\n${KEY}\r\n`,
    ],
    ['HTTP/1.0 without a Host', `GET /customers/acme/token HTTP/1.0\r\n${KEY}\r\n`],
    ['a body on GET', `${GET}Host: a\r\n${KEY}Content-Length: 5\r\n${END}hello`],
  ])('%s is no reason to refuse', async (_what, text) => {
    const { told } = await startListening()

    expect((await told(text)).map(({ status }) => status)).toEqual([200])
  })
})

import { expect, test } from 'vitest'
import { openLine, repliesIn } from '../resilience/sockets.ts'
import { SERVICE_KEY, startService } from '../support/service.ts'

async function startListening() {
  const { app } = await startService({ env: { HOST: '127.0.0.1', PORT: '0' } })
  const { url } = await app.listen()
  return url
}

const head = (method: string, path: string, more: string[] = []) =>
  [
    `${method} ${path} HTTP/1.1`,
    'Host: broker',
    `Authorization: Bearer ${SERVICE_KEY}`,
    'Connection: close',
    ...more,
    '\r\n',
  ].join('\r\n')

test.each([
  ['POST', '/customers/acme/token', 200],
  ['POST', '/customers/acme/token/introspect', 400],
  ['GET', '/customers/acme/token', 200],
  ['GET', '/customers/acme/token?min_ttl=1', 200],
  ['DELETE', '/customers/acme/token', 204],
  ['POST', '/nothing', 404],
  ['PUT', '/customers/acme/token', 405],
])('%s %s with a type and no length has no body, and is answered', async (method, path, status) => {
  const line = await openLine(await startListening())
  line.send(head(method, path, ['Content-Type: application/json']))

  expect(repliesIn(await line.closed)).toMatchObject([{ status }])
})

test.each([
  ['by its length', ['Content-Length: 17'], '{"type":"scoped"}'],
  ['in chunks', ['Transfer-Encoding: chunked'], '9\r\n{"type":"\r\n8\r\nscoped"}\r\n0\r\n\r\n'],
])('a body that comes %s is read', async (_, framing, body) => {
  const line = await openLine(await startListening())
  line.send(
    head('POST', '/customers/acme/token', ['Content-Type: application/json', ...framing]) + body,
  )

  const [reply] = repliesIn(await line.closed)
  expect(reply).toMatchObject({ status: 200 })
  expect(JSON.parse(reply?.body ?? '')).toMatchObject({ customer_id: 'acme', type: 'scoped' })
})

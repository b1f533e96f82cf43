import { request } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as after } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createRow } from '../../src/in-a-row.ts'
import { exchange } from '../support/exchange.ts'
import { SERVICE_KEY, startService } from '../support/service.ts'

const authorization = `Bearer ${SERVICE_KEY}`
const anyId = { CUSTOMER_ID_PATTERN: '.{1,64}', CORS_ALLOWED_ORIGINS: 'https://app.example.com' }

async function listening(env: Record<string, string> = anyId) {
  const service = await startService({ env: { ...env, HOST: '127.0.0.1', PORT: '0' } })
  const { url } = await service.app.listen()
  const get = (id: string, headers: Record<string, string> = {}) =>
    fetch(`${url}/customers/${encodeURIComponent(id)}/token`, {
      headers: { authorization, ...headers },
    })
  return { ...service, url, get }
}

test('a reply from memory is the reply of the mint, but for where it came from', async () => {
  const { get } = await listening()
  const headers = { origin: 'https://app.example.com', 'x-request-id': 'one-of-ours' }
  const [minted, kept] = [await get('acme', headers), await get('acme', headers)]

  const told = (reply: Response) =>
    Object.fromEntries(
      [...reply.headers].filter(([name]) => !['date', 'cache-status', 'ratelimit'].includes(name)),
    )
  expect(told(kept)).toEqual(told(minted))
  expect(kept.headers.get('cache-status')).toBe('token-broker; hit')
  expect(kept.headers.get('access-control-allow-origin')).toBe('https://app.example.com')
  expect(kept.headers.get('ratelimit')).toMatch(/^"customer";r=98;t=\d+$/)
  const { token } = (await minted.json()) as { token: string }
  expect(await kept.json()).toMatchObject({ token, customer_id: 'acme' })
})

const portOf = (url: string) => Number(new URL(url).port)

/** The head and body of the reply to one request, byte for byte. */
async function bytesOf(url: string, headers: Record<string, string>) {
  const socket = connect(portOf(url), '127.0.0.1')
  const lines = Object.entries({ host: 'broker', authorization, ...headers })
  socket.write(
    `GET /customers/acme/token HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
  )
  let text = ''
  for await (const chunk of socket) {
    text += String(chunk)
    const [head = '', body] = text.split('\r\n\r\n')
    const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1])
    if (body?.length === length) return { head: head.split('\r\n'), body }
  }
  throw new Error('the connection ended within a reply')
}

test('a head made by hand is the head that Node makes, but for what it says of the connection', async () => {
  const { get, url } = await listening()
  await get('acme')
  const asked = { 'x-request-id': 'one-of-ours', origin: 'https://app.example.com' }
  // Both may be asked for within one second, or not: the time and what is left of it are told by their forms.
  const told = (lines: readonly string[]) =>
    lines
      .map((line) => line.replace(/^Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/, 'Date'))
      .map((line) => line.replace(/^(ratelimit: "customer";r=)\d\d;t=\d+$/, '$1'))
      .map((line) => line.toLowerCase())
      .sort()

  const byHand = await bytesOf(url, asked)
  const byNode = await bytesOf(url, { ...asked, connection: 'close' })

  expect(told(byHand.head.filter((line) => !/^keep-alive:/i.test(line)))).toEqual(
    told(byNode.head.map((line) => line.replace(/^connection: close$/i, 'connection: keep-alive'))),
  )
  expect(byHand.head).toContain('Keep-Alive: timeout=72')
  expect(JSON.parse(byHand.body)).toMatchObject({ customer_id: 'acme' })
  expect(Object.keys(JSON.parse(byNode.body))).toEqual(Object.keys(JSON.parse(byHand.body)))
})

test('who speaks HTTP/1.0 and does not ask to stay is let go', async () => {
  const { get, url } = await listening()
  await get('acme')
  const text = await exchange(
    portOf(url),
    `GET /customers/acme/token HTTP/1.0\r\nHost: b\r\nAuthorization: ${authorization}\r\n\r\n`,
  )

  expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  expect(text).toMatch(/^connection: close\r$/im)
  expect(JSON.parse(text.split('\r\n\r\n')[1] ?? '')).toMatchObject({ customer_id: 'acme' })
})

test.each(['kundin-ü', '客户', '😀', 'ÿ'])(
  '%s is counted in bytes, not in characters',
  async (id) => {
    const { get } = await listening()
    for (const _ of ['minted', 'kept']) {
      const reply = await get(id)
      const bytes = Buffer.from(await reply.arrayBuffer())
      expect(bytes.length).toBe(Number(reply.headers.get('content-length')))
      expect(JSON.parse(bytes.toString())).toMatchObject({ customer_id: id })
    }
  },
)

test('a caller who hangs up before the reply holds up nobody who came with it', async () => {
  const { get, url } = await listening()
  await get('acme')
  const leave = Array.from({ length: 20 }, () => {
    const call = request(`${url}/customers/acme/token`, { headers: { authorization } })
    call.on('error', () => {})
    call.end()
    return call
  })
  const stay = Array.from({ length: 20 }, () => get('acme'))
  for (const call of leave) call.destroy()

  const replies = await Promise.all(stay)
  expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200))
})

test('requests that come in one piece on one connection are answered in their order', async () => {
  const { url, get } = await listening()
  await get('acme')
  const ids = ['acme', 'default', 'acme', 'other', 'acme']
  const text = await exchange(
    portOf(url),
    ids
      .map((id, index) => {
        const last = index === ids.length - 1 ? 'Connection: close\r\n' : ''
        return `GET /customers/${id}/token HTTP/1.1\r\nHost: b\r\nAuthorization: ${authorization}\r\nX-Request-Id: r${index}\r\n${last}\r\n`
      })
      .join(''),
  )

  expect([...text.matchAll(/^x-request-id: (\S+)/gim)].map(([, id]) => id)).toEqual(
    ids.map((_, index) => `r${index}`),
  )
  expect([...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual([
    '200',
    '400',
    '200',
    '200',
    '200',
  ])
})

test('a row does its work once, in order, when everybody has come, and what comes meanwhile next time', async () => {
  const done: string[] = []
  const row = createRow<string>(setImmediate, (item) => {
    done.push(item)
    if (item === 'a') row.add('later')
  })
  row.add('a')
  row.add('b')
  expect(done).toEqual([])
  await after(0)
  await after(0)
  expect(done).toEqual(['a', 'b', 'later'])

  row.add('c')
  row.drain()
  expect(done.at(-1)).toBe('c')
  await after(0)
  expect(done).toHaveLength(4)
})

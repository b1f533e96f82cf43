import { once } from 'node:events'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { stopClock, until } from './clock.ts'
import { json, problem, startBroker, tokenReply } from './stand-in-broker.ts'
import { createClient } from './support.ts'

/** An API that accepts the tokens it is told to. */
async function startApi(accepts: (token: string) => boolean) {
  const seen: { method: string; token: string; body: string; extra: unknown }[] = []
  const server = createServer(async (request, response) => {
    const token = (request.headers.authorization ?? '').replace('Bearer ', '')
    const body = await text(request)
    seen.push({ method: request.method ?? '', token, body, extra: request.headers['x-extra'] })
    response.writeHead(accepts(token) ? 200 : 401).end(`for ${token}`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { url: `http://127.0.0.1:${address.port}`, seen }
}

describe('fetch', () => {
  test('adds the token to what the page sends', async () => {
    const broker = await startBroker()
    const api = await startApi(() => true)
    const client = createClient({ url: broker.url })

    const response = await client.fetch(api.url, {
      method: 'POST',
      body: 'hello',
      headers: { 'x-extra': '1' },
    })

    expect(await response.text()).toBe('for token-1')
    expect(api.seen).toEqual([{ method: 'POST', token: 'token-1', body: 'hello', extra: '1' }])
  })

  test('a refused token is replaced once, and the request repeated as it was', async () => {
    const broker = await startBroker()
    const api = await startApi((token) => token !== 'token-1')
    const client = createClient({ url: broker.url, type: 'scoped' })

    const response = await client.fetch(
      new Request(api.url, { method: 'PUT', body: 'hello', headers: { 'x-extra': '1' } }),
    )

    expect(await response.text()).toBe('for token-2')
    expect(api.seen).toEqual([
      { method: 'PUT', token: 'token-1', body: 'hello', extra: '1' },
      { method: 'PUT', token: 'token-2', body: 'hello', extra: '1' },
    ])
    expect(broker.requests[1]).toMatchObject({
      method: 'POST',
      query: {},
      body: '{"type":"scoped","refresh":true}',
    })
  })

  test('an API that refuses everything is asked twice, not for ever', async () => {
    const broker = await startBroker()
    const api = await startApi(() => false)
    const client = createClient({ url: broker.url })

    const response = await client.fetch(api.url)

    expect(response.status).toBe(401)
    expect(api.seen).toHaveLength(2)
    expect(broker.requests).toHaveLength(2)
  })

  test('requests refused together share one fresh token, even if it is the same one', async () => {
    const broker = await startBroker()
    broker.always(json(200, tokenReply('the same', { lifeS: 1200 })))
    const api = await startApi(() => false)
    const client = createClient({ url: broker.url })
    await client.getToken()

    await Promise.all(Array.from({ length: 10 }, () => client.fetch(api.url)))

    expect(broker.requests.filter((request) => request.method === 'POST')).toHaveLength(1)
    expect(api.seen).toHaveLength(20)
  })

  test('without a fresh token, the refusal is what the page gets', async () => {
    const broker = await startBroker()
    const api = await startApi(() => false)
    const client = createClient({ url: broker.url, timeoutMs: 300 })
    await client.getToken()
    broker.always(problem(429, 'rate_limited', { 'retry-after': '60' }))

    const response = await client.fetch(api.url)

    expect(response.status).toBe(401)
    expect(await response.text()).toBe('for token-1')
    expect(api.seen).toHaveLength(1)
  })

  test('any other answer is the page’s own business', async () => {
    const broker = await startBroker()
    const api = await startBroker()
    api.always(problem(403, 'forbidden'))
    const client = createClient({ url: broker.url })

    const response = await client.fetch(api.url)

    expect(response.status).toBe(403)
    expect(api.requests).toHaveLength(1)
    expect(broker.requests).toHaveLength(1)
  })
})

describe('widget', () => {
  test('a widget gets each new token, and not again the one it was made with', async () => {
    const clock = stopClock()
    const broker = await startBroker({ lifeS: 60 })
    const client = createClient({ url: broker.url, type: 'widget' })
    const given: string[] = []
    const widget = { updateToken: (token: string) => void given.push(token) }
    await client.getToken()

    const release = client.widget(widget)
    for (let second = 0; second < 150 && given.length < 3; second += 5) await clock.pass(5)
    release()
    await clock.pass(120)

    expect(given).toEqual(['token-2', 'token-3', 'token-4'])
    expect(broker.requests).toHaveLength(4)
  })

  test('a widget that was made with an older token gets the current one at once', async () => {
    const clock = stopClock()
    const broker = await startBroker({ lifeS: 60 })
    const client = createClient({ url: broker.url, type: 'widget' })
    const given: string[] = []
    await client.getToken()
    client.onToken(() => {})
    await clock.pass(45)
    await until(() => client.current()?.token === 'token-2')

    client.widget({ updateToken: (token) => void given.push(token) })
    await clock.pass(0)

    expect(given).toEqual(['token-2'])
  })
})

describe('tabs that share', () => {
  test('one of them renews, and all of them have the token', async () => {
    const broker = await startBroker({ lifeS: 3 })
    const tabs = Array.from({ length: 3 }, () => createClient({ url: broker.url, shareTabs: true }))
    const heard = tabs.map(() => new Set<string>())
    for (const [index, tab] of tabs.entries()) tab.onToken(({ token }) => heard[index]?.add(token))

    await until(() => heard.every((tokens) => tokens.has('token-2')))

    expect(heard.map((tokens) => [...tokens])).toEqual(tabs.map(() => ['token-1', 'token-2']))
    expect(broker.requests).toHaveLength(2)
  })

  test('other customers and kinds do not hear of it', async () => {
    const broker = await startBroker()
    const options = { url: broker.url, shareTabs: true }
    const first = createClient(options)
    const others = [
      createClient({ ...options, customerId: 'customer-2' }),
      createClient({ ...options, type: 'widget' }),
      createClient({ url: broker.url }),
    ]
    const near = createClient(options)

    await first.getToken()
    await until(() => near.current() !== undefined)

    expect(near.current()?.token).toBe('token-1')
    expect(others.map((client) => client.current())).toEqual([undefined, undefined, undefined])
  })
})

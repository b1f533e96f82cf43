import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, inject, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { startBrokerProcess } from '../support/process.ts'
import { environment, newCustomer, SERVICE_KEY } from '../support/service.ts'

const Attribute = z.object({ key: z.string(), value: z.record(z.string(), z.unknown()) })
const Export = z.object({
  resourceSpans: z.array(
    z.object({
      scopeSpans: z.array(
        z.object({
          spans: z.array(
            z.object({
              traceId: z.string(),
              spanId: z.string(),
              parentSpanId: z.string().optional(),
              name: z.string(),
              attributes: z.array(Attribute).default([]),
            }),
          ),
        }),
      ),
    }),
  ),
})

/** A receiver of OTLP over HTTP, which keeps what it is sent. */
async function startReceiver() {
  const bodies: string[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    bodies.push(body)
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    text: () => bodies.join('\n'),
    spans: () =>
      bodies.flatMap((body) =>
        Export.parse(JSON.parse(body)).resourceSpans.flatMap(({ scopeSpans }) =>
          scopeSpans.flatMap(({ spans }) => spans),
        ),
      ),
  }
}

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const traceparent = `00-${TRACE}-b7ad6b7169203331-01`

async function traced(change: Record<string, string>) {
  const receiver = await startReceiver()
  const upstream = await startSandbox()
  onTestFinished(() => upstream.close())
  const { url, child, exit, line } = await startBrokerProcess(
    environment(upstream, {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      REDIS_URL: inject('redisUrl'),
      REDIS_KEY_PREFIX: `test-${crypto.randomUUID().slice(0, 8)}:`,
      SHUTDOWN_DELAY: '0ms',
      ...change,
    }),
  )
  const customer = newCustomer()
  for (const method of ['POST', 'GET']) {
    const reply = await fetch(`${url}/customers/${customer}/token`, {
      method,
      headers: {
        authorization: `Bearer ${SERVICE_KEY}`,
        traceparent,
        'content-type': 'application/json',
      },
      ...(method === 'POST' && { body: '{"type":"scoped"}' }),
    })
    expect(reply.status).toBe(200)
  }
  await line((entry) => entry.trace_id === TRACE)
  child.kill('SIGTERM')
  await exit
  return { receiver, upstream, customer }
}

test("a request is a trace under its caller's, with a span for each step, and goes on upstream", async () => {
  const { receiver, upstream, customer } = await traced({})

  const spans = receiver.spans()
  expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE]))
  const [minted] = spans.filter(({ name }) => name === 'POST /customers/:id/token')
  expect(minted?.parentSpanId).toBe('b7ad6b7169203331')
  const names = spans.map(({ name }) => name)
  for (const name of ['limit', 'limit.redis', 'issue', 'flight.wait', 'cache.redis', 'mint'])
    expect(names).toContain(name)
  expect(names.filter((name) => name === 'mint')).toHaveLength(1)
  const mint = upstream.asked.find(({ kind }) => kind === 'mint')
  expect(mint?.headers.traceparent).toContain(TRACE)
  // Neither a secret nor the customer.
  for (const secret of [...upstream.secrets, SERVICE_KEY, customer])
    expect(receiver.text()).not.toContain(secret)
})

test('the customer is in it only where that is asked for', async () => {
  const { receiver, customer } = await traced({ OTEL_INCLUDE_CUSTOMER: 'true' })

  expect(receiver.text()).toContain(customer)
})

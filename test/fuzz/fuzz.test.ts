import * as fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { brokenPromise, leak } from './promises.ts'
import { type FuzzedRequest, fuzzedBytes, fuzzedRequest } from './requests.ts'
import { type Fuzzed, startFuzzed } from './service.ts'
import { createWire } from './wire.ts'

/** A few thousand here, and a hundred thousand in `npm run test:soak`. */
const INPUTS = Number(process.env.FUZZ_INPUTS ?? 4000)
const TIME_LIMIT_MS = 60_000 + INPUTS * 20
const AT_ONCE = 50

const written = (service: Fuzzed, request: FuzzedRequest): string => {
  const { method, target, credential, headers, body } = request
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const length = body === null ? '' : `Content-Length: ${Buffer.byteLength(body, 'latin1')}\r\n`
  const own = service.credentials[credential]
  return `${method} ${target} HTTP/1.1\r\nHost: fuzz\r\n${own}${lines}${length}\r\n${body ?? ''}`
}

async function stillWell(service: Fuzzed): Promise<void> {
  const alice = await service.ask('alice')
  expect(alice.statusCode).toBe(200)
  expect(service.upstream.verify(alice.json().token)?.customer).toBe('alice')
  const faults = service
    .logged()
    .filter(({ level, msg }) => level === 'error' || level === 'fatal' || msg === 'internal error')
  expect(faults).toEqual([])
}

test(
  "no request breaks a promise, gets what is another caller's, or disturbs the next",
  async () => {
    const service = await startFuzzed()
    const wires = Array.from({ length: AT_ONCE }, () => createWire(service.url))
    onTestFinished(() => {
      for (const wire of wires) wire.close()
    })
    const statuses = new Map<number | string, number>()

    await fc.assert(
      fc.asyncProperty(
        fc.array(fuzzedRequest, { minLength: AT_ONCE, maxLength: AT_ONCE }),
        async (requests) => {
          await Promise.all(
            requests.map(async (request, index) => {
              const withoutBody = request.method === 'HEAD' || request.method === 'CONNECT'
              const reply = await wires[index]?.ask(written(service, request), withoutBody)
              if (!reply) throw new Error(`no reply to ${JSON.stringify(request)}`)
              statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1)
              const wrong = brokenPromise(service, reply) ?? leak(service, request, reply)
              if (wrong !== null)
                throw new Error(
                  `${wrong}, for ${JSON.stringify(request)}: ${reply.text.slice(0, 500)}`,
                )
            }),
          )
        },
      ),
      { numRuns: Math.ceil((INPUTS * 0.7) / AT_ONCE), endOnFailure: true },
    )

    await stillWell(service)
    console.log(`fuzzed ${INPUTS * 0.7} requests`, Object.fromEntries(statuses))
  },
  TIME_LIMIT_MS,
)

test(
  'no bytes break a promise, or what is on the connections beside them',
  async () => {
    const service = await startFuzzed()
    const statuses = new Map<number | string, number>()
    const last = 'GET /health/live HTTP/1.1\r\nHost: fuzz\r\nConnection: close\r\n\r\n'

    await fc.assert(
      fc.asyncProperty(
        fc.array(fuzzedBytes, { minLength: AT_ONCE, maxLength: AT_ONCE }),
        async (inputs) => {
          await Promise.all(
            inputs.map(async (input) => {
              const wire = createWire(service.url)
              const replies = await wire.pour(
                input.replaceAll('{{credential}}', service.credentials.alice) + last,
              )
              if (replies.length === 0) throw new Error(`no reply to ${JSON.stringify(input)}`)
              for (const reply of replies) {
                statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1)
                const wrong = brokenPromise(service, reply)
                if (wrong !== null)
                  throw new Error(
                    `${wrong}, for ${JSON.stringify(input)}: ${reply.text.slice(0, 500)}`,
                  )
              }
            }),
          )
        },
      ),
      { numRuns: Math.ceil((INPUTS * 0.3) / AT_ONCE), endOnFailure: true },
    )

    await stillWell(service)
    console.log(`fuzzed ${INPUTS * 0.3} connections`, Object.fromEntries(statuses))
  },
  TIME_LIMIT_MS,
)

import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, inject, onTestFinished } from 'vitest'
import { createPressure } from '../../src/http/pressure.ts'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { newPrefix } from '../support/brokers.ts'
import { until } from '../support/private-redis.ts'
import { spawnBroker, startBrokerProcess } from '../support/process.ts'
import { environment, newCustomer, SERVICE_KEY, startService } from '../support/service.ts'
import { healthOf, matrix, metric, untilSaid } from './matrix.ts'
import { openLine } from './sockets.ts'

const { row, isWhatTheDocumentSays } = matrix('The process')

const asService = { authorization: `Bearer ${SERVICE_KEY}` }
const ask = (url: string, customer: string) =>
  fetch(`${url}/customers/${customer}/token`, { headers: asService })

async function startUpstream() {
  const upstream = await startSandbox()
  onTestFinished(() => upstream.close())
  return upstream
}

const startProcess = async (env: Record<string, string | undefined> = {}) =>
  startBrokerProcess(environment(await startUpstream(), env))

/** A service in which the event loop is said to be late. */
async function startPressed() {
  const nothing = () => {}
  const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing }
  const gauges = { lateMs: () => 500, heapShare: () => 0.5, close: nothing }
  const pressure = createPressure({ log: silent, gauges })
  const service = await startService({ deps: { pressure } })
  const known = newCustomer()
  await service.ask(known)
  await until(() => pressure.isHigh(), 'pressure')
  return { ...service, known }
}

row(
  'It has more to do than it can, or its heap is all but full',
  [
    'Kept tokens: 200. New ones: 503 `overloaded` with `Retry-After`',
    async () => {
      const { ask, known } = await startPressed()

      const kept = await ask(known)
      const fresh = await ask(newCustomer())

      expect(kept.statusCode).toBe(200)
      expect([fresh.statusCode, fresh.json().code]).toEqual([503, 'overloaded'])
      expect(Number(fresh.headers['retry-after'])).toBeGreaterThanOrEqual(1)
    },
  ],
  [
    'A `warn` line when it begins and an `info` line when it ends; `nodejs_eventloop_lag_seconds`, `token_requests_total{outcome="failed"}`; ready and live',
    async () => {
      const service = await startPressed()
      await service.ask(newCustomer())

      const failed = 'token_requests_total{type="scoped",outcome="failed"}'
      expect(await metric(service, failed)).toBe(1)
      expect(await healthOf(service)).toMatchObject({ ready: 200, live: 200 })
    },
  ],
)

async function startWithOneConnection() {
  const service = await startService({
    env: { PORT: '0', HOST: '127.0.0.1', OPS_PORT: '0' },
    deps: { bounds: { connections: 1 } },
  })
  const { url, opsUrl } = await service.app.listen()
  const first = await openLine(url)
  first.send('GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n')
  await until(() => first.received !== '', 'a reply')
  const second = await openLine(url)
  return { ...service, opsUrl, first, second }
}

row(
  'More connections than it takes (10,000 a port)',
  [
    'Those that are there: as ever. New ones: closed at once',
    async () => {
      const { first, second } = await startWithOneConnection()
      const soFar = first.received.length

      expect(await second.closed).toBe('')
      first.send('GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n')
      await until(() => first.received.length > soFar, 'another reply')
    },
  ],
  [
    'A `warn` line a minute; health and metrics as ever, on `OPS_PORT`',
    async () => {
      const service = await startWithOneConnection()
      await service.second.closed

      await untilSaid(service, 'too many connections')
      expect((await fetch(`${service.opsUrl}/health/live`)).status).toBe(200)
    },
  ],
)

async function startTwo() {
  const env = environment(await startUpstream(), {
    REDIS_URL: inject('redisUrl'),
    REDIS_KEY_PREFIX: newPrefix(),
  })
  return Promise.all([startBrokerProcess(env), startBrokerProcess(env)])
}

row(
  'A replica is killed',
  [
    'Whoever was connected to it: a broken connection. From the others: 200, the same tokens',
    async () => {
      const [one, other] = await startTwo()
      const customer = newCustomer()
      const before: unknown = await (await ask(one.url, customer)).json()
      one.child.kill('SIGKILL')
      await one.exit

      const reply = await ask(other.url, customer)

      expect(await reply.json()).toMatchObject({ token: Object(before).token })
      await expect(ask(one.url, customer)).rejects.toThrow()
    },
  ],
  [
    'The others: nothing. What it was minting is minted by another within seconds',
    async () => {
      const [one, other] = await startTwo()
      one.child.kill('SIGKILL')
      await one.exit

      expect((await ask(other.url, newCustomer())).status).toBe(200)
      const troubled = other.logged().filter(({ level }) => level === 'warn' || level === 'error')
      expect(troubled).toEqual([])
    },
  ],
)

const stopping = async () => {
  const broker = await startProcess({ SHUTDOWN_DELAY: '400ms' })
  const customer = newCustomer()
  await ask(broker.url, customer)
  broker.child.kill('SIGTERM')
  await broker.line(({ msg }) => msg === 'stopping')
  return { ...broker, customer }
}

row(
  'A replica is stopped',
  [
    '200 for `SHUTDOWN_DELAY`, with `Connection: close`; what runs then has `SHUTDOWN_GRACE`',
    async () => {
      const { url, customer } = await stopping()

      const reply = await ask(url, customer)

      expect([reply.status, reply.headers.get('connection')]).toEqual([200, 'close'])
    },
  ],
  [
    '`/health/ready` 503 from the signal on, live to the end; exit status 0',
    async () => {
      const { url, exit } = await stopping()

      const ready = await fetch(`${url}/health/ready`)
      const live = await fetch(`${url}/health/live`)

      expect([ready.status, live.status]).toEqual([503, 200])
      expect(await exit).toBe(0)
    },
  ],
)

/** Throws at SIGUSR2, in the place of a fault that nobody has thought of. */
const faulty = (how: 'throw' | 'Promise.reject') =>
  `--import=data:text/javascript,process.on('SIGUSR2',()=>{${how}(new/**/Error('unforeseen'))})`

async function breakDown(how: 'throw' | 'Promise.reject') {
  const broker = await startProcess({ NODE_OPTIONS: faulty(how) })
  await ask(broker.url, newCustomer())
  broker.child.kill('SIGUSR2')
  return broker
}

row(
  'It meets an error that nobody has foreseen',
  [
    'A broken connection; the other replicas go on',
    async () => {
      const { url, exit } = await breakDown('throw')
      await exit

      await expect(ask(url, newCustomer())).rejects.toThrow()
    },
  ],
  [
    'A `fatal` line with the error; exit status 1, so that it is started afresh',
    async () => {
      for (const how of ['throw', 'Promise.reject'] as const) {
        const { exit, logged } = await breakDown(how)

        expect(await exit).toBe(1)
        const [line] = logged().filter(({ level }) => level === 'fatal')
        expect(line?.msg).toBe('unhandled error')
        expect(JSON.stringify(line)).toContain('unforeseen')
      }
    },
  ],
)

/** Takes nothing, as a full disk does. */
const FULL = '/dev/full'

row(
  'The disk of the audit is full',
  [
    '200 as ever',
    async () => {
      const { url } = await startProcess({ AUDIT_LOG: FULL })
      const statuses = []
      for (let time = 0; time < 5; time++) statuses.push((await ask(url, newCustomer())).status)

      expect(statuses).toEqual([200, 200, 200, 200, 200])
    },
  ],
  [
    'An `error` line a minute, with how many lines are lost',
    async () => {
      const { url, line } = await startProcess({ AUDIT_LOG: FULL })
      for (let time = 0; time < 5; time++) await ask(url, newCustomer())

      const told = await line(({ msg }) => msg === 'the audit log cannot be written')
      expect([told.level, typeof told.lost]).toEqual(['error', 'number'])
    },
  ],
  existsSync(FULL),
)

row(
  'The configuration, or the file of the audit, is no good at the start',
  [
    'No connection',
    async () => {
      const { exit } = spawnBroker(environment(await startUpstream(), { PORT: 'eighty' }))

      expect(await exit).toBe(78)
    },
  ],
  [
    'A `fatal` line for each mistake, by name and without the value; exit status 78, or 1 for the file',
    async () => {
      const upstream = await startUpstream()
      const settings = spawnBroker(environment(upstream, { PORT: 'eighty' }))
      const file = spawnBroker(environment(upstream, { AUDIT_LOG: '/nowhere/audit' }))

      expect([await settings.exit, await file.exit]).toEqual([78, 1])
      const [told] = settings.logged()
      expect([told?.level, String(told?.problem)]).toEqual([
        'fatal',
        expect.stringMatching(/^PORT/),
      ])
      expect(file.logged().map(({ level }) => level)).toContain('fatal')
    },
  ],
)

async function startWithBrokenSecret() {
  const path = await mkdtemp(join(tmpdir(), 'token-broker-test-'))
  onTestFinished(() => rm(path, { recursive: true }))
  const file = join(path, 'keys')
  await writeFile(file, `backend:${SERVICE_KEY}\n`)
  const broker = await startProcess({ API_KEYS: undefined, API_KEYS_FILE: file })
  await writeFile(file, 'backend:short\n')
  const told = await broker.line(({ msg }) => msg?.includes('not usable') === true)
  return { ...broker, told }
}

row(
  'A secret file becomes unusable',
  [
    'As before: the old secrets stay',
    async () => {
      const { url } = await startWithBrokenSecret()

      expect((await ask(url, newCustomer())).status).toBe(200)
    },
  ],
  [
    'An `error` line with the name of the setting',
    async () => {
      const { told } = await startWithBrokenSecret()

      expect([told.level, JSON.stringify(told.problems)]).toEqual([
        'error',
        expect.stringContaining('API_KEYS'),
      ])
    },
  ],
)

isWhatTheDocumentSays()

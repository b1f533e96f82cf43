import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, createServer, get } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { spawnBroker, startBrokerProcess } from '../support/process.ts'
import { environment, newCustomer, SERVICE_KEY } from '../support/service.ts'

const asService = { authorization: `Bearer ${SERVICE_KEY}` }

async function startUpstream() {
  const upstream = await startSandbox()
  onTestFinished(() => upstream.close())
  return upstream
}

async function folder() {
  const path = await mkdtemp(join(tmpdir(), 'token-broker-test-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}

const tokenOf = async (reply: Response) =>
  z.object({ token: z.string() }).parse(await reply.json()).token

const ask = (url: string, customer: string, headers: Record<string, string> = asService) =>
  fetch(`${url}/customers/${customer}/token`, { headers })

describe('the start', () => {
  test('with a wrong configuration ends with 78 and names every mistake, and no value', async () => {
    const { exit, logged } = spawnBroker({
      PORT: 'eighty',
      AIRBYTE_ACCESS_TOKEN: 'some-org-token',
      RATE_LIMIT_MAX: '-1',
    })

    expect(await exit).toBe(78)
    const told = logged().map(({ problem }) => String(problem))
    expect(told.map((problem) => problem.split(':')[0])).toEqual(['PORT', 'RATE_LIMIT_MAX', 'AUTH'])
    expect(JSON.stringify(logged())).not.toMatch(/eighty|some-org-token/)
  })

  test('keeps what Node made of the sources beside them, where nobody else can write', async () => {
    const { stderr, stdout } = spawnSync(process.execPath, ['src/start.js'], {
      env: { PATH: process.env.PATH, NODE_DEBUG_NATIVE: 'COMPILE_CACHE' },
      encoding: 'utf8',
    })
    const folders = [...`${stdout}${stderr}`.matchAll(/creating cache directory (\S+?)\.\.\./g)]
    expect(folders.map(([, path]) => dirname(path ?? ''))).toEqual([
      join(process.cwd(), 'node_modules/.cache/compiled'),
    ])
  })

  test('with AUTH=none is warned about', async () => {
    const upstream = await startUpstream()

    const { url, line } = await startBrokerProcess({
      ...environment(upstream, { API_KEYS: undefined, AUTH: 'none' }),
    })

    await line(({ level, msg }) => level === 'warn' && msg?.startsWith('AUTH=none') === true)
    expect((await ask(url, newCustomer(), {})).status).toBe(200)
  })

  test('on a port that is taken ends at once and names the settings', async () => {
    const upstream = await startUpstream()
    const taken = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void taken.close())
    await new Promise((resolve) => taken.once('listening', resolve))
    const { port } = taken.address() as AddressInfo

    const { exit, logged } = spawnBroker({ ...environment(upstream, {}), PORT: String(port) })

    expect(await exit).toBe(1)
    expect(logged().some(({ level, msg }) => level === 'fatal' && msg?.includes('PORT'))).toBe(true)
  })

  test('without Redis in reach serves all the same, degraded, and says so once', async () => {
    const upstream = await startUpstream()
    const { url, opsUrl, logged } = await startBrokerProcess(
      environment(upstream, { REDIS_URL: 'redis://127.0.0.1:9' }),
    )
    const customer = newCustomer()

    const first = await ask(url, customer)
    const second = await ask(url, customer)
    const health = await fetch(`${opsUrl}/health`)

    expect([first.status, second.status]).toEqual([200, 200])
    expect(second.headers.get('cache-status')).toBe('token-broker; hit')
    expect(second.headers.get('ratelimit')).toBe('"customer";r=98;t=900')
    expect(health.status).toBe(200)
    expect(await health.json()).toMatchObject({
      status: 'degraded',
      checks: { redis: { status: 'away' } },
    })
    expect(
      logged().filter(({ level, msg }) => level === 'warn' && /redis/i.test(msg ?? '')),
    ).toHaveLength(1)
  })
})

describe('two replicas on one Redis', () => {
  test('share the token and the count', async () => {
    const upstream = await startUpstream()
    const env = environment(upstream, {
      REDIS_URL: inject('redisUrl'),
      REDIS_KEY_PREFIX: `test-${crypto.randomUUID().slice(0, 8)}:`,
      RATE_LIMIT_MAX: '3',
    })
    const [one, two] = await Promise.all([startBrokerProcess(env), startBrokerProcess(env)])
    const customer = newCustomer()

    const first = await ask(one.url, customer)
    const second = await ask(two.url, customer)
    const third = await ask(one.url, customer)
    const fourth = await ask(two.url, customer)

    expect(await tokenOf(first)).toBe(await tokenOf(second))
    expect([first, second, third, fourth].map(({ status }) => status)).toEqual([200, 200, 200, 429])
    expect(upstream.counts.mints.total).toBe(1)
  })
})

describe('a changed secret file takes effect without a restart', () => {
  test('service keys: the new one counts, the old one is refused', async () => {
    const upstream = await startUpstream()
    const file = join(await folder(), 'keys')
    await writeFile(file, `backend:${SERVICE_KEY}\n`)
    const { url, line } = await startBrokerProcess(
      environment(upstream, { API_KEYS: undefined, API_KEYS_FILE: file }),
    )
    expect((await ask(url, newCustomer())).status).toBe(200)

    await writeFile(file, 'backend:another-service-key-0123456789\n')
    await line(({ msg }) => msg === 'a secret file has changed and is in use')

    expect((await ask(url, newCustomer())).status).toBe(401)
    const other = { authorization: 'Bearer another-service-key-0123456789' }
    expect((await ask(url, newCustomer(), other)).status).toBe(200)
  })

  test('an unusable one is told, and the old one stays', async () => {
    const upstream = await startUpstream()
    const file = join(await folder(), 'keys')
    await writeFile(file, `backend:${SERVICE_KEY}\n`)
    const { url, line } = await startBrokerProcess(
      environment(upstream, { API_KEYS: undefined, API_KEYS_FILE: file }),
    )

    await writeFile(file, 'backend:short\n')
    const told = await line(
      ({ level, msg }) => level === 'error' && msg?.includes('not usable') === true,
    )

    expect(JSON.stringify(told)).toContain('API_KEYS')
    expect(JSON.stringify(told)).not.toContain('backend:short')
    expect((await ask(url, newCustomer())).status).toBe(200)
  })

  test('client credentials: the new secret is used at the next exchange', async () => {
    const upstream = await startUpstream()
    const file = join(await folder(), 'secret')
    await writeFile(file, 'wrong-client-secret')
    const { url, opsUrl, line } = await startBrokerProcess(
      environment(upstream, { AIRBYTE_CLIENT_SECRET: undefined, AIRBYTE_CLIENT_SECRET_FILE: file }),
    )
    expect((await ask(url, newCustomer())).status).toBe(502)
    expect((await fetch(`${opsUrl}/health/ready`)).status).toBe(503)

    await writeFile(file, upstream.clientSecret)
    await line(({ msg }) => msg === 'a secret file has changed and is in use')

    expect((await ask(url, newCustomer())).status).toBe(200)
    expect((await fetch(`${opsUrl}/health/ready`)).status).toBe(200)
  })
})

describe('the stop', () => {
  test('SIGTERM: not ready at once, still serving, running requests finish, status 0', async () => {
    const upstream = await startUpstream()
    const { url, child, line, exit } = await startBrokerProcess(
      environment(upstream, { SHUTDOWN_DELAY: '500ms' }),
    )
    const customer = newCustomer()
    await ask(url, customer)
    const hold = upstream.hold('mint')
    const running = ask(url, newCustomer())
    await hold.reached(1)

    child.kill('SIGTERM')
    await line(({ msg }) => msg === 'stopping')
    const ready = await fetch(`${url}/health/ready`)
    const cached = await ask(url, customer)
    hold.release()

    expect([ready.status, cached.status, (await running).status]).toEqual([503, 200, 200])
    expect(cached.headers.get('connection')).toBe('close')
    expect(await exit).toBe(0)
  })

  test('a connection that was busy at the signal and is kept alive does not hold it up', async () => {
    const upstream = await startUpstream()
    const { url, child, line, exit } = await startBrokerProcess(
      environment(upstream, { SHUTDOWN_DELAY: '0ms', SHUTDOWN_GRACE: '60s' }),
    )
    const hold = upstream.hold('mint')
    const agent = new Agent({ keepAlive: true })
    onTestFinished(() => agent.destroy())
    const running = new Promise<number | undefined>((resolve) => {
      const path = `/customers/${newCustomer()}/token`
      get(`${url}${path}`, { agent, headers: asService }, (reply) => {
        reply.resume()
        resolve(reply.statusCode)
      })
    })
    await hold.reached(1)

    child.kill('SIGTERM')
    await line(({ msg }) => msg === 'stopping')
    hold.release()

    expect(await running).toBe(200)
    expect(await exit).toBe(0)
  })

  test('a request that never ends is cut off at the end of the grace', async () => {
    const upstream = await startUpstream()
    const { url, child, exit } = await startBrokerProcess(
      environment(upstream, {
        SHUTDOWN_DELAY: '0ms',
        SHUTDOWN_GRACE: '200ms',
        UPSTREAM_TIMEOUT: '60s',
      }),
    )
    const hold = upstream.hold('mint')
    const running = ask(url, newCustomer()).catch(() => 'cut off')
    await hold.reached(1)

    child.kill('SIGTERM')

    expect(await running).toBe('cut off')
    expect(await exit).toBe(0)
  })

  test('half-open connections do not hold it up', async () => {
    const upstream = await startUpstream()
    const { url, child, exit } = await startBrokerProcess(
      environment(upstream, { SHUTDOWN_DELAY: '0ms', SHUTDOWN_GRACE: '200ms' }),
    )
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () =>
      socket.write('GET /customers/a/token HTTP/1.1\r\nHost: a\r\n'),
    )
    socket.on('error', () => {})
    await new Promise((resolve) => socket.once('connect', resolve))

    child.kill('SIGTERM')

    expect(await exit).toBe(0)
  })

  test('the same signal twice, as npm sends it, is one; a later one ends it at once', async () => {
    const upstream = await startUpstream()
    const { child, exit, line } = await startBrokerProcess(
      environment(upstream, { SHUTDOWN_DELAY: '60s' }),
    )

    child.kill('SIGTERM')
    await line(({ msg }) => msg === 'stopping')
    child.kill('SIGTERM')
    const stopped = await Promise.race([
      exit,
      new Promise((resolve) => setTimeout(resolve, 1200, 'still there')),
    ])
    child.kill('SIGTERM')

    expect(stopped).toBe('still there')
    expect(await exit).toBe(1)
  })
})

import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { Redis } from 'ioredis'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { RedisSettings } from '../../src/redis/client.ts'
import { createScript } from '../../src/redis/script.ts'
import { createTestLog, redisSettings, startLink } from '../support/brokers.ts'
import {
  freePort,
  type PrivateRedis,
  type PrivateRedisOptions,
  startPrivateRedis,
  until,
} from '../support/private-redis.ts'

// Real processes, on machines that may have much else to do.
vi.setConfig({ testTimeout: 60_000 })

async function startOwn(options: PrivateRedisOptions = {}): Promise<PrivateRedis> {
  const redis = await startPrivateRedis(options)
  onTestFinished(() => redis.stop())
  return redis
}

async function linkTo(redis: { url: string }, change: Partial<RedisSettings> = {}) {
  const log = createTestLog()
  const link = await startLink(redisSettings({ url: redis.url, ...change }), log)
  await until(() => link.up, 'Redis')
  return { link, log, ping: () => link.run((client) => client.ping()) }
}

async function admin(redis: { url: string }): Promise<Redis> {
  const client = new Redis(redis.url)
  onTestFinished(() => client.disconnect())
  return client
}

const warnings = ({ lines }: ReturnType<typeof createTestLog>) =>
  lines.filter(({ level }) => level === 'warn')

/** How long a call takes to fail. */
async function timeToFail(call: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await expect(call()).rejects.toThrow()
  return performance.now() - startedAt
}

describe('starting', () => {
  test('the first calls wait for the first connection rather than go without', async () => {
    const redis = await startOwn()
    const link = await startLink(redisSettings({ url: redis.url }))

    expect(await link.run((client) => client.ping())).toBe('PONG')
  })

  test('a Redis that is not there is said once, tried for ever, and used when it comes', async () => {
    const port = await freePort()
    const log = createTestLog()
    const link = await startLink(redisSettings({ url: `redis://127.0.0.1:${port}` }), log)
    await until(() => warnings(log).length > 0, 'a warning')

    expect(link.up).toBe(false)
    expect(await timeToFail(() => link.run((client) => client.ping()))).toBeLessThan(50)

    await startOwn({ port })
    await until(() => link.up, 'Redis')
    expect(await link.run((client) => client.ping())).toBe('PONG')
    await until(() => log.lines.some(({ level }) => level === 'info'), 'that it is back')
    expect(log.lines).toHaveLength(2)
  })

  test('a server that takes connections and says nothing delays nobody', async () => {
    const sockets = new Set<Socket>()
    const server = createServer((socket) => sockets.add(socket)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : 0
    const link = await startLink(redisSettings({ url: `redis://127.0.0.1:${port}` }))

    const times = await Promise.all(
      Array.from({ length: 20 }, () => timeToFail(() => link.run((client) => client.ping()))),
    )

    expect(Math.max(...times)).toBeLessThan(400)
    expect(link.up).toBe(false)
  })
})

describe('Redis that goes away', () => {
  test('killed: calls fail at once, one line is logged, and it is used when it is back', async () => {
    const redis = await startOwn()
    const { link, log, ping } = await linkTo(redis)

    await redis.kill()
    await until(() => !link.up, 'the loss')
    for (let i = 0; i < 50; i++) expect(await timeToFail(ping)).toBeLessThan(50)
    await redis.start()
    await until(() => link.up, 'Redis')

    expect(await ping()).toBe('PONG')
    await until(() => log.lines.length === 3, 'that it is back')
    expect(log.lines.map(({ level }) => level)).toEqual(['info', 'warn', 'info'])
  })

  test('paused: nobody waits longer than about the limit, then nobody waits; and it is used when it answers', async () => {
    const redis = await startOwn()
    const { link, log, ping } = await linkTo(redis)

    await redis.pause()
    const first = await Promise.all(Array.from({ length: 100 }, () => timeToFail(ping)))
    const later = await timeToFail(ping)
    expect(Math.max(...first)).toBeLessThan(400)
    expect(later).toBeLessThan(20)
    expect(link.up).toBe(false)

    await redis.resume()
    await until(() => link.up, 'Redis')
    expect(await ping()).toBe('PONG')
    expect(warnings(log)).toHaveLength(1)
  })

  test('paused for longer than a socket is believed in, and while connecting: still found again', async () => {
    const redis = await startOwn()
    const { link, ping } = await linkTo(redis)
    await redis.pause()
    await timeToFail(ping)

    await new Promise((resolve) => setTimeout(resolve, 6_500))
    await redis.resume()

    await until(() => link.up, 'Redis', 5_000)
    expect(await ping()).toBe('PONG')
  })

  test.each([
    ['full', { maxmemory: '1', 'maxmemory-policy': 'noeviction' }, { maxmemory: '0' }, 'OOM'],
    [
      'short of replicas',
      { 'min-replicas-to-write': '1' },
      { 'min-replicas-to-write': '0' },
      'NOREPLICAS',
    ],
  ])('%s: it is let alone until it takes writes again', async (_, spoil, mend, reason) => {
    const redis = await startOwn()
    const { link, log } = await linkTo(redis)
    const client = await admin(redis)
    const write = () => link.run((each) => each.set(link.key('x'), '1'))
    await client.config('SET', ...Object.entries(spoil).flat())

    await timeToFail(write)
    expect(await timeToFail(write)).toBeLessThan(50)
    expect(link.up).toBe(false)

    await client.config('SET', ...Object.entries(mend).flat())
    await until(() => link.up, 'Redis')
    expect(await write()).toBe('OK')
    expect(warnings(log)).toMatchObject([{ fields: { reason } }])
  })

  test('a former master that has become a replica is let go of', async () => {
    const redis = await startOwn()
    const { link } = await linkTo(redis)
    const client = await admin(redis)
    await client.replicaof('127.0.0.1', 1)

    await timeToFail(() => link.run((each) => each.set(link.key('x'), '1')))
    expect(link.up).toBe(false)

    await client.replicaof('NO', 'ONE')
    await until(() => link.up, 'Redis')
  })

  test('a connection that the library has given up is opened again', async () => {
    const redis = await startOwn()
    const { link, ping } = await linkTo(redis)

    await link.run(async (client) => client.disconnect())
    await until(() => !link.up, 'the loss')

    await until(() => link.up, 'Redis')
    expect(await ping()).toBe('PONG')
  })

  test('a server that loads its data is waited for, without anybody waiting for it', async () => {
    const redis = await startOwn({ args: ['--save', '1 1', '--enable-debug-command', 'yes'] })
    const client = await admin(redis)
    await client.call('DEBUG', 'POPULATE', '2000')
    await client.config('SET', 'key-load-delay', '500')
    const { link, ping } = await linkTo(redis)
    client.call('DEBUG', 'RELOAD').catch(() => {})
    await until(async () => (await timeToFailOrNot(ping)) > 0, 'a refusal')

    await until(() => link.up, 'Redis', 10_000)
    expect(await ping()).toBe('PONG')
  })

  async function timeToFailOrNot(call: () => Promise<unknown>): Promise<number> {
    const startedAt = performance.now()
    return call().then(
      () => 0,
      () => performance.now() - startedAt,
    )
  }

  test('a burst that keeps our own event loop busy is not taken for a slow Redis', async () => {
    const redis = await startOwn()
    const { log, ping } = await linkTo(redis)

    const answers = Array.from({ length: 200 }, ping)
    const end = performance.now() + 600
    while (performance.now() < end);

    expect(new Set(await Promise.all(answers))).toEqual(new Set(['PONG']))
    expect(warnings(log)).toEqual([])
  })

  test('a refusal of one command is told once, and says nothing about the server', async () => {
    const redis = await startOwn()
    const { link, log } = await linkTo(redis)

    for (let i = 0; i < 3; i++)
      await timeToFail(() => link.run((client) => client.call('NOSUCHCOMMAND', 'a-customer')))

    expect(link.up).toBe(true)
    expect(warnings(log)).toMatchObject([{ fields: { reason: 'ERR' } }])
    expect(JSON.stringify(log.lines)).not.toContain('a-customer')
  })
})

describe('messages', () => {
  test('come in, and after each loss of the connection it is said that some may be missing', async () => {
    const redis = await startOwn()
    const { link } = await linkTo(redis)
    const heard: (string | null)[] = []
    link.subscribe(link.key('channel'), (message) => heard.push(message))
    await until(() => heard.length === 1, 'the subscription')
    await link.run((client) => client.publish(link.key('channel'), 'one'))
    await until(() => heard.length === 2, 'a message')

    await redis.kill()
    await redis.start()
    await until(() => heard.length === 3, 'the next subscription')
    await until(() => link.up, 'Redis')
    await link.run((client) => client.publish(link.key('channel'), 'two'))

    await until(() => heard.length === 4, 'a message')
    expect(heard).toEqual([null, 'one', null, 'two'])
  })

  test('a connection that has silently died is found out', async () => {
    const redis = await startOwn()
    const { link } = await linkTo(redis)
    const heard: (string | null)[] = []
    link.subscribe(link.key('channel'), (message) => heard.push(message))
    await until(() => heard.length === 1, 'the subscription')

    await redis.pause()
    await new Promise((resolve) => setTimeout(resolve, 5_000))
    await redis.resume()

    await until(() => heard.length === 2, 'the next subscription')
    expect(heard).toEqual([null, null])
  })
})

test('a script that the server has forgotten is sent again', async () => {
  const redis = await startOwn()
  const { link } = await linkTo(redis)
  const script = createScript(`return { KEYS[1], ARGV[1] }`)
  const call = () => link.run((client) => script(client, link.key('x'), 'y'))
  const expected = [link.key('x'), 'y']
  expect(await call()).toEqual(expected)

  await link.run((client) => client.script('FLUSH'))

  expect(await call()).toEqual(expected)
  expect(await call()).toEqual(expected)
})

test('commands of one tick go out together', async () => {
  const redis = await startOwn()
  const { link } = await linkTo(redis)
  const client = await admin(redis)
  const readsOf = async () =>
    Number(/total_reads_processed:(\d+)/.exec(await client.info('stats'))?.[1])
  const before = await readsOf()

  await Promise.all(
    Array.from({ length: 100 }, (_, i) => link.run((each) => each.set(link.key(`k${i}`), '1'))),
  )

  expect((await readsOf()) - before).toBeLessThan(10)
})

test('nothing of a closed link keeps trying', async () => {
  const redis = await startOwn()
  const { link, ping } = await linkTo(redis)
  link.subscribe(link.key('channel'), () => {})
  const client = await admin(redis)

  await link.close()

  await expect(ping()).rejects.toThrow()
  await until(
    async () =>
      String(await client.client('LIST'))
        .split('\n')
        .filter((line) => line.includes('name=token-broker')).length === 0,
    'no connection of ours',
  )
})

import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { RedisSettings } from '../../src/redis/client.ts'
import type { ReloadableRedisLink } from '../../src/redis/redis-link.ts'
import {
  ANY,
  createTestUpstream,
  newCustomerId,
  redisSettings,
  requestFor,
  startBroker,
  startLink,
} from '../support/brokers.ts'
import { until } from '../support/private-redis.ts'
import { startRedisCluster, startSentinelTrio, startTlsRedis } from '../support/redis-shapes.ts'

// Real processes, on machines that may have much else to do.
vi.setConfig({ testTimeout: 60_000 })

/** Two replicas over this Redis: what one mints the other has, and what one forgets the other forgets. */
async function startTwo(settings: RedisSettings) {
  const links = [await startLink(settings), await startLink(settings)] as const
  const upstream = createTestUpstream()
  await until(() => links.every((link) => link.up), 'Redis')
  const [a, b] = [
    startBroker(upstream, { redis: links[0] }),
    startBroker(upstream, { redis: links[1] }),
  ]

  async function share(count = 30): Promise<void> {
    const requests = Array.from({ length: count }, () => requestFor(newCustomerId()))
    const minted = upstream.minted.length
    for (const request of requests) expect(await b.token(request)).toBe(await a.token(request))
    await Promise.all(requests.map(({ customerId }) => a.evictCustomer(customerId)))
    for (const request of requests)
      await until(() => b.issue(request, ANY) instanceof Promise, 'b to forget')
    await until(() => upstream.minted.length === minted + 2 * count, 'mints after the eviction')
    expect(upstream.minted.length).toBe(minted + 2 * count)
  }
  return { links, upstream, a, b, share }
}

const areUp = (links: readonly ReloadableRedisLink[]) => links.every((link) => link.up)

test('TLS with a user who may do no more than the README says, and a password that changes', async () => {
  const settings = redisSettings()
  const redis = await startTlsRedis(settings.keyPrefix)
  onTestFinished(() => redis.stop())
  const before = getCACertificates('default')
  setDefaultCACertificates([...before, redis.ca])
  onTestFinished(() => setDefaultCACertificates(before))
  const login = { username: redis.user.name, password: redis.user.password }
  const by = { ...settings, url: redis.tlsUrl, ...login }
  const { links, share } = await startTwo(by)

  await share()

  await redis.setPassword('another password')
  await until(() => !areUp(links), 'the loss')
  for (const link of links) link.reload({ ...by, password: 'another password' })
  await until(() => areUp(links), 'Redis by the new password')
  await share()
})

test('a certificate that nobody vouches for is not believed', async () => {
  const settings = redisSettings()
  const redis = await startTlsRedis(settings.keyPrefix)
  onTestFinished(() => redis.stop())
  const link = await startLink({
    ...settings,
    url: redis.tlsUrl,
    username: redis.user.name,
    password: redis.user.password,
  })

  await expect(link.run((client) => client.ping())).rejects.toThrow()
  expect(link.up).toBe(false)
})

test('Sentinel: the fleet goes on with the master that is, through a failover', async () => {
  const trio = await startSentinelTrio()
  onTestFinished(() => trio.stop())
  const { links, share } = await startTwo(
    redisSettings({ sentinels: { nodes: trio.sentinels, name: trio.name } }),
  )
  await share()

  const old = await trio.master()
  await old.kill()
  await until(() => !areUp(links), 'the loss')
  await until(async () => (await trio.master()) !== old, 'another master', 20_000)
  await until(() => areUp(links), 'Redis', 10_000)

  await share()
}, 60_000)

test('Cluster: every script touches one slot, and the fleet goes on through a failover', async () => {
  const cluster = await startRedisCluster()
  onTestFinished(() => cluster.stop())
  const settings = redisSettings({ clusterNodes: cluster.addresses })
  const { links, a, b, share } = await startTwo(settings)
  await share(60)
  const [link] = links

  await a.evictAll()

  const lost = await cluster.masterOf(link.key('v1:epoch'))
  await lost.kill()
  await until(
    async () => (await cluster.masterOf(link.key('v1:epoch'))) !== lost,
    'another master',
    20_000,
  )
  await until(
    async () => {
      try {
        await link.run((client) => client.get(link.key('v1:epoch')))
        return areUp(links)
      } catch {
        return false
      }
    },
    'Redis',
    10_000,
  )
  await until(
    async () => {
      const request = requestFor(newCustomerId())
      return (await a.token(request)) === (await b.token(request))
    },
    'a shared token',
    10_000,
  )

  await share(60)
}, 90_000)

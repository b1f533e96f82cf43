import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'vitest'
import { until } from '../../support/private-redis.ts'
import { hurriedRules } from './hurried-rules.ts'
import { type ObservedBroker, startObservedFleet } from './observed-fleet.ts'
import { startPrivatePrometheus } from './private-prometheus.ts'
import { steadyLoad } from './steady-load.ts'

/** The product, a real Prometheus with our rules at sixty times their speed, and what breaks and mends it. */
async function watchedFleet({ onTestFinished }: TestContext) {
  const fleet = await startObservedFleet()
  onTestFinished(fleet.stop)

  return {
    ...fleet,
    async watch(...brokers: readonly ObservedBroker[]) {
      const prometheus = await startPrivatePrometheus({
        jobs: { 'token-broker': brokers.map(({ opsUrl }) => opsUrl) },
        rules: hurriedRules(),
      })
      onTestFinished(prometheus.stop)
      const isFiring = async (alert: string) => (await prometheus.firing()).includes(alert)
      await until(
        async () => (await prometheus.query('token_broker_build_info')).length === brokers.length,
        'every broker scraped',
        20_000,
      )
      // Before the first scrape there is no replica.
      await until(async () => (await prometheus.firing()).length === 0, 'no alert', 20_000)
      return {
        fires: (alert: string) => until(() => isFiring(alert), `${alert} fires`, 90_000),
        clears: (alert: string) =>
          until(async () => !(await isFiring(alert)), `${alert} clears`, 90_000),
      }
    },
    load(perSecond: number, once: (index: number) => Promise<unknown>) {
      const load = steadyLoad(perSecond, once)
      onTestFinished(load.stop)
      return load
    },
  }
}

async function secretFile({ onTestFinished }: TestContext, text: string) {
  const folder = await mkdtemp(join(tmpdir(), 'token-broker-secret-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const path = join(folder, 'secret')
  await writeFile(path, text)
  return { path, change: (changed: string) => writeFile(path, changed) }
}

const encryptionKey = (id: string) => `${id}:${randomBytes(32).toString('base64')}`

describe.concurrent('an alert is driven to fire by a fault, and to clear by its remedy', () => {
  test('mints fail: TokenBrokerRequestsFailingFast and -Slowly', async (context) => {
    const fleet = await watchedFleet(context)
    const broker = await fleet.broker()
    const { fires, clears } = await fleet.watch(broker)
    fleet.load(20, (index) => broker.ask(index % 10 === 0 ? `new-${index}` : 'known'))

    fleet.sandbox.fail({ what: 'status', on: 'mint', status: 403, times: 'always' })
    await fires('TokenBrokerRequestsFailingFast')
    await fires('TokenBrokerRequestsFailingSlowly')

    fleet.sandbox.clearFaults()
    await clears('TokenBrokerRequestsFailingFast')
    await clears('TokenBrokerRequestsFailingSlowly')
  })

  test('the exchange is away: TokenBrokerOrgTokenNotRenewed', async (context) => {
    const fleet = await watchedFleet(context)
    fleet.sandbox.configure({ orgTokenLifeMs: 8_000 })
    const broker = await fleet.broker()
    const { fires, clears } = await fleet.watch(broker)
    fleet.load(5, (index) => broker.ask(`new-${index}`))

    fleet.sandbox.fail({ what: 'status', on: 'exchange', status: 503, times: 'always' })
    await fires('TokenBrokerOrgTokenNotRenewed')

    fleet.sandbox.configure({ orgTokenLifeMs: 900_000 })
    fleet.sandbox.clearFaults()
    await clears('TokenBrokerOrgTokenNotRenewed')
  })

  test('a static org token runs out: TokenBrokerStaticOrgTokenEnding', async (context) => {
    const fleet = await watchedFleet(context)
    const secret = await secretFile(context, await fleet.sandbox.issueOrgToken(660_000))
    const broker = await fleet.broker({
      AIRBYTE_CLIENT_ID: '',
      AIRBYTE_CLIENT_SECRET: '',
      AIRBYTE_TOKEN_URL: '',
      AIRBYTE_ACCESS_TOKEN_FILE: secret.path,
    })
    const { fires, clears } = await fleet.watch(broker)

    await secret.change(await fleet.sandbox.issueOrgToken(590_000))
    await fires('TokenBrokerStaticOrgTokenEnding')

    await secret.change(await fleet.sandbox.issueOrgToken(3_600_000))
    await clears('TokenBrokerStaticOrgTokenEnding')
  })

  test('the first credential is refused: TokenBrokerPreviousCredentialInUse', async (context) => {
    const fleet = await watchedFleet(context)
    fleet.sandbox.configure({ orgTokenLifeMs: 3_000 })
    const { clientId, clientSecret } = fleet.sandbox
    const broker = await fleet.broker({
      AIRBYTE_CLIENT_ID: 'second-application',
      AIRBYTE_CLIENT_SECRET: 'its-secret',
      AIRBYTE_CLIENT_ID_PREVIOUS: clientId,
      AIRBYTE_CLIENT_SECRET_PREVIOUS: clientSecret,
    })
    const { fires, clears } = await fleet.watch(broker)
    fleet.load(5, (index) => broker.ask(`new-${index}`))
    await fires('TokenBrokerPreviousCredentialInUse')

    fleet.sandbox.configure({
      clients: [
        { id: clientId, secret: clientSecret },
        { id: 'second-application', secret: 'its-secret' },
      ],
    })
    await clears('TokenBrokerPreviousCredentialInUse')
  })

  test('Redis goes away: TokenBrokerRedisAway, TokenBrokerLimiterDegraded', async (context) => {
    const fleet = await watchedFleet(context)
    const brokers = [await fleet.broker(), await fleet.broker()] as const
    const { fires, clears } = await fleet.watch(...brokers)
    fleet.load(10, (index) => brokers[index % 2 === 0 ? 0 : 1].ask('customer'))

    await fleet.redis.kill()
    await fires('TokenBrokerLimiterDegraded')
    await fires('TokenBrokerRedisAway')

    await fleet.redis.start()
    await clears('TokenBrokerRedisAway')
    await clears('TokenBrokerLimiterDegraded')
  })

  test('tokens live four seconds: TokenBrokerMintsPerCustomerHigh', async (context) => {
    const fleet = await watchedFleet(context)
    const broker = await fleet.broker()
    const { fires, clears } = await fleet.watch(broker)
    fleet.sandbox.configure({ scopedLifeMs: 4_000 })
    fleet.load(40, (index) => broker.ask(`customer-${index % 20}`))
    await fires('TokenBrokerMintsPerCustomerHigh')

    fleet.sandbox.configure({ scopedLifeMs: 1_200_000 })
    await clears('TokenBrokerMintsPerCustomerHigh')
  })

  test('a replica lacks a key: TokenBrokerCacheUndecipherable', async (context) => {
    const fleet = await watchedFleet(context)
    const [old, fresh] = [encryptionKey('old'), encryptionKey('fresh')]
    const secret = await secretFile(context, fresh)
    const before = await fleet.broker({ CACHE_ENCRYPTION_KEYS: old })
    const after = await fleet.broker({ CACHE_ENCRYPTION_KEYS_FILE: secret.path })
    const { fires, clears } = await fleet.watch(before, after)
    fleet.load(5, async (index) => {
      await before.ask(`new-${index}`)
      await after.ask(`new-${index}`)
    })
    await fires('TokenBrokerCacheUndecipherable')

    await secret.change(`${fresh},${old}`)
    await clears('TokenBrokerCacheUndecipherable')
  })

  test('no dialect is taken: TokenBrokerDialectUnknown', async (context) => {
    const fleet = await watchedFleet(context)
    fleet.sandbox.configure({ dialects: [] })
    const broker = await fleet.broker()
    const { fires, clears } = await fleet.watch(broker)
    fleet.load(3, (index) => broker.ask(`new-${index}`))
    await fires('TokenBrokerDialectUnknown')

    fleet.sandbox.configure({ dialects: ['applications'] })
    await clears('TokenBrokerDialectUnknown')
  })

  test('keys are guessed: TokenBrokerAuthenticationFlood', async (context) => {
    const fleet = await watchedFleet(context)
    const broker = await fleet.broker()
    const { fires, clears } = await fleet.watch(broker)
    const guesses = fleet.load(40, (index) => broker.ask('customer', '', `a-wrong-key-${index}`))
    await fires('TokenBrokerAuthenticationFlood')

    await guesses.stop()
    await clears('TokenBrokerAuthenticationFlood')
  })

  test('the last replica stops: TokenBrokerAbsent', async (context) => {
    const fleet = await watchedFleet(context)
    const broker = await fleet.broker()
    const { fires, clears } = await fleet.watch(broker)

    await broker.stop()
    await fires('TokenBrokerAbsent')

    await broker.start()
    await clears('TokenBrokerAbsent')
  })
})

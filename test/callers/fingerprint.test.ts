import { expect, test } from 'vitest'
import { runFingerprint } from '../../src/commands/fingerprint-run.ts'
import { newCustomer, startService } from '../support/service.ts'

const ring = { CACHE_ENCRYPTION_KEYS: `one:${Buffer.alloc(32, 7).toString('base64')}` }

test.each([
  ['the org credential', {}],
  ['CACHE_ENCRYPTION_KEYS', ring],
])('a token that was found leads to its line in the audit, by %s', async (_what, keys) => {
  const { ask, stop, upstream } = await startService({ env: keys })
  const customer = newCustomer()
  const { token } = (await ask(customer)).json()
  await ask(customer)
  await ask(newCustomer())
  const audit = await stop()

  const env =
    'CACHE_ENCRYPTION_KEYS' in keys
      ? keys
      : { AIRBYTE_CLIENT_ID: upstream.clientId, AIRBYTE_CLIENT_SECRET: upstream.clientSecret }
  const { out, status } = runFingerprint({ ...env, PORT: 'not looked at' }, `${token}\n`)

  expect(status).toBe(0)
  const found = audit.filter((line) => line.token_fingerprint === out)
  expect(found.map((line) => [line.event, line.customer, line.source])).toEqual([
    ['token.issued', customer, 'mint'],
    ['token.issued', customer, 'cache'],
  ])
})

test('a key that is not there, or no token, is told', () => {
  expect(runFingerprint({}, 'token')).toMatchObject({ status: 78, out: '' })
  expect(runFingerprint(ring, ' \n')).toMatchObject({ status: 2, out: '' })
  expect(runFingerprint(ring, 'two tokens')).toMatchObject({ status: 2, out: '' })
})

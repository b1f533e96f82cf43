import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { startService } from '../support/service.ts'

async function policyFile(text: string) {
  const folder = await mkdtemp(join(tmpdir(), 'token-broker-policy-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const path = join(folder, 'policy.yaml')
  await writeFile(path, text)
  return path
}

const TAGGED = `
customers:
  narrow:
    source_template_tags: [gold]
  few:
    rate_limit: { max: 2, window: 1m }
`

test('tags that the policy sets are on the token, or there is no token', async () => {
  const env = {
    POLICY_FILE: await policyFile(TAGGED),
    WIDGET_ALLOWED_ORIGINS: 'https://app.example.com',
  }
  const { ask, upstream } = await startService({ env, sandbox: { dialects: ['applications'] } })

  const widget = await ask('narrow', { query: { type: 'widget' } })
  // This dialect has no tags on scoped tokens: one without them would reach further than it may.
  const scoped = await ask('narrow')
  const others = await ask('wide')

  expect(widget.statusCode).toBe(200)
  expect(upstream.minted[0]?.sourceTags).toEqual({ tags: ['gold'], mode: 'any' })
  expect([scoped.statusCode, scoped.json().code]).toEqual([400, 'invalid_request'])
  expect(others.statusCode).toBe(200)
})

test("a customer's own limit counts in place of everybody's", async () => {
  const { ask } = await startService({ env: { POLICY_FILE: await policyFile(TAGGED) } })

  const first = await ask('few')
  await ask('few')
  const third = await ask('few')
  const others = await ask('wide')

  expect(first.headers['ratelimit-policy']).toBe('"customer";q=2;w=60')
  expect(third.statusCode).toBe(429)
  expect(others.headers['ratelimit-policy']).toBe('"customer";q=100;w=900')
})

test('one policy says for each key what it may do, and a change takes effect', async () => {
  const path = await policyFile('services:\n  other: { customers: any }\n')
  const { ask, app, stop } = await startService({ env: { POLICY_FILE: path } })

  const refused = await ask('acme')
  await writeFile(path, 'services:\n  backend: { customers: [acme] }\n')
  await app.rereadFiles()
  const own = await ask('acme')
  const foreign = await ask('globex')

  expect([refused.statusCode, own.statusCode, foreign.statusCode]).toEqual([403, 200, 403])
  const reasons = (await stop()).map(({ reason }) => reason)
  expect(reasons).toEqual(['service_not_listed', undefined, 'customer_not_of_service'])
})

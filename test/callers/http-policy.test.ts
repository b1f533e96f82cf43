import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { startSaas } from './saas.ts'

const customers = ['acme', 'ACME', 'acme-2', 'eu-1', 'constructor'] as const
const origins = ['https://app.example.com', 'https://beta.example.com']
const id = fc.constantFrom(...customers)
const kinds = fc.subarray(['scoped', 'widget'], { minLength: 1 })
const tags = fc.array(fc.constantFrom('gold', 'silver'), { minLength: 1, maxLength: 2 })
const only = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const member = fc.oneof(id, fc.constant({ prefix: 'eu-' }), fc.constant({ prefix: 'acme' }))

// A policy file as people write it, in its JSON form.
const document = fc.record({
  mode: fc.constantFrom('enforce', 'audit'),
  known_customers: fc.constantFrom('any', 'any', 'listed'),
  services: only(
    fc.record({
      backend: fc.constant({ customers: 'any' }),
      importer: only(
        fc.record({
          customers: fc.oneof(fc.constant('any'), fc.array(member, { maxLength: 2 })),
          kinds: only(kinds),
          source_template_tags: only(tags),
        }),
      ),
    }),
  ),
  customers: only(
    fc.dictionary(
      id,
      fc.record({
        kinds: only(kinds),
        source_template_tags: only(tags),
        allowed_origins: only(fc.subarray(origins)),
      }),
      { maxKeys: 3 },
    ),
  ),
})

const caller = fc.oneof(
  fc.record({
    kind: fc.constantFrom('user' as const, 'session' as const),
    own: fc.array(id, { maxLength: 2 }),
  }),
  fc.constant({ kind: 'service' as const }),
  fc.constant({ kind: 'nobody' as const }),
)
const ask = fc.record({
  customer: id,
  method: fc.constantFrom('GET' as const, 'POST' as const, 'POST' as const, 'DELETE' as const),
  type: only(fc.constantFrom('scoped', 'widget')),
  allowed_origin: only(fc.constantFrom(...origins, 'https://evil.example')),
  source_template_tags: only(fc.array(fc.constantFrom('gold', 'silver'), { maxLength: 1 })),
})

const Body = z.looseObject({ token: z.string().optional() })
const importerKey = 'importer-key-0123456789abcdefghij'

test('over any policy, caller and request: no reply carries a token of a customer the caller may not act for, and who is refused spends nothing', {
  timeout: 60_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'policy-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'policy.json')
  writeFileSync(path, '{ "mode": "enforce" }')
  const saas = await startSaas({
    POLICY_FILE: path,
    API_KEYS: `backend:test-service-key-0123456789abcdef,importer:${importerKey}`,
    RATE_LIMIT_MAX: '1000000',
    WIDGET_ALLOWED_ORIGINS: origins.join(','),
    AIRBYTE_DIALECT: 'embedded',
  })
  const spent = new Map<string, number>()

  const headersOf = async (who: typeof caller extends fc.Arbitrary<infer T> ? T : never) => {
    if (who.kind === 'service') return saas.bearer(importerKey)
    if (who.kind === 'user') return saas.asUser(who.own)
    return who.kind === 'session' ? saas.asSession(...who.own) : {}
  }

  const once = fc.asyncProperty(
    document,
    caller,
    ask,
    async (policy, who, { customer, method, ...fields }) => {
      writeFileSync(path, JSON.stringify(policy))
      await saas.app.rereadFiles()
      const headers = await headersOf(who)
      const body = JSON.parse(JSON.stringify(fields)) as Record<string, string>
      const { source_template_tags: _, ...query } = body

      const reply = await saas.ask(customer, {
        method,
        headers,
        ...(method === 'POST' && { body }),
        ...(method === 'GET' && { query }),
      })

      const { token } = reply.body === '' ? {} : Body.parse(reply.json())
      const mayActFor = who.kind === 'service' ? customers : who.kind === 'nobody' ? [] : who.own
      expect(token !== undefined).toBe(reply.statusCode === 200)
      if (token !== undefined) {
        expect(saas.upstream.verify(token)?.customer).toBe(customer)
        expect(mayActFor).toContain(customer)
        if (who.kind === 'service' && policy.mode === 'enforce' && policy.services !== undefined)
          expect(policy.services.importer).toBeDefined()
      }
      if (who.kind === 'service') expect([200, 204, 403]).toContain(reply.statusCode)
      if (who.kind === 'nobody') expect(reply.statusCode).toBe(401)

      if (reply.statusCode === 200) spent.set(customer, (spent.get(customer) ?? 0) + 1)
    },
  )
  await fc.assert(once, { numRuns: 300 })

  writeFileSync(path, '{ "mode": "enforce" }')
  await saas.app.rereadFiles()
  for (const customer of customers)
    expect(await saas.remaining(customer)).toBe(1_000_000 - (spent.get(customer) ?? 0) - 1)
  expect(saas.upstream.minted.every(({ customer }) => spent.has(customer))).toBe(true)
})

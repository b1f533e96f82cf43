import { mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type AuditEntry, createAuditLog } from '../../src/callers/audit.ts'
import { createFingerprint } from '../../src/callers/fingerprint.ts'
import type { Token } from '../../src/tokens/token.ts'

const patience = { timeout: 10_000 }

const key = Buffer.alloc(32, 1)
const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.c2lnbmF0dXJl'
const token: Token = {
  value: jwt,
  type: 'scoped',
  workspaceId: null,
  receivedAt: 0,
  expiresAt: Date.parse('2026-11-22T19:00:00.500Z'),
}

function start() {
  const folder = mkdtempSync(join(tmpdir(), 'audit-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'audit.log')
  const logged: string[] = []
  const note = (_fields: object, message: string) => void logged.push(message)
  const audit = createAuditLog(
    { destination: path, fingerprintKey: key },
    {
      log: { debug: note, info: note, warn: note, error: note },
      now: () => Date.parse('2026-11-22T18:00:00Z'),
    },
  )
  const text = (file = path) => readFileSync(file, 'utf8')
  const lines = (): unknown[] =>
    text()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
  return { ...audit, path, text, lines, logged }
}

const entry = (over: Partial<AuditEntry>): AuditEntry => ({
  decided: { event: 'token.issued', source: 'hit', token },
  caller: { kind: 'service', name: 'billing' },
  customerId: 'acme',
  type: 'scoped',
  requestId: 'request-1',
  address: '192.0.2.1',
  userAgent: 'curl/8',
  ...over,
})

test('each decision is one line that tells who, for whom, what and why, and no token', async () => {
  const { record, close, lines, text } = start()
  const user = { kind: 'user', subjectDigest: 'ab12', customerIds: new Set(['acme']) } as const

  record(entry({}))
  record(entry({ caller: user, decided: { event: 'token.issued', source: 'collapsed', token } }))
  record(
    entry({
      caller: null,
      type: null,
      decided: { event: 'token.refused', reason: 'unauthenticated' },
    }),
  )
  record(
    entry({
      caller: { kind: 'anyone' },
      decided: { event: 'token.limited', reason: 'rate_limited' },
    }),
  )
  record(entry({ decided: { event: 'token.evicted' }, userAgent: undefined }))
  record(entry({ decided: { event: 'token.introspected', active: true, value: jwt } }))
  await close()

  const common = {
    time: '2026-11-22T18:00:00.000Z',
    customer: 'acme',
    request_id: 'request-1',
    address: '192.0.2.1',
  }
  const fingerprint = createFingerprint(key)(jwt)
  expect(lines()).toEqual([
    {
      ...common,
      event: 'token.issued',
      caller: 'service',
      caller_name: 'billing',
      kind: 'scoped',
      outcome: 'allowed',
      source: 'cache',
      expires_at: '2026-11-22T19:00:00.500Z',
      token_fingerprint: fingerprint,
      user_agent: 'curl/8',
    },
    {
      ...common,
      event: 'token.issued',
      caller: 'user',
      subject: 'ab12',
      kind: 'scoped',
      outcome: 'allowed',
      source: 'mint',
      expires_at: '2026-11-22T19:00:00.500Z',
      token_fingerprint: fingerprint,
      user_agent: 'curl/8',
    },
    {
      ...common,
      event: 'token.refused',
      caller: 'unknown',
      kind: null,
      outcome: 'refused',
      reason: 'unauthenticated',
      user_agent: 'curl/8',
    },
    {
      ...common,
      event: 'token.limited',
      caller: 'anyone',
      kind: 'scoped',
      outcome: 'limited',
      reason: 'rate_limited',
      user_agent: 'curl/8',
    },
    {
      ...common,
      event: 'token.evicted',
      caller: 'service',
      caller_name: 'billing',
      kind: 'scoped',
      outcome: 'allowed',
      user_agent: null,
    },
    {
      ...common,
      event: 'token.introspected',
      caller: 'service',
      caller_name: 'billing',
      kind: 'scoped',
      outcome: 'allowed',
      active: true,
      token_fingerprint: fingerprint,
      user_agent: 'curl/8',
    },
  ])
  expect(text()).not.toContain('c2lnbmF0dXJl')
})

test('what a caller sends cannot break a line or fill the disk', async () => {
  const { record, close, lines } = start()

  record(entry({ userAgent: `a\n{"event":"token.issued"}${'x'.repeat(5000)}`, customerId: 'a\nb' }))
  await close()

  expect(lines()).toEqual([expect.objectContaining({ customer: 'a\nb' })])
  expect(JSON.stringify(lines()).length).toBeLessThan(800)
})

test('after a rotation the lines go to a new file', async () => {
  const { record, reopen, close, path, text } = start()
  record(entry({ customerId: 'before' }))
  await expect.poll(() => text(), patience).toContain('before')

  renameSync(path, `${path}.1`)
  reopen()
  await expect.poll(() => statSync(path, { throwIfNoEntry: false }), patience).toBeDefined()
  record(entry({ customerId: 'after' }))
  await close()

  expect(text()).toContain('after')
  expect(text()).not.toContain('before')
  expect(text(`${path}.1`)).toContain('before')
})

test('a request that ends after the audit does no harm', async () => {
  const { record, reopen, close, text } = start()

  await close()
  record(entry({}))
  reopen()
  await new Promise(setImmediate)

  expect(text()).toBe('')
})

test('the file is appended to, and not for everybody to read', async () => {
  const { record, close, path, lines } = start()
  record(entry({}))
  await close()
  const again = createAuditLog(
    { destination: path, fingerprintKey: key },
    { log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} } },
  )
  again.record(entry({}))
  await again.close()

  expect(lines()).toHaveLength(2)
  expect(statSync(path).mode & 0o007).toBe(0)
})

test('a file that cannot be written stops the start', () => {
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

  expect(() =>
    createAuditLog({ destination: '/nowhere/audit.log', fingerprintKey: key }, { log }),
  ).toThrow('ENOENT')
})

test('a fingerprint tells tokens apart and depends on the key', () => {
  const fingerprint = createFingerprint(key)

  expect(fingerprint(jwt)).toMatch(/^[0-9a-f]{32}$/)
  expect(fingerprint(`${jwt}x`)).not.toBe(fingerprint(jwt))
  expect(createFingerprint(Buffer.alloc(32, 2))(jwt)).not.toBe(fingerprint(jwt))
})

test.each(['base64', 'base64url'] as const)(
  'a widget token in %s has the fingerprint of the token inside',
  (form) => {
    const blob = Buffer.from(
      JSON.stringify({ token: jwt, widgetUrl: 'https://x.example' }),
    ).toString(form)

    expect(createFingerprint(key)(blob)).toBe(createFingerprint(key)(jwt))
  },
)

test.each(['', 'opaque', 'eyJ', 'eyJub3Rva2VuIjoxfQ==', 'ey{}'])(
  'any other text has one too: %j',
  (text) => {
    expect(createFingerprint(key)(text)).toMatch(/^[0-9a-f]{32}$/)
  },
)

test('a process that is about to end has every line written before it goes', async () => {
  const audit = start()
  audit.record(entry({ customerId: 'first' }))
  await expect.poll(() => audit.text(), patience).toContain('first')

  audit.record(entry({ customerId: 'last' }))
  audit.flush()

  expect(audit.text()).toContain('last')
})

test('to the output that the log shares, it is given before that is flushed', () => {
  const written: string[] = []
  const note = () => {}
  const audit = createAuditLog(
    { destination: 'stdout', fingerprintKey: key },
    {
      log: { debug: note, info: note, warn: note, error: note },
      stdout: { write: (line) => void written.push(line) },
    },
  )

  audit.record(entry({}))
  audit.flush()

  expect(written).toHaveLength(1)
})

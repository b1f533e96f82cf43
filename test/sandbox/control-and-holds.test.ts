import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { ask, mint, PATHS, sandboxWith, scopedFor } from './talk.ts'

test('over HTTP a sandbox is configured, made to fail, cleared and asked for its state', async () => {
  const sandbox = await sandboxWith({ control: true })

  const configured = await ask(sandbox, '/__sandbox/configure', { json: { mintReply: 'token' } })
  const failing = await ask(sandbox, '/__sandbox/fail', {
    json: { on: 'mint', times: 'always', what: 'status', status: 503 },
  })
  const refused = await scopedFor(sandbox, 'acme')
  const waiting = await ask(sandbox, '/__sandbox/state')
  await ask(sandbox, '/__sandbox/clear', { json: {} })
  const granted = await scopedFor(sandbox, 'acme')
  const state = await ask(sandbox, '/__sandbox/state')

  expect([configured.status, failing.status, refused.status]).toEqual([204, 204, 503])
  expect(Object.keys(granted.json)).toEqual(['token'])
  expect(waiting.json.faults).toEqual(['status'])
  expect(state.json).toMatchObject({
    faults: [],
    broken: [],
    counts: { mints: { total: 2, byCustomer: { acme: 2 } }, minted: 1, others: 0 },
    settings: { mintReply: 'token' },
  })
  for (const secret of sandbox.secrets) expect(state.text).not.toContain(secret)
  expect(state.headers.get('access-control-allow-origin')).toBe('*')
})

test('the control interface refuses what it does not understand, and says which part', async () => {
  const sandbox = await sandboxWith({ control: true })

  const setting = await ask(sandbox, '/__sandbox/configure', { json: { nonsense: 1 } })
  const fault = await ask(sandbox, '/__sandbox/fail', { json: { on: 'mint', what: 'nonsense' } })
  const extra = await ask(sandbox, '/__sandbox/fail', {
    json: { on: 'mint', what: 'hang', status: 1 },
  })
  const nothing = await ask(sandbox, '/__sandbox/nonsense')

  expect([setting, fault, extra, nothing].map(({ status }) => status)).toEqual([422, 422, 422, 404])
  expect(setting.json.detail).toContain('nonsense')
})

test('without the setting there is no control interface', async () => {
  const sandbox = await sandboxWith()

  const reply = await ask(sandbox, '/__sandbox/configure', { json: { strict: false } })

  expect(reply.status).toBe(404)
  expect(sandbox.settings.strict).toBe(true)
})

test('a hold keeps what fits until it is let go, one at a time or all', async () => {
  const sandbox = await sandboxWith()
  const hold = sandbox.hold({ on: 'mint', customer: 'held' })
  await scopedFor(sandbox, 'other')

  const replies = [1, 2, 3].map(() =>
    mint(sandbox, `${PATHS.guide}/scoped-token`, { external_id: 'held' }),
  )
  await hold.reached(3)
  const before = [hold.held, sandbox.minted.length]
  hold.releaseOne()
  await Promise.race(replies)
  const between = hold.held
  hold.release()
  await Promise.all(replies)
  await scopedFor(sandbox, 'held')

  expect(before).toEqual([3, 1])
  expect(between).toBe(2)
  expect(hold.held).toBe(0)
})

test('a held mint whose caller goes away makes nothing, and overlaps with nobody', async () => {
  const sandbox = await sandboxWith()
  const hold = sandbox.hold('mint')
  const impatience = new AbortController()
  const gone = fetch(`${sandbox.url}${PATHS.guide}/scoped-token`, {
    method: 'POST',
    signal: impatience.signal,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${sandbox.orgToken}` },
    body: '{"external_id":"acme"}',
  })
  await hold.reached(1)

  impatience.abort()
  await expect(gone).rejects.toThrow()
  await expect.poll(() => hold.held).toBe(0)
  hold.release()

  expect(sandbox.minted).toEqual([])
  expect((await scopedFor(sandbox, 'acme')).status).toBe(200)
})

test('delays are per kind, and end with the sandbox', async () => {
  const sandbox = await sandboxWith({ delays: { mint: 3_600_000 } })

  const info = await ask(sandbox, `${PATHS.guide}/scoped-token/info`)
  const slow = scopedFor(sandbox, 'acme').catch(() => 'ended')
  await expect.poll(() => sandbox.counts.mints.total).toBe(1)
  await sandbox.close()

  expect(info.status).toBe(401)
  expect(await slow).toBe('ended')
})

test('it remembers only so much, and counts all of it', async () => {
  const sandbox = await sandboxWith({ remembers: 4 })

  for (let round = 0; round < 9; round += 1) await scopedFor(sandbox, 'acme')
  const counted = sandbox.counts.minted
  const remembered = sandbox.asked.length
  sandbox.forget()

  expect(counted).toBe(9)
  expect(remembered).toBeLessThanOrEqual(4)
  expect([sandbox.asked.length, sandbox.counts.minted]).toEqual([0, 0])
})

async function sandboxProcess(env: Record<string, string>) {
  const main = fileURLToPath(new URL('../../src/sandbox/main.ts', import.meta.url))
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env.PATH, SANDBOX_PORT: '0', ...env },
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += String(chunk)
  })
  child.stderr.on('data', (chunk) => {
    output += String(chunk)
  })
  const exit = once(child, 'exit')
  return { child, exit, output: () => output }
}

test('as a process it takes its settings from the environment, and stops on SIGTERM', async () => {
  const { child, exit, output } = await sandboxProcess({
    SANDBOX_CLIENT_ID: 'me',
    SANDBOX_CLIENT_SECRET: 'my-secret',
    SANDBOX_ORG_TOKEN: '',
    SANDBOX_ORG_LIFE: '90s',
    SANDBOX_DIALECTS: 'applications, embedded',
    SANDBOX_CONTROL: 'true',
  })
  await expect.poll(output, { timeout: 10_000 }).toMatch(/http:\/\/\S+/)
  const url = /http:\/\/\S+/.exec(output())?.[0] ?? ''

  const health = await fetch(`${url}/health`)
  const exchange = await fetch(`${url}/v1/applications/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"client_id":"me","client_secret":"my-secret"}',
  })
  const state = await (await fetch(`${url}/__sandbox/state`)).json()
  child.kill('SIGTERM')
  const [code] = await exit

  expect(await health.json()).toEqual({ status: 'ok' })
  expect(await exchange.json()).toMatchObject({ expires_in: 90 })
  expect(state).toMatchObject({ settings: { dialects: ['applications', 'embedded'] } })
  expect(code).toBe(0)
})

test('as a process it says what is wrong with its environment', async () => {
  const { exit, output } = await sandboxProcess({ SANDBOX_ORG_LIFE: 'soon', SANDBOX_PORT: 'x' })

  const [code] = await exit

  expect(code).toBe(78)
  expect(output()).toContain('SANDBOX_ORG_LIFE')
  expect(output()).toContain('SANDBOX_PORT')
})

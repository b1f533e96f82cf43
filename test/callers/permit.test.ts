import { once } from 'node:events'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Caller } from '../../src/callers/caller.ts'
import { createPermit, refusalReason } from '../../src/callers/permit.ts'
import type { Action } from '../../src/callers/policy.ts'
import { PolicyFileError } from '../../src/callers/policy-file.ts'
import { BrokerError } from '../../src/errors.ts'

const patience = { timeout: 10_000 }

const service: Caller = { kind: 'service', name: 'billing' }
const issue = (customerId = 'acme'): Action => ({
  route: 'issue',
  asked: { customerId, type: 'scoped' },
})
const refuseAll = 'services: {}\n'

function start(text: string | null) {
  const folder = mkdtempSync(join(tmpdir(), 'policy-'))
  const path = join(folder, 'policy.yaml')
  const write = (next: string) => {
    writeFileSync(`${path}.new`, next)
    renameSync(`${path}.new`, path)
  }
  if (text !== null) write(text)
  onTestFinished(() => rmSync(folder, { recursive: true }))

  const clock = { ms: Date.now() }
  const logged: string[] = []
  const counted: string[] = []
  const note = (fields: object, message: string) =>
    void logged.push(`${message} ${JSON.stringify(fields)}`)
  const part = createPermit(
    {
      policyFile: text === null ? null : path,
      requests: {
        workspaceTemplate: '{id}',
        widgetOrigins: [],
        sourceTags: null,
        connectionTags: null,
        regionId: null,
      },
      allowInsecure: false,
    },
    {
      log: { debug: note, info: note, warn: note, error: note },
      now: () => clock.ms,
      onRefusal: (reason, outcome) => void counted.push(`${reason} ${outcome}`),
    },
  )
  onTestFinished(() => part.close())

  const outcome = async (caller: Caller, action: Action) => {
    try {
      await part.permit(caller, action)
      return 'allowed'
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      return `${error.code} ${refusalReason(error) ?? ''}`.trim()
    }
  }
  return { ...part, outcome, write, path, clock, logged, counted }
}

test('without a policy file a service may all, at once', () => {
  const { permit } = start(null)

  expect(permit(service, issue())).toMatchObject({
    limit: undefined,
    settings: { sourceTags: null },
  })
})

test('a refusal tells the caller the code, and us the reason', async () => {
  const { outcome, counted } = start(refuseAll)

  expect(await outcome(service, issue())).toBe('forbidden service_not_listed')
  expect(counted).toEqual(['service_not_listed enforced'])
})

test('audit mode lets pass, logs and counts', async () => {
  const { outcome, counted, logged } = start(`mode: audit\n${refuseAll}`)

  expect(await outcome(service, issue())).toBe('allowed')
  expect(counted).toEqual(['service_not_listed audited'])
  expect(logged).toEqual([
    'the policy would refuse this {"customer":"acme","route":"issue","caller":"service","name":"billing","reasons":["service_not_listed"]}',
  ])
})

test('a policy file that is wrong or empty at the start stops the start', () => {
  expect(() => start('mode: x\n')).toThrow(PolicyFileError)
  expect(() => start('')).toThrow('the file has no settings in it')
})

test('a changed file is in force without a restart; a broken one is logged, and the last good one stays', async () => {
  const { outcome, write, logged, path } = start('mode: enforce\n')
  expect(await outcome(service, issue())).toBe('allowed')

  write(refuseAll)
  await expect.poll(() => outcome(service, issue()), patience).toBe('forbidden service_not_listed')

  write('services: [\n')
  await expect.poll(() => logged.join(), patience).toContain('the last good one stays in force')
  expect(await outcome(service, issue())).toBe('forbidden service_not_listed')

  rmSync(path)
  write('services:\n  billing: { customers: any }\n')
  await expect.poll(() => outcome(service, issue()), patience).toBe('allowed')
})

test('the operator can have the file read at once', async () => {
  const { outcome, write, reloadPolicy } = start('mode: enforce\n')

  write(refuseAll)
  await reloadPolicy()

  expect(await outcome(service, issue())).toBe('forbidden service_not_listed')
})

async function startBackend() {
  const asked: string[] = []
  const backend = { status: 200 }
  const server = createServer((request, response) => {
    asked.push(`${request.url} ${request.headers['x-customer-id']}`)
    if (backend.status === 0) return void response.destroy()
    const known = request.url?.includes('acme')
    response.writeHead(backend.status !== 200 ? backend.status : known ? 200 : 404).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const rule = `known_customers: { url: "http://127.0.0.1:${port}/customers/{id}", ttl: 1m, timeout: 5s }\n`
  return { asked, backend, rule }
}

test('the SaaS backend says which customers there are, and is asked once in a while', async () => {
  const { asked, rule } = await startBackend()
  const { outcome, clock } = start(rule)

  expect(await outcome(service, issue('acme'))).toBe('allowed')
  expect(await outcome(service, issue('acme'))).toBe('allowed')
  expect(await outcome(service, issue('nobody$&/..'))).toBe('forbidden customer_unknown')
  expect(await outcome(service, issue('nobody$&/..'))).toBe('forbidden customer_unknown')
  expect(asked).toEqual(['/customers/acme acme', '/customers/nobody%24%26%2F.. nobody$&/..'])

  clock.ms += 5000
  await outcome(service, issue('acme'))
  await outcome(service, issue('nobody$&/..'))
  expect(asked).toHaveLength(3)
  clock.ms += 60_000
  await outcome(service, issue('acme'))
  expect(asked).toHaveLength(4)
})

test.each([500, 401, 301, 0])(
  'a backend that answers %d lets nobody pass, and nobody is refused for good',
  async (status) => {
    const { backend, rule } = await startBackend()
    const { outcome } = start(rule)
    backend.status = status

    expect(await outcome(service, issue('acme'))).toBe('caller_check_unavailable')
    backend.status = 200
    expect(await outcome(service, issue('acme'))).toBe('allowed')
  },
)

test('whoever is refused anyway does not reach the backend, nor does what makes no workspace', async () => {
  const { asked, rule } = await startBackend()
  const { outcome } = start(rule)
  const user: Caller = { kind: 'user', subjectDigest: 'd', customerIds: new Set(['globex']) }

  expect(await outcome(user, issue('acme'))).toBe('forbidden customer_not_of_caller')
  expect(await outcome(service, { route: 'evict', customerId: 'acme' })).toBe('allowed')
  expect(asked).toEqual([])
})

test('in audit mode an unknown customer passes, and so does everybody while the backend is away', async () => {
  const { backend, rule } = await startBackend()
  const { outcome, counted } = start(`mode: audit\n${rule}`)

  expect(await outcome(service, issue('nobody'))).toBe('allowed')
  expect(counted).toEqual(['customer_unknown audited'])
  backend.status = 500
  expect(await outcome(service, issue('somebody'))).toBe('allowed')
})

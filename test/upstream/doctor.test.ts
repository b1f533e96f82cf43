import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { createServer as createTlsTerminator } from 'node:tls'
import { promisify } from 'node:util'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { runDoctor } from '../../src/commands/doctor-run.ts'
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts'
import type { SandboxChange } from '../../src/sandbox/settings.ts'
import type { Verdict } from '../../src/upstream/doctor-kit.ts'
import { selfSigned } from '../support/certificate.ts'

type Env = Record<string, string>

async function sandboxWith(change: SandboxChange = {}): Promise<Sandbox> {
  const sandbox = await startSandbox(change)
  onTestFinished(() => sandbox.close())
  return sandbox
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

const goodEnv = (sandbox: Sandbox): Env => ({
  AUTH: 'none',
  UPSTREAM_TIMEOUT: '2s',
  AIRBYTE_API_URL: sandbox.url,
  AIRBYTE_TOKEN_URL: `${sandbox.url}/v1/applications/token`,
  AIRBYTE_CLIENT_ID: sandbox.clientId,
  AIRBYTE_CLIENT_SECRET: sandbox.clientSecret,
  WIDGET_ALLOWED_ORIGINS: 'https://app.example.com',
})

/** Runs it as a machine would, and returns the problems that it finds. */
async function diagnosis(env: Env, ...args: string[]) {
  const printed: string[] = []
  const status = await runDoctor(['--json', ...args], env, (line) => printed.push(line))
  const { ok, verdicts }: { ok: boolean; verdicts: Verdict[] } = JSON.parse(printed.join('\n'))
  expect(status).toBe(ok ? 0 : 1)
  return { ok, verdicts, problems: verdicts.filter(({ verdict }) => verdict === 'problem') }
}

const said = ({ says, settings }: Verdict) => `${says} -> ${settings}`

test('a configuration that works', async () => {
  const sandbox = await sandboxWith()
  const env = { ...goodEnv(sandbox), REDIS_URL: inject('redisUrl') }

  const { ok, verdicts } = await diagnosis(env)

  expect(ok).toBe(true)
  expect(verdicts.map(({ check, verdict }) => `${check}: ${verdict}`)).toEqual([
    'settings: ok',
    'redis: ok',
    'network: ok',
    'exchange: ok',
    'clock: ok',
    'dialect: ok',
    'widget origins: ok',
    'mint: skipped',
  ])
  expect(sandbox.counts.minted).toBe(0)
})

test('it mints only when told to, and then shows what would be served, without the token', async () => {
  const sandbox = await sandboxWith()

  const { ok, verdicts } = await diagnosis(goodEnv(sandbox), '--mint', 'acme')

  expect(ok).toBe(true)
  const mints = verdicts.filter(({ check }) => check.startsWith('mint '))
  expect(mints.map(({ check }) => check)).toEqual(['mint scoped', 'mint widget'])
  expect(JSON.parse(mints[0]?.says ?? '')).toMatchObject({
    type: 'scoped',
    customer_id: 'acme',
    workspace_id: sandbox.minted[0]?.workspaceId,
    expires_at: new Date(sandbox.minted[0]?.expiresAt ?? 0).toISOString(),
  })
  for (const secret of sandbox.secrets) expect(JSON.stringify(verdicts)).not.toContain(secret)
})

test.each(['default', '..', 'a b'])(
  'it mints for nobody who cannot be a customer: %s',
  async (id) => {
    const sandbox = await sandboxWith()

    const { problems } = await diagnosis(goodEnv(sandbox), '--mint', id)

    expect(problems.map(said)).toEqual([
      'this is not the form of a customer id -> CUSTOMER_ID_PATTERN',
    ])
    expect(sandbox.asked).toEqual([])
  },
)

type Misconfiguration = {
  sandbox?: SandboxChange
  env: (sandbox: Sandbox) => Env
  mint?: boolean
  cause: RegExp
  setting: RegExp
}

const MISCONFIGURATIONS: Record<string, Misconfiguration> = {
  'a wrong path to the exchange': {
    env: (s) => ({ AIRBYTE_TOKEN_URL: `${s.url}/applications/token` }),
    cause: /no token exchange at \/applications\/token, but there is one at \/api\/public\/v1/,
    setting: /^AIRBYTE_TOKEN_URL$/,
  },
  'a slash too many': {
    env: (s) => ({ AIRBYTE_TOKEN_URL: `${s.url}/v1/applications/token/` }),
    cause: /but there is one at \/v1\/applications\/token$/,
    setting: /^AIRBYTE_TOKEN_URL$/,
  },
  'a doubled /v1 in the exchange': {
    sandbox: { exchanges: ['cloud'] },
    env: (s) => ({ AIRBYTE_TOKEN_URL: `${s.url}/v1/v1/applications/token` }),
    cause: /part of the path is doubled, but there is one at \/v1\/applications\/token$/,
    setting: /^AIRBYTE_TOKEN_URL$/,
  },
  'a /v1 too many in the API': {
    sandbox: { dialects: ['applications'] },
    env: (s) => ({ AIRBYTE_API_URL: `${s.url}/v1` }),
    cause: /nothing below \/v1, .* speaks applications/,
    setting: /^AIRBYTE_API_URL=http/,
  },
  'an API that is none': {
    sandbox: { dialects: [] },
    env: () => ({}),
    cause: /no dialect is answered/,
    setting: /AIRBYTE_API_URL/,
  },
  'a form instead of JSON': {
    env: (s) => oauth2(s, '/v1/applications/token'),
    cause: /wants the credentials as JSON$/,
    setting: /^ORG_TOKEN_SOURCE=airbyte-cloud$/,
  },
  'a form instead of the JSON of agents': {
    env: (s) => oauth2(s, '/api/v1/account/applications/token'),
    cause: /wants the credentials as JSON without a grant type$/,
    setting: /^ORG_TOKEN_SOURCE=airbyte-agents$/,
  },
  'JSON instead of a form': {
    env: (s) => ({ AIRBYTE_TOKEN_URL: `${s.url}/oauth2/token` }),
    cause: /wants the credentials as a form with HTTP Basic$/,
    setting: /^ORG_TOKEN_SOURCE=oauth2$/,
  },
  'Basic where the body is wanted': {
    sandbox: { oauth2ClientAuth: 'post' },
    env: (s) => oauth2(s, '/oauth2/token'),
    cause: /as a form$/,
    setting: /^OAUTH2_CLIENT_AUTH=post$/,
  },
  'scopes that there are not': {
    sandbox: { scopes: ['mint'] },
    env: (s) => ({ ...oauth2(s, '/oauth2/token'), OAUTH2_SCOPES: 'everything' }),
    cause: /not for these scopes/,
    setting: /^OAUTH2_SCOPES$/,
  },
  'a wrong secret': {
    env: () => ({ AIRBYTE_CLIENT_SECRET: 'wrong-secret-0815' }),
    cause: /answers 401 \(unauthorized\): the credentials are wrong/,
    setting: /^AIRBYTE_CLIENT_ID and AIRBYTE_CLIENT_SECRET$/,
  },
  'a static token that has expired': {
    env: () => staticToken(jwt(Date.now() - 1000)),
    cause: /the static token has expired/,
    setting: /AIRBYTE_ACCESS_TOKEN/,
  },
  'a static token that nobody renews': {
    env: () => staticToken(jwt(Date.now() + 15 * 60_000)),
    cause: /ends in 1[45] min, and nothing here can renew it/,
    setting: /AIRBYTE_CLIENT_ID/,
  },
  'a static token that the API does not know': {
    env: () => staticToken('unknown-to-the-api'),
    cause: /refuses the org token/,
    setting: /^AIRBYTE_ACCESS_TOKEN$/,
  },
  'a credential that may not mint': {
    sandbox: { clients: [{ id: 'c', secret: 'secret-of-c-1', mayMint: false }] },
    env: () => ({}),
    cause: /may not mint/,
    setting: /AIRBYTE_ORGANIZATION_ID/,
  },
  'a wrong organisation, at an exchange that looks': {
    env: (s) => ({
      ORG_TOKEN_SOURCE: 'airbyte-agents',
      AIRBYTE_TOKEN_URL: `${s.url}/api/v1/account/applications/token`,
      AIRBYTE_ORGANIZATION_ID: '11111111-1111-4111-8111-111111111111',
    }),
    cause: /not for this organisation/,
    setting: /^AIRBYTE_ORGANIZATION_ID$/,
  },
  'a wrong organisation, seen by a mint': {
    env: () => ({ AIRBYTE_ORGANIZATION_ID: '11111111-1111-4111-8111-111111111111' }),
    mint: true,
    cause: /not one of the credential/,
    setting: /AIRBYTE_ORGANIZATION_ID/,
  },
  'a missing organisation': {
    sandbox: { organizations: ['one', 'two'] },
    env: () => ({}),
    mint: true,
    cause: /reaches several organisations/,
    setting: /AIRBYTE_ORGANIZATION_ID/,
  },
  'a wrong dialect': {
    sandbox: { dialects: ['applications'] },
    env: () => ({ AIRBYTE_DIALECT: 'embedded' }),
    cause: /does not speak embedded, but applications/,
    setting: /^AIRBYTE_DIALECT=applications$/,
  },
  'a wrong dialect on the same path': {
    sandbox: { dialects: ['embedded-workspace'] },
    env: () => ({ AIRBYTE_DIALECT: 'embedded' }),
    cause: /does not speak embedded, but embedded-workspace/,
    setting: /^AIRBYTE_DIALECT=embedded-workspace$/,
  },
  'a page’s address with a slash': {
    env: () => ({ WIDGET_ALLOWED_ORIGINS: 'https://app.example.com/' }),
    cause: /not an exact origin such as https:\/\/app\.example\.com/,
    setting: /^WIDGET_ALLOWED_ORIGINS$/,
  },
  'a clock that is off': {
    sandbox: { clockSkewMs: -120_000 },
    env: () => ({}),
    cause: /clock is 1[12]\d s behind this one/,
    setting: /clock of this machine/,
  },
  'https where there is none': {
    env: (s) => ({ AIRBYTE_API_URL: s.url.replace('http:', 'https:') }),
    cause: /does not speak TLS/,
    setting: /^AIRBYTE_API_URL$/,
  },
  'a name that does not exist': {
    env: () => ({ AIRBYTE_API_URL: 'https://no-such-host.invalid' }),
    cause: /no-such-host\.invalid: its name cannot be resolved/,
    setting: /AIRBYTE_API_URL/,
  },
  'nothing at the port': {
    env: () => ({ AIRBYTE_API_URL: 'http://127.0.0.1:1' }),
    cause: /nothing listens there/,
    setting: /^AIRBYTE_API_URL$/,
  },
  'no proxy at its address': {
    env: () => ({
      AIRBYTE_API_URL: 'https://upstream.invalid',
      HTTPS_PROXY: 'http://127.0.0.1:1',
    }),
    cause: /nothing listens at the address of the proxy/,
    setting: /^HTTPS_PROXY$/,
  },
  'no Redis at its address': {
    env: () => ({ REDIS_URL: 'redis://127.0.0.1:1' }),
    cause: /cannot be used: ECONNREFUSED/,
    setting: /REDIS_URL/,
  },
  'no cluster at its addresses': {
    env: () => ({ REDIS_CLUSTER_NODES: '127.0.0.1:1' }),
    cause: /cannot be used/,
    setting: /^REDIS_CLUSTER_NODES/,
  },
  'a Redis that does not take the password': {
    env: () => ({ REDIS_URL: inject('redisUrl'), REDIS_USERNAME: 'no', REDIS_PASSWORD: 'wrong-1' }),
    cause: /cannot be used: WRONGPASS/,
    setting: /REDIS_PASSWORD/,
  },
  'a setting that there is not': {
    env: () => ({ AIRBYTE_DIALET: 'embedded' }),
    cause: /no such setting; is AIRBYTE_DIALECT meant/,
    setting: /^AIRBYTE_DIALET$/,
  },
}

const oauth2 = (s: Sandbox, path: string): Env => ({
  AIRBYTE_CLIENT_ID: '',
  AIRBYTE_CLIENT_SECRET: '',
  OAUTH2_TOKEN_URL: `${s.url}${path}`,
  OAUTH2_CLIENT_ID: s.clientId,
  OAUTH2_CLIENT_SECRET: s.clientSecret,
})

const staticToken = (accessToken: string): Env => ({
  AIRBYTE_CLIENT_ID: '',
  AIRBYTE_CLIENT_SECRET: '',
  AIRBYTE_ACCESS_TOKEN: accessToken,
})

const jwt = (expiresAt: number) =>
  ['{"alg":"HS256"}', `{"exp":${Math.floor(expiresAt / 1000)}}`, 'signature']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.')

describe('a misconfiguration is named, with the setting to change', () => {
  test.each(Object.entries(MISCONFIGURATIONS))('%s', async (_, misconfiguration) => {
    const sandbox = await sandboxWith(misconfiguration.sandbox)
    const env = { ...goodEnv(sandbox), ...misconfiguration.env(sandbox) }

    const { ok, problems, verdicts } = await diagnosis(
      env,
      ...(misconfiguration.mint ? ['--mint', 'acme'] : []),
    )

    expect(ok).toBe(false)
    expect(problems[0]?.says).toMatch(misconfiguration.cause)
    expect(problems[0]?.settings).toMatch(misconfiguration.setting)
    for (const secret of sandbox.secrets) expect(JSON.stringify(verdicts)).not.toContain(secret)
    expect(sandbox.counts.minted).toBe(0)
  })

  test('a proxy that refuses', async () => {
    const sandbox = await sandboxWith()
    const proxy = createServer()
    proxy.on('connect', (_request, socket) => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'))
    const port = await listening(proxy)

    const { problems } = await diagnosis({
      ...goodEnv(sandbox),
      AIRBYTE_API_URL: 'https://upstream.invalid',
      HTTPS_PROXY: `http://127.0.0.1:${port}`,
    })

    expect(problems.map(said)[0]).toBe(
      'upstream.invalid: the proxy does not let it through -> HTTPS_PROXY or NO_PROXY',
    )
  })

  test('a certificate that nobody here knows', async () => {
    const sandbox = await sandboxWith()
    const port = await listening(createTlsServer(await selfSigned(), answering(404)))

    const { problems } = await diagnosis({
      ...goodEnv(sandbox),
      AIRBYTE_API_URL: `https://127.0.0.1:${port}`,
    })

    expect(problems[0]?.says).toMatch(/certificate is from an authority that is not known here/)
    expect(problems[0]?.settings).toBe('NODE_EXTRA_CA_CERTS')
  })

  test('a host that takes connections and does not answer', async () => {
    const sandbox = await sandboxWith()
    const sockets: { destroy(): void }[] = []
    const port = await listening(createTcpServer((socket) => sockets.push(socket)))
    onTestFinished(() => sockets.forEach((socket) => void socket.destroy()))

    const { problems } = await diagnosis({
      ...goodEnv(sandbox),
      UPSTREAM_TIMEOUT: '200ms',
      AIRBYTE_API_URL: `http://127.0.0.1:${port}`,
    })

    expect(problems[0]?.says).toMatch(/does not answer in time/)
    expect(problems[0]?.settings).toMatch(/UPSTREAM_TIMEOUT/)
  })
})

const answering =
  (status: number): RequestListener =>
  (_request, response) => {
    response.writeHead(status).end()
  }

/** A certificate, and the file that makes it an authority. */
async function certificate() {
  const folder = mkdtempSync(join(tmpdir(), 'doctor-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const pair = await selfSigned()
  const certFile = join(folder, 'cert.pem')
  writeFileSync(certFile, pair.cert)
  return { ...pair, certFile }
}

describe('while credentials change', () => {
  test('a previous one that is dead is no problem, and one that still is needed neither', async () => {
    const sandbox = await sandboxWith()
    const both = (current: string, previous: string) => ({
      ...goodEnv(sandbox),
      AIRBYTE_CLIENT_SECRET: current,
      AIRBYTE_CLIENT_ID_PREVIOUS: sandbox.clientId,
      AIRBYTE_CLIENT_SECRET_PREVIOUS: previous,
    })

    const rotated = await diagnosis(both(sandbox.clientSecret, 'the-old-secret-1'))
    const early = await diagnosis(both('the-new-secret-1', sandbox.clientSecret))

    expect(rotated.ok).toBe(true)
    expect(early.problems.map(({ check }) => check)).toEqual(['exchange'])
    expect(early.verdicts.find(({ check }) => check === 'dialect')?.verdict).toBe('ok')
  })
})

const run = (env: Env, ...args: string[]) =>
  promisify(execFile)(process.execPath, ['src/commands/doctor.ts', ...args], {
    env: { PATH: process.env.PATH ?? '', ...env },
  }).then(
    ({ stdout }) => ({ code: 0, stdout }),
    ({ code, stdout }: { code: number; stdout: string }) => ({ code, stdout }),
  )

test('on the command line it prints a line a verdict, and exits accordingly', async () => {
  const sandbox = await sandboxWith()
  const [good, bad, misused] = await Promise.all([
    run(goodEnv(sandbox)),
    run({ ...goodEnv(sandbox), AIRBYTE_CLIENT_SECRET: 'wrong-secret-0815' }),
    run(goodEnv(sandbox), '--what'),
  ])

  expect(good.code).toBe(0)
  expect(good.stdout).toMatch(/^ok {7}exchange: brings an org token that lives (?:899|900) s$/m)
  expect(bad.code).toBe(1)
  expect(bad.stdout).toMatch(/^PROBLEM {2}exchange: .*\n +-> AIRBYTE_CLIENT_ID and/m)
  expect(misused).toEqual({
    code: 2,
    stdout: 'usage: npm run doctor -- [--json] [--mint <customer id>]\n',
  })
})

test('a private authority and a proxy are no obstacle once they are set', async () => {
  const sandbox = await sandboxWith()
  const { port: sandboxPort } = new URL(sandbox.url)
  const { certFile, ...pair } = await certificate()
  const sockets = new Set<Socket>()
  onTestFinished(() => sockets.forEach((socket) => void socket.destroy()))
  const joined = (one: Duplex, port: number) => {
    const other = connect(port, '127.0.0.1')
    sockets.add(other)
    other.on('error', () => one.destroy())
    one.on('error', () => other.destroy())
    one.pipe(other).pipe(one)
  }
  const tlsPort = await listening(
    createTlsTerminator(pair, (socket) => joined(socket, Number(sandboxPort))),
  )
  const tunnelled: (string | undefined)[] = []
  const proxy = createServer()
  proxy.on('connect', (request, socket) => {
    tunnelled.push(request.url)
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    joined(socket, tlsPort)
  })
  const proxyPort = await listening(proxy)
  const apiUrl = `https://127.0.0.1:${tlsPort}`

  const { code, stdout } = await run({
    ...goodEnv(sandbox),
    AIRBYTE_API_URL: apiUrl,
    AIRBYTE_TOKEN_URL: `${apiUrl}/v1/applications/token`,
    NODE_EXTRA_CA_CERTS: certFile,
    HTTPS_PROXY: `http://127.0.0.1:${proxyPort}`,
  })

  expect(stdout).not.toContain('PROBLEM')
  expect(code).toBe(0)
  expect(new Set(tunnelled)).toEqual(new Set([`127.0.0.1:${tlsPort}`]))
})

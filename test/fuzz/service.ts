import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SignJWT, UnsecuredJWT } from 'jose'
import { onTestFinished } from 'vitest'
import { JWT_SECRET, SERVICE_KEY, startService } from '../support/service.ts'
import type { Credential } from './requests.ts'

export const PAGE = 'https://app.example.com'
/** Longer than any run, so that a credential does not end in the middle of it. */
const LONG = '1d'

async function jwt(customer: string, secret = JWT_SECRET, life = LONG): Promise<string> {
  return new SignJWT({ sub: customer, customer_id: customer, aud: 'broker' })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuedAt()
    .setExpirationTime(life)
    .sign(new TextEncoder().encode(secret))
}

/** A backend that knows one session. */
async function startSessions(): Promise<string> {
  const server = createServer((request, response) => {
    const isAlice = /(^|; )sid=alice($|;)/.test(request.headers.cookie ?? '')
    response.writeHead(isAlice ? 200 : 401)
    response.end(JSON.stringify({ customer_ids: isAlice ? ['alice'] : [] }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return `http://127.0.0.1:${port}/session`
}

/** The broker with every way to be let in, limits out of the way, and short times for what hangs. */
export async function startFuzzed() {
  const service = await startService({
    env: {
      PORT: '0',
      HOST: '127.0.0.1',
      LOG_LEVEL: 'info',
      JWT_SECRET,
      JWT_AUDIENCE: 'broker',
      SESSION_CHECK_URL: await startSessions(),
      CORS_ALLOWED_ORIGINS: PAGE,
      RATE_LIMIT_MAX: '1000000000',
      RATE_LIMIT_AUTH_FAILURES: '1000000',
    },
    sandbox: { workspaceCreationMs: 0, remembers: 1000 },
    deps: {
      bounds: { headersTimeoutMs: 100, requestTimeoutMs: 150, checkEveryMs: 25, keepAliveMs: 100 },
    },
  })
  const { url } = await service.app.listen()

  const bearer = (token: string) => `Authorization: Bearer ${token}\r\n`
  const credentials: Record<Credential, string> = {
    none: '',
    service: bearer(SERVICE_KEY),
    'service-by-x-api-key': `X-API-Key: ${SERVICE_KEY}\r\n`,
    alice: bearer(await jwt('alice')),
    bob: bearer(await jwt('bob')),
    expired: bearer(await jwt('alice', JWT_SECRET, '-1h')),
    unsigned: bearer(
      new UnsecuredJWT({ customer_id: 'alice', aud: 'broker' }).setExpirationTime(LONG).encode(),
    ),
    forged: bearer(await jwt('alice', 'another secret of more than 32 bytes')),
    'session-of-alice': `Cookie: sid=alice\r\nX-Requested-With: fetch\r\nOrigin: ${PAGE}\r\n`,
    'session-of-nobody': 'Cookie: sid=nobody\r\nX-Requested-With: fetch\r\n',
    rubbish: bearer('rubbish-rubbish-rubbish'),
  }
  return { ...service, url, credentials }
}

export type Fuzzed = Awaited<ReturnType<typeof startFuzzed>>

/** For which customers a credential is good; `null`: for all of them. */
export const RIGHTS: Record<Credential, readonly string[] | null> = {
  none: [],
  service: null,
  'service-by-x-api-key': null,
  alice: ['alice'],
  bob: ['bob'],
  expired: [],
  unsigned: [],
  forged: [],
  'session-of-alice': ['alice'],
  'session-of-nobody': [],
  rubbish: [],
}

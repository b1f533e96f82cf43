import { parseArgs } from 'node:util'
import { z } from 'zod'
import { type Check, OPEN_DOOR, type ProbeWith, passes, refusals } from './probe-checks.ts'

const USAGE = `usage: npm run probe -- <url of the broker>

Checks on a running broker that what must be refused is refused. With credentials in the environment it also
checks what must pass, which gets a token of PROBE_CUSTOMER:
  PROBE_CUSTOMER   a customer that exists
  PROBE_API_KEY    a service key
  PROBE_JWT        a JWT of a user who may act for PROBE_CUSTOMER
  PROBE_COOKIE     the Cookie header of such a user, and PROBE_ORIGIN, the origin of the page`

type Print = (line: string) => void
const TIMEOUT_MS = 20_000

/** `npm run probe`: one line a check. Status 0: all as it must be, 1: not all, 2: it could not be asked. */
export async function runProbe(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  print: Print,
): Promise<number> {
  const url = urlFrom(args)
  if (url === null) {
    print(USAGE)
    return 2
  }
  const withThese = credentialsFrom(env)
  const needsCustomer = withThese.apiKey ?? withThese.jwt ?? withThese.cookie
  if (needsCustomer !== undefined && withThese.customer === undefined) {
    print('PROBE_CUSTOMER: is needed along with a credential')
    return 2
  }

  let failed = 0
  const checks = [...(await refusals(withThese)), ...passes(withThese)]
  for (const check of checks) {
    const wrong = await faultOf(url, check).catch((error: unknown) => unreachable(error))
    if (wrong === null) print(`ok    ${check.name}`)
    else {
      failed++
      print(`FAIL  ${check.name}: ${wrong}`)
      // Whoever is let in without a credential would now have tokens minted for no customer of anybody.
      if (check === OPEN_DOOR) return 1
    }
  }
  for (const [name, value] of [
    ['PROBE_API_KEY', withThese.apiKey],
    ['PROBE_JWT', withThese.jwt],
    ['PROBE_COOKIE', withThese.cookie],
  ] as const)
    if (value === undefined) print(`skip  what must pass by ${name}: it is not set`)
  print(
    failed === 0
      ? `${checks.length} checks, all as it must be`
      : `${failed} of ${checks.length} checks failed`,
  )
  return failed === 0 ? 0 : 1
}

function urlFrom(args: readonly string[]): string | null {
  try {
    const { positionals } = parseArgs({ args: [...args], allowPositionals: true })
    const [url] = positionals
    if (positionals.length !== 1 || url === undefined || !/^https?:/.test(url)) return null
    return URL.canParse(url) ? url.replace(/\/+$/, '') : null
  } catch {
    return null
  }
}

const credentialsFrom = (env: Readonly<Record<string, string | undefined>>): ProbeWith => ({
  apiKey: env.PROBE_API_KEY || undefined,
  jwt: env.PROBE_JWT || undefined,
  cookie: env.PROBE_COOKIE || undefined,
  origin: env.PROBE_ORIGIN || undefined,
  customer: env.PROBE_CUSTOMER || undefined,
})

const Body = z.looseObject({ token: z.string().optional(), code: z.string().optional() })

/** What is wrong with the answer, without any of its text; `null`: nothing. */
async function faultOf(url: string, check: Check): Promise<string | null> {
  const reply = await fetch(`${url}${check.path}`, {
    method: check.method,
    headers: { ...check.headers },
    ...(check.body !== undefined && { body: check.body }),
    redirect: 'manual',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  })
  const text = await reply.text()
  if (!check.expected.includes(reply.status))
    return `answered ${reply.status}, not ${check.expected.join(' or ')}`
  const body = Body.safeParse(json(text))
  if (reply.status >= 400) {
    if (!reply.headers.get('content-type')?.startsWith('application/problem+json'))
      return 'the refusal is not a problem document'
    if (body.data?.code === undefined) return 'the refusal has no code'
    if (body.data.token !== undefined) return 'the refusal carries a token'
  }
  if (reply.status === 401 && !reply.headers.get('www-authenticate')?.startsWith('Bearer'))
    return '401 without WWW-Authenticate: Bearer'
  if (body.data?.token !== undefined && !reply.headers.get('cache-control')?.includes('no-store'))
    return 'a token without Cache-Control: no-store'
  if (reply.headers.get('access-control-allow-origin') === '*')
    return 'every page may read the answer'
  if (reply.headers.get('access-control-allow-origin') === 'https://evil.example')
    return 'any page may read the answer'
  return null
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const unreachable = (error: unknown) =>
  `no answer (${error instanceof Error ? error.name : 'unknown reason'})`

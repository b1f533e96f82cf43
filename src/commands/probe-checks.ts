import { randomBytes } from 'node:crypto'
import { forgeries } from './probe-forgeries.ts'

/** Credentials that are good, and whom they are good for. Without them only refusals are checked. */
export type ProbeWith = {
  readonly apiKey: string | undefined
  readonly jwt: string | undefined
  readonly cookie: string | undefined
  /** The origin of a page that may use the cookie. */
  readonly origin: string | undefined
  /** A customer that exists, so that nothing new is made: `jwt` and `cookie` may act for it. */
  readonly customer: string | undefined
}

export type Check = {
  readonly name: string
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly expected: readonly number[]
}

/** A refusal is also one when the address has failed too often. */
const UNAUTHENTICATED = [401, 429]
const FORBIDDEN = [403]
const MALFORMED = [400, 404]

/** Nobody's: were a request for it let through, no customer's token would come back. */
export const STRANGER = 'token-broker-probe'

const tokenPath = (customer: string) => `/customers/${encodeURIComponent(customer)}/token`

/** The first one asks for nothing that could be minted: it tells whether anybody is let in at all. */
export const OPEN_DOOR: Check = {
  name: 'no credential, DELETE',
  method: 'DELETE',
  path: tokenPath(STRANGER),
  expected: UNAUTHENTICATED,
}

const get = (
  name: string,
  headers: Readonly<Record<string, string>>,
  expected: readonly number[],
  customer = STRANGER,
): Check => ({ name, method: 'GET', path: tokenPath(customer), headers, expected })

const post = (
  name: string,
  fields: object,
  rest: Omit<Check, 'name' | 'method' | 'body'>,
): Check => ({
  ...rest,
  name,
  method: 'POST',
  headers: { ...rest.headers, 'content-type': 'application/json' },
  body: JSON.stringify(fields),
})

/** What must be refused, whatever the broker is configured for. */
export async function refusals({ jwt, customer = STRANGER }: ProbeWith): Promise<Check[]> {
  const noise = randomBytes(24).toString('base64url')
  const forged = await forgeries(jwt, customer)
  return [
    OPEN_DOOR,
    get('no credential, GET', {}, UNAUTHENTICATED),
    post('no credential, POST', {}, { path: tokenPath(STRANGER), expected: UNAUTHENTICATED }),
    post(
      'no credential, introspect',
      { token: noise },
      {
        path: `${tokenPath(STRANGER)}/introspect`,
        expected: UNAUTHENTICATED,
      },
    ),
    get('an empty bearer token', { authorization: 'Bearer ' }, UNAUTHENTICATED),
    get('another scheme', { authorization: `Basic ${btoa(`probe:${noise}`)}` }, UNAUTHENTICATED),
    get('a wrong key as a bearer token', { authorization: `Bearer ${noise}` }, UNAUTHENTICATED),
    get('a wrong key in X-API-Key', { 'x-api-key': noise }, UNAUTHENTICATED),
    get('8 KiB of bearer token', { authorization: `Bearer ${'x'.repeat(8192)}` }, UNAUTHENTICATED),
    get(
      'two credentials at once',
      { authorization: `Bearer ${noise}`, 'x-api-key': noise },
      [400, 429],
    ),
    get(
      'a cookie, from another site',
      { cookie: `session=${noise}`, origin: 'https://evil.example' },
      [...UNAUTHENTICATED, ...FORBIDDEN],
    ),
    ...forged.map(([name, token]) =>
      get(`a JWT: ${name}`, { authorization: `Bearer ${token}` }, UNAUTHENTICATED, customer),
    ),
    get("the organisation's own workspace", {}, MALFORMED, 'default'),
    get('an id with a line break', {}, MALFORMED, 'a\nb'),
    get('an id with a slash', {}, MALFORMED, 'a/../b'),
    get('an id of 4000 characters', {}, MALFORMED, 'a'.repeat(4000)),
  ]
}

/** What a good credential may do, and what it may not. */
export function passes(withThese: ProbeWith): Check[] {
  const { apiKey, jwt, cookie, origin, customer } = withThese
  if (customer === undefined) return []
  const session = { cookie: cookie ?? '', 'x-requested-with': 'probe', ...(origin && { origin }) }
  return [
    ...(apiKey ? serviceChecks({ authorization: `Bearer ${apiKey}` }, customer) : []),
    ...(apiKey ? [get('service: X-API-Key', { 'x-api-key': apiKey }, [200], customer)] : []),
    ...(jwt ? userChecks('user', { authorization: `Bearer ${jwt}` }, customer) : []),
    ...(jwt
      ? [get('user: the JWT as X-API-Key', { 'x-api-key': jwt }, UNAUTHENTICATED, customer)]
      : []),
    ...(cookie ? userChecks('session', session, customer) : []),
    ...(cookie ? [get('session: without X-Requested-With', { cookie }, FORBIDDEN, customer)] : []),
    ...(cookie
      ? [
          get(
            'session: on another page',
            { ...session, origin: 'https://evil.example' },
            FORBIDDEN,
            customer,
          ),
        ]
      : []),
  ]
}

type Headers = Readonly<Record<string, string>>

const serviceChecks = (headers: Headers, customer: string): Check[] => [
  get('service: a token', headers, [200], customer),
  post(
    'service: introspect',
    { token: 'probe' },
    {
      path: `${tokenPath(customer)}/introspect`,
      headers,
      expected: [200],
    },
  ),
  post(
    'service: an unknown field',
    { customer },
    { path: tokenPath(customer), headers, expected: [400] },
  ),
]

const userChecks = (who: string, headers: Headers, customer: string): Check[] => [
  get(`${who}: a token of the own customer`, headers, [200], customer),
  get(`${who}: another customer`, headers, FORBIDDEN),
  get(`${who}: the own id in other case`, headers, [403, 400], otherCase(customer)),
  get(`${who}: an id that begins alike`, headers, [403, 400], `${customer}0`),
  post(
    `${who}: tags`,
    { source_template_tags: [] },
    { path: tokenPath(customer), headers, expected: FORBIDDEN },
  ),
  post(
    `${who}: introspect`,
    { token: 'probe' },
    {
      path: `${tokenPath(customer)}/introspect`,
      headers,
      expected: FORBIDDEN,
    },
  ),
  {
    name: `${who}: DELETE`,
    method: 'DELETE',
    path: tokenPath(customer),
    headers,
    expected: FORBIDDEN,
  },
]

const otherCase = (id: string) =>
  id === id.toUpperCase() ? `${id.toLowerCase()}-probe` : id.toUpperCase()

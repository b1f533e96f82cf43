import { fine, type Kit, problem, type Verdict } from './doctor-kit.ts'
import { networkProblem } from './doctor-network.ts'
import { outcomeOf } from './exchange-failure.ts'
import { type ExchangedToken, exchangedToken } from './exchange-replies.ts'
import { exchangeRequest } from './exchange-requests.ts'
import { CallFailure } from './http-calls.ts'
import { SETTINGS_OF } from './org-token-hints.ts'
import { replyText } from './reply-text.ts'
import type { ClientCredential, ExchangeSettings } from './settings.ts'

type Attempt = {
  readonly settings: ExchangeSettings
  readonly url: string
  readonly credential: ClientCredential
  readonly organizationId: string | null
}

type Result =
  | { readonly token: ExchangedToken }
  | {
      readonly status: number
      readonly words: string
      readonly outcome: ReturnType<typeof outcomeOf>
    }
  | { readonly failure: CallFailure }

export async function tryExchange(kit: Kit, attempt: Attempt): Promise<Result> {
  const { settings, ...exchange } = attempt
  const reply = await kit.call(await exchangeRequest(settings, exchange))
  if (reply instanceof CallFailure) return { failure: reply }
  const { status } = reply
  const ok = status >= 200 && status < 300
  const token = ok ? exchangedToken(reply) : null
  if (token !== null) return { token }
  const { clientId, clientSecret } = attempt.credential
  const words = replyText(reply.text, [clientSecret, clientId])
  return { status, words, outcome: ok ? 'invalid' : outcomeOf(status) }
}

const works = async (kit: Kit, attempt: Attempt): Promise<boolean> =>
  'token' in (await tryExchange(kit, attempt))

/** One credential: what it brings, or why it brings nothing. */
export async function examineExchange(
  kit: Kit,
  settings: ExchangeSettings,
  credential: ClientCredential,
  check: string,
): Promise<{ readonly verdict: Verdict; readonly token: string | null }> {
  const { organizationId } = kit.settings
  let attempt: Attempt = { settings, url: settings.tokenUrls[0], credential, organizationId }
  let result: Result = await tryExchange(kit, attempt)
  for (const url of settings.tokenUrls.slice(1)) {
    if (!('outcome' in result) || result.outcome !== 'misplaced') break
    attempt = { ...attempt, url }
    result = await tryExchange(kit, attempt)
  }

  if ('token' in result) {
    return { verdict: fine(check, lifeOf(result.token)), token: result.token.token }
  }
  const { place } = SETTINGS_OF[settings.source]
  if ('failure' in result) {
    const verdict = networkProblem(check, result.failure, attempt.url, place, kit.settings)
    return { verdict, token: null }
  }
  return { verdict: await refusal(kit, attempt, result, check), token: null }
}

function lifeOf({ expiresAt, receivedAt }: ExchangedToken): string {
  return expiresAt === null
    ? 'brings an org token that does not tell how long it lives: it is renewed every three minutes'
    : `brings an org token that lives ${Math.round((expiresAt - receivedAt) / 1000)} s`
}

async function refusal(
  kit: Kit,
  attempt: Attempt,
  { status, words, outcome }: Extract<Result, { outcome: unknown }>,
  check: string,
): Promise<Verdict> {
  const names = SETTINGS_OF[attempt.settings.source]
  const answer = `the exchange answers ${status}${words === '' ? '' : ` (${words})`}`
  if (outcome === 'rate_limited') {
    return problem(check, `${answer}: it asks for a pause`, 'none: wait')
  }
  if (status === 502 || status === 503 || status === 504) {
    return problem(check, `${answer}: it is in trouble`, 'none: wait')
  }
  return (
    (await otherOrganization(kit, attempt, check)) ??
    (await otherScopes(kit, attempt, check)) ??
    (await otherForm(kit, attempt, check)) ??
    (await otherPlace(kit, attempt, check)) ??
    (outcome === 'misplaced' || outcome === 'invalid'
      ? problem(check, `${answer}: there is no token exchange at ${attempt.url}`, names.place)
      : problem(
          check,
          outcome === 'unavailable'
            ? `${answer}: it is in trouble, or the credentials are wrong, which it is known to answer so`
            : `${answer}: the credentials are wrong`,
          names.credential,
        ))
  )
}

async function otherOrganization(kit: Kit, attempt: Attempt, check: string) {
  if (attempt.settings.source !== 'airbyte-agents' || attempt.organizationId === null) return null
  if (!(await works(kit, { ...attempt, organizationId: null }))) return null
  const says = 'the credentials are good, but not for this organisation'
  return problem(check, says, 'AIRBYTE_ORGANIZATION_ID')
}

async function otherScopes(kit: Kit, attempt: Attempt, check: string) {
  const { settings } = attempt
  if (!('scopes' in settings) || settings.scopes.length === 0) return null
  if (!(await works(kit, { ...attempt, settings: { ...settings, scopes: [] } }))) return null
  const setting = settings.source === 'oauth2' ? 'OAUTH2_SCOPES' : 'BEYOND_IDENTITY_SCOPES'
  return problem(check, 'the credentials are good, but not for these scopes', setting)
}

/** The same credentials at the same address, in the other ways to send them. */
async function otherForm(kit: Kit, attempt: Attempt, check: string) {
  const { tokenUrls, credentials, source } = attempt.settings
  const common = { tokenUrls, credentials }
  const form = { ...common, source: 'oauth2', scopes: [] } as const
  const forms: readonly (readonly [ExchangeSettings, string, string])[] = [
    [{ ...common, source: 'airbyte-cloud' }, 'JSON', 'ORG_TOKEN_SOURCE=airbyte-cloud'],
    [
      { ...common, source: 'airbyte-agents' },
      'JSON without a grant type',
      'ORG_TOKEN_SOURCE=airbyte-agents',
    ],
    [{ ...form, clientAuth: 'basic' }, 'a form with HTTP Basic', 'OAUTH2_CLIENT_AUTH=basic'],
    [{ ...form, clientAuth: 'post' }, 'a form', 'OAUTH2_CLIENT_AUTH=post'],
  ]
  for (const [settings, kind, setting] of forms) {
    if (!(await works(kit, { ...attempt, settings }))) continue
    const isOAuth = settings.source === 'oauth2'
    const change = isOAuth && source !== 'oauth2' ? 'ORG_TOKEN_SOURCE=oauth2' : setting
    return problem(check, `the exchange wants the credentials as ${kind}`, change)
  }
  return null
}

const KNOWN_PATHS = [
  '/api/public/v1/applications/token',
  '/api/v1/applications/token',
  '/v1/applications/token',
  '/api/v1/account/applications/token',
] as const

/** Other paths of the same host; the credentials go to no other one. */
async function otherPlace(kit: Kit, attempt: Attempt, check: string) {
  const configured = new URL(attempt.url)
  const tidy = configured.pathname.replace(/\/{2,}/g, '/').replace(/\/$/, '')
  const single = tidy.replace(/((?:\/[^/]+)+?)\1/, '$1')
  const paths = new Set([single, tidy, ...KNOWN_PATHS])
  paths.delete(configured.pathname)

  for (const path of paths) {
    const url = new URL(path, configured.origin).href
    if (!(await works(kit, { ...attempt, url }))) continue
    const doubled = path === single && single !== tidy
    const { place } = SETTINGS_OF[attempt.settings.source]
    return problem(
      check,
      `there is no token exchange at ${configured.pathname}${doubled ? ', where a part of the path is doubled' : ''}, but there is one at ${path}`,
      place,
    )
  }
  return null
}

import { type Attempt, type Refused, type Result, tryExchange } from './doctor-attempt.ts'
import { otherForm, otherOrganization, otherPlace, otherScopes } from './doctor-causes.ts'
import { fine, type Kit, problem, type Verdict } from './doctor-kit.ts'
import { networkProblem } from './doctor-network.ts'
import type { ExchangedToken } from './exchange-replies.ts'
import { SETTINGS_OF } from './org-token-hints.ts'
import type { ClientCredential, ExchangeSettings } from './settings.ts'

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
  { status, words, outcome }: Refused,
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

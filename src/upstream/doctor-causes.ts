import { type Attempt, works } from './doctor-attempt.ts'
import { type Kit, problem, type Verdict } from './doctor-kit.ts'
import { SETTINGS_OF } from './org-token-hints.ts'
import type { ExchangeSettings } from './settings.ts'

export async function otherOrganization(
  kit: Kit,
  attempt: Attempt,
  check: string,
): Promise<Verdict | null> {
  if (attempt.settings.source !== 'airbyte-agents' || attempt.organizationId === null) return null
  if (!(await works(kit, { ...attempt, organizationId: null }))) return null
  const says = 'the credentials are good, but not for this organisation'
  return problem(check, says, 'AIRBYTE_ORGANIZATION_ID')
}

export async function otherScopes(
  kit: Kit,
  attempt: Attempt,
  check: string,
): Promise<Verdict | null> {
  const { settings } = attempt
  if (!('scopes' in settings) || settings.scopes.length === 0) return null
  if (!(await works(kit, { ...attempt, settings: { ...settings, scopes: [] } }))) return null
  const setting = settings.source === 'oauth2' ? 'OAUTH2_SCOPES' : 'BEYOND_IDENTITY_SCOPES'
  return problem(check, 'the credentials are good, but not for these scopes', setting)
}

/** The same credentials at the same address, in the other ways to send them. */
export async function otherForm(
  kit: Kit,
  attempt: Attempt,
  check: string,
): Promise<Verdict | null> {
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
export async function otherPlace(
  kit: Kit,
  attempt: Attempt,
  check: string,
): Promise<Verdict | null> {
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

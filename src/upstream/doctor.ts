import type { TokenRequest } from '../tokens/token.ts'
import { checkDialect, dialectSkipped } from './doctor-dialect.ts'
import { examineExchange } from './doctor-exchange.ts'
import { createKit, fine, type Kit, problem, skipped, type Verdict } from './doctor-kit.ts'
import { checkMint } from './doctor-mint.ts'
import { checkReach } from './doctor-network.ts'
import { jwtClaims } from './jwt-claims.ts'
import type { UpstreamSettings } from './settings.ts'

export type DoctorWish = {
  /** Tokens to mint; none unless somebody asked for it, as minting makes what there is not. */
  readonly mint: readonly TokenRequest[]
  /** Whether any page may open the widget. */
  readonly hasWidgetOrigins: boolean
}

/** Asks the upstream whether these settings work, one verdict at a time. Mints nothing by itself. */
export async function* examineUpstream(
  settings: UpstreamSettings,
  wish: DoctorWish,
  now: () => number = Date.now,
): AsyncGenerator<Verdict> {
  const kit = createKit(settings, now)
  try {
    yield* checkReach(kit)
    const found: { token: string | null } = { token: null }
    yield* checkOrgToken(kit, found, now)
    yield clockVerdict(kit.clockSkewSeconds())
    if (found.token === null) yield dialectSkipped()
    else yield* checkDialect(kit, found.token)
    yield originVerdict(settings, wish)

    for (const request of wish.mint) yield await checkMint(settings, request)
    if (wish.mint.length === 0) {
      yield skipped(
        'mint',
        'whether the organisation and the region are right is told by `-- --mint <id>`',
      )
    }
  } finally {
    await kit.close()
  }
}

async function* checkOrgToken(
  kit: Kit,
  found: { token: string | null },
  now: () => number,
): AsyncGenerator<Verdict> {
  const { orgToken } = kit.settings
  if (orgToken.source === 'static') {
    found.token = orgToken.accessToken
    yield staticVerdict(orgToken.accessToken, now())
    return
  }
  const [current, previous] = orgToken.credentials
  const first = await examineExchange(kit, orgToken, current, 'exchange')
  yield first.verdict
  found.token = first.token
  if (previous === undefined) return
  const second = await examineExchange(kit, orgToken, previous, 'exchange (previous credential)')
  // One of the two is allowed to be dead: that is what there are two for.
  yield second.token === null && first.token !== null
    ? fine('exchange (previous credential)', 'is refused, and no longer needed: it can be removed')
    : second.verdict
  found.token ??= second.token
}

function staticVerdict(token: string, now: number): Verdict {
  const claims = jwtClaims(token)
  if (claims?.expiresAt == null) {
    return fine('org token', 'AIRBYTE_ACCESS_TOKEN does not tell when it ends')
  }
  const minutes = Math.floor((claims.expiresAt - now) / 60_000)
  if (claims.expiresAt <= now) {
    return problem('org token', 'the static token has expired', 'AIRBYTE_ACCESS_TOKEN')
  }
  return minutes < 60
    ? problem(
        'org token',
        `the static token ends in ${minutes} min, and nothing here can renew it: use an application’s credentials`,
        'AIRBYTE_CLIENT_ID and AIRBYTE_CLIENT_SECRET instead of AIRBYTE_ACCESS_TOKEN',
      )
    : fine('org token', `AIRBYTE_ACCESS_TOKEN lives another ${minutes} min`)
}

function clockVerdict(skewSeconds: number | null): Verdict {
  if (skewSeconds === null) return skipped('clock', 'nobody has told the time')
  return skewSeconds === 0
    ? fine('clock', 'agrees with the upstream’s')
    : problem(
        'clock',
        `the upstream’s clock is ${Math.abs(skewSeconds)} s ${skewSeconds > 0 ? 'ahead of' : 'behind'} this one: tokens seem to end early or late`,
        'the clock of this machine (NTP)',
      )
}

function originVerdict(settings: UpstreamSettings, { hasWidgetOrigins }: DoctorWish): Verdict {
  if (hasWidgetOrigins) return fine('widget origins', 'are spelt as browsers spell them')
  return settings.dialect === 'embedded'
    ? fine('widget origins', 'are not needed in this dialect')
    : skipped('widget origins', 'none are set: widget tokens need WIDGET_ALLOWED_ORIGINS')
}

import type { Asked, RequestSettings } from '../tokens/request.ts'
import type { Policy } from './policy-rules.ts'

type Origins = {
  /** What the token's origin is chosen from. */
  readonly origins: readonly string[]
  readonly ofOrigin: 'allowed' | 'refused' | 'waived'
}

/** A named origin must be one of the customer's. In audit mode one that is configured for all will do. */
export function originsFor(
  asked: Asked | null,
  settings: RequestSettings,
  configured: RequestSettings,
  mode: Policy['mode'],
): Origins {
  const origins = settings.widgetOrigins
  const named = asked?.allowedOrigin
  const wanted = named ?? asked?.pageOrigin
  if (wanted === undefined || origins.includes(wanted)) return { origins, ofOrigin: 'allowed' }
  const spared = mode === 'audit' && configured.widgetOrigins.includes(wanted)
  if (spared)
    return {
      origins: configured.widgetOrigins,
      ofOrigin: named === undefined ? 'allowed' : 'waived',
    }
  // A page's own origin that is not listed is no request for it: the configuration then decides.
  return { origins, ofOrigin: named === undefined ? 'allowed' : 'refused' }
}

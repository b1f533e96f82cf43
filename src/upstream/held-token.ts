import type { Exchanged } from './exchange.ts'
import { ASSUMED_LIFE_MS, renewalMarginMs } from './lifetimes.ts'

/** An org token in use, with the moments that matter about it. */
export type HeldToken = Exchanged & {
  /** Known or assumed. */
  readonly endsAt: number
  readonly renewAt: number
  /** It was got because the one before was refused. */
  readonly replacesRefused: boolean
}

/** `random` is in [0, 1): replicas that started together shall not renew together. */
export function heldToken(
  exchanged: Exchanged,
  replacesRefused: boolean,
  random: number,
): HeldToken {
  const endsAt = exchanged.expiresAt ?? exchanged.receivedAt + ASSUMED_LIFE_MS.org
  const margin = renewalMarginMs(endsAt - exchanged.receivedAt)
  return { ...exchanged, endsAt, renewAt: endsAt - margin * (1 - 0.2 * random), replacesRefused }
}

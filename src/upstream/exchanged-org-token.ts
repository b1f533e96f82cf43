import { isDeepStrictEqual } from 'node:util'
import { BrokerError } from '../errors.ts'
import { orAborted } from './deadline.ts'
import type { ExchangeDeps, Exchanged } from './exchange.ts'
import { type HeldToken, heldToken } from './held-token.ts'
import { ASSUMED_LIFE_MS } from './lifetimes.ts'
import type { OrgToken } from './org-token.ts'
import { createRenewal } from './renewal.ts'
import type { ExchangeSettings } from './settings.ts'

export type ExchangedTokenDeps = ExchangeDeps & {
  readonly onOrgToken: (expiresAt: number | null) => void
}

const UNPROVEN_FOR_MS = 10_000

/**
 * An org token that credentials are exchanged for. It is renewed ahead of its end, and only when
 * somebody asks for it.
 */
export function createExchangedOrgToken(
  initial: ExchangeSettings,
  deps: ExchangedTokenDeps,
): OrgToken {
  const { log, now } = deps
  let current: HeldToken | null = null
  let refusedOne = false
  /** The upstream has taken the current one. */
  let proven = false
  let hadOne = false

  const usable = () => (current !== null && now() < current.endsAt ? current : null)
  const renewal = createRenewal(initial, {
    ...deps,
    onExchanged: keep,
    onFailed() {
      if (usable() === null) deps.onOrgToken(null)
    },
  })

  function keep(exchanged: Exchanged): void {
    current = heldToken(exchanged, refusedOne, deps.random())
    refusedOne = false
    proven = false
    hadOne = true
    deps.onOrgToken(exchanged.expiresAt)
    if (exchanged.expiresAt !== null) {
      log.info({ expiresAt: new Date(exchanged.expiresAt).toISOString() }, 'got an org token')
      return
    }
    const assumedSeconds = ASSUMED_LIFE_MS.org / 1000
    const message = 'nothing tells how long the org token lives: assuming the shortest seen'
    log.warn({ assumedSeconds }, message)
  }

  async function get(signal: AbortSignal): Promise<string> {
    const held = usable()
    if (held !== null) {
      if (now() >= held.renewAt && !renewal.isResting()) void renewal.run()
      return held.token
    }
    if (!renewal.isResting()) await orAborted(renewal.run(), signal).catch(tooLate)
    const fresh = usable()
    if (fresh !== null) return fresh.token
    throw renewal.error() ?? new BrokerError('draining', 'the service is stopping')
  }

  /** @throws BrokerError if nothing suggests that the next one would fare any better */
  function drop(refused: HeldToken): void {
    const unproven = refused.replacesRefused && !proven
    if (unproven && now() - refused.receivedAt < UNPROVEN_FOR_MS) {
      throw new BrokerError('upstream_rejected', 'the token service refused our credential', {
        cause: new Error('the API refuses even an org token that the exchange has just issued'),
      })
    }
    log.warn({}, 'the API refused the org token: getting another one')
    current = null
    refusedOne = true
  }

  return {
    start: () => void renewal.run(),
    get: (deadline) => get(deadline.signal),
    async refused(token, deadline) {
      // A newer one than the refused one is not thrown away with it.
      if (current !== null && current.token === token) drop(current)
      return get(deadline.signal)
    },
    accepted(token) {
      if (current?.token === token) proven = true
    },
    status() {
      const held = usable()
      if (held !== null) return { state: 'ok', expiresAt: held.expiresAt, detail: null }
      const detail = renewal.detail()
      if (detail !== null) return { state: 'failing', expiresAt: null, detail }
      // One that has ended while nobody asked, or was dropped, is had again by whoever asks next.
      const state = hadOne ? 'ok' : 'starting'
      return { state, expiresAt: current?.expiresAt ?? null, detail: null }
    },
    reload(next) {
      if (next.source === 'static') return false
      if (isDeepStrictEqual(next, renewal.settings())) return true
      renewal.reload(next)
      if (current !== null && !renewal.isOurs(current)) {
        log.info({}, 'the credential of the org token is gone, and the token with it')
        current = null
      }
      if (current === null) void renewal.run()
      return true
    },
    close: renewal.close,
  }
}

function tooLate(): never {
  throw new BrokerError('upstream_timeout', 'the token service did not answer in time', {
    cause: new Error('waited for an org token'),
  })
}

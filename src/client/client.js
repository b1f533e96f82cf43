// @ts-check
/** @import { createTokenClient as Create, TokenClient, TokenReply } from './client.d.ts' */

/** @type {typeof import('./client.d.ts').TokenError} */
export const TokenError = /** @type {any} */ (
  class extends Error {
    constructor(/** @type {string} */ code, /** @type {string} */ message, details = {}) {
      super(message, details)
      Object.assign(this, { status: 0, ...details, code, name: 'TokenError' })
    }
  }
)

/** @type {typeof Create} */
export const createTokenClient = ({
  url,
  customerId,
  type = 'scoped',
  credential,
  allowedOrigin,
  shareTabs,
  timeoutMs = 15_000,
  fetch: send = (...request) => fetch(...request),
}) => {
  const endpoint = `${url.replace(/\/+$/, '')}/customers/${encodeURIComponent(customerId)}/token`
  const sharedName = `${type} ${new URL(endpoint, globalThis.location?.href)}`
  const asked = { type, ...(allowedOrigin && { allowed_origin: allowedOrigin }) }
  const closing = new AbortController()
  /** @type {Set<(reply?: TokenReply, error?: any) => void>} */
  const listeners = new Set()
  /** @type {{ reply: TokenReply, wall: number, steady: number, margin: number, dueMs: number } | undefined} */
  let held
  /** @type {string | undefined} */
  let handedOut
  /** @type {Promise<void> | undefined} */
  let flight
  let refreshing = false
  /** @type {((error: unknown) => void) | undefined} */
  let giveUp
  /** @type {any} */
  let failure
  let failures = 0
  // What the broker demands holds; our own backoff is over when the machine wakes.
  let pausedUntil = 0
  let demandedUntil = 0
  /** @type {(() => void) | undefined} */
  let endPause
  /** @type {any} */
  let timer
  /** @type {any} */
  let channel

  const now = () => performance.now()
  const ignore = () => {}

  // The steady clock may stand still in sleep and the wall clock may be set back, so the one that moved
  // further is believed. Neither is compared with the server's.
  const restMs = (token = held) =>
    token
      ? token.reply.expires_in * 1000 - Math.max(Date.now() - token.wall, now() - token.steady)
      : 0
  const alive = (token = held) =>
    token && restMs(token) > Math.min(10_000, token.margin / 4) ? token.reply : undefined
  const dueInMs = () => Math.max(held ? restMs() - held.dueMs : 0, pausedUntil - now())
  // What cannot get better by itself is not tried again unasked.
  const isFinal = () => /^4(?!08|25|29)/.test(failure?.status)

  /** @type {(reply?: TokenReply, error?: any) => void} */
  const tell = (reply, error) => {
    for (const hear of listeners) queueMicrotask(() => listeners.has(hear) && hear(reply, error))
  }

  /** @type {(error: any) => void} */
  const note = (error) => {
    failure = error
    const demandedMs = error.retryAfterMs ?? 0
    const backoffMs = Math.min(30_000, 500 * 2 ** failures++) * (0.5 + Math.random() / 2)
    demandedUntil = now() + demandedMs
    pausedUntil = isFinal() ? 0 : now() + Math.max(demandedMs, backoffMs)
    tell(undefined, error)
  }

  /** @type {(reply: any, steady: number, sharedAt?: number) => void} */
  const accept = (reply, steady, sharedAt) => {
    const lifeMs = reply?.expires_in * 1000
    // A difference of two moments of the server's clock, so it does not matter what that clock says.
    const ahead = Date.parse(reply?.expires_at) - Date.parse(reply?.refresh_after)
    const margin = ahead > 0 ? ahead : lifeMs * 0.4
    // Spread, so that pages opened together do not come back together; a second later, because
    // expires_in is rounded down; and never at once, when the broker had only what is due itself.
    const spread = margin * (1 - Math.random() / 4) - Math.min(1000, margin / 4)
    const dueMs = Math.min(spread, lifeMs / 2)
    const next = { reply, wall: sharedAt ?? Date.now(), steady, margin, dueMs }
    closing.signal.throwIfAborted()
    if (!reply?.token?.trim?.() || !alive(next))
      throw new TokenError('invalid_reply', 'The reply has no living token')
    if (sharedAt && restMs(next) <= restMs()) return
    const known = held?.reply.token
    held = next
    failure = undefined
    failures = pausedUntil = 0
    if (!sharedAt) channel?.postMessage({ reply, at: next.wall })
    if (reply.token !== known) tell(reply)
  }

  /** @type {(refresh: boolean, signal: AbortSignal) => Promise<void>} */
  const ask = async (refresh, signal) => {
    for (let again = false; ; again = true) {
      /** @type {Record<string, string>} */
      const headers = {}
      if (credential === undefined) headers['x-requested-with'] = 'token-client'
      else
        try {
          const bearer = typeof credential === 'function' ? await credential(again) : credential
          headers.authorization = `Bearer ${bearer}`
        } catch (cause) {
          throw new TokenError('credential', 'There is no credential', { cause })
        }
      const query = new URLSearchParams(asked)
      // Longer than the one in hand, or a renewal could be answered with what we have.
      const rest = Math.ceil(restMs() / 1000)
      if (rest > 0) query.set('min_ttl', `${Math.min(86_400, rest + 1)}`)
      if (refresh) headers['content-type'] = 'application/json'
      const response = await send(refresh ? endpoint : `${endpoint}?${query}`, {
        ...(refresh && { method: 'POST', body: JSON.stringify({ ...asked, refresh }) }),
        headers,
        signal,
        cache: 'no-store',
        redirect: 'error',
        credentials: credential === undefined ? 'include' : 'omit',
      })
      const received = now()
      const { status } = response
      const body = await response.json().catch(ignore)
      if (response.ok) return accept(body, received)
      if (again || typeof credential !== 'function' || (status !== 401 && status !== 403))
        throw new TokenError(`${body?.code ?? 'http'}`, body?.detail ?? `Status ${status}`, {
          status,
          retryAfterMs: Number(response.headers.get('retry-after')) * 1000 || undefined,
          requestId: body?.request_id,
        })
    }
  }

  // One tab at a time. A tab that does not get its turn, or has no locks, goes on alone.
  /** @type {(work: () => Promise<void>) => Promise<void>} */
  const inTurn = (work) =>
    shareTabs && globalThis.navigator?.locks
      ? new Promise((resolve) => {
          navigator.locks
            .request(sharedName, { signal: AbortSignal.timeout(timeoutMs / 3) }, async () => {
              const done = work()
              resolve(done)
              await done.catch(ignore)
              // The others are to have the news before they have their turn.
              await new Promise((next) => setTimeout(next, 50))
            })
            .catch(() => resolve(work()))
        })
      : work()

  /** @type {(refresh: boolean, signal: AbortSignal) => Promise<void>} */
  const fly = async (refresh, signal) => {
    const before = held
    // A try that starts later than this would be cut off before its answer can come.
    const lastStart = now() + timeoutMs / 1.5
    while (!signal.aborted) {
      const pauseMs = pausedUntil - now()
      if (pausedUntil > lastStart) throw failure
      if (pauseMs > 0) {
        await new Promise((resolve) => {
          const pause = setTimeout(resolve, pauseMs)
          endPause = () => resolve(clearTimeout(pause))
        })
        continue
      }
      try {
        return await inTurn(async () => {
          if (!signal.aborted && (held === before || !alive())) await ask(refresh, signal)
        })
      } catch (error) {
        if (signal.aborted) return
        note(
          error instanceof TokenError
            ? error
            : new TokenError('network', 'The broker is out of reach', { cause: error }),
        )
        if (isFinal()) throw error
      }
    }
  }

  const launch = (refresh = false) => {
    refreshing = refresh
    const aborter = new AbortController()
    const deadline = setTimeout(() => {
      note(new TokenError('timeout', 'There was no answer in time'))
      giveUp?.(failure)
    }, timeoutMs)
    flight = new Promise((/** @type {(value: void) => void} */ resolve, reject) => {
      giveUp = (error) => {
        reject(error)
        aborter.abort()
      }
      fly(refresh, aborter.signal).then(resolve, reject)
    }).finally(() => {
      clearTimeout(deadline)
      endPause?.()
      flight = undefined
      keepFresh()
    })
    flight.catch(ignore)
    return flight
  }

  const keepFresh = () => {
    clearTimeout(timer)
    if (flight || isFinal() || !listeners.size || closing.signal.aborted) return
    const waitMs = dueInMs()
    if (waitMs <= 0) return void launch()
    // Short looks, because a timer does not count the time that the machine slept.
    timer = setTimeout(keepFresh, Math.min(waitMs, 60_000))
    timer.unref?.()
  }

  const wake = () => {
    pausedUntil = Math.min(pausedUntil, demandedUntil)
    if (isFinal()) failure = undefined
    endPause?.()
    keepFresh()
  }

  // An open channel would keep the page out of the back/forward cache.
  const leave = () => {
    channel?.close()
    channel = undefined
  }
  const join = () => {
    if (!shareTabs) return
    leave()
    channel = new BroadcastChannel(sharedName)
    channel.onmessage = (/** @type {MessageEvent} */ { data }) => {
      try {
        accept(data.reply, now(), data.at)
        wake()
      } catch {}
    }
    // In Node, a channel would keep the process alive.
    channel.unref?.()
  }

  const getToken = async () => {
    for (;;) {
      closing.signal.throwIfAborted()
      const token = alive()?.token
      if (token) {
        if (!flight && !isFinal() && dueInMs() <= 0) launch()
        handedOut = token
        return token
      }
      await (flight ?? launch())
    }
  }

  /** @type {TokenClient['onToken']} */
  const onToken = (listener, onError) => {
    /** @type {(reply?: TokenReply, error?: any) => void} */
    const hear = (reply, error) => (reply ? listener(reply) : onError?.(error))
    listeners.add(hear)
    const known = alive()
    if (known) queueMicrotask(() => listeners.has(hear) && hear(known))
    if (isFinal()) failure = undefined
    keepFresh()
    return () => {
      listeners.delete(hear)
      keepFresh()
    }
  }

  for (const event of ['visibilitychange', 'online', 'pageshow'])
    globalThis.addEventListener?.(event, wake, closing)
  globalThis.addEventListener?.('pagehide', leave, closing)
  globalThis.addEventListener?.('pageshow', join, closing)
  join()

  return {
    getToken,
    onToken,
    current: () => alive(),
    widget(instance) {
      let last = handedOut
      return onToken(({ token }) => {
        if (token !== last) instance.updateToken(token)
        last = token
      })
    },
    async fetch(input, init) {
      const again = new Request(input, init)
      const request = again.clone()
      request.headers.set('authorization', `Bearer ${await getToken()}`)
      const used = held
      const response = await send(request)
      if (response.status !== 401) return response
      try {
        // Another request may have met the same refusal, and its fresh token is on the way.
        if (flight && !refreshing) await flight.catch(ignore)
        if (held === used) await (flight ?? launch(true))
        again.headers.set('authorization', `Bearer ${await getToken()}`)
      } catch {
        return response
      }
      response.body?.cancel().catch(ignore)
      return send(again)
    },
    close() {
      closing.abort(new TokenError('closed', 'The client is closed'))
      listeners.clear()
      clearTimeout(timer)
      held = undefined
      giveUp?.(closing.signal.reason)
      leave()
    },
  }
}

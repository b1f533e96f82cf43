import { BrokerError, FAILURES, type FailureCode } from '../errors.ts'
import type { CacheName } from './cache-key.ts'

/** What replicas tell each other. Nothing in it is readable without the fleet's keys. */
export type FleetMessage =
  | {
      readonly kind: 'stored'
      readonly from: string
      readonly name: CacheName
      readonly stamp: string
      readonly keptForMs: number
      readonly sealed: string
    }
  /** A mint has ended without a token. */
  | { readonly kind: 'freed'; readonly name: CacheName; readonly failure: BrokerError | null }
  /** `epoch` follows on `before`; whoever was not at `before` has missed something. */
  | {
      readonly kind: 'evicted'
      readonly before: string
      readonly epoch: string
      /** A customer's id, sealed, or `*`. */
      readonly whom: string
    }

export function storedMessage(message: Extract<FleetMessage, { kind: 'stored' }>): string {
  const { from, name, stamp, keptForMs, sealed } = message
  return ['stored', from, name.customer, name.variant, stamp, keptForMs, sealed].join(' ')
}

/** The upstream's failures are the same for whoever asks; ours are not the other replicas'. */
const isUpstreams = (code: string): code is FailureCode =>
  code.startsWith('upstream_') && code in FAILURES

export function freedMessage(name: CacheName, failure: unknown): string {
  const shared = failure instanceof BrokerError && isUpstreams(failure.code) ? failure : null
  const retryAfterMs = Math.round(shared?.retryAfterMs ?? 0)
  return ['freed', name.customer, name.variant, shared?.code ?? '-', retryAfterMs].join(' ')
}

/** `null` for what is no message of this format. */
export function parseMessage(text: string): FleetMessage | null {
  const [kind, ...words] = text.split(' ')
  const [a = '', b = '', c = '', d = '', e = '', f = ''] = words
  if (kind === 'stored' && words.length === 6 && Number(e) > 0)
    return {
      kind,
      from: a,
      name: { customer: b, variant: c },
      stamp: d,
      keptForMs: Number(e),
      sealed: f,
    }
  if (kind === 'freed' && words.length === 4)
    return { kind, name: { customer: a, variant: b }, failure: failureOf(c, Number(d)) }
  if (kind === 'evicted' && words.length === 3) return { kind, before: a, epoch: b, whom: c }
  return null
}

function failureOf(code: string, retryAfterMs: number): BrokerError | null {
  if (!isUpstreams(code)) return null
  const [, title] = FAILURES[code]
  return new BrokerError(code, title, {
    cause: 'told by the replica that asked',
    ...(retryAfterMs > 0 ? { retryAfterMs } : {}),
  })
}

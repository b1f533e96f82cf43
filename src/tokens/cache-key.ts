import { createHmac, hkdfSync } from 'node:crypto'
import type { TagSelection, TokenRequest } from './token.ts'

/** Raise it when the layout in Redis or the sealed shape changes: values of another format are never read. */
export const FORMAT = 'v1'

/** Where one token is kept in Redis: never a customer's id, always an HMAC. */
export type CacheName = { readonly customer: string; readonly variant: string }

export type Names = {
  /** The same for every upstream setting: evictions and first mints meet here while a fleet is reconfigured. */
  customer(customerId: string): string
  token(customerId: string, variant: string): CacheName
  /** Tells apart what was learnt from different upstreams. */
  readonly upstream: string
}

const NO_TAGS = ''

/**
 * The text of everything in a request but the customer that decides which token it is, with parts that
 * cannot run into each other. Texts of tags are remembered by the selection's identity: the configured
 * ones come with every request.
 */
export function createVariants(): (request: TokenRequest) => string {
  const known = new WeakMap<TagSelection, string>()

  function textOf(selection: TagSelection | null): string {
    if (selection === null) return NO_TAGS
    let text = known.get(selection)
    if (text === undefined) {
      // Order and repetition decide nothing upstream.
      text = JSON.stringify([selection.mode, ...[...new Set(selection.tags)].sort()])
      known.set(selection, text)
    }
    return text
  }

  return (request) => {
    const source = textOf(request.sourceTags)
    const connection = textOf(request.connectionTags)
    const origin = request.allowedOrigin ?? ''
    const region = request.regionId ?? ''
    // Lengths first, so that no part can pretend to be the start of the next one.
    return (
      `${request.type}${request.tagsAreRequired ? '!' : '.'}${origin.length}.${region.length}.` +
      `${source.length}.${connection.length}:${origin}${region}${source}${connection}${request.workspaceName}`
    )
  }
}

/**
 * Names for Redis. They are keyed with the org secret, so that a copy of Redis does not even tell
 * who the customers are, and so that a changed credential makes what was kept under the old one
 * unreachable. Not with the sealing keys: those rotate without a flush.
 */
export function createNames(orgSecret: string, identity: readonly string[]): Names {
  const key = Buffer.from(
    hkdfSync('sha256', orgSecret, '', `token-broker ${FORMAT} cache names`, 32),
  )
  // 22 characters are 132 bits.
  const digest = (...parts: readonly string[]) =>
    createHmac('sha256', key).update(JSON.stringify(parts)).digest('base64url').slice(0, 22)
  const upstream = digest('upstream', ...identity)
  const customer = (customerId: string) => digest('customer', customerId)

  return {
    upstream,
    customer,
    token: (customerId, variant) => ({
      customer: customer(customerId),
      variant: digest('token', upstream, customerId, variant),
    }),
  }
}

import { createHmac, hkdfSync } from 'node:crypto'
import { rememberedByTexts } from '../remembered.ts'
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

/** Which of a customer's tokens it is: the text of everything in a request but the customer that decides it. */
export type Variants = {
  /** The terms, and the workspace's name. */
  variantOf(request: TokenRequest): string
  /** Whether a request is of this variant; its text need not be put together for that. */
  matches(variant: string, request: TokenRequest): boolean
}

/**
 * The parts cannot run into each other. What is configured comes with every request and is put into words once:
 * tags by the selection's identity, origins and regions by their texts.
 */
export function createVariants(): Variants {
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

  // Lengths first, so that no part can pretend to be the start of the next one.
  const terms = (
    kind: string,
    origin: string,
    region: string,
    source: string,
    connection: string,
  ) =>
    `${kind}${origin.length}.${region.length}.${source.length}.${connection.length}:` +
    `${origin}${region}${source}${connection}`
  const termsWithoutTags = rememberedByTexts((kind: string, origin: string, region: string) =>
    terms(kind, origin, region, NO_TAGS, NO_TAGS),
  )

  function termsOf(request: TokenRequest): string {
    const { tagsAreRequired, sourceTags, connectionTags } = request
    const kind = tagsAreRequired ? WITH_TAGS_REQUIRED[request.type] : WITH_TAGS_WAIVED[request.type]
    const origin = request.allowedOrigin ?? ''
    const region = request.regionId ?? ''
    if (sourceTags === null && connectionTags === null)
      return termsWithoutTags(kind, origin, region)
    return terms(kind, origin, region, textOf(sourceTags), textOf(connectionTags))
  }

  return {
    variantOf: (request) => termsOf(request) + request.workspaceName,
    matches(variant, request) {
      const { workspaceName } = request
      const its = termsOf(request)
      return (
        variant.length === its.length + workspaceName.length &&
        variant.startsWith(its) &&
        variant.endsWith(workspaceName)
      )
    },
  }
}

const WITH_TAGS_REQUIRED = { scoped: 'scoped!', widget: 'widget!' } as const
const WITH_TAGS_WAIVED = { scoped: 'scoped.', widget: 'widget.' } as const

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

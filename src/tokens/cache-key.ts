import { createHmac, hkdfSync } from 'node:crypto'
import { inOnePiece, rememberedByTexts } from '../remembered.ts'
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

/** What decides, beside the customer, which token it is. */
export type VariantParts = {
  /** All of it but the workspace. */
  readonly terms: string
  readonly workspaceName: string
}

export type Variants = {
  /** The parts as one text. */
  variantOf(request: TokenRequest): string
  termsOf(request: TokenRequest): string
  partsOf(variant: string): VariantParts
}

/** Kind, and the lengths of what follows: origin, region, tags of sources, tags of connections. */
const BEGINNING = /^\w+[.!](\d+)\.(\d+)\.(\d+)\.(\d+):/

/**
 * Parts that cannot run into each other. What is configured comes with every request, so it is put into words
 * once: tags by the selection's identity, origins and regions by their texts. Equal terms without tags are one
 * text once a request has asked for them, and that is told from others without looking into it.
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
  const wording = (
    kind: string,
    origin: string,
    region: string,
    source: string,
    connection: string,
  ) =>
    `${kind}${origin.length}.${region.length}.${source.length}.${connection.length}:` +
    `${origin}${region}${source}${connection}`
  /** Each under itself, to find the one text for an equal one. */
  const texts = new Map<string, string>()
  const withoutTags = rememberedByTexts((kind: string, origin: string, region: string) => {
    const text = inOnePiece(wording(kind, origin, region, NO_TAGS, NO_TAGS))
    texts.set(text, text)
    return text
  })

  function termsOf(request: TokenRequest): string {
    const { tagsAreRequired, sourceTags, connectionTags } = request
    const kind = tagsAreRequired ? WITH_TAGS_REQUIRED[request.type] : WITH_TAGS_WAIVED[request.type]
    const origin = request.allowedOrigin ?? ''
    const region = request.regionId ?? ''
    if (sourceTags === null && connectionTags === null) return withoutTags(kind, origin, region)
    return wording(kind, origin, region, textOf(sourceTags), textOf(connectionTags))
  }

  return {
    termsOf,
    variantOf: (request) => termsOf(request) + request.workspaceName,
    partsOf(variant) {
      const found = BEGINNING.exec(variant)
      if (found === null) return { terms: variant, workspaceName: '' }
      const [beginning, ...lengths] = found
      const end = lengths.reduce((sum, length) => sum + Number(length), beginning.length)
      const terms = variant.slice(0, end)
      return { terms: texts.get(terms) ?? terms, workspaceName: variant.slice(end) }
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

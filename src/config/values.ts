import { createHash } from 'node:crypto'
import { z } from 'zod'

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

const fail = (ctx: z.core.$RefinementCtx, message: string) => {
  ctx.addIssue({ code: 'custom', message })
  return z.NEVER
}

/** `500ms`, `30s`, `15m`, `2h`, `7d` -> milliseconds, within the bounds. */
export const duration = (leastMs: number, mostMs: number) =>
  z.string().transform((text, ctx) => {
    const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text)
    const unit = z.enum(['ms', 's', 'm', 'h', 'd']).safeParse(match?.[2])
    if (!match || !unit.success) return fail(ctx, 'is not a duration such as 500ms, 30s or 15m')
    const ms = Number(match[1]) * UNITS[unit.data]
    if (ms < leastMs || ms > mostMs)
      return fail(ctx, `is not between ${spell(leastMs)} and ${spell(mostMs)}`)
    return ms
  })

function spell(ms: number): string {
  const unit = (['d', 'h', 'm', 's'] as const).find(
    (name) => ms >= UNITS[name] && ms % UNITS[name] === 0,
  )
  return unit ? `${ms / UNITS[unit]}${unit}` : `${ms}ms`
}

export const wholeNumber = (least: number, most: number) =>
  z.string().transform((text, ctx) => {
    const value = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN
    if (!(value >= least && value <= most))
      return fail(ctx, `is not a whole number from ${least} to ${most}`)
    return value
  })

/** `0` to `1`, such as `0.01`. */
export const share = z.string().transform((text, ctx) => {
  const value = /^(0|1|0?\.\d{1,6}|1\.0+)$/.test(text) ? Number(text) : Number.NaN
  return value >= 0 && value <= 1 ? value : fail(ctx, 'is not a share from 0 to 1')
})

export const flag = z
  .enum(['true', 'false'], 'is neither true nor false')
  .transform((text) => text === 'true')

/** Comma-separated; blanks around the items and empty items are dropped. */
export const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
)

/** Header values and URL parts: visible ASCII, so that nothing can be smuggled into a header. */
export const visible = z
  .string()
  .regex(/^[\x21-\x7e]+$/, 'has blanks, line breaks or non-ASCII characters')

export const uuid = z.uuid('is not a UUID')

/** Exact origins, in the spelling that browsers use: `https://app.example.com`, no path, no wildcard. */
export const origins = list.transform((items, ctx) => {
  for (const item of items) {
    const origin = URL.canParse(item) ? new URL(item).origin : null
    if (origin !== item || !/^https?:/.test(item))
      return fail(ctx, 'has an item that is not an exact origin such as https://app.example.com')
  }
  return [...new Set(items)]
})

const LOOPBACK = /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/

/** Clear text is all right where it does not leave the machine, or a container network of short names. */
export const isPrivateHost = (url: string) => {
  const { hostname } = new URL(url)
  return LOOPBACK.test(hostname) || !/[.:]/.test(hostname)
}

/** An absolute http(s) URL without credentials, query and fragment. */
export const httpUrl = z.string().transform((text, ctx) => {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url || !/^https?:$/.test(url.protocol)) return fail(ctx, 'is not an http or https URL')
  if (url.username || url.password) return fail(ctx, 'has a user name or password in it')
  if (url.search || url.hash) return fail(ctx, 'has a query or a fragment')
  return text
})

export const absolutePath = z.string().regex(/^\/[\x21-\x7e]*$/, 'is not a path that begins with /')

/** Reads each item of a list, up to the first that is a mistake: `read` tells a mistake as a text. */
const listOf = <T extends object>(read: (item: string) => T | string) =>
  list.transform((items, ctx) => {
    const values: T[] = []
    for (const item of items) {
      const value = read(item)
      if (typeof value === 'string') return fail(ctx, value)
      values.push(value)
    }
    if (values.length === 0) return fail(ctx, 'is empty')
    return values
  })

/** `host:port,host:port`; an IPv6 host stands in brackets. */
export const hostPorts = listOf((item) => {
  const [, host, text] = /^(\[[0-9a-fA-F:]+\]|[^:\s]+):(\d{1,5})$/.exec(item) ?? []
  const port = Number(text)
  if (!host || !(port >= 1 && port <= 65535)) return 'is not a list of host:port'
  return { host: host.replace(/^\[|\]$/g, ''), port }
})

/** `id:base64` of 32 bytes each, newest first. */
export const encryptionKeys = listOf((item) => {
  const [, id, text = ''] = /^([A-Za-z0-9_-]{1,32}):([A-Za-z0-9+/_-]+=*)$/.exec(item) ?? []
  const key = Buffer.from(text, 'base64')
  return id && key.length === 32 ? { id, key } : 'is not a list of id:base64 with 32 bytes each'
}).refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length, 'names one id twice')

/** `name:key` or `name:sha256:<hex>` -> the key's SHA-256. Two keys a name, for the time of a rotation. */
export const apiKeys = listOf((item) => {
  const [, name, key = ''] = /^([A-Za-z0-9._-]{1,64}):([\x21-\x7e]+)$/.exec(item) ?? []
  if (!name) return 'has an item that is not name:key'
  const hash = /^sha256:(.*)$/.exec(key)?.[1]
  if (hash !== undefined)
    return /^[0-9a-fA-F]{64}$/.test(hash)
      ? { name, digest: Buffer.from(hash, 'hex') }
      : 'has a sha256: item that is not 64 hex digits'
  if (key.length < 24) return 'has a key shorter than 24 characters'
  return { name, digest: createHash('sha256').update(key).digest() }
})
  .refine(
    (keys) => keys.every(({ name }) => keys.filter((other) => other.name === name).length <= 2),
    'has more than two keys for one name',
  )
  .refine(
    (keys) => new Set(keys.map(({ digest }) => digest.toString('hex'))).size === keys.length,
    'has the same key twice',
  )

/** The whole id has to match, whether or not the pattern is anchored. */
export const pattern = z.string().transform((text, ctx) => {
  try {
    return new RegExp(`^(?:${text})$`, 'u')
  } catch {
    return fail(ctx, 'is not a regular expression')
  }
})

/** `true`, a number of hops, or addresses and networks of the proxies. */
export const trustProxy = z.string().transform((text, ctx) => {
  if (text === 'true' || text === 'false') return text === 'true'
  if (/^\d{1,2}$/.test(text)) return Number(text)
  const networks = text.split(',').map((item) => item.trim())
  if (
    networks.every((item) =>
      /^([0-9a-fA-F.:]+(\/\d{1,3})?|loopback|linklocal|uniquelocal)$/.test(item),
    )
  )
    return networks
  return fail(ctx, 'is neither true, a number of hops nor a list of addresses')
})

export const pathPart = z.string().regex(/^[\w.~-]{1,128}$/, 'is not an identifier')

/** Space or comma separated, as people write them; on the wire they are space separated (RFC 6749, section 3.3). */
export const scopes = z
  .string()
  .transform((text) => text.split(/[\s,]+/).filter((scope) => scope !== ''))

export const redisUrl = z
  .string()
  .refine(
    (text) => URL.canParse(text) && /^rediss?:$/.test(new URL(text).protocol),
    'is not a redis:// or rediss:// URL',
  )

export const proxyUrl = z
  .string()
  .refine(
    (text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol),
    'is not the http or https URL of a proxy',
  )

/** Asymmetric ones only: the key set is public, so an HMAC by one of its keys is anybody's. */
export const algorithms = list.pipe(
  z
    .array(
      z.enum(
        [
          'RS256',
          'RS384',
          'RS512',
          'PS256',
          'PS384',
          'PS512',
          'ES256',
          'ES384',
          'ES512',
          'EdDSA',
          'Ed25519',
        ],
        'has an item that is not an asymmetric JWS algorithm',
      ),
    )
    .min(1, 'is empty'),
)

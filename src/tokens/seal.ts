import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'

/** A key of the ring: its id travels with what it sealed. */
export type CacheKey = { readonly id: string; readonly key: Buffer }

export type Sealer = {
  /** `name` is authenticated with it: moved to another name, the sealed text does not open. */
  seal(name: string, text: string): string
  /** `null`: sealed with a key that is not in the ring, for another name, or no sealed text at all. */
  open(name: string, sealed: string): string | null
}

const ALGORITHM = 'aes-256-gcm'
const IV_BYTES = 12
const TAG_BYTES = 16

/** The key for those who configure none; it changes with the org secret. */
export function derivedKey(orgSecret: string): CacheKey {
  const key = Buffer.from(hkdfSync('sha256', orgSecret, '', 'token-broker v1 cache key', 32))
  return { id: `org-${createHash('sha256').update(key).digest('hex').slice(0, 8)}`, key }
}

/** Seals with the first key of the ring, opens with any: so keys are rotated without a flush. */
export function createSealer(ring: readonly CacheKey[]): Sealer {
  const [newest] = ring
  if (newest === undefined) throw new TypeError('the key ring is empty')
  for (const { id, key } of ring)
    if (!/^[\w-]{1,64}$/.test(id) || key.length !== 32)
      throw new TypeError('a cache key has a short plain id and 32 bytes')
  const keys = new Map(ring.map(({ id, key }) => [id, key]))

  return {
    seal(name, text) {
      // Random nonces are safe for 2^32 seals under one key: 50 days at 1,000 mints a second.
      const iv = randomBytes(IV_BYTES)
      const cipher = createCipheriv(ALGORITHM, newest.key, iv, { authTagLength: TAG_BYTES })
      cipher.setAAD(Buffer.from(name))
      const body = Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final()])
      return `${newest.id}.${Buffer.concat([body, cipher.getAuthTag()]).toString('base64url')}`
    },

    open(name, sealed) {
      const dot = sealed.indexOf('.')
      const key = keys.get(sealed.slice(0, Math.max(dot, 0)))
      const body = Buffer.from(sealed.slice(dot + 1), 'base64url')
      if (key === undefined || body.length < IV_BYTES + TAG_BYTES) return null
      const decipher = createDecipheriv(ALGORITHM, key, body.subarray(0, IV_BYTES), {
        authTagLength: TAG_BYTES,
      })
      decipher.setAAD(Buffer.from(name))
      decipher.setAuthTag(body.subarray(-TAG_BYTES))
      try {
        const text = decipher.update(body.subarray(IV_BYTES, -TAG_BYTES))
        return Buffer.concat([text, decipher.final()]).toString('utf8')
      } catch {
        return null
      }
    },
  }
}

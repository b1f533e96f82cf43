import { hash } from 'node:crypto'
import type { Credentials } from './caller.ts'
import { namedCookies } from './cookies.ts'

/** The one credential of a request that counts, by its SHA-256 in hex, or why none does. */
export type Presented =
  | { readonly way: 'nothing' }
  /** Two credentials at once: which of them was meant is not ours to guess. */
  | { readonly way: 'contradiction' }
  | { readonly way: 'key'; readonly digest: string }
  | { readonly way: 'bearer'; readonly digest: string; readonly token: string }
  | { readonly way: 'cookie'; readonly cookie: string }

/** Which cookies tell a session; `null`: all of them, `undefined`: cookies do not count here. */
export type SessionCookies = readonly string[] | null | undefined

const NOTHING: Presented = { way: 'nothing' }
const CONTRADICTION: Presented = { way: 'contradiction' }
const BEARER = /^bearer +/i

/**
 * Headers that a program sets beat the cookie that a browser adds by itself. A header that is no use, such
 * as another scheme, still keeps the cookie out: a caller is never taken for somebody it did not name.
 */
export function presented(credentials: Credentials, cookies: SessionCookies): Presented {
  const { authorization, apiKey, cookie } = credentials
  if (authorization !== undefined && apiKey !== undefined) return CONTRADICTION
  if (authorization !== undefined) {
    const token = authorization.slice(BEARER.exec(authorization)?.[0].length ?? Infinity)
    return token === '' ? NOTHING : { way: 'bearer', digest: sha256(token), token }
  }
  if (apiKey !== undefined) return apiKey === '' ? NOTHING : { way: 'key', digest: sha256(apiKey) }
  if (cookie === undefined || cookies === undefined) return NOTHING
  const session = namedCookies(cookie, cookies)
  return session === '' ? NOTHING : { way: 'cookie', cookie: session }
}

// As text, because it is a name to look up under: a buffer takes longer to make than the digest.
const sha256 = (text: string) => hash('sha256', text, 'hex')

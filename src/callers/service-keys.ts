import { timingSafeEqual } from 'node:crypto'
import type { Caller } from './caller.ts'

/** A key by its SHA-256. A name may have two, for the time of a rotation. */
export type ServiceKey = { readonly name: string; readonly digest: Buffer }

/** Which service a key's digest, in hex, belongs to. */
export function createServiceKeys(keys: readonly ServiceKey[]) {
  const known = keys.map(({ name, digest }) => {
    const caller: Caller = { kind: 'service', name }
    return { caller, digest }
  })

  return (digest: string): Caller | undefined => {
    const bytes = Buffer.from(digest, 'hex')
    let found: Caller | undefined
    // Every key is compared, so timing does not tell how near a guess came, nor which key it was near to.
    for (const key of known) if (timingSafeEqual(key.digest, bytes)) found = key.caller
    return found
  }
}

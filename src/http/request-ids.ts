import { randomFillSync } from 'node:crypto'

/** A caller's own id is kept, if it cannot break a line of the log; it joins the two sides' logs. */
const REQUEST_ID = /^[A-Za-z0-9._~-]{1,64}$/

/** 96 bits: no two requests of a fleet share one by chance. */
const ID_BYTES = 12
const AT_ONCE = 512

/** The caller's id for a request, or one that nobody can guess another by; of characters that need no escape anywhere. */
export function createRequestIds(): (own: unknown) => string {
  // Many at a time: to ask for randomness costs more than to write an id.
  const random = Buffer.allocUnsafe(ID_BYTES * AT_ONCE)
  let used = random.length

  return (own) => {
    if (typeof own === 'string' && REQUEST_ID.test(own)) return own
    if (used === random.length) {
      randomFillSync(random)
      used = 0
    }
    used += ID_BYTES
    return random.toString('base64url', used - ID_BYTES, used)
  }
}

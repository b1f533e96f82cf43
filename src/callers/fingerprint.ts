import { createHmac, createSecretKey } from 'node:crypto'
import { z } from 'zod'

/** 128 bits: no two tokens share one by chance, and a line of the audit stays short. In hex, which no shell minds. */
const DIGITS = 32

const WidgetBlob = z.looseObject({ token: z.string().min(1) })

/**
 * Names a token without telling it: only who has the key can go from a token to its name, and nobody back.
 * A widget's blob has the name of the scoped token inside, so whichever of the two is found somewhere leads
 * to its issue.
 */
export function createFingerprint(key: Uint8Array): (token: string) => string {
  const secret = createSecretKey(key)
  return (token) =>
    createHmac('sha256', secret).update(innermost(token)).digest('hex').slice(0, DIGITS)
}

function innermost(token: string): string {
  // The JSON of an object in base64 begins so; a JWT does too, but has dots.
  if (!token.startsWith('ey') || token.includes('.')) return token
  try {
    const blob: unknown = JSON.parse(Buffer.from(token, 'base64').toString())
    const parsed = WidgetBlob.safeParse(blob)
    return parsed.success ? parsed.data.token : token
  } catch {
    return token
  }
}

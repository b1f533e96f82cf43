import { decodeJwt } from 'jose'
import { z } from 'zod'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'

const Reply = z.object({
  token: z.string(),
  type: z.enum(['scoped', 'widget']),
  customer_id: z.string(),
})
const Widget = z.object({ token: z.string() })

/** Failures that the weather explains. */
const WEATHER = /^(upstream_\w+|cache_unavailable)$/

export type Verdict = 'right' | 'unchecked' | 'weather' | 'overloaded' | `wrong: ${string}`

/**
 * Whether a reply may be: a live token of the customer, or a failure that a fault explains. By what the token
 * says of itself and what the upstream knows of it, not by what the broker says.
 */
export function createJudge(upstream: Sandbox) {
  return (
    asked: { customer: string; sentAt: number },
    reply: { status: number; body: string },
    isRough: boolean,
  ): Verdict => {
    if (reply.status !== 200) {
      const code = z.object({ code: z.string() }).safeParse(jsonOf(reply.body)).data?.code ?? ''
      if (code === 'overloaded') return 'overloaded'
      return isRough && WEATHER.test(code) ? 'weather' : `wrong: ${reply.status} ${code}`
    }
    const { token, type, customer_id } = Reply.parse(jsonOf(reply.body))
    if (customer_id !== asked.customer) return 'wrong: another customer in the reply'
    const inner =
      type === 'scoped'
        ? token
        : Widget.parse(jsonOf(Buffer.from(token, 'base64').toString())).token
    const endsAt = (decodeJwt(inner).exp ?? 0) * 1000
    if (endsAt <= asked.sentAt)
      return `wrong: expired ${asked.sentAt - endsAt} ms before it was asked for`
    const known = upstream.verify(token)
    // It has ended on the way here.
    if (known === null)
      return Date.now() >= endsAt ? 'unchecked' : 'wrong: not a token of the upstream'
    return known.customer === asked.customer ? 'right' : 'wrong: a token of another customer'
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

import { z } from 'zod'
import type { TokenType } from '../tokens/token.ts'

export const REQUEST_KINDS = ['exchange', 'mint', 'info', 'other'] as const
export type RequestKind = (typeof REQUEST_KINDS)[number]

export type AskedRequest = {
  /** Epoch milliseconds, by the sandbox's clock. */
  readonly at: number
  readonly method: string
  readonly path: string
  /** With the question mark, or empty. */
  readonly query: string
  readonly headers: Readonly<Record<string, string>>
  /** As it came. */
  readonly body: string
  /** `undefined` when it is none. */
  readonly json: unknown
  readonly kind: RequestKind
  readonly tokenType: TokenType | null
  /** The name in whichever field the mint names its customer. */
  readonly customer: string | null
  /**
   * Who asked: the client id that an exchange names, or to which the org token of a mint was given;
   * `static-1` and so on for the org tokens of the settings. Never a secret.
   */
  readonly credential: string | null
  /** Which org token a mint came with, by number: `org-1` is the first that was issued. */
  readonly orgToken: string | null
  /** What it was answered with; `null` while it waits, and when a fault ate the answer. */
  status: number | null
  /** The fault that befell it. */
  fault: string | null
}

export const RequestMatch = z.object({
  on: z.enum([...REQUEST_KINDS, 'any']),
  customer: z.string().optional(),
  tokenType: z.enum(['scoped', 'widget']).optional(),
})
export type RequestMatch = z.infer<typeof RequestMatch>

export const matches = (wanted: RequestMatch, request: AskedRequest): boolean =>
  (wanted.on === 'any' || wanted.on === request.kind) &&
  (wanted.customer === undefined || wanted.customer === request.customer) &&
  (wanted.tokenType === undefined || wanted.tokenType === request.tokenType)

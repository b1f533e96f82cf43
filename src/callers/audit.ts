import type { Log } from '../log.ts'
import type { Token, TokenType } from '../tokens/token.ts'
import { openAuditFile } from './audit-file.ts'
import type { Caller } from './caller.ts'
import { createFingerprint } from './fingerprint.ts'

export type AuditSettings = {
  /** `stdout`, or the path of a file. */
  readonly destination: string
  readonly fingerprintKey: Uint8Array
}

export const AUDIT_EVENTS = [
  'token.issued',
  'token.refused',
  'token.limited',
  'token.evicted',
  'token.introspected',
] as const

/** What was decided about one request. */
export type Decided =
  | { readonly event: 'token.issued'; readonly source: string; readonly token: Token }
  | { readonly event: 'token.refused' | 'token.limited'; readonly reason: string }
  | { readonly event: 'token.evicted' }
  | { readonly event: 'token.introspected'; readonly active: boolean; readonly value: string }

export type AuditEntry = {
  readonly decided: Decided
  /** `null`: nobody we know. */
  readonly caller: Caller | null
  readonly customerId: string
  readonly type: TokenType | null
  readonly requestId: string
  readonly address: string
  readonly userAgent: string | undefined
}

export type AuditLog = {
  record(entry: AuditEntry): void
  reopen(): void
  close(): Promise<void>
}

const MOST_USER_AGENT = 256

/**
 * One line of JSON per decision, apart from the log: who was given a token for whom, or was refused one, and
 * why. A token is in it by its fingerprint alone.
 */
export function createAuditLog(
  settings: AuditSettings,
  deps: { readonly log: Log; readonly now?: () => number },
): AuditLog {
  const now = deps.now ?? Date.now
  const file = openAuditFile(settings.destination, deps.log, now)
  const fingerprintOf = createFingerprint(settings.fingerprintKey)

  // By the object, not by the value: it is forgotten together with the token, and costs no hash to find.
  const known = new WeakMap<Token, { expires_at: string; token_fingerprint: string }>()
  function namesOf(token: Token) {
    const kept = known.get(token)
    if (kept !== undefined) return kept
    const made = {
      expires_at: new Date(token.expiresAt).toISOString(),
      token_fingerprint: fingerprintOf(token.value),
    }
    known.set(token, made)
    return made
  }

  function told(decided: Decided) {
    switch (decided.event) {
      case 'token.issued':
        return {
          outcome: 'allowed',
          source: decided.source === 'hit' ? 'cache' : 'mint',
          ...namesOf(decided.token),
        }
      case 'token.refused':
        return { outcome: 'refused', reason: decided.reason }
      case 'token.limited':
        return { outcome: 'limited', reason: decided.reason }
      case 'token.evicted':
        return { outcome: 'allowed' }
      case 'token.introspected':
        return {
          outcome: 'allowed',
          active: decided.active,
          token_fingerprint: fingerprintOf(decided.value),
        }
    }
  }

  return {
    record(entry) {
      const line = {
        time: new Date(now()).toISOString(),
        event: entry.decided.event,
        ...callerFields(entry.caller),
        customer: entry.customerId,
        kind: entry.type,
        ...told(entry.decided),
        request_id: entry.requestId,
        address: entry.address,
        user_agent: entry.userAgent?.slice(0, MOST_USER_AGENT) ?? null,
      }
      file.write(`${JSON.stringify(line)}\n`)
    },
    reopen: () => file.reopen(),
    close: () => file.close(),
  }
}

function callerFields(caller: Caller | null) {
  if (caller === null) return { caller: 'unknown' }
  if (caller.kind === 'service') return { caller: caller.kind, caller_name: caller.name }
  if (caller.kind === 'anyone') return { caller: caller.kind }
  return { caller: caller.kind, subject: caller.subjectDigest }
}

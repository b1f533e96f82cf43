import { createRow } from '../in-a-row.ts'
import { createIsoTime } from '../iso-time.ts'
import type { Log } from '../log.ts'
import { inOnePiece, rememberedBy, rememberedLast } from '../remembered.ts'
import type { Token, TokenType } from '../tokens/token.ts'
import { type AuditOutput, openAuditFile } from './audit-file.ts'
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
  /** Of characters that JSON has no escapes for. */
  readonly requestId: string
  /** `undefined`: the connection has broken before it was looked at. */
  readonly address: string | undefined
  readonly userAgent: string | undefined
}

export type AuditLog = {
  record(entry: AuditEntry): void
  reopen(): void
  /** Writes what is held back before it returns: for a process that is about to end. */
  flush(): void
  close(): Promise<void>
}

const MOST_USER_AGENT = 256

/**
 * One line of JSON per decision, apart from the log: who was given a token for whom, or was refused one, and
 * why. A token is in it by its fingerprint alone.
 */
export function createAuditLog(
  settings: AuditSettings,
  deps: { readonly log: Log; readonly now?: () => number; readonly stdout?: AuditOutput },
): AuditLog {
  const now = deps.now ?? Date.now
  const file = openAuditFile(settings.destination, { ...deps, now })
  const fingerprintOf = createFingerprint(settings.fingerprintKey)
  const isoTime = createIsoTime()

  // By the object, not by the value: it is forgotten together with the token, and costs no hash to find.
  const issuedFields = rememberedBy((token: Token, customerId) =>
    inOnePiece(
      `"customer":${json(customerId)},"kind":"${token.type}","outcome":"allowed",` +
        `"expires_at":"${isoTime.milliseconds(token.expiresAt)}",` +
        `"token_fingerprint":"${fingerprintOf(token.value)}","source":`,
    ),
  )

  function toldFields(decided: Exclude<Decided, { event: 'token.issued' }>): string {
    switch (decided.event) {
      case 'token.refused':
        return `"outcome":"refused","reason":${json(decided.reason)}`
      case 'token.limited':
        return `"outcome":"limited","reason":${json(decided.reason)}`
      case 'token.evicted':
        return '"outcome":"allowed"'
      case 'token.introspected':
        return `"outcome":"allowed","active":${decided.active},"token_fingerprint":"${fingerprintOf(decided.value)}"`
    }
  }

  function whatFields({ decided, customerId, type }: AuditEntry): string {
    if (decided.event === 'token.issued')
      return issuedFields(decided.token, customerId) + (decided.source === 'hit' ? CACHE : MINT)
    return `"customer":${json(customerId)},"kind":${json(type)},${toldFields(decided)}`
  }

  const beginningAt = rememberedLast((at) => inOnePiece(`{"time":"${isoTime.milliseconds(at)}",`))
  // By hand, and of few pieces: every request has such a line, and to make it from an object takes three times as long.
  const lines = createRow<readonly [at: number, AuditEntry]>(setImmediate, ([at, entry]) => {
    const { decided, caller, requestId, address, userAgent } = entry
    file.write(
      `${beginningAt(at)}"event":"${decided.event}",${callerFields(caller)},${whatFields(entry)},` +
        `"request_id":"${requestId}","address":${json(address ?? null)},` +
        `"user_agent":${json(userAgent?.slice(0, MOST_USER_AGENT) ?? null)}}\n`,
    )
  })

  return {
    record: (entry) => lines.add([now(), entry]),
    reopen() {
      lines.drain()
      file.reopen()
    },
    flush() {
      lines.drain()
      file.flush()
    },
    close() {
      lines.drain()
      return file.close()
    },
  }
}

const CACHE = '"cache"'
const MINT = '"mint"'

const json = (value: string | null) => JSON.stringify(value)

function callerFields(caller: Caller | null): string {
  if (caller === null) return '"caller":"unknown"'
  if (caller.kind === 'service') return `"caller":"service","caller_name":${json(caller.name)}`
  if (caller.kind === 'anyone') return '"caller":"anyone"'
  return `"caller":"${caller.kind}","subject":"${caller.subjectDigest}"`
}

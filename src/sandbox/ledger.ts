import type { TagSelection, TokenType } from '../tokens/token.ts'
import type { AskedRequest } from './asked.ts'

export type Minted = {
  readonly customer: string
  readonly type: TokenType
  readonly workspaceId: string
  readonly organization: string
  /** As it went out. */
  readonly token: string
  /** The scoped token: the same, or the one inside a widget token. */
  readonly inner: string
  readonly allowedOrigin: string | null
  readonly sourceTags: TagSelection | null
  readonly connectionTags: TagSelection | null
  readonly regionId: string | null
  readonly expiresAt: number
}

/** What was asked, whether it was granted or not, and what was handed out. */
export type Counts = {
  readonly exchanges: { readonly total: number; readonly byCredential: Record<string, number> }
  readonly mints: {
    readonly total: number
    readonly byType: Record<TokenType, number>
    readonly byCustomer: Record<string, number>
    readonly byCredential: Record<string, number>
    /** The most that were in the works at one time. */
    readonly peak: number
  }
  readonly infos: number
  readonly others: number
  /** Org tokens handed out. */
  readonly exchanged: number
  /** Customer tokens handed out. */
  readonly minted: number
}

/** Remembers what came in and what went out, the latest `remembers` of each; the counts are of all. */
export function createLedger(remembers: () => number) {
  const asked: AskedRequest[] = []
  const minted: Minted[] = []
  const settled = new Set<string>()
  const issued: string[] = []
  let runningMints = 0
  let tally = emptyTally()

  function remember<T>(list: T[], item: T) {
    list.push(item)
    // Half at a time, so that forgetting costs next to nothing per request.
    if (list.length > remembers()) list.splice(0, Math.ceil(list.length / 2))
  }

  return {
    asked,
    minted,
    counts: (): Counts => ({
      exchanges: { total: tally.exchange, byCredential: Object.fromEntries(tally.exchangesBy) },
      mints: {
        total: tally.mint,
        byType: { ...tally.byType },
        byCustomer: Object.fromEntries(tally.mintsFor),
        byCredential: Object.fromEntries(tally.mintsBy),
        peak: tally.peak,
      },
      infos: tally.info,
      others: tally.other,
      exchanged: tally.exchanged,
      minted: tally.minted,
    }),
    secrets: () => [...settled, ...issued],
    /** A secret that is not the sandbox's own making: these are never forgotten. */
    accepts(secret: string) {
      settled.add(secret)
    },
    /** Takes a request down; what it returns is to be called when the request is over. */
    arrived(request: AskedRequest): () => void {
      remember(asked, request)
      tally[request.kind] += 1
      if (request.kind === 'exchange') addOne(tally.exchangesBy, request.credential)
      if (request.kind !== 'mint') return () => {}

      if (request.tokenType) tally.byType[request.tokenType] += 1
      addOne(tally.mintsFor, request.customer)
      addOne(tally.mintsBy, request.credential)
      runningMints += 1
      tally.peak = Math.max(tally.peak, runningMints)
      return () => {
        runningMints -= 1
      }
    },
    exchanged(token: string) {
      tally.exchanged += 1
      remember(issued, token)
    },
    handedOut(token: Minted) {
      tally.minted += 1
      remember(minted, token)
      remember(issued, token.inner)
      if (token.token !== token.inner) remember(issued, token.token)
    },
    /** Starts afresh; the secrets stay, for they are still about. */
    forget() {
      asked.length = 0
      minted.length = 0
      tally = emptyTally()
    },
  }
}

export type Ledger = ReturnType<typeof createLedger>

const emptyTally = () => ({
  exchange: 0,
  mint: 0,
  info: 0,
  other: 0,
  exchanged: 0,
  minted: 0,
  peak: 0,
  byType: { scoped: 0, widget: 0 },
  exchangesBy: new Map<string, number>(),
  mintsBy: new Map<string, number>(),
  mintsFor: new Map<string, number>(),
})

function addOne(tally: Map<string, number>, key: string | null) {
  if (key !== null) tally.set(key, (tally.get(key) ?? 0) + 1)
}

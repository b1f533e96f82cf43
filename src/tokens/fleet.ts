import type { Token } from './token.ts'

/** A token that some replica of the fleet has put where all of them look. */
export type SharedToken = {
  readonly token: Token
  /** Names the mint it came from. */
  readonly stamp: string
  readonly keptForMs: number
}

/** The right to mint: nobody else in the fleet does the same meanwhile. */
export type MintRight = {
  /** Shares the token and gives the right back. The token's stamp; `null` when it was not put where all look. */
  keep(token: Token): Promise<string | null>
  /** Gives the right back without a token, and tells those who wait why. */
  giveBack(failure: unknown): Promise<void>
}

export type Sought =
  | { readonly kind: 'found'; readonly shared: SharedToken; readonly waited: boolean }
  | { readonly kind: 'granted'; readonly right: MintRight }
  /** Another replica is minting, and the asker did not want to wait. */
  | { readonly kind: 'elsewhere' }

export type Search = {
  readonly customerId: string
  readonly variant: string
  /** The stamp of a shared token that is known and will not do. */
  readonly passedOver: string | null
  /** The customer has had a token, so mints of other kinds need not be waited for. */
  readonly customerIsKnown: boolean
  readonly patient: boolean
}

export type Fleet = {
  /**
   * Finds the token, or gets the right to mint it; waits for another replica's mint, but not for ever.
   * Never fails because Redis does: then this process is all the fleet there is.
   * @throws BrokerError what another replica's mint, which was waited for, failed with
   */
  seek(search: Search): Promise<Sought>
  /** The workspace that any replica has minted for. */
  workspaceOf(customerId: string): Promise<string | null>
  /** @throws BrokerError `cache_unavailable` */
  evict(customerId: string | null): Promise<void>
  close(): Promise<void>
}

/** One process without Redis. */
export function createLoneFleet(): Fleet {
  const right: MintRight = { keep: async () => null, giveBack: async () => {} }
  return {
    seek: async () => ({ kind: 'granted', right }),
    workspaceOf: async () => null,
    evict: async () => {},
    close: async () => {},
  }
}

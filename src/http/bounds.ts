/** What one caller, or all of them together, can take up of a server. */
export type Bounds = {
  readonly bodyBytes: number
  readonly headerBytes: number
  readonly headers: number
  readonly urlCharacters: number
  readonly headersTimeoutMs: number
  readonly requestTimeoutMs: number
  /** How often what is overdue is looked for. */
  readonly checkEveryMs: number
  readonly keepAliveMs: number
  readonly silenceMs: number
  readonly connections: number
}

export const BOUNDS: Bounds = {
  bodyBytes: 16_384,
  headerBytes: 16_384,
  headers: 100,
  urlCharacters: 8192,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 15_000,
  checkEveryMs: 1000,
  /** Longer than the idle time of common load balancers (60 s), so that they close first and never meet a reset. */
  keepAliveMs: 72_000,
  /** For who does not read his reply, or is not there any more. Longer than any reply may be waited for. */
  silenceMs: 180_000,
  /** At their largest these hold 32 KiB each. */
  connections: 10_000,
}

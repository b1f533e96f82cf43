/** Who asks, once authenticated. What each kind may do is decided in one place, `policy.ts`. */
export type Caller =
  | { readonly kind: 'service'; readonly name: string }
  | {
      readonly kind: 'user' | 'session'
      /** Hex SHA-256 of the JWT's issuer and subject, or of the cookie: names somebody without telling whom. */
      readonly subjectDigest: string
      readonly customerIds: ReadonlySet<string>
    }
  /** `AUTH=none`: nobody was asked who they are. */
  | { readonly kind: 'anyone' }

/** The parts of a request that tell who sent it, as they came. */
export type Credentials = {
  readonly authorization: string | undefined
  readonly apiKey: string | undefined
  readonly cookie: string | undefined
  readonly requestedWith: string | undefined
  readonly origin: string | undefined
  /** The customer the request is about; a session check is told it. */
  readonly customerId: string
}

export type Authenticate = {
  /**
   * The caller, if these credentials are already known to be good: a service key, a verified JWT or a
   * checked session that is remembered. Never does I/O or signature work.
   */
  recognise(credentials: Credentials): Caller | undefined
  /**
   * The caller, after whatever work it takes.
   * @throws BrokerError `unauthenticated`, `csrf`, `origin_not_allowed`, `forbidden`, `invalid_request`,
   * `caller_check_unavailable`
   */
  verify(credentials: Credentials): Promise<Caller>
}

/** The kind of caller, and its name or digest: for people, and for telling one from another. */
export const callerName = (caller: Caller) => {
  if (caller.kind === 'service') return `service ${caller.name}`
  return caller.kind === 'anyone' ? 'anyone' : `${caller.kind} ${caller.subjectDigest}`
}

import { randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import type { WidgetFlaw } from './faults.ts'
import type { SandboxSettings } from './settings.ts'
import { widgetToken } from './widget-token.ts'

export type OrgToken = {
  /** `org-1` is the first one issued, `static-1` the first one of the settings. */
  readonly id: string
  readonly credential: string
  /** The organisation it is bound to; `null`: any that there is. */
  readonly organization: string | null
  readonly mayMint: boolean
  readonly expiresAt: number
}

export type Verified = {
  readonly customer: string
  readonly workspaceId: string
  readonly organization: string
  readonly expiresAt: number
}

export type ScopedToken = Verified & { readonly token: string }

/** Whole seconds, as in the real ones, unless the life itself is finer than that. */
const endOf = (now: number, lifeMs: number) =>
  lifeMs % 1000 === 0 ? Math.floor((now + lifeMs) / 1000) * 1000 : now + lifeMs

/** Makes the tokens, and knows the ones that it made. */
export function createTokens(
  settings: () => SandboxSettings,
  now: () => number,
  widgetPage: () => string,
) {
  const orgTokens = createShelf<OrgToken>(settings, now)
  const scopedTokens = createShelf<Verified>(settings, now)
  const widgetTokens = createShelf<Verified>(settings, now)
  const revoked = new Set<string>()
  let issued = 0

  const alive = (token: Verified | undefined) => (token && now() < token.expiresAt ? token : null)

  const sign = (claims: Record<string, unknown>, expiresAt: number) =>
    new SignJWT({ ...claims, exp: expiresAt / 1000 })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setJti(randomUUID())
      .sign(new TextEncoder().encode(settings().signingSecret))

  return {
    async orgToken(of: {
      credential: string
      organization: string | null
      mayMint: boolean
      lifeMs: number
    }): Promise<{ token: string; expiresAt: number }> {
      const { credential, organization, mayMint, lifeMs } = of
      const opaque = settings().opaqueOrgTokens
      const expiresAt = opaque ? now() + lifeMs : endOf(now(), lifeMs)
      const token = opaque
        ? `opaque-org-token-${randomUUID()}`
        : await sign({ sub: credential, ...(organization ? { org: organization } : {}) }, expiresAt)
      issued += 1
      orgTokens.keep(token, {
        id: `org-${issued}`,
        credential,
        organization,
        mayMint,
        expiresAt,
      })
      return { token, expiresAt }
    },

    /** The org token that this is, dead or alive: even a refused request has somebody who made it. */
    orgTokenOf(token: string | null): OrgToken | null {
      if (token === null) return null
      const fixed = settings().orgTokens.indexOf(token)
      if (fixed < 0) return orgTokens.get(token) ?? null
      const id = `static-${fixed + 1}`
      return { id, credential: id, organization: null, mayMint: true, expiresAt: Infinity }
    },
    isLive: (token: string, { expiresAt }: OrgToken) => !revoked.has(token) && now() < expiresAt,
    revoke(token: string) {
      revoked.add(token)
    },

    async scopedToken(of: Omit<Verified, 'expiresAt'> & { lifeMs: number }): Promise<ScopedToken> {
      const { customer, workspaceId, organization, lifeMs } = of
      const expiresAt = endOf(now(), lifeMs)
      const token = await sign(
        { sub: workspaceId, 'io.airbyte.auth.workspace_scope': { workspaceId } },
        expiresAt,
      )
      const verified = { customer, workspaceId, organization, expiresAt }
      scopedTokens.keep(token, verified)
      return { ...verified, token }
    },

    verifyScoped: (token: string): Verified | null => alive(scopedTokens.get(token)),

    widgetToken(inner: ScopedToken, origin: string | null, flaw?: WidgetFlaw): string {
      const token = widgetToken({
        inner: inner.token,
        workspaceId: inner.workspaceId,
        origin,
        page: settings().widgetUrl ?? widgetPage(),
        encoding: settings().widgetEncoding,
        flaw,
      })
      widgetTokens.keep(token, inner)
      return token
    },

    /** Whose token this is, if it is alive: a scoped one, or a widget token as it went out. */
    verify: (token: string): Verified | null =>
      alive(scopedTokens.get(token)) ?? alive(widgetTokens.get(token)),
  }
}

/** Tokens by what they say, the expired ones cleared away when there are too many. */
function createShelf<T extends { readonly expiresAt: number }>(
  settings: () => SandboxSettings,
  now: () => number,
) {
  const kept = new Map<string, T>()
  let clearAt = 0

  return {
    get: (token: string) => kept.get(token),
    keep(token: string, of: T) {
      kept.set(token, of)
      if (kept.size <= Math.max(clearAt, settings().remembers)) return
      for (const [old, { expiresAt }] of kept) if (expiresAt <= now()) kept.delete(old)
      // Were all of them alive, the next token must not set off the same search again.
      clearAt = kept.size * 2
    },
  }
}

export type Tokens = ReturnType<typeof createTokens>

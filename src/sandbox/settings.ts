import { z } from 'zod'

/** The generations of the mint API; which of them answer is a setting. */
export const DIALECTS = ['embedded', 'embedded-workspace', 'applications'] as const
export type Dialect = (typeof DIALECTS)[number]

/** The ways to an org token; which of them answer is a setting. */
export const EXCHANGES = [
  'cloud',
  'self-managed',
  'self-managed-old',
  'agents',
  'beyond-identity',
  'oauth2',
] as const
export type Exchange = (typeof EXCHANGES)[number]

const durationMs = z.number().min(0)

const Client = z.strictObject({
  id: z.string().min(1),
  secret: z.string().min(1),
  /** The only organisation it reaches; without one it reaches all of them. */
  organization: z.string().optional(),
  /** `false`: its org tokens are good, but every mint with one is a 403. */
  mayMint: z.boolean().optional(),
})

/** What may be changed while it runs, over the control interface too. */
export const ChangeableSettings = z.strictObject({
  dialects: z.array(z.enum(DIALECTS)),
  exchanges: z.array(z.enum(EXCHANGES)),
  /** A field that the dialect does not know is a 422; the more lenient upstreams ignore it. */
  strict: z.boolean(),
  /** `by-dialect`: the guide's reply is `full`, the later ones are the token alone. */
  mintReply: z.enum(['by-dialect', 'full', 'token', 'access_token']),
  infoReply: z.enum(['by-dialect', 'guide', 'current']),
  /** The names by which the dialect `applications` takes the customer. */
  customerFields: z.array(z.enum(['workspace_name', 'external_user_id', 'customer_name'])).min(1),
  orgTokenLifeMs: durationMs,
  scopedLifeMs: durationMs,
  widgetLifeMs: durationMs,
  /** What `expires_in` says instead of the truth; `null`: the truth. */
  announcedExpiresIn: z.union([z.number(), z.string(), z.null()]),
  omitExpiresIn: z.boolean(),
  opaqueOrgTokens: z.boolean(),
  /** `opaque`: any string, as in the guide's generation. */
  widgetEncoding: z.enum([
    'base64',
    'base64-unpadded',
    'base64url',
    'base64url-unpadded',
    'opaque',
  ]),
  /** Where the browser widget finds its page; `null`: a page that the sandbox serves on loopback. */
  widgetUrl: z.string().nullable(),
  delays: z.strictObject({ exchange: durationMs, mint: durationMs, info: durationMs }).partial(),
  /** How long a new workspace is in the making: the gap in which a second first mint overlaps. */
  workspaceCreationMs: durationMs,
  breakOnOverlappingFirstMints: z.boolean(),
  /** With several, a credential that reaches more than one has to send `X-Organization-Id`. */
  organizations: z.array(z.string()).min(1),
  /** The region a new workspace has to be made in; `null`: any, or none said. */
  requiredRegion: z.string().nullable(),
  clients: z.array(Client),
  /** Org tokens that are good although it never issued them. */
  orgTokens: z.array(z.string().min(1)),
  /** The scopes that RFC 6749 exchanges know; `null`: all there are. */
  scopes: z.array(z.string()).nullable(),
  oauth2ClientAuth: z.enum(['both', 'basic', 'post']),
  /** The only application whose token path answers; `null`: any. */
  beyondIdentity: z
    .strictObject({ tenant: z.string(), realm: z.string(), application: z.string() })
    .nullable(),
  /** How far its clock is ahead, in the tokens as well as in the `Date` header. */
  clockSkewMs: z.number(),
})

export type SandboxSettings = z.infer<typeof ChangeableSettings> & {
  /** Read once, at the start. */
  host: string
  port: number
  /** Whether `/__sandbox/…` answers; read once, at the start. */
  control: boolean
  signingSecret: string
  now: () => number
  /** How many requests and tokens it remembers, so that a long-running one does not grow for ever. */
  remembers: number
}

export type SandboxChange = { [K in keyof SandboxSettings]?: SandboxSettings[K] | undefined }

export const defaultSettings = (): SandboxSettings => ({
  dialects: [...DIALECTS],
  exchanges: [...EXCHANGES],
  strict: true,
  mintReply: 'by-dialect',
  infoReply: 'by-dialect',
  customerFields: ['workspace_name'],
  orgTokenLifeMs: 15 * 60_000,
  scopedLifeMs: 20 * 60_000,
  widgetLifeMs: 20 * 60_000,
  announcedExpiresIn: null,
  omitExpiresIn: false,
  opaqueOrgTokens: false,
  widgetEncoding: 'base64',
  widgetUrl: null,
  delays: {},
  workspaceCreationMs: 5,
  breakOnOverlappingFirstMints: true,
  organizations: ['0f6e2a52-94a1-4bb4-8d6b-6c9d6b1a7c11'],
  requiredRegion: null,
  clients: [{ id: 'sandbox-client', secret: 'sandbox-client-secret-9d1f3c' }],
  orgTokens: ['sandbox-static-org-token-5b7e20'],
  scopes: null,
  oauth2ClientAuth: 'both',
  beyondIdentity: null,
  clockSkewMs: 0,
  host: '127.0.0.1',
  port: 0,
  control: false,
  signingSecret: 'the sandbox signs with this, and nobody checks it',
  now: Date.now,
  remembers: 100_000,
})

/** The settings with a change applied; what the change leaves undefined stays. */
export function changed(settings: SandboxSettings, change: SandboxChange): SandboxSettings {
  const said = Object.entries(change).filter(([, value]) => value !== undefined)
  return { ...settings, ...Object.fromEntries(said) }
}

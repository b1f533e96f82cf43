import type { TokenType } from '../tokens/token.ts'
import type { CustomDialect } from './settings.ts'

/** One generation of the API that mints, as data. Adding a generation is adding a row. */
export type Dialect = {
  readonly name: DialectName
  /** Under the API's URL. */
  readonly mintPath: Readonly<Record<TokenType, string>>
  readonly infoPath: string | null
  readonly customerField: string
  /** `allowed_origin` on a widget mint. */
  readonly origin: 'never' | 'optional' | 'required'
  readonly takesTags: Readonly<Record<TokenType, boolean>>
  /** Whether tags come with a mode; `if-all`: only when it is not what a reader without modes would do. */
  readonly tagModes: 'never' | 'if-all' | 'always'
  /** `blob`: base64 of JSON with the scoped token and the widget's URL in it; `any`: no promise about it. */
  readonly widgetReply: 'blob' | 'any'
}

export const DIALECT_NAMES = ['embedded', 'embedded-workspace', 'applications', 'custom'] as const
export type DialectName = (typeof DIALECT_NAMES)[number]

const EMBEDDED_PATHS = {
  mintPath: { scoped: '/api/v1/embedded/scoped-token', widget: '/api/v1/embedded/widget-token' },
  infoPath: '/api/v1/embedded/scoped-token/info',
} as const

/** The published generations, in the order in which `auto` tries them. */
export const DIALECTS = [
  {
    name: 'embedded',
    ...EMBEDDED_PATHS,
    customerField: 'external_id',
    origin: 'never',
    takesTags: { scoped: true, widget: true },
    tagModes: 'never',
    widgetReply: 'any',
  },
  {
    name: 'embedded-workspace',
    ...EMBEDDED_PATHS,
    customerField: 'workspace_name',
    origin: 'required',
    takesTags: { scoped: false, widget: true },
    tagModes: 'always',
    widgetReply: 'blob',
  },
  {
    name: 'applications',
    mintPath: {
      scoped: '/api/v1/account/applications/scoped-token',
      widget: '/api/v1/account/applications/widget-token',
    },
    infoPath: '/api/v1/account/applications/scoped-token/info',
    customerField: 'workspace_name',
    origin: 'required',
    takesTags: { scoped: false, widget: true },
    tagModes: 'always',
    widgetReply: 'blob',
  },
] as const satisfies readonly Dialect[]

export const customDialect = (custom: CustomDialect): Dialect => ({
  name: 'custom',
  mintPath: { scoped: custom.scopedTokenPath, widget: custom.widgetTokenPath },
  infoPath: custom.tokenInfoPath,
  customerField: custom.customerField,
  origin: 'optional',
  takesTags: { scoped: custom.tagsOn === 'both', widget: custom.tagsOn !== 'none' },
  tagModes: 'if-all',
  widgetReply: 'any',
})

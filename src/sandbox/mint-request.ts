import { z } from 'zod'
import type { TagSelection } from '../tokens/token.ts'
import { fieldsOf, type Incoming } from './incoming.ts'
import { errorReply, type Reply } from './reply.ts'
import type { Route } from './routes.ts'
import type { Dialect, SandboxSettings } from './settings.ts'

export type MintAsked = {
  readonly dialect: Dialect
  readonly customer: string
  readonly allowedOrigin: string | null
  readonly sourceTags: TagSelection | null
  readonly connectionTags: TagSelection | null
  readonly regionId: string | null
}

const text = z.string().min(1)
const tags = z.array(z.string()).nullish()
const mode = z.enum(['any', 'all']).nullish()

const Everything = z.object({
  external_id: text,
  workspace_name: text,
  external_user_id: text,
  customer_name: text,
  allowed_origin: text,
  selected_source_template_tags: tags,
  selected_connection_template_tags: tags,
  selected_source_template_tags_mode: mode,
  selected_connection_template_tags_mode: mode,
  region_id: z.string().nullish(),
})

const TAGS = ['selected_source_template_tags', 'selected_connection_template_tags']
const MODES = ['selected_source_template_tags_mode', 'selected_connection_template_tags_mode']

/** All the names under which a customer has ever been sent, for the record of what was asked. */
export function customerNamedBy(json: unknown): string | null {
  const fields = fieldsOf(json)
  for (const name of ['external_id', 'workspace_name', 'external_user_id', 'customer_name']) {
    const value = fields?.[name]
    if (typeof value === 'string') return value
  }
  return null
}

/** What a mint asks for, by the rules of the dialect that it is in; or the refusal. */
export function readMint(
  request: Incoming,
  route: Extract<Route, { kind: 'mint' }>,
  settings: SandboxSettings,
): MintAsked | Reply {
  const sent = request.mediaType === 'application/json' ? fieldsOf(request.json) : null
  if (!sent) {
    return errorReply('detail-list', 422, 'Input should be a valid dictionary', { at: ['body'] })
  }
  const rules = rulesFor(sent, route, settings)
  const [customerField] = rules.customerFields
  const named = rules.customerFields.find((name) => name in sent) ?? customerField ?? ''

  const required = [named, ...(rules.originRequired ? ['allowed_origin'] : [])]
  const missing = required.find((name) => sent[name] === undefined)
  if (missing) return refusal('Field required', missing)

  const known = new Set([
    named,
    ...rules.optional,
    ...(rules.originRequired ? ['allowed_origin'] : []),
  ])
  const unknown = Object.keys(sent).find((name) => !known.has(name))
  if (unknown && settings.strict) return refusal('Extra inputs are not permitted', unknown)

  const heard = Object.fromEntries(Object.entries(sent).filter(([name]) => known.has(name)))
  const parsed = Everything.partial().safeParse(heard)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return refusal(issue?.message ?? 'Invalid', String(issue?.path[0] ?? ''))
  }
  const fields = parsed.data
  return {
    dialect: rules.dialect,
    customer: customerNamedBy(heard) ?? '',
    allowedOrigin: fields.allowed_origin ?? null,
    sourceTags: selection(
      fields.selected_source_template_tags,
      fields.selected_source_template_tags_mode,
    ),
    connectionTags: selection(
      fields.selected_connection_template_tags,
      fields.selected_connection_template_tags_mode,
    ),
    regionId: fields.region_id ?? null,
  }
}

const refusal = (message: string, field: string): Reply =>
  errorReply('detail-list', 422, message, { at: ['body', field] })

const selection = (
  tags: string[] | null | undefined,
  mode: 'any' | 'all' | null | undefined,
): TagSelection | null => (tags ? { tags, mode: mode ?? 'any' } : null)

type Rules = {
  dialect: Dialect
  customerFields: readonly string[]
  originRequired: boolean
  optional: readonly string[]
}

/** Two generations share the path of the guide: which one it is shows in the customer's field. */
function rulesFor(
  sent: Readonly<Record<string, unknown>>,
  route: Extract<Route, { kind: 'mint' }>,
  settings: SandboxSettings,
): Rules {
  const widget = route.type === 'widget'
  const { dialects, customerFields } = settings
  const guide =
    route.family === 'embedded' &&
    dialects.includes('embedded') &&
    ('external_id' in sent || !dialects.includes('embedded-workspace'))

  if (guide) {
    return {
      dialect: 'embedded',
      customerFields: ['external_id'],
      originRequired: false,
      optional: [...TAGS, 'region_id'],
    }
  }
  return {
    dialect: route.family === 'embedded' ? 'embedded-workspace' : 'applications',
    customerFields: route.family === 'embedded' ? ['workspace_name'] : customerFields,
    originRequired: widget,
    optional: widget ? [...TAGS, ...MODES, 'region_id'] : ['region_id'],
  }
}

import { BrokerError } from '../errors.ts'
import type { TagSelection, TokenRequest, TokenType } from './token.ts'

export type RequestSettings = {
  /** How the upstream knows a customer; `{id}` stands for the customer's id. */
  readonly workspaceTemplate: string
  readonly widgetOrigins: readonly string[]
  readonly sourceTags: TagSelection | null
  readonly connectionTags: TagSelection | null
  readonly regionId: string | null
}

/** What the caller said, once it may say it. `undefined`: it left the choice to the configuration. */
export type Asked = {
  readonly customerId: string
  readonly type: TokenType
  readonly allowedOrigin?: string | undefined
  /** The request's `Origin` header. */
  readonly pageOrigin?: string | undefined
  readonly sourceTags?: readonly string[] | undefined
  readonly sourceTagsMode?: TagSelection['mode'] | undefined
  readonly connectionTags?: readonly string[] | undefined
  readonly connectionTagsMode?: TagSelection['mode'] | undefined
}

/**
 * `tagsAreRequired`: the tags are a rule for this caller or customer, whoever named them.
 * @throws BrokerError `origin_not_allowed`
 */
export function tokenRequest(
  settings: RequestSettings,
  asked: Asked,
  tagsAreRequired = false,
): TokenRequest {
  const allowedOrigin = originFor(settings.widgetOrigins, asked)
  const named = (tags: unknown, mode: unknown) => tags !== undefined || mode !== undefined
  return {
    customerId: asked.customerId,
    workspaceName: workspaceNameOf(settings, asked.customerId),
    type: asked.type,
    allowedOrigin: asked.type === 'widget' ? allowedOrigin : null,
    sourceTags: selection(settings.sourceTags, asked.sourceTags, asked.sourceTagsMode),
    connectionTags: selection(
      settings.connectionTags,
      asked.connectionTags,
      asked.connectionTagsMode,
    ),
    tagsAreRequired:
      tagsAreRequired ||
      named(asked.sourceTags, asked.sourceTagsMode) ||
      named(asked.connectionTags, asked.connectionTagsMode),
    regionId: settings.regionId,
  }
}

/** The name the upstream keeps a customer under. */
export const workspaceNameOf = ({ workspaceTemplate }: RequestSettings, customerId: string) =>
  workspaceTemplate === '{id}'
    ? customerId
    : // A function, because `$&` and its like have a meaning in a replacement string.
      workspaceTemplate.replaceAll('{id}', () => customerId)

/** A dialog on a page of another origin hangs without a word, so an origin that is not listed is refused. */
function originFor(allowed: readonly string[], asked: Asked): string | null {
  if (asked.allowedOrigin !== undefined) {
    if (allowed.includes(asked.allowedOrigin)) return asked.allowedOrigin
    throw new BrokerError(
      'origin_not_allowed',
      'allowed_origin is not one of the configured origins',
    )
  }
  if (asked.pageOrigin !== undefined && allowed.includes(asked.pageOrigin)) return asked.pageOrigin
  return allowed.length === 1 ? (allowed[0] ?? null) : null
}

/** Either half that the caller names replaces that half of what is configured. */
function selection(
  configured: TagSelection | null,
  tags: readonly string[] | undefined,
  mode: TagSelection['mode'] | undefined,
): TagSelection | null {
  const chosen = tags ?? configured?.tags ?? []
  return chosen.length === 0 ? null : { tags: chosen, mode: mode ?? configured?.mode ?? 'any' }
}

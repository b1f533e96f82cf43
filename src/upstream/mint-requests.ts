import { BrokerError } from '../errors.ts'
import type { TagSelection, TokenRequest } from '../tokens/token.ts'
import type { Dialect } from './dialects.ts'

/** The fields of a mint, and what had to be left out of it. */
export type MintBody = {
  readonly body: Readonly<Record<string, unknown>>
  readonly dropped: string[]
}

/**
 * What is asked for, in the words of the dialect.
 * @throws BrokerError `origin_required`; `invalid_request` where tags that a caller insists on cannot be applied
 */
export function mintBody(dialect: Dialect, request: TokenRequest): MintBody {
  const source = tagFields(dialect, request, 'source', request.sourceTags)
  const connection = tagFields(dialect, request, 'connection', request.connectionTags)
  return {
    body: {
      [dialect.customerField]: request.workspaceName,
      ...originField(dialect, request),
      ...source.body,
      ...connection.body,
      ...(request.regionId === null ? {} : { region_id: request.regionId }),
    },
    dropped: [...source.dropped, ...connection.dropped],
  }
}

function originField(dialect: Dialect, request: TokenRequest): Record<string, string> {
  if (request.type !== 'widget' || dialect.origin === 'never') return {}
  if (request.allowedOrigin !== null) return { allowed_origin: request.allowedOrigin }
  if (dialect.origin === 'optional') return {}
  throw new BrokerError('origin_required', 'a widget token is bound to the origin of its page')
}

function tagFields(
  dialect: Dialect,
  request: TokenRequest,
  kind: 'source' | 'connection',
  selection: TagSelection | null,
): MintBody {
  if (selection === null) return { body: {}, dropped: [] }
  const field = `selected_${kind}_template_tags`
  if (!dialect.takesTags[request.type]) return { body: {}, dropped: [insisted(request, field)] }

  const asksForAll = selection.mode === 'all' && selection.tags.length > 1
  if (dialect.tagModes === 'never') {
    const dropped = asksForAll ? [insisted(request, `${field}_mode`)] : []
    return { body: { [field]: selection.tags }, dropped }
  }
  const saysMode = dialect.tagModes === 'always' || selection.mode === 'all'
  return {
    body: { [field]: selection.tags, ...(saysMode ? { [`${field}_mode`]: selection.mode } : {}) },
    dropped: [],
  }
}

function insisted(request: TokenRequest, field: string): string {
  if (!request.tagsAreRequired) return field
  throw new BrokerError('invalid_request', 'tags cannot be applied to this type of token here', {
    cause: new Error(`the dialect in use has no ${field} for ${request.type} tokens`),
  })
}

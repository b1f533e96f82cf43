import type { Caller } from '../callers/caller.ts'
import { BrokerError } from '../errors.ts'
import type { Asked, RequestSettings } from '../tokens/request.ts'
import type { Limit } from './limits.ts'

export type Action =
  | { readonly route: 'issue'; readonly asked: Asked }
  | { readonly route: 'evict' | 'introspect'; readonly customerId: string }

/** What the policy grants along with its yes. */
export type Permission = {
  readonly settings: RequestSettings
  /** `undefined`: the limit for everyone. */
  readonly limit: Limit | undefined
}

/** @throws BrokerError `forbidden`, `origin_not_allowed`, `caller_check_unavailable` */
export type Permit = (caller: Caller, action: Action) => Permission | Promise<Permission>

export const ownCustomersOnly =
  (settings: RequestSettings): Permit =>
  (caller, action) => {
    const customerId = action.route === 'issue' ? action.asked.customerId : action.customerId
    if (caller.kind === 'user' || caller.kind === 'session') {
      const { asked } = action.route === 'issue' ? action : { asked: undefined }
      const names =
        asked &&
        (asked.sourceTags ??
          asked.sourceTagsMode ??
          asked.connectionTags ??
          asked.connectionTagsMode)
      if (!asked || names !== undefined || !caller.customerIds.has(customerId))
        throw new BrokerError('forbidden', 'the caller may not do this for this customer')
    }
    return { settings, limit: undefined }
  }

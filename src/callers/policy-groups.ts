import { isConfidential } from './bounded-get.ts'
import type { CustomerRuleDocument, PolicyDocument } from './policy-document.ts'
import type { Problem } from './policy-file.ts'
import type { CustomerRule, CustomerSet, Policy, ServiceRule } from './policy-rules.ts'

/** The policy that a document states: each customer with what it has from its group, and what contradicts itself. */
export function policyFrom(
  document: PolicyDocument,
  allowInsecure: boolean,
): { policy: Policy; problems: readonly Problem[] } {
  const problems: Problem[] = []
  const tell = (path: Problem['path'], message: string) => problems.push({ path, message })

  const groups = new Map(Object.entries(document.groups ?? {}))
  const customers = new Map<string, CustomerRule>()
  const prefixes = new Map<string, CustomerRule>()

  for (const [name, { members, ...fields }] of groups) {
    tellModes(['groups', name], fields, tell)
    const rule = ruleFrom(fields)
    for (const [index, member] of (members ?? []).entries()) {
      const [rules, id] =
        typeof member === 'string' ? [customers, member] : [prefixes, member.prefix]
      if (rules.has(id)) tell(['groups', name, 'members', index], 'is a member of a group already')
      rules.set(id, rule)
    }
  }

  for (const [id, { group: name, ...fields }] of Object.entries(document.customers ?? {})) {
    tellModes(['customers', id], fields, tell)
    const group = name === undefined ? undefined : groups.get(name)
    if (name !== undefined && group === undefined)
      tell(['customers', id, 'group'], 'there is no such group')
    if (name !== undefined && customers.has(id))
      tell(['customers', id, 'group'], 'is a member of a group already')
    const shared = (group && ruleFrom(group)) ?? customers.get(id) ?? closest(prefixes, id) ?? {}
    customers.set(id, { ...shared, ...ruleFrom(fields) })
  }

  const known = document.known_customers
  if (typeof known === 'object' && !allowInsecure && !isConfidential(known.url))
    tell(['known_customers', 'url'], 'must be https, unless ALLOW_INSECURE_UPSTREAM=true is set')

  const policy: Policy = {
    mode: document.mode,
    knownCustomers:
      typeof known === 'string'
        ? known
        : { url: known.url, ttlMs: known.ttl, timeoutMs: known.timeout },
    services:
      document.services === undefined
        ? null
        : new Map(
            Object.entries(document.services).map(([name, rule]) => [name, serviceRule(rule)]),
          ),
    customers,
    prefixes: longestFirst(prefixes),
  }
  return { policy, problems }
}

const longestFirst = (prefixes: ReadonlyMap<string, CustomerRule>) =>
  [...prefixes]
    .map(([prefix, rule]) => ({ prefix, rule }))
    .sort((a, b) => b.prefix.length - a.prefix.length)

const closest = (prefixes: ReadonlyMap<string, CustomerRule>, id: string) =>
  longestFirst(prefixes).find(({ prefix }) => id.startsWith(prefix))?.rule

type Fields = CustomerRuleDocument

/** A mode without tags would quietly alter the tags that are configured for all. */
function tellModes(
  path: Problem['path'],
  fields: Fields,
  tell: (path: Problem['path'], message: string) => void,
): void {
  for (const side of ['source_template_tags', 'connection_template_tags'] as const)
    if (fields[`${side}_mode`] !== undefined && fields[side] === undefined)
      tell([...path, `${side}_mode`], `goes together with ${side}`)
}

/** Only what is stated: a field that is left out must not hide the group's. */
function ruleFrom(fields: Fields): CustomerRule {
  const selection = (tags: readonly string[], mode: 'any' | 'all' = 'any') =>
    tags.length === 0 ? null : { tags, mode }
  return {
    ...(fields.kinds && { kinds: fields.kinds }),
    ...(fields.source_template_tags && {
      sourceTags: selection(fields.source_template_tags, fields.source_template_tags_mode),
    }),
    ...(fields.connection_template_tags && {
      connectionTags: selection(
        fields.connection_template_tags,
        fields.connection_template_tags_mode,
      ),
    }),
    ...(fields.allowed_origins && { allowedOrigins: fields.allowed_origins }),
    ...(fields.region_id && { regionId: fields.region_id }),
    ...(fields.rate_limit && {
      limit: { max: fields.rate_limit.max, windowMs: fields.rate_limit.window },
    }),
  }
}

type ServiceDocument = NonNullable<PolicyDocument['services']>[string]

const serviceRule = (document: ServiceDocument): ServiceRule => ({
  customers: document.customers === 'any' ? 'any' : customerSet(document.customers),
  kinds: document.kinds ?? null,
  sourceTags: document.source_template_tags ? new Set(document.source_template_tags) : null,
  connectionTags: document.connection_template_tags
    ? new Set(document.connection_template_tags)
    : null,
})

const customerSet = (items: readonly (string | { prefix: string })[]): CustomerSet => ({
  ids: new Set(items.filter((item) => typeof item === 'string')),
  prefixes: items.flatMap((item) => (typeof item === 'string' ? [] : [item.prefix])),
})

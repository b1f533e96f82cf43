import { z } from 'zod'
import * as v from '../config/values.ts'
import { TOKEN_TYPES } from '../tokens/token.ts'

/**
 * The form of `POLICY_FILE`; `deploy/policy.example.yaml` shows all of it. Every scalar comes as text.
 */
const list = <Item extends z.ZodType>(item: Item) => z.array(item, 'is not a list')
const text = (most: number) =>
  z.string('is not text').min(1, 'is empty').max(most, `is longer than ${most} characters`)

const customerId = text(128)
/** A customer by its exact id, or all whose ids begin alike. A pattern in a plain id would be a surprise. */
const customers = list(
  z.union([customerId, z.strictObject({ prefix: customerId })], 'is neither an id nor a prefix'),
)
const kinds = list(z.enum(TOKEN_TYPES, 'is neither scoped nor widget')).min(1, 'is empty')
const tags = list(text(256)).max(100, 'has more than 100 items')
const mode = z.enum(['any', 'all'], 'is neither any nor all')
const origin = z
  .string('is not text')
  .refine(
    (value) => /^https?:/.test(value) && URL.canParse(value) && new URL(value).origin === value,
    'is not an exact origin such as https://app.example.com',
  )

const customerRule = z.strictObject(
  {
    kinds: kinds.optional(),
    source_template_tags: tags.optional(),
    source_template_tags_mode: mode.optional(),
    connection_template_tags: tags.optional(),
    connection_template_tags_mode: mode.optional(),
    allowed_origins: list(origin).optional(),
    region_id: v.uuid.optional(),
    rate_limit: z
      .strictObject(
        { max: v.wholeNumber(1, 1_000_000_000), window: v.duration(1000, 86_400_000) },
        'is not max and window',
      )
      .optional(),
  },
  'is not a rule',
)

/** `{id}` in it stands for the customer's id. */
const httpUrl = z
  .string('is not text')
  .refine(
    (url) => /^https?:/.test(url) && URL.canParse(url) && !new URL(url).username,
    'is not an http or https URL',
  )

const knownCustomers = z.union(
  [
    z.enum(['any', 'listed']),
    z.strictObject({
      url: httpUrl,
      ttl: v.duration(0, 86_400_000).prefault('5m'),
      timeout: v.duration(100, 60_000).prefault('3s'),
    }),
  ],
  'is neither any nor listed nor a url with its ttl and timeout',
)

const serviceRule = z.strictObject(
  {
    customers: z.union([z.literal('any'), customers], 'is neither any nor a list of customers'),
    kinds: kinds.optional(),
    source_template_tags: tags.min(1, 'is empty').optional(),
    connection_template_tags: tags.min(1, 'is empty').optional(),
  },
  'is not a rule',
)

const named = <Rule extends z.ZodType>(rule: Rule) =>
  z.record(text(128), rule, 'is not a list of names with a rule each')

export const PolicyDocument = z.strictObject({
  mode: z.enum(['enforce', 'audit'], 'is neither enforce nor audit').default('enforce'),
  known_customers: knownCustomers.default('any'),
  services: named(serviceRule).optional(),
  groups: named(customerRule.extend({ members: customers.optional() })).optional(),
  customers: named(customerRule.extend({ group: text(128).optional() })).optional(),
})

export type PolicyDocument = z.output<typeof PolicyDocument>
export type CustomerRuleDocument = z.output<typeof customerRule>

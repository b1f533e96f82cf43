import { customDialect, DIALECTS, type Dialect } from './dialects.ts'
import { fine, type Kit, problem, skipped, type Verdict } from './doctor-kit.ts'
import { networkProblem } from './doctor-network.ts'
import { joinUrl } from './endpoints.ts'
import { organizationHeader } from './exchange-requests.ts'
import { CallFailure } from './http-calls.ts'
import { isAnotherDialect } from './refusals.ts'
import { replyText } from './reply-text.ts'

type Answer = {
  readonly dialect: Dialect
  /** `maybe`: there is something, and its refusal does not tell what it is. */
  readonly speaks: 'yes' | 'maybe' | 'no'
  readonly status: number
  readonly words: string
}

/**
 * Asks for a token for nobody: the customer's name is null, which every generation refuses before it
 * makes anything. What it complains about tells whether it knows the field.
 */
async function ask(
  kit: Kit,
  dialect: Dialect,
  orgToken: string,
  apiUrl: string,
): Promise<Answer | CallFailure> {
  const reply = await kit.call({
    method: 'POST',
    url: joinUrl(apiUrl, dialect.mintPath.scoped),
    headers: {
      authorization: `Bearer ${orgToken}`,
      'content-type': 'application/json',
      ...organizationHeader(kit.settings.organizationId),
    },
    body: JSON.stringify({ [dialect.customerField]: null }),
  })
  if (reply instanceof CallFailure) return reply
  const { status } = reply
  const words = replyText(reply.text, [orgToken])
  return { dialect, status, words, speaks: verdictOf(dialect, status, words) }
}

const CUSTOMER_FIELDS = ['external_id', 'workspace_name', 'external_user_id', 'customer_name']

function verdictOf(dialect: Dialect, status: number, words: string): Answer['speaks'] {
  if (status !== 422 && isAnotherDialect(status)) return 'no'
  const fields = [dialect.customerField, ...CUSTOMER_FIELDS]
  const named = fields.filter((field) => words.includes(field))
  // Its own name in a complaint about a field that it does not know is no good sign.
  const unknown = /extra|not permitted|unknown|unrecogni[sz]ed/i.test(words)
  if (named.includes(dialect.customerField)) return unknown ? 'no' : 'yes'
  return named.length > 0 ? 'no' : 'maybe'
}

/** Which dialects the API speaks, and whether the configured one is among them. Mints nothing. */
export async function* checkDialect(kit: Kit, orgToken: string): AsyncGenerator<Verdict> {
  const { apiUrl, custom } = kit.settings
  const dialects = custom === null ? DIALECTS : [...DIALECTS, customDialect(custom)]
  const answers: Answer[] = []
  for (const dialect of dialects) {
    const answer = await ask(kit, dialect, orgToken, apiUrl)
    if (answer instanceof CallFailure) {
      yield networkProblem('mint endpoint', answer, apiUrl, 'AIRBYTE_API_URL', kit.settings)
      return
    }
    answers.push(answer)
  }
  yield credentialProblem(kit, answers) ?? (await dialectVerdict(kit, orgToken, answers))
}

function credentialProblem(kit: Kit, answers: readonly Answer[]): Verdict | null {
  const of = (wanted: number) => answers.find(({ status }) => status === wanted)
  const refused = of(401)
  const { source } = kit.settings.orgToken
  if (refused !== undefined) {
    const setting =
      source === 'static'
        ? 'AIRBYTE_ACCESS_TOKEN'
        : 'AIRBYTE_API_URL, or ORG_TOKEN_SOURCE: the token has to be from the exchange that goes with the API'
    return problem('org token', `the API refuses the org token (${refused.words})`, setting)
  }
  const notEntitled = of(403)
  if (notEntitled !== undefined) {
    const says = `the org token may not mint (${notEntitled.words})`
    return problem(
      'org token',
      says,
      'AIRBYTE_ORGANIZATION_ID, or the permissions of the credential',
    )
  }
  const broken = answers.find(({ status }) => status === 429 || status >= 500)
  if (broken === undefined) return null
  return problem('mint endpoint', `it answers ${broken.status} (${broken.words})`, 'none: wait')
}

async function dialectVerdict(
  kit: Kit,
  orgToken: string,
  answers: readonly Answer[],
): Promise<Verdict> {
  const wanted = kit.settings.dialect
  const spoken = answers.filter(({ speaks }) => speaks === 'yes').map(({ dialect }) => dialect.name)
  const possible = answers
    .filter(({ speaks }) => speaks !== 'no')
    .map(({ dialect }) => dialect.name)
  const [best] = spoken.length > 0 ? spoken : possible

  if (best === undefined) return nowhere(kit, orgToken)
  if (wanted === 'auto') return fine('dialect', `the API speaks ${best}, and auto will find it`)
  if (possible.includes(wanted)) return fine('dialect', `the API speaks ${wanted}`)
  return problem(
    'dialect',
    `the API does not speak ${wanted}, but ${best}`,
    `AIRBYTE_DIALECT=${best}`,
  )
}

/** Nothing at any path: perhaps the base has a part too many. */
async function nowhere(kit: Kit, orgToken: string): Promise<Verdict> {
  const { apiUrl } = kit.settings
  const { origin, pathname } = new URL(apiUrl)
  if (pathname !== '/') {
    for (const dialect of DIALECTS) {
      const answer = await ask(kit, dialect, orgToken, origin)
      if (answer instanceof CallFailure || answer.speaks === 'no') continue
      const says = `there is nothing below ${pathname}, but at ${origin} the API speaks ${dialect.name}: the paths begin with /api/v1 themselves`
      return problem('dialect', says, `AIRBYTE_API_URL=${origin}`)
    }
  }
  const says = `no dialect is answered at ${apiUrl}`
  return problem('dialect', says, 'AIRBYTE_API_URL, or AIRBYTE_DIALECT=custom with its paths')
}

export const dialectSkipped = () => skipped('dialect', 'not asked for lack of an org token')

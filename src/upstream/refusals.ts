import { BrokerError } from '../errors.ts'

/** Replies that mean "there is no such endpoint or field here", and that create nothing. */
export const isAnotherDialect = (status: number): boolean =>
  (status >= 300 && status < 400) || [404, 405, 410, 422].includes(status)

/** What a refused mint most likely means, and the settings to look at; for the log. */
export function mintHint(status: number): string {
  if (status === 401)
    return 'the API refuses the org token: see AIRBYTE_API_URL and the org token’s settings'
  if (status === 403)
    return 'the org token may not mint: see its permissions and AIRBYTE_ORGANIZATION_ID'
  if (status === 400)
    return 'the request was refused: see AIRBYTE_ORGANIZATION_ID and AIRBYTE_REGION_ID'
  if (isAnotherDialect(status)) {
    return 'most likely the API speaks another dialect: see AIRBYTE_DIALECT and AIRBYTE_API_URL'
  }
  return 'the request was refused'
}

export const rejectedMint = (status: number): BrokerError =>
  new BrokerError('upstream_rejected', 'the token service refused the request', {
    cause: new Error(`the upstream answered ${status}: ${mintHint(status)}`),
  })

import type { Deadline } from './deadline.ts'
import type { OrgTokenSettings } from './settings.ts'
import type { OrgTokenStatus } from './upstream.ts'

/** The token that we authenticate to the upstream with, however it is come by. */
export type OrgToken = {
  start(): void
  /**
   * One that is good as far as we know; waits for an exchange if there is none.
   * @throws BrokerError
   */
  get(deadline: Deadline): Promise<string>
  /**
   * The upstream answered 401 to this one: another one.
   * @throws BrokerError, also if there can be no other
   */
  refused(token: string, deadline: Deadline): Promise<string>
  /** The upstream took this one. */
  accepted(token: string): void
  status(): OrgTokenStatus
  /** Takes up new secrets. `false`: it cannot, and has to be replaced. */
  reload(settings: OrgTokenSettings): boolean
  close(): void
}
